"""Carries out a walk: requests pages as the rules decide, and divides the records into batches."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from cf_invoice_source.errors import ApiChangedError
from cf_invoice_source.settings import MAX_PAGES, MAX_RESTARTS
from cf_invoice_source.walk.batches import Collected, PackageEnd, WalkBatch, WalkEnd, WalkFigures
from cf_invoice_source.walk.bookmark import Bookmark, HighWaterMark
from cf_invoice_source.walk.has_more import Fetch, Listing, Refuse, Stop, is_same, next_step
from cf_invoice_source.walk.ordinals import Trouble, Walk
from cf_invoice_source.walk.page import Page, PageSource, Record
from cf_invoice_source.walk.plan import plan

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class WalkRequest:
    """What a walk is asked to do: why it must be a full one, if it must, and how large packages are."""

    full_reason: str
    now_s: int
    full_sync_every_s: int
    package_rows: int
    part_rows: int


class Walker(Generic[R]):
    """Walks one account's list once."""

    def __init__(self, pages: PageSource[R], bookmark: Bookmark, request: WalkRequest) -> None:
        self._pages = pages
        self._bookmark = bookmark
        self._request = request
        self._figures = WalkFigures()
        self._collected = Collected[R](request.package_rows, request.part_rows)
        self._pages_taken = 0
        self._began_s = request.now_s
        self._is_compared = True
        """Whether every value is compared if this walk is a full one; False if only the hash of some rows
        was."""

    @property
    def figures(self) -> WalkFigures:
        """What the walk has done so far."""
        return self._figures

    def batches(self) -> Iterator[WalkBatch[R]]:
        """Walk, and yield the records in batches; the last batch has an `end`."""
        for _ in range(1 + MAX_RESTARTS):
            first = self._page(1)
            trouble = yield from self._by_ordinals(first)
            if trouble is None:
                return
            yield from self._abandon()
            if trouble is Trouble.PAGING:
                yield from self._by_has_more(first)
                return
        yield from self._by_has_more(self._page(1), "the list did not come to rest while it was read")

    def _by_ordinals(self, first: Page[R]) -> Generator[WalkBatch[R], None, Trouble | None]:
        request = self._request
        start = plan(
            self._bookmark,
            first.total_count,
            full_reason=request.full_reason,
            now_s=request.now_s,
            full_sync_every_s=request.full_sync_every_s,
        )
        self._began_s = (start.is_resumed and self._bookmark.unfinished_since) or request.now_s
        mode = "full" if start.full_reason else "incremental"
        self._figures = WalkFigures(mode, start.full_reason, first.total_count)
        is_whole = bool(start.full_reason) and not start.is_resumed
        walk = Walk(first, start.mark)
        page: Page[R] | None = first
        while page is not None:
            trouble = walk.take(page)
            if trouble is Trouble.MARK:
                walk.widen()
                is_whole = True
                self._figures = replace(self._figures, sync_mode="full", full_reason=walk.why_troubled)
            elif trouble:
                self._figures = replace(self._figures, full_reason=walk.why_troubled)
                return trouble
            self._collect(walk)
            if not walk.is_ordered:
                reason = "the list is not ordered by created, newest first"
                self._figures = replace(self._figures, full_reason=reason)
                return Trouble.PAGING
            page = yield from self._next(walk)
        yield self._finish(walk, is_full=bool(start.full_reason), is_whole=is_whole)
        return None

    def _next(self, walk: Walk[R]) -> Generator[WalkBatch[R], None, Page[R] | None]:
        """Start fetching the next pages, yield a package if it is full, and return the next page."""
        before = walk.round
        wanted = walk.wanted(1)
        if walk.round != before:
            self._pages.drop()  # they were asked for too early to confirm anything
        if not wanted:
            return None
        if self._pages.in_flight <= self._pages.ahead // 2:
            for number in walk.wanted(self._pages.ahead):
                self._pages.expect(number)
        if not walk.round and (package_end := self._collected.enough()) is not None:
            bookmark = None
            if walk.is_past_checks():
                bookmark = self._on_the_way(walk)
            elif self._figures.sync_mode == "incremental":
                self._is_compared = False
            yield self._give(bookmark, package_end=package_end)
        return self._page(wanted[0])

    def _collect(self, walk: Walk[R]) -> None:
        records_read, rejected = self._figures.records_read, self._figures.rejected
        for key, record in walk.release():
            self._collected.add(key, record)
            records_read += 1
            rejected += record.is_reject
        self._figures = replace(self._figures, records_read=records_read, rejected=rejected)

    def _finish(self, walk: Walk[R], *, is_full: bool, is_whole: bool) -> WalkBatch[R]:
        mark = walk.mark()
        is_compared = self._is_compared and (is_full or is_whole)
        rejects = {reject.key: reject.id for reject in mark.rejected.values()}
        bookmark = self._verified(mark, mark.ordinal - len(rejects), len(rejects), is_compared=is_compared)
        return self._give(bookmark, WalkEnd("", walk.has_seen if is_whole else None, rejects))

    def _abandon(self) -> Iterator[WalkBatch[R]]:
        """Drop what was read, to begin anew. Batches that were yielded already are loaded first."""
        self._collected.clear()
        self._bookmark = replace(self._bookmark, unfinished=None, unfinished_since=None)
        self._pages.drop()
        self._collected.part_rows, self._is_compared = self._request.package_rows, True
        if self._collected.has_given:
            yield self._give(self._bookmark, package_end=PackageEnd.ALWAYS)

    def _on_the_way(self, walk: Walk[R]) -> Bookmark:
        """Make the bookmark for a package that is not the last."""
        mark = walk.mark()
        if self._figures.sync_mode == "full":
            return replace(self._bookmark, unfinished=mark, unfinished_since=self._began_s)
        rejects = len(mark.rejected)
        return replace(self._bookmark, mark=mark, invoices=mark.ordinal - rejects, rejects=rejects)

    def _by_has_more(self, first: Page[R], unverified_reason: str = "") -> Iterator[WalkBatch[R]]:
        """Walk page by page, newest first: slower, but right even if the server counts wrongly.

        With an `unverified_reason`, this walk verifies nothing.
        """
        listing = Listing[R]()
        self._figures = replace(self._figures, sync_mode="sequential")
        stop = yield from self._read_to_the_end(first, listing)
        for key, record in listing.anonymous():
            self._collected.add(key, record)
        self._count(listing)
        reason = stop.unverified_reason or listing.unverified_reason or unverified_reason
        if not reason and not is_same(first, self._page(1)):
            reason = "the list changed while it was read by has_more"
        if reason:
            yield self._give(None, WalkEnd(reason))
            return
        rejects = listing.rejects
        invoices = listing.records_read - len(rejects)
        bookmark = self._verified(None, invoices, len(rejects), is_compared=True)
        yield self._give(bookmark, WalkEnd("", listing.has_seen, rejects))

    def _verified(
        self, mark: HighWaterMark | None, invoices: int, rejects: int, *, is_compared: bool
    ) -> Bookmark:
        return replace(
            self._bookmark,
            mark=mark,
            unfinished=None,
            unfinished_since=None,
            invoices=invoices,
            rejects=rejects,
            full_sync_at=self._began_s if is_compared else self._bookmark.full_sync_at,
            lost="",
        )

    def _read_to_the_end(self, first: Page[R], listing: Listing[R]) -> Generator[WalkBatch[R], None, Stop]:
        previous = page = first
        step: Fetch | Stop | Refuse = Fetch(1)
        while isinstance(step, Fetch):
            if step.page > 1:
                if self._collected.enough() is PackageEnd.IF_FULL:
                    self._count(listing)
                    yield self._give(None)
                previous, page = page, self._page(step.page)
            taken = listing.take(page)
            for key, record in taken.records:
                self._collected.add(key, record)
            step = next_step(
                previous, page, records_read=listing.records_read, new=taken.new, max_pages=MAX_PAGES
            )
        if isinstance(step, Refuse):
            raise ApiChangedError(
                f"The server's paging makes no sense: {step.why}.",
                remedy="run again; if it stays so, report it",
            )
        return step

    def _count(self, listing: Listing[R]) -> None:
        self._figures = replace(
            self._figures, records_read=listing.records_read, rejected=len(listing.rejects)
        )

    def _give(
        self,
        bookmark: Bookmark | None,
        end: WalkEnd | None = None,
        package_end: PackageEnd = PackageEnd.IF_FULL,
    ) -> WalkBatch[R]:
        if bookmark:
            self._bookmark = bookmark
        return self._collected.take(self._figures, bookmark, end, package_end)

    def _page(self, number: int) -> Page[R]:
        self._pages_taken += 1
        if self._pages_taken > MAX_PAGES:
            raise ApiChangedError(
                f"The list does not end: {MAX_PAGES:,} pages were read.",
                remedy="run again; if it stays so, report it",
            )
        return self._pages(number)
