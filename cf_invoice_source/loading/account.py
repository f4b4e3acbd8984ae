"""One account in a load: its walk, the rows of every table, and the outcome."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from math import ceil
from operator import add
from typing import Any, TypedDict

from cf_invoice_source.cloudflare.prefetch import PageFetcher
from cf_invoice_source.cloudflare.rate_limiter import RequestStats
from cf_invoice_source.errors import InvoiceSourceError
from cf_invoice_source.invoices.changes import Change
from cf_invoice_source.invoices.record import Item
from cf_invoice_source.invoices.rows import Rows
from cf_invoice_source.invoices.tables import SYNCS
from cf_invoice_source.invoices.values import printable
from cf_invoice_source.loading.comparison import Comparison, Kept, SyncRequest
from cf_invoice_source.loading.report import Outcome
from cf_invoice_source.redaction import readable, shown
from cf_invoice_source.settings import InvoiceType
from cf_invoice_source.walk.batches import PackageEnd, WalkBatch, WalkEnd, WalkFigures
from cf_invoice_source.walk.bookmark import Bookmark
from cf_invoice_source.walk.page import Page
from cf_invoice_source.walk.walker import Walker
from cf_invoice_source.warehouse.questions import NOTHING_HELD, Held, Question
from cf_invoice_source.warehouse.stored import StoredRows


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Rows that are loaded together, and the bookmark to store with them.

    Its length counts the records read, even if they need no row. So a long walk over unchanged data also has
    several packages, and after an interruption goes on from the last bookmark.
    """

    account_id: str
    tables: Mapping[str, list[dict[str, Any]]]
    bookmark: Bookmark | None = None
    records: int = 0
    package_end: PackageEnd = PackageEnd.IF_FULL

    def __len__(self) -> int:
        return max(self.records, sum(map(len, self.tables.values())))


class _Requests(TypedDict):
    requests: int
    retries: int
    rate_limited: int
    waited_s: int


_NOT_ENDED = WalkEnd("the walk did not end")
_KINDS: tuple[Change, ...] = ("new", "updated", "deleted")


