"""Where a walk begins: with what the bookmark knows, or with nothing."""

from __future__ import annotations

from dataclasses import dataclass

from cf_invoice_source.walk.bookmark import NOTHING, Bookmark, HighWaterMark


@dataclass(frozen=True, slots=True)
class WalkPlan:
    """Where a walk begins: what is known already, and why a full walk is needed, if one is."""

    mark: HighWaterMark
    full_reason: str = ""
    is_resumed: bool = False


def plan(bookmark: Bookmark, total: int, *, full_reason: str, now_s: int, full_sync_every_s: int) -> WalkPlan:
    """Say where a walk begins, once page 1 has told how long the list is.

    `full_reason` says why a full walk is wanted from outside; empty where it is not.
    """
    if full_reason:
        return WalkPlan(NOTHING, full_reason)
    unfinished, mark = bookmark.unfinished, bookmark.mark
    if unfinished and total >= unfinished.ordinal:
        is_resumed = not unfinished.is_ambiguous()
        start = unfinished if is_resumed else NOTHING
        return WalkPlan(start, "an earlier full walk was interrupted", is_resumed=is_resumed)
    if mark is None:
        is_first = bookmark.invoices is None
        why = "first run" if is_first else "the server's counting was not to be trusted"
        return WalkPlan(NOTHING, bookmark.lost or why)
    why = ""
    if total < mark.ordinal:
        why = f"the list is shorter than before: {total:,} instead of {mark.ordinal:,}"
    elif bookmark.full_sync_at is None or now_s - bookmark.full_sync_at >= full_sync_every_s:
        why = "a full walk was due"
    elif mark.is_ambiguous():
        why = "the newest record known has no id, and there is another like it"
    return WalkPlan(NOTHING, why) if why else WalkPlan(mark)
