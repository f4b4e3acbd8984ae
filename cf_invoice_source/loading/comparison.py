"""Compares the records that a walk read with the rows that the destination holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from enum import Enum
from itertools import islice
from typing import Any

from cf_invoice_source.invoices.changes import NOTHING_STORED, Stored
from cf_invoice_source.invoices.columns import FIELDS
from cf_invoice_source.invoices.left_out import NOTHING_LEFT_OUT, LeftOut
from cf_invoice_source.invoices.record import KEPT_STATUSES, Invoice, Item, Reject
from cf_invoice_source.invoices.rows import Rows, is_same
from cf_invoice_source.invoices.tables import MORE_FIELDS
from cf_invoice_source.invoices.values import printable
from cf_invoice_source.walk.batches import PackageEnd, WalkBatch
from cf_invoice_source.walk.walker import WalkRequest
from cf_invoice_source.warehouse.questions import Held, Question
from cf_invoice_source.warehouse.stored import StoredRows

_PORTION = 1_000
"""How many invoices are compared before their rows are yielded."""

_DOCUMENTED = {*FIELDS, MORE_FIELDS}
_VALUES = len(FIELDS) - 1
"""How many values an invoice without unknown fields has; its id is kept apart."""

MOST_FIELDS = 100
"""How many names of unknown fields are remembered. Beyond that, a new name is no evidence of a change."""


class Compare(Enum):
    """How listed invoices are compared with what the destination holds."""

    NOTHING = "nothing"
    """The destination holds nothing of the account: every row is new."""
    ROWS = "rows"
    """An incremental walk compares the hash of a row, a full walk every value."""
    REWRITE = "rewrite"
    """Every row is written, even if the destination seems to hold it."""


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """What to do for one account. If dlt keeps only a range of `created`, nothing is verified.

    Without `has_rejects`, the destination holds no current rejects of it.
    """

    walk: WalkRequest
    compare: Compare
    accept_deletions: bool
    is_range: bool
    left_out: LeftOut = NOTHING_LEFT_OUT
    has_rejects: bool = True


@dataclass(frozen=True, slots=True)
class Kept:
    """Rows that stay although their invoices are no longer listed, or can no longer be read.

    `unlisted` are invoices that cannot have been deleted; None if the walk cannot tell.
    """

    unlisted: tuple[str, ...] | None = None
    rejects: int = 0


class Comparison:
    """Finds the rows to write for the batches of one walk.

    `evidence` says that the premise of an incremental walk, that final invoices do not change, is wrong: one
    has changed, or there is a field that no row had before. Empty if there is none.
    """

    def __init__(
        self, account_id: str, stored: StoredRows, request: SyncRequest, fields: Iterable[str]
    ) -> None:
        self._account_id = account_id
        self._stored = stored
        self._compare = request.compare
        self._accept_deletions = request.accept_deletions
        self._has_rejects = request.has_rejects
        self.fields = set(fields)
        self.evidence = ""

    def question(self, batch: WalkBatch[Item]) -> Question | None:
        """Say what has to be looked up for a batch; None if nothing has."""
        if self._compare is Compare.NOTHING:
            return None
        invoices = {key: item for key, item in batch.records.items() if isinstance(item, Invoice)}
        is_verified = batch.end is not None and batch.end.rejects is not None

        def is_as_listed(row: Mapping[str, Any]) -> bool:
            return row["id"] not in invoices or is_same(invoices[row["id"]], row)

        return Question(
            self._account_id,
            invoices.keys() | _ids_of_rejects(batch),
            is_as_listed if _is_full(batch) and self._compare is Compare.ROWS else None,
            batch.end.is_listed if batch.end else None,
            needs_rejects=bool(batch.rejects) or (self._has_rejects and is_verified),
        )

    def listed(self, rows: Rows, batch: WalkBatch[Item], held: Held) -> Iterator[None]:
        """Add the listed invoices to `rows`; yield after each portion, so that the rows can be taken."""
        is_full = _is_full(batch)
        is_readable = self._stored.capabilities.is_readable
        remaining = ((key, item) for key, item in batch.records.items() if isinstance(item, Invoice))
        while portion := list(islice(remaining, _PORTION)):
            if rows.tables:
                yield
            for key, invoice in portion:
                # Without the last version in the destination, a change has no number, so none is recorded.
                unknown = NOTHING_STORED if is_readable else Stored(change_hash=invoice.row_hash)
                stored = held.invoices.get(key, unknown)
                if self._compare is Compare.REWRITE:
                    stored = replace(stored, row_hash=None)
                rows.listed(key, invoice, stored)
                self._look_for_evidence(key, invoice, stored, is_full=is_full)

    def rest(self, rows: Rows, batch: WalkBatch[Item], held: Held) -> Kept:
        """Add the rejected records and what is no longer listed to `rows`; return which rows stay."""
        rejects = {key: item for key, item in batch.rejects.items() if isinstance(item, Reject)}
        for key, reject in rejects.items():
            if key not in held.rejects:
                rows.rejected(key, reject)
        self._has_rejects = self._has_rejects or bool(rejects)
        if rows.left_out.names and _is_full(batch):
            rows.still_rejected(self._stored.reject_rows(self._account_id, held.rejects & rejects.keys()))
        if self._compare is Compare.NOTHING:
            if batch.package_end is PackageEnd.ALWAYS:  # the next walk finds rows loaded
                self._compare = Compare.ROWS
            return Kept((), 0)
        if not batch.end or batch.end.rejects is None:
            return Kept()
        rows.resolved(self._stored.reject_rows(self._account_id, held.rejects - batch.end.rejects.keys()))
        found = (held.invoices.get(id_, NOTHING_STORED) for id_ in _ids_of_rejects(batch))
        of_rejects = sum(stored.row_hash is not None for stored in found)
        if batch.end.is_listed is None:
            return Kept(None, of_rejects)
        return Kept(self._delete(rows, held.unlisted), of_rejects)

    def _delete(self, rows: Rows, unlisted: AbstractSet[str]) -> tuple[str, ...]:
        """Add what was deleted to `rows`. Return the keys that cannot have been deleted: their rows stay."""
        held = self._stored.held([Question(self._account_id, unlisted)])[self._account_id].invoices
        stored_rows = self._stored.rows(self._account_id, held.keys())
        kept = []
        for key, stored in held.items():
            row = stored_rows.get(key)
            was_listed = stored.change_hash is not None  # if not, it is not from the list
            if row and was_listed and row["status"] in KEPT_STATUSES and not self._accept_deletions:
                kept.append(key)
            else:
                rows.gone(key, stored, row)
        return tuple(sorted(kept))

    def _look_for_evidence(self, key: str, invoice: Invoice, stored: Stored, *, is_full: bool) -> None:
        new = invoice.values.keys() - _DOCUMENTED - self.fields if len(invoice.values) > _VALUES else set()
        if new and len(self.fields) < MOST_FIELDS:
            self.fields |= new
            if not is_full:
                self.evidence = f"{printable(min(new))} is a field that no invoice had before"
        if not is_full and stored.is_final and stored.row_hash != invoice.row_hash:
            self.evidence = f"{printable(key)} was final, and has changed"


def _is_full(batch: WalkBatch[Item]) -> bool:
    return batch.figures.sync_mode != "incremental"


def _ids_of_rejects(batch: WalkBatch[Item]) -> set[str]:
    """Name the listed records that cannot be read and have an id: a row of an earlier version may stay."""
    return set(filter(None, batch.end.rejects.values())) if batch.end and batch.end.rejects else set()
