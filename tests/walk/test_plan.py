"""Where a walk begins: with what the bookmark knows, or with nothing, and then why."""

from dataclasses import replace

import pytest

from cf_invoice_source.walk.bookmark import NOTHING, Bookmark, Equal, HighWaterMark
from cf_invoice_source.walk.plan import WalkPlan, plan

MARK = HighWaterMark(8, "in_8", {3: "in_3"})
UNFINISHED = HighWaterMark(5, "in_5")
AMBIGUOUS = HighWaterMark(5, "anonymous:4d", anonymous={"anonymous:4d": Equal(2, None)})
NOW_S, WEEK_S = 10_000_000, 604_800
LOADED = Bookmark(MARK, None, 8, 0, NOW_S - 1)


@pytest.mark.parametrize(
    ("bookmark", "total", "why_full", "start"),
    [
        pytest.param(LOADED, 9, "", WalkPlan(MARK), id="grown"),
        pytest.param(LOADED, 8, "", WalkPlan(MARK), id="as long as before"),
        pytest.param(LOADED, 9, "asked for", WalkPlan(NOTHING, "asked for"), id="a full walk is wanted"),
        pytest.param(
            LOADED,
            7,
            "",
            WalkPlan(NOTHING, "the list is shorter than before: 7 instead of 8"),
            id="shorter than the mark",
        ),
        pytest.param(Bookmark(), 9, "", WalkPlan(NOTHING, "first run"), id="nothing is remembered"),
        pytest.param(
            Bookmark(invoices=8, full_sync_at=NOW_S),
            9,
            "",
            WalkPlan(NOTHING, "the server's counting was not to be trusted"),
            id="no mark, for the last walk went by has_more",
        ),
        pytest.param(
            Bookmark(invoices=0, full_sync_at=NOW_S),
            9,
            "",
            WalkPlan(NOTHING, "the server's counting was not to be trusted"),
            id="no mark, and there was no invoice",
        ),
        pytest.param(
            replace(LOADED, full_sync_at=None),
            9,
            "",
            WalkPlan(NOTHING, "a full walk was due"),
            id="never a full walk",
        ),
        pytest.param(
            replace(LOADED, full_sync_at=NOW_S - WEEK_S),
            9,
            "",
            WalkPlan(NOTHING, "a full walk was due"),
            id="the last full walk is a week ago",
        ),
        pytest.param(
            replace(LOADED, full_sync_at=NOW_S - WEEK_S + 1), 9, "", WalkPlan(MARK), id="a second less"
        ),
        pytest.param(
            replace(LOADED, unfinished=UNFINISHED, unfinished_since=NOW_S - 9),
            5,
            "",
            WalkPlan(UNFINISHED, "an earlier full walk was interrupted", is_resumed=True),
            id="an interrupted full walk goes on",
        ),
        pytest.param(
            Bookmark(unfinished=UNFINISHED, unfinished_since=NOW_S - 9),
            9,
            "",
            WalkPlan(UNFINISHED, "an earlier full walk was interrupted", is_resumed=True),
            id="an interrupted first walk goes on",
        ),
        pytest.param(
            Bookmark(unfinished=UNFINISHED, unfinished_since=NOW_S - 9),
            4,
            "",
            WalkPlan(NOTHING, "first run"),
            id="shorter than the interrupted walk",
        ),
        pytest.param(
            replace(LOADED, mark=AMBIGUOUS),
            9,
            "",
            WalkPlan(NOTHING, "the newest record known has no id, and there is another like it"),
            id="the mark could be taken for another record",
        ),
        pytest.param(
            replace(LOADED, unfinished=AMBIGUOUS, unfinished_since=NOW_S - 9),
            9,
            "",
            WalkPlan(NOTHING, "an earlier full walk was interrupted"),
            id="where an interrupted full walk ended could be taken for another record",
        ),
        pytest.param(
            replace(LOADED, unfinished=UNFINISHED, unfinished_since=NOW_S - 9),
            9,
            "asked for",
            WalkPlan(NOTHING, "asked for"),
            id="a wanted full walk does not go on where another one ended",
        ),
        pytest.param(
            Bookmark(unfinished=UNFINISHED, unfinished_since=NOW_S - WEEK_S),
            9,
            "",
            WalkPlan(NOTHING, "first run"),
            id="an interrupted walk that began too long ago begins anew",
        ),
        pytest.param(
            Bookmark(unfinished=UNFINISHED, unfinished_since=NOW_S + 1),
            9,
            "",
            WalkPlan(NOTHING, "first run"),
            id="an interrupted walk that begins in the future begins anew",
        ),
        pytest.param(
            replace(LOADED, full_sync_at=NOW_S + 1),
            9,
            "",
            WalkPlan(NOTHING, "a full walk was due"),
            id="a full walk in the future is due",
        ),
        pytest.param(replace(LOADED, full_sync_at=NOW_S), 9, "", WalkPlan(MARK), id="a full walk just now"),
        pytest.param(
            replace(LOADED, unlisted=2),
            9,
            "",
            WalkPlan(NOTHING, "the list has changed since invoices were missing in it"),
            id="missing invoices may be listed again",
        ),
        pytest.param(
            replace(LOADED, unlisted=2),
            8,
            "",
            WalkPlan(MARK),
            id="missing invoices cost no full walk at rest",
        ),
    ],
)
def test_where_a_walk_begins(bookmark: Bookmark, total: int, why_full: str, start: WalkPlan) -> None:
    assert plan(bookmark, total, full_reason=why_full, now_s=NOW_S, full_sync_every_s=WEEK_S) == start


@pytest.mark.parametrize(("age_s", "is_resumed"), [(0, True), (86_399, True), (86_400, False)])
def test_an_interrupted_walk_goes_on_for_a_day_even_if_every_walk_is_a_full_one(
    age_s: int, is_resumed: bool
) -> None:
    bookmark = replace(LOADED, unfinished=UNFINISHED, unfinished_since=NOW_S - age_s)

    begun = plan(bookmark, 9, full_reason="", now_s=NOW_S, full_sync_every_s=0)

    assert begun.is_resumed is is_resumed
    assert begun.mark == (UNFINISHED if is_resumed else NOTHING)
