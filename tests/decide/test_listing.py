"""Each record counts once, however pages shift and overlap while the list grows."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cf_invoice_source.invoices.record import Invoice, Item, Reject
from cf_invoice_source.walk.has_more import Listing, Taken
from tests.make import MISSING, make_invoice, make_page


def test_a_page_brings_its_invoices_and_its_rejects() -> None:
    listing = Listing[Item]()

    taken = listing.take(make_page(make_invoice(id="in_2"), "garbage", make_invoice(id="in_1")))

    assert [key for key, item in taken.records if isinstance(item, Invoice)] == ["in_2", "in_1"]
    assert numbered_rejects(taken) == [("garbage", "1")]
    assert taken.new == listing.records_read == 3


def test_an_invoice_that_has_slid_to_the_next_page_counts_once() -> None:
    listing = Listing[Item]()
    listing.take(make_page(make_invoice(id="in_2"), make_invoice(id="in_1"), per_page=2, total_count=3))

    taken = listing.take(
        make_page(make_invoice(id="in_1"), make_invoice(id="in_0"), asked=2, per_page=2, total_count=4)
    )

    assert [key for key, _ in taken.records] == ["in_0"]
    assert taken.new == 1
    assert listing.records_read == 3


def test_the_same_page_again_brings_nothing_even_if_its_invoices_have_no_id() -> None:
    listing = Listing[Item]()
    records = [make_invoice(id=None, created=2), make_invoice(id=None, created=1)]
    listing.take(make_page(*records, per_page=2, total_count=4))

    taken = listing.take(make_page(*records, asked=2, per_page=2, total_count=4))

    assert taken == Taken((), 0)
    assert listing.records_read == 2


@pytest.mark.parametrize("record", [make_invoice(id=None), "garbage"])
def test_a_record_without_id_beyond_the_servers_own_count_is_taken_for_a_repetition(record: Any) -> None:
    """Else a server that shows one such record on every page would be asked for pages without end."""
    listing = Listing[Item]()
    listing.take(make_page(record, per_page=1, total_count=0, has_more=True))

    assert listing.take(make_page(record, asked=2, per_page=1, total_count=0, has_more=True)).new == 0


def test_invoices_without_id_wait_until_the_end() -> None:
    listing = Listing[Item]()

    taken = listing.take(make_page(make_invoice(id=None)))

    assert taken == Taken((), 1)


def test_equal_invoices_without_id_are_numbered_from_the_oldest() -> None:
    listing = Listing[Item]()
    listing.take(make_page(*(make_invoice(id=MISSING, description=text) for text in ("new", "mid", "old"))))

    numbered = {
        key.rpartition(":")[2]: item.values["description"]
        for key, item in listing.anonymous()
        if isinstance(item, Invoice)
    }

    assert numbered == {"1": "old", "2": "mid", "3": "new"}


def test_different_invoices_without_id_each_begin_at_one() -> None:
    listing = Listing[Item]()
    listing.take(make_page(make_invoice(id=None, created=2), make_invoice(id=None, created=1)))

    keys = [key for key, _ in listing.anonymous()]

    assert [key.rpartition(":")[2] for key in keys] == ["1", "1"]
    assert len(set(keys)) == 2


def test_equal_rejects_are_numbered() -> None:
    listing = Listing[Item]()

    taken = listing.take(make_page(None, None, 7))

    assert numbered_rejects(taken) == [(None, "1"), (None, "2"), (7, "1")]
    assert listing.rejects == {key for key, _ in taken.records}


def test_a_rejected_record_with_an_id_is_told_apart_by_it() -> None:
    broken = make_invoice(id="in_1", amount_due="broken")
    listing = Listing[Item]()
    listing.take(make_page(broken, per_page=1, total_count=2))

    taken = listing.take(make_page(broken, asked=2, per_page=1, total_count=3))

    assert taken == Taken((), 0)
    assert len(listing.rejects) == 1


def test_what_was_seen_is_known_by_its_key() -> None:
    listing = Listing[Item]()
    listing.take(make_page(make_invoice(id="in_1"), make_invoice(id=None)))
    ((key, _),) = listing.anonymous()

    assert listing.has_seen("in_1")
    assert listing.has_seen(key)
    assert not listing.has_seen("in_2")
    assert not listing.has_seen(key.rpartition(":")[0] + ":2")


def test_records_that_are_listed_once_leave_no_doubt() -> None:
    listing = Listing[Item]()
    listing.take(make_page(make_invoice(id="in_2"), None, per_page=2, total_count=4))
    listing.take(make_page(make_invoice(id="in_1"), None, asked=2, per_page=2, total_count=4))

    assert listing.unverified_reason == ""


def test_a_record_that_is_listed_twice_leaves_a_doubt() -> None:
    """When new invoices push others to the next page, something else may have slipped between two pages."""
    listing = Listing[Item]()
    listing.take(make_page(make_invoice(id="in_2"), make_invoice(id="in_1"), per_page=2, total_count=3))
    listing.take(make_page(make_invoice(id="in_1"), asked=2, per_page=2, total_count=3))

    assert listing.unverified_reason == "a record was listed twice"


@given(
    kinds=st.lists(st.sampled_from(["id", "no id", "reject"]), max_size=12),
    per_page=st.integers(1, 5),
    arrivals=st.lists(st.integers(0, 3), max_size=6),
)
def test_a_list_that_grows_in_front_during_the_walk_is_listed_once_each(
    kinds: list[str], per_page: int, arrivals: list[int]
) -> None:
    """New invoices push the others down: some are met twice, and none may be counted or lost for it."""
    records = [make(kind, number) for number, kind in enumerate(kinds)]
    at_first = len(records)
    listing, rejects, asked = Listing[Item](), 0, 0
    while not asked or asked * per_page < len(records):
        asked += 1
        shown = records[(asked - 1) * per_page : asked * per_page]
        taken = listing.take(make_page(*shown, asked=asked, per_page=per_page, total_count=len(records)))
        rejects += len(numbered_rejects(taken))
        for _ in range(arrivals.pop() if arrivals and asked < 4 else 0):
            records.insert(0, make_invoice(id=f"new_{len(records)}"))

    assert listing.records_read >= at_first
    assert rejects == kinds.count("reject")
    assert len(listing.anonymous()) == kinds.count("no id")


@pytest.mark.parametrize("per_page", [1, 2, 3, 50])
def test_the_synthetic_ids_do_not_depend_on_the_size_of_pages(per_page: int) -> None:
    records = [
        make_invoice(id=None, created=number // 2, description=str(number)) for number in range(7, 0, -1)
    ]
    listing = Listing[Item]()
    for start in range(0, len(records), per_page):
        asked = start // per_page + 1
        listing.take(
            make_page(*records[start : start + per_page], asked=asked, per_page=per_page, total_count=7)
        )

    whole = Listing[Item]()
    whole.take(make_page(*records))

    assert listing.anonymous() == whole.anonymous()


def numbered_rejects(taken: Taken[Item]) -> list[tuple[Any, str]]:
    return [(item.record, key.rpartition(":")[2]) for key, item in taken.records if isinstance(item, Reject)]


def make(kind: str, number: int) -> Any:
    if kind == "reject":
        return f"garbage {number // 2}"
    return make_invoice(id=f"in_{number}" if kind == "id" else None, created=number // 2)
