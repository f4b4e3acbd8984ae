"""Which page is needed next, and what the answers verify: the walk by ordinals, answer by answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cf_invoice_source.invoices.record import Invoice, Item, Reject, read_record
from cf_invoice_source.walk.bookmark import NOTHING, Equal, HighWaterMark, Rejected
from cf_invoice_source.walk.coverage import Coverage, Seen, pages_covering
from cf_invoice_source.walk.ordinals import Trouble, Walk, distrust
from cf_invoice_source.walk.page import Page
from tests.support.make import CREATED_S, make_invoice, make_page
from tests.support.truth import second_look

BROKEN = ["no invoice"]
"""What "!" stands for in a list."""

Name = str | dict[str, Any]
"""An invoice of a list by its id: "a" is paid, "A" may still change; or the record itself."""


def a_list(names: Any) -> list[Any]:
    """Records for these names, newest first, an hour apart: the last one has ordinal 1."""
    names = list(names)
    return [a_record(name, len(names) - index) for index, name in enumerate(names)]


def a_record(name: Name, ordinal: int) -> Any:
    if not isinstance(name, str):
        return name
    if name == "!":
        return BROKEN
    status = "paid" if name.islower() else "open"
    return make_invoice(id=name.lower(), status=status, created=hour(ordinal))


def hour(number: int) -> int:
    return CREATED_S + number * 3600


def page_of(names: Any, asked: int = 1, *, per_page: int = 2) -> Page[Item]:
    """That page of a list, from an honest server."""
    records = a_list(names)
    shown = records[(asked - 1) * per_page : asked * per_page]
    more = asked * per_page < len(records)
    return make_page(*shown, asked=asked, has_more=more, per_page=per_page, total_count=len(records))


def walk_of(names: Any, mark: HighWaterMark = NOTHING, *, per_page: int = 2) -> Walk[Item]:
    """A walk that has taken page 1 of a list."""
    first = page_of(names, per_page=per_page)
    walk = Walk(first, mark)

    assert walk.take(first) is None
    assert walk.why_troubled == ""

    return walk


def anonymous(status: str = "paid", *, at: int | None = 1, **fields: Any) -> dict[str, Any]:
    """An invoice without id, created in that hour; two of the same hour share their identity."""
    return make_invoice(id=None, status=status, created=None if at is None else hour(at), **fields)


def identity_of(record: Any) -> str:
    return read_record(record).identity


def hash_of(record: Any) -> str:
    return read_record(record).row_hash


def keys(walk: Walk[Item]) -> list[str]:
    return [key for key, _ in walk.release()]


@dataclass
class Went:
    """A walk to its end: what it gave, and the pages it asked for after page 1."""

    walk: Walk[Item]
    items: dict[str, Invoice | Reject] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)


def next_page(walk: Walk[Item]) -> int | None:
    """The page that is needed next, if one is."""
    return next(iter(walk.wanted(1)), None)


def go(names: Any, mark: HighWaterMark = NOTHING, *, per_page: int = 2, arrivals: Any = ()) -> Went:
    """Walk a list, while so many invoices arrive before each further page; nothing may be wrong with it."""
    records, coming = a_list(names), list(arrivals)
    page = page_of(records, per_page=per_page)
    went = Went(Walk(page, mark))
    while True:
        assert went.walk.take(page) is None
        for key, item in went.walk.release():
            assert key not in went.items
            went.items[key] = item
        number = next_page(went.walk)
        if number is None:
            return went
        for _ in range(coming.pop() if coming else 0):
            records.insert(0, make_invoice(id=f"late {len(records)}", created=hour(1000)))
        went.asked.append(number)
        page = page_of(records, number, per_page=per_page)


# Whether a page agrees with itself

HONEST = page_of("gfedcba", asked=2, per_page=3)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page_of(""), id="an empty list"),
        pytest.param(page_of("ba"), id="exactly a page"),
        pytest.param(page_of("a"), id="less than a page"),
        pytest.param(page_of("cba"), id="the first of two"),
        pytest.param(page_of("cba", asked=2), id="the last of two"),
        pytest.param(page_of("cba", asked=2, per_page=1), id="one record on a page"),
        pytest.param(page_of("cba", asked=3), id="beyond the end"),
        pytest.param(HONEST, id="in the middle"),
    ],
)
def test_an_honest_page_is_trusted(page: Page[Item]) -> None:
    assert distrust(page) == ""


@pytest.mark.parametrize(
    ("lie", "why"),
    [
        pytest.param({"per_page": 0}, "per_page is 0, total_count is 7", id="no record on a page"),
        pytest.param({"per_page": -1}, "per_page is -1", id="less than no record on a page"),
        pytest.param(
            {"total_count": -1, "records": (), "has_more": False}, "total_count is -1", id="less than none"
        ),
        pytest.param({"page": 1}, "page 2 was asked for, page 1 was answered", id="another page"),
        pytest.param({"page": 0}, "page 0 was answered", id="page 0"),
        pytest.param(
            {"records": HONEST.records[:2]}, "page 2 should list 3 of 7 records, but lists 2", id="short"
        ),
        pytest.param({"records": ()}, "page 2 should list 3 of 7 records, but lists 0", id="empty"),
        pytest.param({"per_page": 2}, "page 2 should list 2 of 7 records, but lists 3", id="too full"),
        pytest.param({"total_count": 5}, "page 2 should list 2 of 5", id="more than are counted"),
        pytest.param({"total_count": 3}, "page 2 should list 0 of 3", id="records beyond the end"),
        pytest.param(
            {"has_more": False},
            "has_more is false on page 2, against total_count",
            id="no more, says has_more",
        ),
        pytest.param({"total_count": 6}, "has_more is true on page 2", id="no more, says total_count"),
    ],
)
def test_a_page_that_contradicts_itself_is_not_trusted(lie: dict[str, Any], why: str) -> None:
    assert why in distrust(replace(HONEST, **lie))


@given(count=st.integers(0, 30), per_page=st.integers(1, 8), asked=st.integers(1, 12))
def test_every_page_of_an_honest_server_is_trusted(count: int, per_page: int, asked: int) -> None:
    records = [make_invoice(id=str(number)) for number in range(count)]

    assert distrust(page_of(records, asked, per_page=per_page)) == ""


# What an answer shows to be wrong


def test_no_id_stands_at_two_ordinals() -> None:
    """A draft was deleted and another invoice arrived late: the total is the same, but `c` moved."""
    walk = walk_of("dcba")

    assert walk.take(page_of("dxcb", asked=2)) is Trouble.MOVED
    assert walk.why_troubled == "a record stands at two ordinals, or one ordinal holds two"


def test_no_rejected_record_with_an_id_stands_at_two_ordinals() -> None:
    broken = make_invoice(id="c", amount_due="broken")
    walk = walk_of(["d", broken, "b", "a"])

    assert walk.take(page_of(["d", "x", broken, "b"], asked=2)) is Trouble.MOVED


def test_no_id_stands_twice_on_one_page() -> None:
    page = page_of("aa")

    assert Walk(page, NOTHING).take(page) is Trouble.MOVED


def test_no_ordinal_holds_two_ids() -> None:
    """`c` was deleted after page 1; two arrivals hide that, for they push the gap to the next page."""
    walk = walk_of("dcba")

    assert walk.take(page_of("yxdba", asked=2)) is Trouble.MOVED


def test_no_ordinal_holds_an_invoice_and_a_rejected_record() -> None:
    walk = walk_of("d!ba")

    assert walk.take(page_of("xdcba", asked=2)) is Trouble.MOVED


def test_no_ordinal_holds_two_invoices_without_id_that_differ() -> None:
    walk = walk_of(["d", anonymous(at=1), "b", "a"])

    assert walk.take(page_of(["x", "d", anonymous(at=2), "b", "a"], asked=2)) is Trouble.MOVED


def test_no_ordinal_holds_two_invoices_without_id_that_are_alike_but_for_what_may_change() -> None:
    walk = walk_of(["d", anonymous(description="one"), "b", "a"])

    assert walk.take(page_of(["x", "d", anonymous(description="other"), "b", "a"], asked=2)) is Trouble.MOVED


def test_an_id_that_looks_like_the_key_of_an_invoice_without_one_stays_where_it_was() -> None:
    names = [anonymous(at=2), f"{identity_of(anonymous(at=2))}:1"]
    walk = walk_of(names)
    assert len({key for key, _ in walk.release()}) == 1

    assert walk.take(page_of(names)) is None


def test_equal_invoices_without_id_may_stand_at_several_ordinals() -> None:
    walk = walk_of([anonymous()] * 4)

    assert walk.take(page_of([anonymous()] * 4, asked=2)) is None


def test_equal_rejected_records_without_id_may_stand_at_several_ordinals() -> None:
    walk = walk_of("!!!!")

    assert walk.take(page_of("!!!!", asked=2)) is None


def test_the_same_page_again_is_no_contradiction() -> None:
    walk = walk_of("dcba")

    assert walk.take(page_of("dcba")) is None


def test_a_list_that_shrinks_during_the_walk_has_moved() -> None:
    walk = walk_of("dcba")

    assert walk.take(page_of("cba", asked=2)) is Trouble.MOVED
    assert walk.why_troubled == "the list shrank from 4 to 3 during the walk"


def test_shrinking_is_measured_by_the_longest_list_so_far() -> None:
    walk = walk_of("dcba")
    walk.take(page_of("edcba", asked=2))

    assert walk.take(page_of("dcba", asked=2)) is Trouble.MOVED


def test_a_list_that_grows_during_the_walk_is_no_trouble() -> None:
    walk = walk_of("dcba")

    assert walk.take(page_of("xdcba", asked=3)) is None


@pytest.mark.parametrize("record", [anonymous(), "!"], ids=["an invoice", "rejected"])
def test_a_list_that_grows_has_moved_where_several_answers_have_new_records_and_one_has_no_id(
    record: Name,
) -> None:
    """An equal record may stand now where it stood."""
    walk = walk_of(["d", "c", record, "a"])
    assert walk.take(page_of(["d", "c", record, "a"], asked=2)) is None

    assert walk.take(page_of(["x", "d", "c", record, "a"], asked=2)) is Trouble.MOVED
    assert walk.why_troubled == "the list grew during the walk, and has records without id"


def test_a_list_that_grows_is_no_trouble_where_only_page_1_has_new_records() -> None:
    walk = walk_of(["d", anonymous(), "b", "A"], HighWaterMark(2, "b", {1: "a"}))

    assert walk.take(page_of(["x", "d", anonymous(), "b", "A"], asked=3)) is None


def test_a_page_that_contradicts_itself_cannot_be_counted_with() -> None:
    walk = walk_of("dcba")

    assert walk.take(replace(page_of("dcba", asked=2), has_more=True)) is Trouble.PAGING
    assert walk.why_troubled == "has_more is true on page 2, against total_count"


def test_page_1_is_checked_like_every_other() -> None:
    page = replace(page_of("dcba"), has_more=False)

    assert Walk(page, NOTHING).take(page) is Trouble.PAGING


def test_a_size_of_pages_that_changes_cannot_be_counted_with() -> None:
    walk = walk_of("dcba", per_page=2)

    assert walk.take(page_of("dcba", asked=2, per_page=3)) is Trouble.PAGING
    assert walk.why_troubled == "per_page went from 2 to 3"


# What the bookmark claims


def test_the_frontier_must_stand_at_its_ordinal() -> None:
    page = page_of("dcba")
    walk = Walk(page, HighWaterMark(3, "x"))

    assert walk.take(page) is Trouble.MARK
    assert walk.why_troubled == "x is no longer where it was in the list"


def test_an_id_is_named_with_100_characters_at_most_and_may_be_any_text() -> None:
    page = page_of("dcba")
    walk = Walk(page, HighWaterMark(3, "ü" + 110 * "x"))

    walk.take(page)

    assert walk.why_troubled == f"\\xfc{99 * 'x'} is no longer where it was in the list"


def test_an_unsettled_invoice_must_stand_at_its_ordinal() -> None:
    walk = walk_of("dcBa", HighWaterMark(4, "d", {2: "x"}))

    assert walk.take(page_of("dcBa", asked=2)) is Trouble.MARK


def test_an_unsettled_invoice_without_id_must_still_be_of_the_same_identity() -> None:
    walk = walk_of(["d", "c", anonymous("open")], HighWaterMark(3, "d", {1: "anonymous:other:1"}))

    assert walk.take(page_of(["d", "c", anonymous("open")], asked=2)) is Trouble.MARK


def test_a_rejected_record_with_an_id_must_stand_at_its_ordinal() -> None:
    walk = walk_of("dcba", HighWaterMark(4, "d", rejected={2: Rejected("ab:1", "x")}))

    assert walk.take(page_of("dcba", asked=2)) is Trouble.MARK


def test_a_rejected_record_may_be_corrected() -> None:
    walk = walk_of(
        "dcba", HighWaterMark(4, "d", rejected={2: Rejected("ab:1", "b"), 1: Rejected("cd:1", None)})
    )

    assert walk.take(page_of("dcba", asked=2)) is None
    assert keys(walk) == ["a", "b", "c", "d"]


def test_a_rejected_record_that_turns_into_an_invoice_without_id_can_only_be_numbered_by_a_full_walk() -> (
    None
):
    records = ["c", anonymous()]
    mark = HighWaterMark(2, "c", rejected={1: Rejected("ab:1", None)})
    page = page_of(records)
    walk = Walk(page, mark)

    assert walk.take(page) is Trouble.MARK
    assert "only a full walk can number" in walk.why_troubled

    walk.widen()
    assert keys(walk) == [f"{identity_of(anonymous())}:1", "c"]


def test_a_claim_is_only_about_its_ordinal() -> None:
    """The invoice at the frontier is as old as before; what stands above it is new."""
    walk = walk_of("dcba", HighWaterMark(3, "c"))

    assert keys(walk) == ["c", "d"]


# Which page is needed


def test_the_frontier_is_fetched_as_a_check_although_it_is_known() -> None:
    walk = walk_of("edcba", HighWaterMark(3, "c"))

    assert next_page(walk) == 2

    assert walk.take(page_of("edxba", asked=2)) is Trouble.MARK


def test_nothing_else_is_fetched_when_page_1_shows_the_frontier() -> None:
    assert next_page(walk_of("dcba", HighWaterMark(3, "c"))) is None


def test_an_empty_list_needs_nothing_else() -> None:
    assert next_page(walk_of("")) is None


def test_the_oldest_page_comes_first() -> None:
    walk = walk_of("gfedcba")

    assert next_page(walk) == 4

    walk.take(page_of("gfedcba", asked=4))
    assert next_page(walk) == 3


def test_only_the_pages_of_unsettled_and_rejected_records_are_needed_below_the_frontier() -> None:
    names = ["j", "i", "h", "g", "f", "E", "d", "c", "!", "a"]
    walk = walk_of(names, HighWaterMark(9, "i", {5: "e"}, {2: Rejected(f"{hash_of(BROKEN)}:1", None)}))

    assert next_page(walk) == 5
    walk.take(page_of(names, asked=5))
    assert next_page(walk) == 3
    walk.take(page_of(names, asked=3))
    assert next_page(walk) is None


def test_a_page_moves_when_the_list_grows() -> None:
    walk = walk_of("fedcba")
    assert next_page(walk) == 3

    walk.take(page_of("yxfedcba", asked=3))

    assert next_page(walk) == 4


def test_a_record_that_slid_to_the_next_page_is_not_fetched_twice() -> None:
    walk = walk_of("dcba")
    assert next_page(walk) == 2

    walk.take(page_of("xdcba", asked=2))

    assert next_page(walk) == 3


def test_a_record_that_slides_onto_a_page_fetched_later_is_given_and_counted_once() -> None:
    second_look = [2]

    went = go("hgfedcba", per_page=3, arrivals=[1, 0])

    assert went.asked == [3, 2, 3, *second_look]
    assert [*went.items] == [*"abcdefgh"]


def test_later_arrivals_are_neither_needed_nor_given() -> None:
    """They wait for the next run: the walk is about the list as page 1 described it."""
    walk = walk_of("dcba")
    walk.take(page_of("xdcba", asked=3))
    walk.take(page_of("xdcba", asked=1))
    walk.take(page_of("xdcba", asked=2))
    assert next_page(walk) == 2  # the second look: `c` was the last one of page 1
    walk.take(page_of("xdcba", asked=2))

    assert next_page(walk) is None
    assert keys(walk) == ["a", "b", "c", "d"]
    assert walk.mark().ordinal == 4


# Several pages on their way


def test_as_many_pages_are_asked_for_as_good_answers_have_come_up_to_a_limit() -> None:
    walk = walk_of("lkjihgfedcba")
    assert walk.wanted(3) == [6]

    walk.take(page_of("lkjihgfedcba", asked=6))
    assert walk.wanted(3) == [5, 4]

    walk.take(page_of("lkjihgfedcba", asked=5))
    walk.take(page_of("lkjihgfedcba", asked=4))
    assert walk.wanted(3) == [3, 2]


def test_pages_with_what_may_have_changed_come_first_and_each_page_once() -> None:
    walk = walk_of("jihgfedcba", HighWaterMark(4, "d", {1: "a", 3: "c"}))
    walk.take(page_of("jihgfedcba", asked=1))
    walk.take(page_of("jihgfedcba", asked=1))

    assert walk.wanted(9) == [5, 4, 3]


def test_pages_are_named_without_a_look_at_everything_that_may_have_changed() -> None:
    """A list on which nothing is final: the work for each page must not grow with its length."""
    seen = _Looked()
    coverage = Coverage(seen, 4_000, range(1, 4_001), 4_001)

    assert pages_covering(coverage.missing(), 8, 4_000, 50) == list(range(80, 72, -1))
    assert seen.looks < 500


def test_pages_are_named_without_a_look_at_everything_that_was_seen_before_a_check_failed() -> None:
    seen = _Looked()
    seen.add(51, 500_000)
    seen.add(500_051, 1_000_000)
    coverage = Coverage(seen, 1_000_000, (), 1)

    assert pages_covering(coverage.missing(), 8, 1_000_000, 50) == [20_000, 10_000]
    assert seen.looks < 500


class _Looked(Seen):
    looks = 0

    def next_unseen(self, ordinal: int) -> int:
        self.looks += 1
        return super().next_unseen(ordinal)


def overtaken(mark: HighWaterMark) -> Walk[Item]:
    """Pages 3 and 2 of a list, asked for at once; an invoice arrived between the answers, 2 before 3."""
    walk = walk_of("fedcba", mark)
    walk.take(page_of("fedcba", asked=1))
    assert walk.wanted(9) == [3, 2]
    walk.take(page_of("xfedcba", asked=3))
    assert walk.wanted(1) == [4]
    walk.take(page_of("xfedcba", asked=4))
    assert walk.take(page_of("fedcba", asked=2)) is None
    return walk


KNOWN_TO_E = HighWaterMark(5, "e", {1: "a", 3: "c"})

CONFIRMATION = pytest.mark.parametrize(
    ("mark", "page"),
    [
        pytest.param(NOTHING, 2, id="the second look: e was the last one of page 1"),
        pytest.param(KNOWN_TO_E, 1, id="page 1, where there is no second look"),
    ],
)


@CONFIRMATION
def test_an_answer_that_may_be_older_than_another_shows_no_shrinking_but_calls_for_confirmation(
    mark: HighWaterMark, page: int
) -> None:
    walk = overtaken(mark)

    assert walk.wanted(9) == [page]
    assert walk.take(page_of("xfedcba", asked=page)) is None
    assert walk.wanted(9) == []
    assert keys(walk) == ["a", "b", "c", "d", "e", "f"]


@CONFIRMATION
def test_a_list_that_did_shrink_meanwhile_is_found_by_that_confirmation(
    mark: HighWaterMark, page: int
) -> None:
    walk = overtaken(mark)
    walk.wanted(9)

    assert walk.take(page_of("fedcba", asked=page)) is Trouble.MOVED
    assert walk.why_troubled == "the list shrank from 7 to 6 during the walk"


def test_a_list_that_shrinks_during_the_second_look_has_moved_although_its_page_was_asked_for_before() -> (
    None
):
    walk = walk_of("fedcba")
    walk.take(page_of("fedcba", asked=1))
    assert walk.wanted(9) == [3, 2]
    walk.take(page_of("yxfedcba", asked=3))
    walk.take(page_of("yxfedcba", asked=4))

    assert walk.wanted(9) == [2]
    assert walk.take(page_of("xfedcba", asked=2)) is Trouble.MOVED
    assert walk.why_troubled == "the list shrank from 8 to 7 during the walk"


def test_an_answer_that_is_as_old_as_the_one_in_doubt_does_not_confirm_the_length() -> None:
    """It was asked for before that one came: a draft may have been deleted since."""
    walk = walk_of("hgfedcba", HighWaterMark(8, "h", {2: "b", 4: "d", 6: "f"}))
    walk.take(page_of("hgfedcba", asked=1))
    walk.take(page_of("hgfedcba", asked=1))
    assert walk.wanted(9) == [4, 3, 2]
    walk.take(page_of("xhgfedcba", asked=4))
    walk.take(page_of("hgfedcba", asked=3))
    walk.take(page_of("xhgfedcba", asked=2))

    assert walk.wanted(9) == [1]
    assert walk.take(page_of("xhgfedcba", asked=1)) is None
    assert walk.wanted(9) == []


# What is given, and when


def test_records_are_given_oldest_first_page_1_last() -> None:
    walk = walk_of("fedcba")

    assert keys(walk) == []
    walk.take(page_of("fedcba", asked=3))
    assert keys(walk) == ["a", "b"]
    walk.take(page_of("fedcba", asked=2))
    assert keys(walk) == ["c", "d", "e", "f"]
    assert keys(walk) == []


def test_final_invoices_are_given_before_the_checks_are_past_and_each_once() -> None:
    names = "fEdcbA"
    walk = walk_of(names, HighWaterMark(4, "d", {1: "a", 4: "d"}))

    walk.take(page_of(names, asked=3))
    assert not walk.is_past_checks()
    assert keys(walk) == ["b"]
    assert keys(walk) == []

    walk.take(page_of(names, asked=2))
    assert walk.is_past_checks()
    assert keys(walk) == ["a", "c", "d", "e", "f"]
    assert walk.mark() == HighWaterMark(6, "f", {1: "a", 5: "e"})


@pytest.mark.parametrize("record", ["B", "!", anonymous()], ids=["not final", "rejected", "without id"])
def test_what_a_failed_check_could_make_another_is_not_given_before(record: Name) -> None:
    names = ["f", "e", "d", "c", record, "A"]
    walk = walk_of(names, HighWaterMark(4, "d", {1: "a"}))

    walk.take(page_of(names, asked=3))

    assert not walk.is_past_checks()
    assert keys(walk) == []


def test_what_was_given_before_a_check_failed_is_not_given_again() -> None:
    names = "fedcbA"
    walk = walk_of(names, HighWaterMark(4, "x", {1: "a"}))
    walk.take(page_of(names, asked=3))
    assert keys(walk) == ["b"]

    assert walk.take(page_of(names, asked=2)) is Trouble.MARK
    walk.widen()

    assert keys(walk) == ["a", "c", "d", "e", "f"]
    assert walk.mark() == HighWaterMark(6, "f", {1: "a"})


def test_a_walk_whose_end_was_given_before_ends_there() -> None:
    walk = walk_of("dcbA", HighWaterMark(4, "d", {1: "a"}), per_page=1)
    walk.take(page_of("dcbA", asked=4, per_page=1))

    assert keys(walk) == ["a", "d"]
    assert walk.mark() == HighWaterMark(4, "d", {1: "a"})


def test_the_order_counts_of_what_was_given_before_the_checks_are_past() -> None:
    records = [make_invoice(id=str(number), created=hour(number)) for number in (6, 5, 4, 3, 9, 1)]
    walk = walk_of(records, HighWaterMark(4, "4", {1: "1"}))
    walk.take(page_of(records, asked=3))
    assert keys(walk) == ["1", "9"]
    assert walk.is_ordered

    walk.take(page_of(records, asked=2))

    assert keys(walk) == ["3", "4", "5", "6"]
    assert not walk.is_ordered


def test_a_walk_from_nothing_has_no_checks() -> None:
    assert walk_of("dcba").is_past_checks()


def test_what_was_seen_is_known_by_its_key() -> None:
    walk = walk_of([anonymous(), "a"])
    key = f"{identity_of(anonymous())}:1"
    keys(walk)

    assert walk.has_seen("a")
    assert walk.has_seen(key)
    assert not walk.has_seen("b")
    assert not walk.has_seen(identity_of(anonymous()) + ":2")


@pytest.mark.parametrize(
    ("created", "is_ordered"),
    [
        pytest.param([3, 2, 1], True, id="newest first"),
        pytest.param([2, 2, 2], True, id="all the same"),
        pytest.param([3, None, 1], True, id="one without a time"),
        pytest.param([1, 2, 3], False, id="oldest first"),
        pytest.param([3, 1, 2], False, id="two exchanged"),
        pytest.param([3, 1, None, 2], False, id="two exchanged around one without a time"),
        pytest.param([1, 2, 3, 0], False, id="ordered again at the end"),
    ],
)
@pytest.mark.parametrize("per_page", [1, 2, 50])
def test_a_list_that_is_not_newest_first_is_noticed(
    created: list[int | None], is_ordered: bool, per_page: int
) -> None:
    records = [make_invoice(id=f"in_{number}", created=time) for number, time in enumerate(created)]

    assert go(records, per_page=per_page).walk.is_ordered is is_ordered


def test_a_rejected_record_has_no_place_in_the_order() -> None:
    records = ["c", make_invoice(id="x", created=hour(9), amount_due="?"), "a"]

    assert go(records).walk.is_ordered


# When the mark does not hold: every ordinal is needed


def test_pages_already_fetched_count_towards_the_full_walk() -> None:
    names = "hgfedcbA"
    walk = walk_of(names, HighWaterMark(6, "x", {1: "a"}))
    walk.take(page_of(names, asked=4))
    assert walk.take(page_of(names, asked=2)) is Trouble.MARK

    walk.widen()

    assert keys(walk) == ["a", "b"]
    assert next_page(walk) == 3
    walk.take(page_of(names, asked=3))
    assert keys(walk) == ["c", "d", "e", "f", "g", "h"]
    assert next_page(walk) == 1  # the second look
    walk.take(page_of(names))
    assert next_page(walk) is None
    assert walk.mark() == HighWaterMark(8, "h", {1: "a"})


def test_after_a_failed_check_nothing_is_claimed_any_more() -> None:
    names = "fedcba"
    page = page_of(names)
    walk = Walk(page, HighWaterMark(6, "x", {4: "y"}))
    assert walk.take(page) is Trouble.MARK

    walk.widen()

    assert walk.take(page_of(names, asked=2)) is None


def test_invoices_without_id_are_numbered_anew_after_a_failed_check() -> None:
    """One arrived late below those that the bookmark counts."""
    same, identity = anonymous("open"), identity_of(anonymous())
    names = ["h", "g", same, same, "a"]
    walk = walk_of(
        names, HighWaterMark(3, "x", {2: f"{identity}:7"}, {}, {identity: Equal(7, hour(1) * 10**6)})
    )
    walk.take(page_of(names, asked=2))
    walk.widen()

    walk.take(page_of(names, asked=3))

    assert keys(walk) == ["a", f"{identity}:1", f"{identity}:2", "g", "h"]
    assert walk.mark().unsettled == {2: f"{identity}:1", 3: f"{identity}:2"}


def test_rejected_records_are_numbered_anew_after_a_failed_check() -> None:
    same = hash_of(BROKEN)
    names = ["g", "f", "e", "d", "!", "!"]
    walk = walk_of(names, HighWaterMark(4, "x", {}, {1: Rejected(f"{same}:5", None)}))
    walk.take(page_of(names, asked=3))
    assert walk.take(page_of(names, asked=2)) is Trouble.MARK

    walk.widen()

    assert keys(walk)[:2] == [f"{same}:1", f"{same}:2"]
    assert walk.mark().rejected == {1: Rejected(f"{same}:1", None), 2: Rejected(f"{same}:2", None)}


# What is remembered


def test_the_mark_of_an_empty_list_is_none() -> None:
    assert go([]).walk.mark() == NOTHING


def test_the_mark_remembers_what_may_still_change() -> None:
    broken = make_invoice(id="y", amount_due="broken")
    names = ["F", "e", "!", anonymous("draft"), broken, "a"]

    mark = go(names).walk.mark()

    assert (mark.ordinal, mark.identity) == (6, "f")
    assert mark.unsettled == {6: "f", 3: f"{identity_of(anonymous())}:1"}
    assert mark.rejected == {
        4: Rejected(f"{hash_of(BROKEN)}:1", None),
        2: Rejected(f"{hash_of(broken)}:1", "y"),
    }


def test_the_frontier_itself_may_still_change() -> None:
    assert go("Ba").walk.mark().unsettled == {2: "b"}
    assert go("!a").walk.mark().rejected == {2: Rejected(f"{hash_of(BROKEN)}:1", None)}


def test_a_mark_stays_as_it_is_when_the_walk_goes_on() -> None:
    """It is remembered with one package while the next one is prepared."""
    walk = walk_of("FeDcBa")
    walk.take(page_of("FeDcBa", asked=3))
    keys(walk)
    mark = walk.mark()

    walk.take(page_of("FeDcBa", asked=2))
    keys(walk)

    assert mark == HighWaterMark(2, "b", {2: "b"})


def test_the_mark_half_way_goes_only_as_far_as_what_was_given() -> None:
    names = "FedcBa"
    walk = walk_of(names)
    walk.take(page_of(names, asked=3))
    keys(walk)

    assert walk.mark() == HighWaterMark(2, "b", {2: "b"})


def test_the_frontier_may_be_a_record_without_id() -> None:
    assert go(["!", "a"]).walk.mark().identity == f"rejected:{hash_of(BROKEN)}"
    assert go([anonymous(), "a"]).walk.mark().identity == identity_of(anonymous())


def test_what_has_become_final_since_is_not_remembered_any_more() -> None:
    assert go("cba", HighWaterMark(3, "c", {1: "a", 2: "b"})).walk.mark() == HighWaterMark(3, "c")


def test_what_was_corrected_since_is_not_remembered_as_rejected() -> None:
    assert go("cba", HighWaterMark(3, "c", {}, {1: Rejected("ab:1", "a")})).walk.mark() == HighWaterMark(
        3, "c"
    )


def test_an_invoice_without_id_keeps_its_number_while_it_may_change_and_when_it_is_final() -> None:
    identity = identity_of(anonymous())
    mark = HighWaterMark(3, "c", {1: f"{identity}:3", 2: f"{identity}:4"})

    went = go(["c", anonymous("open"), anonymous("paid")], mark)

    assert [*went.items] == [f"{identity}:3", f"{identity}:4", "c"]
    assert went.walk.mark().unsettled == {2: f"{identity}:4"}


def test_a_final_invoice_without_id_below_the_frontier_is_not_given_again() -> None:
    """Its number is not known any more, and it cannot have changed."""
    identity = identity_of(anonymous())

    went = go(["c", anonymous("open"), anonymous("paid")], HighWaterMark(3, "c", {2: f"{identity}:2"}))

    assert [*went.items] == [f"{identity}:2", "c"]


def test_a_new_invoice_without_id_is_counted_on_from_those_that_tie_with_the_frontier() -> None:
    same, identity = anonymous(at=2), identity_of(anonymous(at=2))
    first = go([same, same, "a"]).walk.mark()
    assert first.anonymous == {identity: Equal(2, hour(2) * 10**6)}

    went = go([same, same, same, "a"], first)

    assert [*went.items] == [f"{identity}:3"]
    assert went.walk.mark().anonymous == {identity: Equal(3, hour(2) * 10**6)}


def test_equal_invoices_without_id_are_counted_only_while_another_could_follow() -> None:
    """The list is newest first, so one that is older than the frontier has no equal ones to come."""
    older, tie, timeless = anonymous(at=2), anonymous(at=4), anonymous(at=None)
    names = [tie, make_invoice(id="c", created=hour(4)), timeless, older, "a"]

    mark = go(names).walk.mark()

    assert mark.anonymous == {
        identity_of(tie): Equal(1, hour(4) * 10**6),
        identity_of(timeless): Equal(1, None),
    }
    assert go(["f", *names], mark).walk.mark().anonymous == {identity_of(timeless): Equal(1, None)}


def test_equal_invoices_without_id_are_remembered_while_no_time_was_seen() -> None:
    mark = HighWaterMark(1, f"rejected:{hash_of(BROKEN)}", anonymous={"anonymous:4d": Equal(2, 1)})

    assert go("!", mark).walk.mark().anonymous == {"anonymous:4d": Equal(2, 1)}


def test_different_invoices_without_id_are_counted_each_for_itself() -> None:
    one, other = identity_of(anonymous(at=2)), identity_of(anonymous(at=1))

    assert [*go([anonymous(at=2), anonymous(at=1)]).items] == [f"{other}:1", f"{one}:1"]


def test_equal_rejected_records_are_numbered_from_the_oldest() -> None:
    same, other = hash_of(BROKEN), hash_of([])

    assert [*go(["!", [], "!"]).items] == [f"{same}:1", f"{other}:1", f"{same}:2"]


def test_a_rejected_record_that_stays_as_it_is_keeps_its_number() -> None:
    same = hash_of(BROKEN)
    rejected = {1: Rejected(f"{same}:4", None), 2: Rejected(f"{same}:2", None)}

    went = go("c!!", HighWaterMark(3, "c", rejected=rejected))

    assert [*went.items] == [f"{same}:4", f"{same}:2", "c"]
    assert went.walk.mark().rejected == rejected


def test_a_new_rejected_record_gets_a_number_that_no_equal_one_has() -> None:
    same = hash_of(BROKEN)
    rejected = {1: Rejected(f"{same}:4", None), 2: Rejected(f"{same}:2", None)}

    assert [*go("!c!!", HighWaterMark(3, "c", rejected=rejected)).items][-1] == f"{same}:5"


def test_a_rejected_record_that_changes_is_another_one() -> None:
    broken = make_invoice(id="a", amount_due="broken", description="new")

    went = go(["b", broken], HighWaterMark(2, "b", rejected={1: Rejected("0" * 32 + ":3", "a")}))

    assert [*went.items] == [f"{hash_of(broken)}:1", "b"]


# Whatever the list is, and however it grows


WITH_ID = ["paid", "open", "draft", "broken"]
WITHOUT_ID = ["no id", "no id, open", "!"]


@st.composite
def lists(draw: st.DrawFn, kinds: Sequence[str] = (*WITH_ID, *WITHOUT_ID)) -> list[Any]:
    """Lists newest first, with ties in `created`, missing ids, and records that are no invoices."""
    records: list[Any] = []
    for number, kind in enumerate(draw(st.lists(st.sampled_from(kinds), max_size=14))):
        created = hour(number // 3)
        if kind == "!":
            records.insert(0, BROKEN)
        elif kind == "broken":
            records.insert(0, make_invoice(id=str(number), created=created, amount_due="broken"))
        elif kind.startswith("no id"):
            records.insert(0, anonymous("open" if "open" in kind else "paid", at=number // 3))
        else:
            records.insert(0, make_invoice(id=str(number), created=created, status=kind))
    return records


PER_PAGE = st.integers(1, 5)


@given(records=lists(), per_page=PER_PAGE)
def test_a_full_walk_gives_each_record_once_and_asks_for_each_page_once_before_its_second_look(
    records: list[Any], per_page: int
) -> None:
    went = go(records, per_page=per_page)

    given = [item.row_hash for item in went.items.values()]
    assert given == [hash_of(record) for record in reversed(records)]
    pages = range(-(-len(records) // per_page), 0, -1)
    assert went.asked == [*pages[:-1], *(second_look(records, pages, per_page) if len(pages) > 1 else [])]
    assert went.walk.is_ordered


@given(records=lists(), per_page=PER_PAGE, data=st.data())
def test_an_incremental_walk_ends_where_a_full_walk_ends(
    records: list[Any], per_page: int, data: st.DataObject
) -> None:
    before = data.draw(st.integers(0, len(records)))
    earlier = go(records[len(records) - before :], per_page=data.draw(PER_PAGE))
    mark = earlier.walk.mark()

    went = go(records, mark, per_page=per_page)

    full = go(records, per_page=per_page)
    assert replace(went.walk.mark(), anonymous={}) == replace(full.walk.mark(), anonymous={})
    assert went.walk.mark().anonymous.items() >= full.walk.mark().anonymous.items()
    assert earlier.items | went.items == full.items


@given(records=lists(), per_page=PER_PAGE, data=st.data())
def test_a_list_at_rest_costs_only_the_pages_with_something_needed_and_a_second_look_where_several_are_new(
    records: list[Any], per_page: int, data: st.DataObject
) -> None:
    before = data.draw(st.integers(0, len(records)))
    mark = go(records[len(records) - before :]).walk.mark()

    went = go(records, mark, per_page=per_page)

    needed = {*mark.unsettled, *mark.rejected, *range(max(1, before), len(records) + 1)}
    pages = {1} | {(len(records) - ordinal) // per_page + 1 for ordinal in needed}
    pages_with_new = (len(records) - before - 1) // per_page + 1
    look = second_look(records, pages, per_page) if pages_with_new > 1 else []
    assert went.asked == [*sorted(pages - {1}, reverse=True), *look]


@given(
    records=lists(WITH_ID),
    per_page=PER_PAGE,
    arrivals=st.lists(st.integers(0, 4), min_size=6, max_size=6),
    data=st.data(),
)
def test_arrivals_during_a_walk_change_nothing_of_it_and_cost_few_requests(
    records: list[Any], per_page: int, arrivals: list[int], data: st.DataObject
) -> None:
    """Each moves the limits between pages, so that what shared a page may stand on two."""
    before = data.draw(st.integers(0, len(records)))
    earlier = go(records[len(records) - before :])
    mark = earlier.walk.mark()

    went = go(records, mark, per_page=per_page, arrivals=arrivals)

    quiet = go(records, mark, per_page=per_page)
    assert earlier.items | went.items == earlier.items | quiet.items
    assert went.walk.mark() == quiet.walk.mark()
    assert went.walk.is_ordered
    assert len(went.asked) <= 2 * len(quiet.asked) + sum(arrivals)
