"""Decides where a walk begins: at the bookmark, or with nothing known."""

from __future__ import annotations

from dataclasses import dataclass

from cf_invoice_source.walk.bookmark import NOTHING, Bookmark, HighWaterMark

_DAY_S = 24 * 3600


@dataclass(frozen=True, slots=True)
class WalkPlan:
    """Where a walk begins: what is known already, and why a full walk is needed, if it is."""

    mark: HighWaterMark
    full_reason: str = ""
    is_resumed: bool = False


def plan(bookmark: Bookmark, total: int, *, full_reason: str, now_s: int, full_sync_every_s: int) -> WalkPlan:
    """Say where a walk begins, after page 1 has told the length of the list.

    `full_reason` says why the caller wants a full walk; empty if the bookmark decides.
    """
    unfinished = bookmark.unfinished
    is_stale = _is_due(bookmark.unfinished_since, now_s, max(full_sync_every_s, _DAY_S))
    if unfinished and not full_reason and not is_stale and total >= unfinished.ordinal:
        is_resumed = not unfinished.is_ambiguous()
        start = unfinished if is_resumed else NOTHING
        return WalkPlan(start, "an earlier full walk was interrupted", is_resumed=is_resumed)
    why = full_reason or _why_full(bookmark, total, now_s, full_sync_every_s)
    return WalkPlan(bookmark.mark if bookmark.mark and not why else NOTHING, why)


def _why_full(bookmark: Bookmark, total: int, now_s: int, full_sync_every_s: int) -> str:
    mark = bookmark.mark
    if mark is None:
        is_first = bookmark.invoices is None
        return bookmark.lost or ("first run" if is_first else "the server's counting was not to be trusted")
    if total < mark.ordinal:
        return f"the list is shorter than before: {total:,} instead of {mark.ordinal:,}"
    if bookmark.unlisted and total != mark.ordinal:
        return "the list has changed since invoices were missing in it"
    if _is_due(bookmark.full_sync_at, now_s, full_sync_every_s):
        return "a full walk was due"
    return "the newest record known has no id, and there is another like it" if mark.is_ambiguous() else ""


def _is_due(at_s: int | None, now_s: int, every_s: int) -> bool:
    """Whether a walk is due again. A time in the future comes from a wrong clock, and counts as due."""
    return at_s is None or not 0 <= now_s - at_s < every_s