class Account:
    """One account in one load: its bookmark, and its outcome so far.

    Attributes:
        batch: What was read last, until its rows are made.
        bookmark: What is remembered of it; without its marks once the account has ended.
    """

    # A load may have thousands of them.
    __slots__ = (
        "_batches",
        "_changes",
        "_comparison",
        "_request",
        "_started_at",
        "_stats",
        "_stored",
        "_sync_number",
        "_type",
        "_walker",
        "account_id",
        "batch",
        "bookmark",
        "error",
        "outcome",
        "pages",
    )

    def __init__(
        self,
        account_id: str,
        invoice_type: InvoiceType,
        sync_number: int,
        pages: PageFetcher[Item],
        stats: RequestStats,
    ) -> None:
        self.account_id = account_id
        self.pages = pages
        self.bookmark = Bookmark()
        self.error: InvoiceSourceError | None = None
        self._type, self._sync_number = invoice_type, sync_number
        self._stats = stats
        self._started_at = datetime.now(timezone.utc)
        self._changes = (0,) * len(_KINDS)
        self._walker: Walker[Item] | None = None
        self.batch: WalkBatch[Item] | None = None
        self.outcome = self._outcome(WalkFigures(), _NOT_ENDED)

    def begin(self, stored: StoredRows, bookmark: Bookmark, request: SyncRequest) -> Question | None:
        """Walk up to the first batch, and return what to look up for its rows, if anything."""
        self.bookmark = bookmark
        self.outcome = self._outcome(WalkFigures(), _NOT_ENDED)
        self._stored = stored
        self._begin_walk(request)
        return self._question()

    def row_batches(self, held: Held | None = None) -> Iterator[RowBatch]:
        """Walk on, and yield the rows to load.

        `held` is the answer to the question of `begin`; None if the account is to look it up itself.
        """
        try:
            evidence = yield from self._rows(held or self._look_up())
            if evidence:  # other final invoices may have changed, too
                walk = replace(self._request.walk, full_reason=evidence)
                self._begin_walk(replace(self._request, walk=walk, has_rejects=True))
                yield from self._rows(self._look_up())
        finally:
            self.pages.drop()
            # A load may have thousands of accounts: what is stored by now is not kept.
            self._walker = None
            self.bookmark = replace(self.bookmark, mark=None, unfinished=None)
            del self._comparison, self._batches, self._request

    def _begin_walk(self, request: SyncRequest) -> None:
        self._request = request
        self._comparison = Comparison(self.account_id, self._stored, request, self.bookmark.fields)
        self._walker = Walker(self.pages, self.bookmark, request.walk)
        self._batches = self._walker.batches()
        self.batch = next(self._batches)
        if self.batch.end:  # thousands of accounts may wait for an answer: free what the walk has seen
            self._batches = iter(())

    def _question(self) -> Question | None:
        return None if self.batch is None else self._comparison.question(self.batch)

    def _look_up(self) -> Held:
        question = self._question()
        return self._stored.held([question])[self.account_id] if question else NOTHING_HELD

    def _rows(self, held: Held) -> Generator[RowBatch, None, str]:
        """Walk once. Return evidence against the premise of an incremental walk; empty if there is none."""
        comparison = self._comparison
        while self.batch is not None:
            read, self.batch = self.batch, None
            rows = Rows(self.account_id, datetime.now(timezone.utc), self._request.left_out)
            for _ in comparison.listed(rows, read, held):
                yield RowBatch(self.account_id, rows.take(), package_end=PackageEnd.NEVER)
            batch = _looked_through(read, comparison.rest(rows, read, held), self._request)
            if batch.bookmark:
                fields = tuple(sorted(comparison.fields))
                batch = replace(batch, bookmark=replace(batch.bookmark, fields=fields))
            if evidence := comparison.evidence:
                batch = replace(
                    batch,
                    bookmark=replace(self.bookmark, full_sync_at=None),  # in case the full walk fails
                    end=None,
                    package_end=PackageEnd.ALWAYS,
                )
            self._note(rows, batch, self._stored.capabilities.unverified_reason)
            if batch.package_end is not PackageEnd.NEVER:
                rows.tables[SYNCS] = [self.outcome.row()]
            yield RowBatch(self.account_id, rows.tables, batch.bookmark, len(batch), batch.package_end)
            if evidence:
                self.pages.drop()
                return evidence
            self.batch = next(self._batches, None)
            held = self._look_up()
        return ""

    def expected_pages(self, latest: Page[Item]) -> int:
        """Say how many pages the walk needs, as far as is known."""
        is_whole = self._walker and latest.asked > 1 and self._walker.figures.sync_mode != "incremental"
        pages = ceil(latest.total_count / latest.per_page) if is_whole and latest.per_page > 0 else 0
        return max(self.pages.requests, pages)

    def fail(self, error: InvoiceSourceError) -> RowBatch:
        """Record that the account could not be read; its rows and its bookmark stay as they are."""
        self.pages.drop()
        self.error = error.with_traceback(None)  # its frames hold rows in memory
        self.outcome = replace(
            self.outcome,
            **self._requests(),
            finished_at=datetime.now(timezone.utc),
            verified=False,
            unverified_reason="the account could not be read",
            error=str(error),
        )
        return RowBatch(self.account_id, {SYNCS: [self.outcome.row()]})

    def mark_unverified(self, reason: str) -> None:
        """Record that the tables differ from what the walk read."""
        self.outcome = replace(self.outcome, verified=False, unverified_reason=reason)

    def _note(self, rows: Rows, batch: WalkBatch[Item], unverifiable: str) -> None:
        """Update the outcome. `unverifiable` says why a destination can verify nothing; empty if it can."""
        more = (rows.changes[kind] for kind in _KINDS)
        self._changes = tuple(map(add, self._changes, more))
        self.bookmark = batch.bookmark or self.bookmark
        if not batch.end:
            self.outcome = self._outcome(batch.figures, _NOT_ENDED)
            return
        self.pages.drop()
        end = replace(batch.end, unverified_reason=batch.end.unverified_reason or unverifiable)
        self.outcome = self._outcome(batch.figures, end, batch.bookmark)

    def _outcome(self, figures: WalkFigures, end: WalkEnd, found: Bookmark | None = None) -> Outcome:
        full_sync_at = self.bookmark.full_sync_at
        new, updated, deleted = self._changes
        return Outcome(
            account_id=self.account_id,
            started_at=self._started_at,
            finished_at=datetime.now(timezone.utc),
            sync_number=self._sync_number,
            type=self._type,
            sync_mode=figures.sync_mode,
            full_reason=shown(figures.full_reason),
            **self._requests(),
            total_count=figures.total_count,
            records_read=figures.records_read,
            new=new,
            updated=updated,
            deleted=deleted,
            rejected=found.rejects if found else figures.rejected,
            verified=not end.unverified_reason,
            unverified_reason=end.unverified_reason,
            error="",
            invoices=found.rows if found else None,
            full_sync_at=None if full_sync_at is None else datetime.fromtimestamp(full_sync_at, timezone.utc),
        )

    def _requests(self) -> _Requests:
        counts = self._stats.counts
        return {
            "requests": self.pages.requests,
            "retries": counts.retries,
            "rate_limited": counts.rate_limited,
            "waited_s": round(counts.waited_s),
        }


def _looked_through(batch: WalkBatch[Item], kept: Kept, request: SyncRequest) -> WalkBatch[Item]:
    """Correct what a batch claims: nothing for a range, and not verified if unlisted rows stay."""
    if request.is_range:  # dlt keeps only some of the rows
        end = batch.end and WalkEnd("only a range of created was loaded")
        return replace(batch, bookmark=None, end=end)
    if not (batch.end and batch.bookmark):
        return batch
    bookmark = replace(batch.bookmark, kept_rejects=kept.rejects)
    if kept.unlisted is not None:
        bookmark = replace(
            bookmark, unlisted=len(kept.unlisted), unlisted_ids=tuple(map(readable, kept.unlisted[:_NAMED]))
        )
    return replace(batch, bookmark=bookmark, end=replace(batch.end, unverified_reason=_missing(bookmark)))


_NAMED = 5
"""How many invoices a message names."""


def _missing(bookmark: Bookmark) -> str:
    """Name the invoices that are no longer listed but cannot have been deleted; empty if there are none."""
    if not bookmark.unlisted:
        return ""
    more = bookmark.unlisted - len(bookmark.unlisted_ids)
    names = ", ".join(map(printable, bookmark.unlisted_ids)) + (f" and {more:,} more" if more else "")
    return (
        f"{bookmark.unlisted:,} invoice{'s' * (bookmark.unlisted != 1)} that cannot be deleted "
        f"{'are' if bookmark.unlisted != 1 else 'is'} not listed any more and kept: {names} "
        "(load --accept-deletions deletes them)"
    )
