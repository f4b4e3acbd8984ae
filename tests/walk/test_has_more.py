"""The walk by `has_more`: it ends on every answer that a server can give, and each record counts once."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cf_invoice_source.invoices.record import Invoice, Item, Reject
from cf_invoice_source.walk.has_more import Fetch, Listing, Refuse, Stop, Taken, is_same, next_step
from cf_invoice_source.walk.page import Page
from tests.support.make import MISSING, make_invoice, make_page

# Go on, stop, or refuse

FULL = tuple({"id": f"in_{number}"} for number in range(50))


def step(previous: Page[Item], last: Page[Item], **facts: int) -> Fetch | Stop | Refuse:
    return next_step(
        previous,
        last,
        **{"records_read": len(last.records), "new": len(last.records), "max_pages": 100} | facts,
    )


@pytest.mark.parametrize(
    ("page", "decision"),
    [
        pytest.param(make_page(), Stop(), id="an empty list"),
        pytest.param(make_page(*FULL[:3]), Stop(), id="less than a page"),
        pytest.param(make_page(*FULL), Stop(), id="exactly a page"),
        pytest.param(make_page(*FULL, has_more=True, total_count=120), Fetch(2), id="the first of three"),
        pytest.param(make_page(*FULL, total_count=120), Fetch(2), id="only the count says that more follow"),
        pytest.param(make_page(*FULL, has_more=True), Fetch(2), id="only has_more says that more follow"),
        pytest.param(make_page(*FULL[:7], has_more=True, per_page=7, total_count=20), Fetch(2), id="clamped"),
        pytest.param(
            make_page(make_invoice(), has_more=True, per_page=0, total_count=0),
            Fetch(2),
            id="the docs' example",
        ),
    ],
)
def test_after_the_first_page(page: Page[Item], decision: object) -> None:
    assert step(page, page) == decision


def test_the_last_page_of_several_ends_the_walk() -> None:
    first = make_page(*FULL, has_more=True, total_count=70)
    last = make_page(*FULL[:20], asked=2, total_count=70)

    assert step(first, last, records_read=70) == Stop()


def test_a_page_without_anything_new_is_refused_when_the_list_has_not_grown() -> None:
    first = make_page(*FULL, has_more=True, total_count=100)
    last = make_page(*FULL, asked=2, has_more=True, total_count=100)

    decision = step(first, last, records_read=50, new=0)

    assert isinstance(decision, Refuse)
    assert "ignore the page number" in decision.why


def test_a_page_without_anything_new_is_no_error_when_the_list_has_grown() -> None:
    first = make_page(*FULL, has_more=True, total_count=100)
    last = make_page(*FULL, asked=2, has_more=True, total_count=150)

    assert step(first, last, records_read=50, new=0) == Fetch(3)


def test_a_list_without_end_is_refused() -> None:
    page = make_page(*FULL, asked=100, has_more=True, total_count=10**9)

    assert step(page, page, records_read=5000) == Refuse("the list goes on after 100 pages")


def test_growth_is_measured_from_page_to_page() -> None:
    """Each page without anything new needs growth of its own, or a walk in circles would not end."""
    second = make_page(*FULL, asked=2, has_more=True, total_count=150)
    third = make_page(*FULL, asked=3, has_more=True, total_count=150)

    assert isinstance(step(second, third, records_read=50, new=0), Refuse)


def test_a_list_that_ends_on_its_last_allowed_page_is_not_refused() -> None:
    page = make_page(*FULL, asked=100, total_count=5000)

    assert step(page, page, records_read=5000) == Stop()


@pytest.mark.parametrize("total_count", [50, 80, 49, 10_000, -1])
def test_an_empty_page_ends_the_walk_by_itself_whatever_the_server_counts(total_count: int) -> None:
    """The counting is what made the list walked by `has_more`; whether it moved is seen by `is_same`."""
    assert (
        step(make_page(*FULL), make_page(asked=2, total_count=total_count), records_read=50, new=0) == Stop()
    )


def test_an_empty_page_that_says_that_more_follow_verifies_nothing() -> None:
    decision = step(
        make_page(*FULL), make_page(asked=2, has_more=True, total_count=50), records_read=50, new=0
    )

    assert decision == Stop("page 2 is empty, but says that more follow")


@pytest.mark.parametrize(
    ("before", "after", "decision"),
    [
        pytest.param(make_page(), make_page(), True, id="both empty"),
        pytest.param(make_page(*FULL), make_page(*FULL), True, id="equal"),
        pytest.param(
            make_page(make_invoice(invoice_pdf="a")),
            make_page(make_invoice(invoice_pdf="b")),
            True,
            id="a new link, which is in every answer",
        ),
        pytest.param(make_page(*FULL, total_count=60), make_page(*FULL, total_count=61), False, id="counted"),
        pytest.param(
            make_page(make_invoice(status="open")), make_page(make_invoice()), False, id="a changed invoice"
        ),
        pytest.param(
            make_page(*FULL, total_count=60), make_page(*FULL[1:], total_count=60), False, id="one fewer"
        ),
        pytest.param(
            make_page(*FULL), make_page(*reversed(FULL)), False, id="the same invoices in another order"
        ),
    ],
)
def test_page_1_tells_after_a_walk_whether_anything_moved(
    before: Page[Item], after: Page[Item], decision: object
) -> None:
    assert is_same(before, after) is decision


@given(data=st.data())
def test_every_walk_ends_whatever_the_server_says(data: st.DataObject) -> None:
    records = [*({"id": f"in_{number}"} for number in range(5)), make_invoice(id=None), 7, None]
    answers = st.builds(
        make_page,
        has_more=st.booleans(),
        per_page=st.integers(-1, 9),
        total_count=st.integers(-1, 30),
    )

    def answer(asked: int) -> Page[Item]:
        shown = data.draw(st.lists(st.sampled_from(records), max_size=4))
        facts = data.draw(answers)
        return make_page(
            *shown,
            asked=asked,
            has_more=facts.has_more,
            per_page=facts.per_page,
            total_count=facts.total_count,
        )

    pages, decision = walk(answer, max_pages=20)

    assert len(pages) <= 20
    assert isinstance(decision, Stop | Refuse)


@given(
    count=st.integers(0, 40),
    per_page=st.integers(1, 10),
    has_more=st.none() | st.booleans(),
    total_count=st.none() | st.integers(-5, 60),
)
def test_an_honest_list_is_seen_whole_whatever_one_field_of_its_paging_says(
    count: int, per_page: int, has_more: bool | None, total_count: int | None
) -> None:
    records = [make_invoice(id=f"in_{number}") for number in range(count)]
    if has_more is not None:
        total_count = None

    def answer(asked: int) -> Page[Item]:
        shown = records[(asked - 1) * per_page : asked * per_page]
        return make_page(
            *shown,
            asked=asked,
            has_more=asked * per_page < count if has_more is None else has_more,
            per_page=per_page,
            total_count=count if total_count is None else total_count,
        )

    pages, decision = walk(answer, max_pages=1000)

    assert isinstance(decision, Stop)
    assert {item.id for page in pages for item in page.records} == {r["id"] for r in records}
    assert len(pages) <= count // per_page + 2


@given(count=st.integers(0, 40), per_page=st.integers(1, 10))
def test_an_honest_list_at_rest_is_verified_to_be_whole(count: int, per_page: int) -> None:
    records = [make_invoice(id=f"in_{number}") for number in range(count)]

    def answer(asked: int) -> Page[Item]:
        shown = records[(asked - 1) * per_page : asked * per_page]
        more = asked * per_page < count
        return make_page(*shown, asked=asked, has_more=more, per_page=per_page, total_count=count)

    pages, decision = walk(answer, max_pages=1000)

    assert decision == Stop()
    assert len(pages) == max(1, -(-count // per_page))


def walk(answer: Any, *, max_pages: int) -> tuple[list[Page[Item]], Fetch | Stop | Refuse]:
    listing, pages = Listing[Item](), list[Page[Item]]()
    decision: Fetch | Stop | Refuse = Fetch(1)
    while isinstance(decision, Fetch):
        page = answer(decision.page)
        pages.append(page)
        taken = listing.take(page)
        decision = next_step(
            pages[-2:][0], page, records_read=listing.records_read, new=taken.new, max_pages=max_pages
        )
    return pages, decision


# What counts on a page


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
    assert listing.rejects == {key: item.id for key, item in taken.records}


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


def test_records_that_are_listed_once_are_all_there_is() -> None:
    listing = Listing[Item]()
    listing.take(make_page(make_invoice(id="in_2"), None, per_page=2, total_count=4))
    listing.take(make_page(make_invoice(id="in_1"), None, asked=2, per_page=2, total_count=4))

    assert listing.unverified_reason == ""


def test_a_record_that_is_listed_twice_leaves_the_walk_unverified() -> None:
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


def test_the_count_covers_a_record_without_id_down_to_the_oldest() -> None:
    """The fourth of three records on a page 2 of two each would have the ordinal 0."""
    listing = Listing[Item]()
    listing.take(make_page(make_invoice(id="in_3"), make_invoice(id="in_2"), per_page=2, total_count=3))

    page = make_page(
        make_invoice(id=None, created=1), make_invoice(id=None, created=0), asked=2, per_page=2, total_count=3
    )

    assert listing.take(page).new == 1


@pytest.mark.parametrize(("asked", "new"), [(1, 2), (2, 0)])
def test_records_without_id_that_the_count_does_not_cover_are_taken_from_page_1_alone(
    asked: int, new: int
) -> None:
    """A server that counts none lists them all the same; from page 2 on they may be those of page 1 again."""
    page = make_page(make_invoice(id=None), make_invoice(id=None), asked=asked, total_count=0)

    listing = Listing[Item]()

    assert listing.take(page).new == new
    assert len(listing.anonymous()) == new
