"""The order of requests, and what each package may claim: whole walks over a list that can change."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from cf_invoice_source.cloudflare.prefetch import PageFetcher
from cf_invoice_source.errors import ApiChangedError, InvoiceSourceError
from cf_invoice_source.invoices.record import Item, read_record
from cf_invoice_source.settings import MAX_RESTARTS
from cf_invoice_source.walk.batches import PackageEnd, WalkBatch, WalkEnd, WalkFigures
from cf_invoice_source.walk.bookmark import Bookmark, HighWaterMark, Rejected
from cf_invoice_source.walk.page import Page
from cf_invoice_source.walk.walker import Walker, WalkRequest
from tests.support.make import read_page_of
from tests.support.truth import Truth

NOW_S, WEEK_S = 10_000_000, 604_800

Changes = Mapping[int, Callable[[Truth], object]]
"""What happens to the list right before the n-th request of a walk."""


Lie = Callable[[Page[Any]], Page[Any]]
"""What a server that counts wrongly makes of a page."""


def at_once(ask: Callable[[], Page[Item]]) -> Future[Page[Item]]:
    """Send a request, and wait for its answer."""
    future: Future[Page[Item]] = Future()
    try:
        future.set_result(ask())
    except InvoiceSourceError as error:
        future.set_exception(error)
    return future


def a_truth(count: int, *, per_page: int = 2, status: str = "paid") -> Truth:
    """A list of in_1, the oldest, up to in_<count>, an hour apart."""
    truth = Truth(per_page)
    for _ in range(count):
        truth.arrive(status=status, later_s=3600)
    return truth


@dataclass
class Walked:
    """A walk to its end."""

    asked: list[int] = field(default_factory=list)
    batches: list[WalkBatch[Item]] = field(default_factory=list)

    @property
    def end(self) -> WalkEnd:
        end = self.batches[-1].end
        assert end is not None
        return end

    @property
    def figures(self) -> WalkFigures:
        return self.batches[-1].figures

    @property
    def bookmark(self) -> Bookmark:
        """What is remembered after the last package that says something."""
        return next(batch.bookmark for batch in reversed(self.batches) if batch.bookmark)

    @property
    def ids(self) -> list[list[str]]:
        """The invoices of each package."""
        return [list(batch.records) for batch in self.batches]

    @property
    def rows(self) -> dict[str, str]:
        """Row hashes of everything that was given, by key."""
        return {key: item.row_hash for batch in self.batches for key, item in batch.records.items()}


def walk(
    truth: Truth,
    bookmark: Bookmark | None = None,
    *,
    full_reason: str = "",
    package_rows: int = 1000,
    part_rows: int | None = None,
    changes: Changes | None = None,
    lie: Lie = lambda page: page,
    packages: int = 1000,
    ahead: int = 1,
) -> Walked:
    """Walk a list to its end, or for so many packages."""
    truth.asked = 0

    def between(number: int) -> None:
        if changes and number in changes:
            changes[number](truth)

    def ask(number: int) -> Page[Item]:
        walked.asked.append(number)
        return read_page_of(lie(truth.page(number)))

    truth.between = between
    pages = PageFetcher(ask, at_once, ahead=ahead)
    part_rows = part_rows or package_rows
    walked = Walked()
    request = WalkRequest(full_reason, NOW_S, WEEK_S, package_rows, part_rows)
    for batch in Walker(pages, bookmark or Bookmark(), request).batches():
        walked.batches.append(batch)
        if len(walked.batches) == packages:
            break
    truth.between = lambda _number: None
    return walked


def loaded(truth: Truth) -> Bookmark:
    """What is remembered after a first walk, a second ago."""
    return replace(walk(truth).bookmark, full_sync_at=NOW_S - 1)


def then(*changes: Callable[[Truth], object]) -> Callable[[Truth], object]:
    return lambda truth: [change(truth) for change in changes]


def arrive(truth: Truth) -> None:
    truth.arrive(status="paid", later_s=3600)


def delete_draft(truth: Truth) -> None:
    truth.delete_draft(0)


# A list at rest


@pytest.mark.parametrize(
    ("count", "asked"), [(0, [1]), (1, [1]), (2, [1]), (3, [1, 2, 1]), (4, [1, 2, 1]), (7, [1, 4, 3, 2, 1])]
)
def test_a_first_walk_asks_for_each_page_the_oldest_first_and_at_last_for_page_1_again(
    count: int, asked: list[int]
) -> None:
    truth = a_truth(count)

    walked = walk(truth)

    assert walked.asked == asked
    assert (walked.figures.sync_mode, walked.figures.full_reason) == ("full", "first run")
    assert walked.rows == truth.invoices()
    assert walked.end.unverified_reason == ""
    assert walked.figures.records_read == walked.figures.total_count == count
    identity = f"in_{count}" if count else ""
    assert walked.bookmark == Bookmark(HighWaterMark(count, identity), None, count, 0, NOW_S)


@pytest.mark.parametrize("ahead", [1, 2, 3, 4, 9])
def test_however_many_pages_are_on_their_way_each_is_asked_for_once_the_oldest_first(ahead: int) -> None:
    truth = a_truth(24)

    walked = walk(truth, ahead=ahead)

    assert walked.asked == [1, *range(12, 1, -1), 1]
    assert walked.rows == truth.invoices()


def test_nothing_new_and_nothing_unsettled_is_one_request() -> None:
    truth = a_truth(7)
    bookmark = loaded(truth)

    walked = walk(truth, bookmark)

    assert walked.asked == [1]
    assert (walked.figures.sync_mode, walked.figures.full_reason) == ("incremental", "")
    assert walked.bookmark == bookmark


@pytest.mark.parametrize(("new", "asked"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 1]), (4, [1, 3, 2, 1])])
def test_new_invoices_cost_the_pages_from_the_frontier_on(new: int, asked: list[int]) -> None:
    """And page 1 again where several pages have new ones; one that has only the frontier is a check."""
    truth = a_truth(7)
    bookmark = loaded(truth)
    for _ in range(new):
        arrive(truth)

    walked = walk(truth, bookmark)

    assert walked.asked == asked
    assert {f"in_{number}" for number in range(8, 8 + new)} <= walked.rows.keys()
    assert walked.bookmark.invoices == 7 + new


def test_an_invoice_that_is_paid_later_costs_its_page_and_not_the_pages_before_it() -> None:
    truth = a_truth(20)
    truth.records[15]["status"] = "open"
    bookmark = loaded(truth)
    truth.records[15]["status"] = "paid"

    walked = walk(truth, bookmark)

    assert walked.asked == [1, 8]
    assert walked.rows["in_5"] == truth.invoices()["in_5"]
    assert walked.bookmark.mark == HighWaterMark(20, "in_20")


def test_a_rejected_record_costs_its_page_until_it_is_corrected() -> None:
    truth = a_truth(20)
    truth.records[15]["amount_due"] = "broken"
    first = walk(truth)
    bookmark = replace(first.bookmark, full_sync_at=NOW_S - 1)
    reject = Rejected(f"{read_record(truth.records[15]).row_hash}:1", "in_5")
    assert bookmark == Bookmark(HighWaterMark(20, "in_20", {}, {5: reject}), None, 19, 1, NOW_S - 1)
    assert first.end.rejects == {reject.key: reject.id}
    assert first.figures.rejected == 1
    truth.correct(0)

    walked = walk(truth, bookmark)

    assert walked.asked == [1, 8]
    assert walked.bookmark == Bookmark(HighWaterMark(20, "in_20"), None, 20, 0, NOW_S - 1)
    assert walked.end.rejects == {}
    assert walk(truth, walked.bookmark).asked == [1]


# Full walks


def test_only_a_full_walk_sets_its_time() -> None:
    truth = a_truth(3)

    assert walk(truth, loaded(truth)).bookmark.full_sync_at == NOW_S - 1
    assert walk(truth, loaded(truth), full_reason="asked for").bookmark.full_sync_at == NOW_S


def test_only_a_whole_full_walk_says_what_is_not_listed_any_more() -> None:
    truth = a_truth(3)

    is_listed = walk(truth).end.is_listed

    assert is_listed is not None
    assert is_listed("in_1")
    assert not is_listed("in_4")
    assert walk(truth, loaded(truth)).end.is_listed is None


def test_a_full_walk_that_goes_on_after_an_interruption_does_not_know_what_is_not_listed_any_more() -> None:
    """It has not seen the records behind its resume point in this run."""
    truth = a_truth(8)
    interrupted = walk(truth, package_rows=2, packages=1)

    walked = walk(truth, interrupted.bookmark)

    assert walked.figures.sync_mode == "full"
    assert walked.end == WalkEnd("", None, {})


# Packages


def test_a_long_walk_is_cut_into_packages() -> None:
    truth = a_truth(8)

    walked = walk(truth, package_rows=3)

    assert walked.ids == [["in_1", "in_2", "in_3", "in_4"], ["in_5", "in_6", "in_7", "in_8"]]
    assert [batch.end is None for batch in walked.batches] == [True, False]
    assert walked.figures.records_read == 8


def test_a_package_in_parts_can_be_taken_up_after_each_of_them() -> None:
    truth = a_truth(12)

    walked = walk(truth, package_rows=6, part_rows=1)

    assert [len(keys) for keys in walked.ids] == [2, 2, 2, 2, 4]
    assert [batch.package_end for batch in walked.batches] == [
        PackageEnd.NEVER,
        PackageEnd.NEVER,
        PackageEnd.IF_FULL,
        PackageEnd.NEVER,
        PackageEnd.IF_FULL,
    ]
    assert [batch.bookmark for batch in walked.batches[:2]] == [
        Bookmark(unfinished=HighWaterMark(2, "in_2"), unfinished_since=NOW_S),
        Bookmark(unfinished=HighWaterMark(4, "in_4"), unfinished_since=NOW_S),
    ]
    assert walk(truth, walked.batches[1].bookmark).asked == [1, 5, 4, 3, 2, 1]


def test_an_unfinished_full_walk_is_not_remembered_as_verified() -> None:
    truth = a_truth(8)
    bookmark = loaded(truth)

    walked = walk(truth, bookmark, full_reason="asked for", package_rows=3, packages=1)

    assert walked.bookmark == replace(bookmark, unfinished=HighWaterMark(4, "in_4"), unfinished_since=NOW_S)


def test_an_unfinished_first_walk_is_not_remembered_as_verified() -> None:
    walked = walk(a_truth(8), package_rows=3, packages=1)

    assert walked.bookmark == Bookmark(unfinished=HighWaterMark(4, "in_4"), unfinished_since=NOW_S)


def test_an_interrupted_walk_goes_on_where_its_last_package_ended_and_asks_again_for_what_may_change() -> (
    None
):
    truth = a_truth(12)
    truth.records[11]["status"] = "open"
    interrupted = walk(truth, package_rows=3, packages=2)
    truth.records[11]["status"] = "paid"

    walked = walk(truth, interrupted.bookmark)

    assert interrupted.asked == [1, 6, 5, 4, 3, 2]
    assert walked.asked == [1, 6, 3, 2, 1]
    assert interrupted.rows | walked.rows == truth.invoices()
    assert walked.bookmark == Bookmark(HighWaterMark(12, "in_12"), None, 12, 0, NOW_S)


def test_a_package_of_an_incremental_walk_is_remembered_as_far_as_it_goes() -> None:
    truth = a_truth(2)
    truth.arrive_broken()
    bookmark = loaded(truth)
    for _ in range(6):
        arrive(truth)

    walked = walk(truth, bookmark, package_rows=3, packages=1)

    mark = walked.bookmark.mark
    assert mark is not None
    assert (mark.ordinal, mark.identity) == (5, "in_4")
    assert walked.bookmark == Bookmark(mark, None, 4, 1, NOW_S - 1)
    assert walk(truth, walked.bookmark, package_rows=3).bookmark.invoices == 8


def test_before_the_checks_are_past_a_package_has_final_invoices_and_claims_nothing() -> None:
    """A walk over a great list with unsettled invoices all over it does not keep what it has seen."""
    truth = a_truth(20)
    for place in (7, 19):
        truth.records[place]["status"] = "open"
    bookmark = loaded(truth)
    for _ in range(4):
        arrive(truth)

    walked = walk(truth, bookmark, package_rows=1)

    assert walked.asked == [1, 12, 6, 3, 2, 1]
    assert walked.ids[:3] == [["in_2"], ["in_14"], ["in_1", "in_13", "in_19", "in_20"]]
    assert [batch.bookmark and batch.bookmark.mark for batch in walked.batches[:3]] == [
        None,
        None,
        HighWaterMark(20, "in_20", {1: "in_1", 13: "in_13"}),
    ]


def test_a_full_walk_that_goes_on_claims_nothing_before_its_checks_are_past_and_compares_all() -> None:
    truth = a_truth(20)
    for place in (7, 19):
        truth.records[place]["status"] = "open"
    interrupted = walk(truth, package_rows=14, packages=1)

    walked = walk(truth, interrupted.bookmark, package_rows=1)

    assert walked.batches[0].figures.sync_mode == "full"
    assert walked.batches[0].records
    assert walked.batches[0].bookmark is None
    assert walked.bookmark.full_sync_at == NOW_S


def test_what_was_given_before_a_check_has_failed_counts_but_not_as_compared() -> None:
    """A failed check changes all else: what is new, what is gone, the numbers of records without id."""
    truth = a_truth(20)
    for place in (3, 19):
        truth.records[place]["status"] = "draft"
    bookmark = loaded(truth)
    del truth.records[3]
    for _ in range(3):
        arrive(truth)

    walked = walk(truth, bookmark, package_rows=1)

    assert walked.asked[:3] == [1, 11, 3]
    assert walked.ids[:2] == [["in_2"], ["in_1"]]
    assert walked.batches[0].bookmark is None
    assert walked.batches[1].bookmark == replace(
        bookmark, unfinished=HighWaterMark(2, "in_2", {1: "in_1"}), unfinished_since=NOW_S
    )
    assert sorted(key for keys in walked.ids for key in keys) == sorted(truth.invoices())
    assert walked.bookmark.full_sync_at == bookmark.full_sync_at
    assert walk(truth, bookmark).bookmark.full_sync_at == NOW_S
    assert walked.end.is_listed is not None
    assert not walked.end.is_listed("in_17")


def test_the_last_package_is_there_even_if_it_is_empty() -> None:
    truth = a_truth(2)

    walked = walk(truth, loaded(truth), package_rows=1)

    assert len(walked.batches) == 1
    assert len(walk(a_truth(0)).batches) == 1


# A check that fails


def test_a_late_arrival_is_noticed_at_the_frontier_and_pages_already_fetched_count() -> None:
    truth = a_truth(12)
    truth.records[11]["status"] = "open"
    bookmark = loaded(truth)
    truth.arrive_late(6, status="paid")
    arrive(truth)

    walked = walk(truth, bookmark)

    assert walked.asked == [1, 7, 2, 6, 5, 4, 3, 1]
    assert walked.figures.full_reason == "in_12 is no longer where it was in the list"
    assert walked.figures.sync_mode == "full"
    assert walked.rows == truth.invoices()
    assert walked.bookmark == Bookmark(HighWaterMark(14, "in_14", {1: "in_1"}), None, 14, 0, NOW_S)
    assert walked.end.is_listed is not None


def test_a_late_arrival_is_noticed_though_new_ones_have_put_the_frontier_below_page_1() -> None:
    """The frontier itself is known; its page is asked for only as a check."""
    truth = a_truth(6)
    bookmark = loaded(truth)
    truth.arrive_late(4, status="paid")
    arrive(truth)
    arrive(truth)

    walked = walk(truth, bookmark)

    assert walked.figures.sync_mode == "full"
    assert walked.rows == truth.invoices()


def test_a_deleted_draft_and_a_late_arrival_that_leave_the_total_unchanged_are_noticed() -> None:
    truth = a_truth(12)
    truth.records[4]["status"] = "draft"
    bookmark = loaded(truth)
    truth.delete_draft(0)
    truth.arrive_late(9, status="paid")

    walked = walk(truth, bookmark)

    assert walked.figures.full_reason == "in_8 is no longer where it was in the list"
    assert walked.rows == truth.invoices()
    assert walked.end.is_listed is not None
    assert not walked.end.is_listed("in_8")


def test_a_rejected_record_that_is_gone_is_noticed() -> None:
    truth = a_truth(8)
    truth.records[6]["amount_due"] = "broken"
    bookmark = loaded(truth)
    del truth.records[6]
    truth.arrive_late(2, status="paid")

    walked = walk(truth, bookmark)

    assert walked.figures.sync_mode == "full"
    assert walked.rows == truth.invoices()
    assert walked.end.rejects == {}


def test_a_shorter_list_is_walked_in_full() -> None:
    truth = a_truth(8)
    truth.records[6]["status"] = "draft"
    bookmark = loaded(truth)
    truth.delete_draft(0)

    walked = walk(truth, bookmark)

    assert walked.figures.full_reason == "the list is shorter than before: 7 instead of 8"
    assert walked.asked == [1, 4, 3, 2, 1]
    assert walked.rows == truth.invoices()


def test_records_without_id_are_numbered_anew_when_a_check_fails() -> None:
    truth = Truth(1)
    truth.arrive_broken()
    truth.arrive(status="open", has_id=False)
    for _ in range(3):
        arrive(truth)
    bookmark = loaded(truth)
    truth.records.insert(4, "no invoice")
    truth.arrive_late(4, status="paid", has_id=False)

    walked = walk(truth, bookmark)

    assert walked.rows == truth.invoices()
    assert walked.end.rejects is not None
    assert (walked.bookmark.invoices, walked.bookmark.rejects) == (5, 2)
    assert len(walked.end.rejects) == len(walked.batches[0].rejects) == 2


@pytest.mark.parametrize("per_page", [1, 3])
def test_a_late_arrival_is_noticed_though_the_newest_two_known_are_alike_and_have_no_id(
    per_page: int,
) -> None:
    """Each stands where the other stood."""
    truth = Truth(per_page)
    truth.arrive(status="paid", has_id=False)
    truth.arrive(status="paid", has_id=False)
    bookmark = loaded(truth)
    truth.arrive_late(2, status="paid")

    walked = walk(truth, bookmark)

    assert walked.figures.full_reason == "the newest record known has no id, and there is another like it"
    assert walked.rows == truth.invoices()


def test_a_rejected_record_that_turns_into_an_invoice_without_id_is_not_lost() -> None:
    truth = a_truth(1)
    truth.arrive(status="paid", has_id=False, amount="broken", later_s=1)
    for _ in range(4):
        arrive(truth)
    bookmark = loaded(truth)
    truth.correct(0)

    walked = walk(truth, bookmark)

    assert walked.rows == truth.invoices()
    assert (walked.bookmark.invoices, walked.bookmark.rejects) == (6, 0)


# A list that changes while it is walked


def test_arrivals_during_the_walk_wait_for_the_next_run() -> None:
    """They push what page 1 showed first to page 2, where the second look finds it."""
    truth = a_truth(6)
    before = truth.invoices()

    walked = walk(truth, changes={2: arrive, 3: arrive})

    assert walked.rows == before
    assert walked.asked == [1, 3, 4, 3, 2]
    assert walked.bookmark.mark == HighWaterMark(6, "in_6")
    assert walk(truth, walked.bookmark).bookmark.mark == HighWaterMark(8, "in_8")


def test_a_deletion_during_the_walk_begins_it_again() -> None:
    truth = a_truth(8)
    truth.records[1]["status"] = "draft"

    walked = walk(truth, changes={3: delete_draft})

    assert walked.asked == [1, 4, 3, 1, 4, 3, 2, 1]
    assert walked.rows == truth.invoices()
    assert walked.end.unverified_reason == ""
    assert walked.figures.total_count == 7
    assert walked.bookmark.invoices == 7


def test_a_deletion_and_a_late_arrival_between_the_same_two_requests_begin_the_walk_again() -> None:
    """The total stays as it was; but some invoice stands at two places."""
    truth = a_truth(8)
    truth.records[1]["status"] = "draft"

    walked = walk(truth, changes={4: then(delete_draft, lambda truth: truth.arrive_late(7, status="paid"))})

    assert walked.rows == truth.invoices()
    assert walked.end.unverified_reason == ""
    assert "in_7" not in walked.rows


def arrive_late_below_page_1(truth: Truth) -> None:
    """As the newest of all that page 1 does not show."""
    truth.arrive_late(truth.per_page, status="paid")


def arrive_late_at_the_end(truth: Truth) -> None:
    truth.arrive_late(len(truth.records) - 1, status="paid")


@pytest.mark.parametrize(
    ("count", "drafts", "changes", "asked"),
    [
        pytest.param(
            23,
            [20],
            {3: then(delete_draft, arrive_late_below_page_1)},
            [1, 3, 2, 1],
            id="a draft of page 1 is deleted and one arrives late below it: what was 13 is 14 now",
        ),
        pytest.param(
            23,
            [],
            {2: then(*[arrive_late_at_the_end] * 10)},
            [1, 3, 4, 2],
            id="a page of late arrivals: what was 13 is 23 now, where page 1 was",
        ),
        pytest.param(
            23,
            [],
            {2: then(arrive_late_at_the_end, *[arrive] * 9)},
            [1, 3, 4, 2],
            id="a page of new invoices, but for one that arrives late: what was 13 is 14 now",
        ),
        pytest.param(
            23,
            [2],
            {3: then(arrive_late_below_page_1, delete_draft)},
            [1, 3, 2, 1, 3],
            id="one arrives late below page 1, a draft of the last page is deleted: what was 4 is 3 now",
        ),
        pytest.param(
            21,
            [20, 15],
            {
                2: then(arrive_late_at_the_end, arrive_late_at_the_end),
                3: then(delete_draft, delete_draft, arrive, arrive_late_below_page_1),
            },
            [1, 3, 2],
            id="two arrive late deep below; two drafts are deleted, one is new, one late below page 1",
        ),
    ],
)
def test_a_walk_begins_again_when_a_list_that_moves_could_hide_an_invoice_that_it_lists_all_the_time(
    count: int, drafts: list[int], changes: Changes, asked: list[int]
) -> None:
    """But for the last one, no answer of the first look contradicts those before it."""
    truth = a_truth(count, per_page=10)
    for ordinal in drafts:
        truth.records[count - ordinal]["status"] = "draft"

    walked = walk(truth, changes=changes)

    assert walked.end.unverified_reason == ""
    assert walked.rows == truth.invoices()
    assert walked.asked[: len(asked) + 1] == [*asked, 1]
    assert walked.asked[len(asked) :] == walk(truth).asked


@pytest.mark.parametrize(
    ("records", "changes"),
    [
        pytest.param(
            [{"has_id": False}, {"status": "draft"}, {}],
            {3: then(delete_draft, lambda truth: truth.arrive_late(2, status="paid"))},
            id="it moves up, and would be counted twice",
        ),
        pytest.param(
            [{"has_id": False}, {"has_id": False}],
            {2: then(arrive, arrive_late_at_the_end)},
            id="one moves to where the other was, and would be missed",
        ),
    ],
)
def test_a_walk_begins_again_when_a_record_without_id_may_have_moved(
    records: list[dict[str, Any]], changes: Changes
) -> None:
    truth = Truth(per_page=1)
    for record in records:
        truth.arrive(**{"status": "paid", **record})

    walked = walk(truth, changes=changes)

    assert walked.end.unverified_reason == ""
    assert walked.rows == truth.invoices()


def test_a_walk_that_begins_again_drops_what_it_has_seen() -> None:
    """The draft was read before it was deleted: without its restart the walk would load it."""
    truth = a_truth(8)
    truth.records[7]["status"] = "draft"

    walked = walk(truth, changes={3: delete_draft})

    assert "in_1" not in walked.rows
    assert walked.rows == truth.invoices()


def test_a_walk_that_begins_again_asks_again_for_pages_that_were_on_their_way() -> None:
    truth = a_truth(12)
    truth.records[4]["status"] = "draft"

    walked = walk(truth, ahead=4, changes={4: delete_draft})

    assert walked.asked == [1, 6, 5, 4, 3, 2, 1, 6, 5, 4, 3, 2, 1]


def test_a_walk_that_begins_again_does_not_go_on_where_its_own_package_ended() -> None:
    """What lies below that end may be what moved, so only a whole walk verifies something."""
    truth = a_truth(12)
    truth.records[4]["status"] = "draft"

    walked = walk(truth, changes={5: delete_draft}, package_rows=3)

    assert walked.asked[:5] == [1, 6, 5, 4, 3]
    assert walked.asked[5:] == [1, 6, 5, 4, 3, 2, 1]
    assert walked.end.is_listed is not None
    assert not walked.end.is_listed("in_8")
    assert walked.bookmark == Bookmark(HighWaterMark(11, "in_12"), None, 11, 0, NOW_S)


def test_a_walk_that_begins_again_ends_the_package_that_has_a_part_of_it() -> None:
    """The same rows come again, and no package may have two by one key."""
    truth = a_truth(12)
    truth.records[4]["status"] = "draft"

    walked = walk(truth, changes={5: delete_draft}, package_rows=20, part_rows=1)

    assert [batch.package_end for batch in walked.batches] == [
        *[PackageEnd.NEVER] * 3,
        PackageEnd.ALWAYS,
        PackageEnd.IF_FULL,
    ]
    assert walked.ids[3] == []
    assert walked.batches[3].bookmark == Bookmark()
    assert walked.batches[4].records.keys() == truth.invoices().keys()


def test_a_walk_that_begins_again_right_behind_a_package_says_that_something_was_given() -> None:
    """Otherwise what has been loaded would be taken for new when it comes again."""
    truth = a_truth(12)
    truth.records[4]["status"] = "draft"

    walked = walk(truth, changes={5: delete_draft}, package_rows=2, part_rows=1)

    assert [batch.package_end for batch in walked.batches[:4]] == [
        *[PackageEnd.IF_FULL] * 3,
        PackageEnd.ALWAYS,
    ]
    assert walked.ids[3] == []


def test_a_walk_that_goes_on_by_has_more_ends_the_package_that_has_a_part_of_it() -> None:
    truth = a_truth(12)

    def lie(page: Page[Any]) -> Page[Any]:
        return replace(page, records=page.records[:1]) if page.asked == 3 else page

    walked = walk(truth, lie=lie, package_rows=20, part_rows=1)

    assert [batch.package_end for batch in walked.batches] == [
        *[PackageEnd.NEVER] * 3,
        PackageEnd.ALWAYS,
        PackageEnd.IF_FULL,
    ]
    assert walked.figures.sync_mode == "sequential"


@pytest.mark.parametrize("package_rows", [1, 1000])
def test_a_list_that_does_not_come_to_rest_is_not_verified_and_nothing_is_claimed(package_rows: int) -> None:
    truth = a_truth(100, status="draft")
    bookmark = loaded(truth)
    every_second = dict.fromkeys(range(2, 1000, 2), delete_draft)

    walked = walk(truth, bookmark, changes=every_second, package_rows=package_rows)

    assert walked.end == WalkEnd("the list did not come to rest while it was read")
    assert walked.asked.count(1) == 1 + MAX_RESTARTS + 1
    assert len(walked.asked) <= 2 * (1 + MAX_RESTARTS) + 100 // truth.per_page
    assert {batch.bookmark for batch in walked.batches} == {None}


def test_a_list_that_has_an_id_twice_is_loaded_as_far_as_it_can_be_seen_and_not_verified() -> None:
    truth = a_truth(9)
    bookmark = loaded(truth)
    truth.arrive(status="open", later_s=3600)
    truth.records[1]["id"] = truth.records[0]["id"]

    walked = walk(truth, bookmark)

    assert walked.rows.keys() == truth.invoices().keys()
    assert walked.end == WalkEnd("a record was listed twice")
    assert {batch.bookmark for batch in walked.batches} == {None}


@pytest.mark.parametrize("restarts", range(MAX_RESTARTS + 1))
def test_a_list_that_comes_to_rest_in_time_is_verified(restarts: int) -> None:
    truth = a_truth(8)
    for place in (1, 3, 5):
        truth.records[place]["status"] = "draft"

    walked = walk(truth, changes={2 * attempt + 2: delete_draft for attempt in range(restarts)})

    assert walked.end.unverified_reason == ""
    assert walked.asked.count(1) == 1 + restarts + 1  # the last one is the second look
    assert walked.rows == truth.invoices()


# A server whose counting is wrong


def always(**lies: Any) -> Lie:
    return lambda page: replace(page, **lies)


@pytest.mark.parametrize(
    "lie",
    [
        pytest.param(always(total_count=0), id="total_count is zero"),
        pytest.param(always(total_count=-1), id="total_count is negative"),
        pytest.param(lambda page: replace(page, total_count=page.total_count - 1), id="one too few"),
        pytest.param(lambda page: replace(page, total_count=page.total_count + 1), id="one too many"),
        pytest.param(always(total_count=1000), id="total_count is too large"),
        pytest.param(always(has_more=False), id="has_more is always false"),
        pytest.param(always(per_page=0), id="per_page is zero"),
        pytest.param(always(per_page=50), id="per_page is the one that was asked for"),
        pytest.param(always(page=0), id="page is zero"),
    ],
)
def test_a_list_that_is_counted_wrong_is_walked_by_has_more_and_verified(lie: Lie) -> None:
    truth = a_truth(7)

    walked = walk(truth, lie=lie)

    assert walked.figures.sync_mode == "sequential"
    assert walked.figures.full_reason
    assert walked.end.unverified_reason == ""
    assert walked.rows == truth.invoices()
    assert walked.bookmark == Bookmark(None, None, 7, 0, NOW_S)
    assert walked.end.is_listed is not None
    assert not walked.end.is_listed("in_8")
    assert walked.figures.records_read == 7


def test_a_walk_by_has_more_begins_with_the_page_already_fetched_and_ends_with_page_1_as_a_check() -> None:
    walked = walk(a_truth(7), lie=always(total_count=0))

    assert walked.asked == [1, 2, 3, 4, 1]


def test_a_page_that_is_short_in_the_middle_is_found_out_and_the_list_walked_by_has_more() -> None:
    truth = a_truth(7)

    walked = walk(truth, lie=lambda page: replace(page, records=page.records[: 3 - page.page]))

    assert walked.figures.full_reason == "page 4 should list 1 of 7 records, but lists 0"
    assert walked.figures.sync_mode == "sequential"


def test_a_list_that_is_not_newest_first_is_walked_by_has_more() -> None:
    truth = a_truth(5, per_page=1)
    truth.records.insert(0, truth.records.pop(2))

    walked = walk(truth)

    assert walked.figures.full_reason == "the list is not ordered by created, newest first"
    assert walked.figures.sync_mode == "sequential"
    assert walked.end.unverified_reason == ""
    assert walked.rows == truth.invoices()


def test_what_the_walk_by_ordinals_has_seen_does_not_count_twice() -> None:
    truth = a_truth(6)
    truth.arrive_broken()
    truth.records[6]["created"] = 2_000_000_000

    walked = walk(truth)

    assert walked.figures.sync_mode == "sequential"
    assert (walked.figures.records_read, walked.figures.rejected) == (7, 1)
    assert (walked.bookmark.invoices, walked.bookmark.rejects) == (6, 1)
    assert walked.end.rejects == {key: item.id for key, item in walked.batches[-1].rejects.items()}


def test_a_walk_by_has_more_drops_what_the_walk_by_ordinals_has_seen() -> None:
    """The draft was read, and then deleted while another arrived late: the list is as long as before."""
    truth = a_truth(6)
    truth.records[5]["status"] = "draft"
    swap = then(delete_draft, lambda truth: truth.arrive_late(5, status="paid"))

    walked = walk(truth, changes={3: swap}, lie=lambda page: replace(page, has_more=page.page == 1))

    assert walked.figures.sync_mode == "sequential"
    assert walked.asked[:3] == [1, 3, 2]
    assert walked.rows == truth.invoices()


def test_a_walk_by_has_more_keeps_invoices_without_id_and_says_that_they_are_listed() -> None:
    truth = a_truth(3)
    truth.arrive(status="open", has_id=False)
    truth.arrive(status="open", has_id=False)

    walked = walk(truth, lie=lambda page: replace(page, page=0))

    assert walked.rows == truth.invoices()
    assert walked.end.is_listed is not None
    assert all(map(walked.end.is_listed, truth.invoices()))


def test_a_walk_by_has_more_is_cut_into_packages_that_claim_nothing() -> None:
    truth = a_truth(7)

    walked = walk(truth, lie=always(total_count=0), package_rows=3)

    assert walked.ids == [["in_7", "in_6", "in_5", "in_4"], ["in_3", "in_2", "in_1"]]
    assert walked.batches[0].bookmark is None
    assert walked.batches[0].end is None
    assert walked.batches[0].figures.records_read == 4


def test_a_list_that_always_says_that_more_follow_is_loaded_but_not_verified() -> None:
    truth = a_truth(7)

    walked = walk(truth, lie=always(has_more=True))

    assert walked.rows == truth.invoices()
    assert walked.end == WalkEnd("page 5 is empty, but says that more follow")
    assert walked.batches[-1].bookmark is None
    assert walked.asked == [1, 4, 2, 3, 4, 5]


def test_a_list_that_grows_while_it_is_walked_by_has_more_is_loaded_but_not_verified() -> None:
    """A record is met twice, so another may have slipped through."""
    truth = a_truth(7)
    before = truth.invoices()

    walked = walk(truth, lie=always(total_count=1000), changes={3: arrive})

    assert walked.rows == before
    assert walked.end == WalkEnd("a record was listed twice")
    assert walked.batches[-1].bookmark is None


def test_a_list_that_shrinks_while_it_is_walked_by_has_more_is_not_verified() -> None:
    """The rest moves up: one invoice slips between two pages, and page 1 shows it afterwards."""
    truth = a_truth(7)
    truth.records[1]["status"] = "draft"

    walked = walk(truth, lie=always(total_count=1000), changes={3: delete_draft})

    assert "in_5" not in walked.rows
    assert walked.end == WalkEnd("the list changed while it was read by has_more")


def test_a_server_that_ignores_the_page_number_is_refused() -> None:
    truth = a_truth(7)

    with pytest.raises(ApiChangedError, match="ignore the page number"):
        walk(truth, lie=lambda page: replace(truth.page(1), asked=page.asked, page=page.asked))


def test_a_list_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It grows by more than a page before each answer, so no page ever reaches the oldest invoice."""
    monkeypatch.setattr("cf_invoice_source.walk.walker.MAX_PAGES", 20)
    truth = a_truth(8)

    with pytest.raises(ApiChangedError, match="does not end: 20 pages"):
        walk(truth, changes=dict.fromkeys(range(2, 100), then(arrive, arrive, arrive)))


@pytest.mark.parametrize(("most", "ends"), [(5, True), (4, False)])
def test_a_walk_may_ask_for_as_many_pages_as_are_allowed(
    monkeypatch: pytest.MonkeyPatch, most: int, ends: bool
) -> None:
    monkeypatch.setattr("cf_invoice_source.walk.walker.MAX_PAGES", most)

    with nullcontext() if ends else pytest.raises(ApiChangedError, match="does not end: 4 pages"):
        assert walk(a_truth(8)).asked == [1, 4, 3, 2, 1]


def test_what_was_asked_for_before_the_rest_was_read_is_asked_for_again_to_confirm_it() -> None:
    """Two arrive before page 3 is answered: page 2, on its way since, is not needed any more for itself."""
    truth = a_truth(8)

    def arrive_twice(truth: Truth) -> None:
        truth.arrive()
        truth.arrive()

    walked = walk(truth, ahead=4, changes={3: arrive_twice})

    assert walked.asked == [1, 4, 3, 2, 4, 2]
    assert walked.end.unverified_reason == ""
    assert len(walked.rows) == 8
