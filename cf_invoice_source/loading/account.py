"""One account's part in a load: its walk, and what comes of it for every table."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from itertools import islice
from typing import Any

from cf_invoice_source.cloudflare.prefetch import Pages
from cf_invoice_source.cloudflare.rate_limiter import Tally
from cf_invoice_source.errors import InvoiceSourceError
from cf_invoice_source.invoices.changes import UNKNOWN, Known
from cf_invoice_source.invoices.record import Invoice
from cf_invoice_source.invoices.rows import Rows, is_same
from cf_invoice_source.invoices.tables import WALKS
from cf_invoice_source.settings import InvoiceType
from cf_invoice_source.walk.bookmark import Bookmark
from cf_invoice_source.walk.walker import Batch, Cut, End, Walker
from cf_invoice_source.warehouse.stored import Warehouse


@dataclass(slots=True)
class Outcome:
    """What came of one account, as in its row of `invoice_walks`.

    Attributes:
        account_id: Cloudflare account ID.
        kind: full, incremental, or has_more.
        why: Why a full walk was needed; empty for an incremental one.
        requests: Pages asked for.
        total_count: Length of the list when the walk began.
        seen: Records looked at.
        new: Changes noted as new.
        updated: Changes noted as updated.
        deleted: Changes noted as deleted.
        retries: Requests that were sent again, after a fault of the network or the edge.
        rate_limited: Answers 429.
        waited_s: Seconds waited for the rate limit, rounded.
        rejected: Records in the list that are no invoices, or that no column holds exactly.
        invoices: Invoices of the account in the table; None where that is not proven.
        full_walk_at: When the last full walk was completed, in UTC: since then settled invoices have been
            taken as they were. None where none was.
        doubt: Why the copy is not proven complete; empty when it is.
        error: Why the account could not be read, what to do, and the request; empty when it could.
    """

    account_id: str
    kind: str = "full"
    why: str = ""
    requests: int = 0
    total_count: int = 0
    seen: int = 0
    new: int = 0
    updated: int = 0
    deleted: int = 0
    retries: int = 0
    rate_limited: int = 0
    waited_s: int = 0
    rejected: int = 0
    invoices: int | None = None
    full_walk_at: datetime | None = None
    doubt: str = "the walk did not end"
    error: str = ""


@dataclass(frozen=True, slots=True)
class Package:
    """Rows that belong together, and what to remember once they are loaded.

    Its length counts the records that were looked at, too: a long walk over unchanged data writes nothing but
    its bookmark, and goes on from there when it is interrupted.
    """

    account_id: str
    tables: Mapping[str, list[dict[str, Any]]]
    bookmark: Bookmark | None
    records: int = 0
    cut: Cut = Cut.MAY

    def __len__(self) -> int:
        return max(self.records, sum(map(len, self.tables.values())))


@dataclass(slots=True)
class Account:
    """One account in one load.

    Args:
        account_id: Cloudflare account ID.
        invoice_type: Which invoices.
        pages: The pages of its list.
        full_walk_every_s: How old the last full walk may be, in seconds.
        tally: Counts what trouble its requests have.
    """

    account_id: str
    invoice_type: InvoiceType
    pages: Pages
    full_walk_every_s: int
    tally: Tally
    bookmark: Bookmark = field(default_factory=Bookmark)
    outcome: Outcome = field(init=False)
    error: InvoiceSourceError | None = None
    _started_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    def __post_init__(self) -> None:
        self.outcome = Outcome(self.account_id)

    def packages(  # noqa: PLR0913 - all are about one walk
        self,
        warehouse: Warehouse,
        bookmark: Bookmark,
        *,
        why_full: str,
        rewrite: bool,
        refresh: bool,
        package_rows: int,
        is_empty: bool = False,
        is_range: bool = False,
    ) -> Iterator[Package]:
        """Walk the account's list, and give what is to be loaded.

        Args:
            warehouse: What the destination holds.
            bookmark: What is remembered of the account.
            why_full: Why a full walk is wanted; empty where the bookmark decides.
            rewrite: Whether to write every row, whatever the destination seems to hold.
            refresh: Whether to do so until a walk is proven, also in later runs if this one is interrupted.
            package_rows: Records in one package, at least.
            is_empty: Whether the destination holds nothing at all of the account.
            is_range: Whether only a range of `created` will be kept: then nothing is remembered or proven.
        """
        self._remember(bookmark)
        abilities = warehouse.abilities
        walker = Walker(
            self.pages,
            bookmark,
            why_full,
            int(time.time()),
            self.full_walk_every_s,
            package_rows,
            # What need not be compared as a whole need not be kept as a whole.
            part_rows=max(1, package_rows // _PARTS) if is_empty else package_rows,
        )
        try:
            for batch in walker.batches():
                rows = Rows(self.account_id, datetime.now(timezone.utc))
                if is_range:
                    batch.bookmark, batch.end = None, batch.end and End("only a range of created was loaded")
                known: Mapping[str, Known] = {}
                if not is_empty:
                    is_full = walker.kind != "incremental"
                    known = self._known(batch, warehouse, is_full=is_full, rewrite=rewrite or refresh)
                for invoices in _portions(batch.invoices):
                    if rows.tables:
                        yield Package(self.account_id, rows.take(), None, cut=Cut.NO)
                    _compare(rows, invoices, known, is_readable=abilities.is_readable)
                self._compare_rest(rows, batch, warehouse, is_empty=is_empty)
                if batch.end:
                    self.pages.drop()
                self._note(rows, walker, batch)
                self.outcome.doubt = self.outcome.doubt or abilities.doubt
                if batch.cut is not Cut.NO:
                    rows.tables[WALKS] = [self.row()]
                to_remember = self._refreshing(batch) if refresh else batch.bookmark
                yield Package(self.account_id, rows.tables, to_remember, len(batch), batch.cut)
                is_empty = is_empty and batch.cut is not Cut.MUST
        finally:
            self.pages.drop()
            self._meter()

    def fail(self, error: InvoiceSourceError) -> Package:
        """Note that the account could not be read: its rows and its bookmark stay as they are."""
        self.error = error
        self.outcome.doubt, self.outcome.error = "the account could not be read", str(error)
        return Package(self.account_id, {WALKS: [self.row()]}, None)

    def row(self) -> dict[str, Any]:
        """Write the account's row of `invoice_walks`."""
        outcome = self.outcome
        return {
            "account_id": self.account_id,
            "started_at": self._started_at,
            "finished_at": datetime.now(timezone.utc),
            "type": self.invoice_type,
            **{column: getattr(outcome, column) for column in _FROM_OUTCOME},
            "proven": not outcome.doubt,
        }

    def _refreshing(self, batch: Batch) -> Bookmark:
        """Say what to remember in the course of a refresh: that it is not over before its end is proven."""
        is_over = batch.end is not None and not batch.end.doubt
        return replace(batch.bookmark or self.bookmark, is_refreshing=not is_over)

    def _known(
        self, batch: Batch, warehouse: Warehouse, *, is_full: bool, rewrite: bool
    ) -> Mapping[str, Known]:
        """Look up what the destination holds of the invoices of a batch; a full walk looks at each value."""
        if rewrite:
            known = warehouse.known(self.account_id, batch.invoices)
            return {key: replace(held, row_hash=None) for key, held in known.items()}

        def is_as_listed(row: Mapping[str, Any]) -> bool:
            return is_same(batch.invoices[row["id"]], row)

        return warehouse.known(self.account_id, batch.invoices, is_as_listed if is_full else None)

    def _compare_rest(self, rows: Rows, batch: Batch, warehouse: Warehouse, *, is_empty: bool) -> None:
        """Take in the rejected records, and what the list does not have any more."""
        current = set() if is_empty else warehouse.rejects(self.account_id)
        for key, reject in batch.rejects.items():
            if key not in current:
                rows.rejected(key, reject)
        if is_empty:
            return
        unlisted = {reject.id for reject in batch.rejects.values() if reject.id is not None}
        if batch.end:
            unlisted |= self._unlisted(batch.end, warehouse)
            if batch.end.rejects is not None:
                rows.resolved(warehouse.reject_rows(self.account_id, current - batch.end.rejects))
        known = warehouse.known(self.account_id, unlisted)
        stored = warehouse.rows(self.account_id, known)
        for key, held in known.items():
            rows.gone(key, held, stored.get(key))

    def _unlisted(self, end: End, warehouse: Warehouse) -> set[str]:
        if end.is_listed is None:
            return set()
        return {key for key in warehouse.ids(self.account_id) if not end.is_listed(key)}

    def _note(self, rows: Rows, walker: Walker, batch: Batch) -> None:
        outcome = self.outcome
        outcome.kind, outcome.why = walker.kind, walker.why
        outcome.total_count, outcome.seen = walker.total_count, walker.seen
        outcome.new += rows.changes["new"]
        outcome.updated += rows.changes["updated"]
        outcome.deleted += rows.changes["deleted"]
        outcome.rejected = walker.rejected
        self._meter()
        if batch.bookmark:
            self._remember(batch.bookmark)
        if batch.end:
            outcome.doubt = batch.end.doubt
            if batch.bookmark:
                outcome.invoices, outcome.rejected = batch.bookmark.invoices, batch.bookmark.rejects

    def _remember(self, bookmark: Bookmark) -> None:
        self.bookmark = bookmark
        at = bookmark.full_walk_at
        self.outcome.full_walk_at = None if at is None else datetime.fromtimestamp(at, timezone.utc)

    def _meter(self) -> None:
        self.outcome.requests = self.pages.requests
        meter = self.tally.meter
        self.outcome.retries, self.outcome.rate_limited = meter.retries, meter.rate_limited
        self.outcome.waited_s = round(meter.waited_s)


def _compare(
    rows: Rows, invoices: Iterable[tuple[str, Invoice]], known: Mapping[str, Known], *, is_readable: bool
) -> None:
    for key, invoice in invoices:
        # Without a look at the changes that are there, one cannot be numbered: then none is noted.
        unknown = UNKNOWN if is_readable else Known(change_hash=invoice.row_hash)
        rows.listed(key, invoice, known.get(key, unknown))


def _portions(invoices: Mapping[str, Invoice]) -> Iterator[list[tuple[str, Invoice]]]:
    """Divide invoices, so that their rows need not all be there at once."""
    remaining = iter(invoices.items())
    while portion := list(islice(remaining, _PORTION)):
        yield portion


_PORTION = 1_000

_PARTS = 20
"""Into how many parts a package is divided where it can be."""

_FROM_OUTCOME = (
    "kind",
    "why",
    "requests",
    "total_count",
    "seen",
    "new",
    "updated",
    "deleted",
    "retries",
    "rate_limited",
    "waited_s",
    "rejected",
    "doubt",
    "error",
)
