"""Compares the records that a walk read with the rows that the destination holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from itertools import islice
from typing import Any

from cf_invoice_source.invoices.changes import NOTHING_STORED, Stored
from cf_invoice_source.invoices.columns import FIELDS
from cf_invoice_source.invoices.record import KEPT_STATUSES, Invoice, Item, Reject
from cf_invoice_source.invoices.rows import Rows, is_same
from cf_invoice_source.invoices.tables import MORE_FIELDS
from cf_invoice_source.invoices.values import printable
from cf_invoice_source.walk.batches import PackageEnd, WalkBatch
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
        self,
        account_id: str,
        stored: StoredRows,
        compare: Compare,
        *,
        accept_deletions: bool = False,
        fields: Iterable[str] = (),
    ) -> None:
        self._account_id = account_id
        self._stored = stored
        self._compare = compare
        self._accept_deletions = accept_deletions
        self.fields = set(fields)
        self.evidence = ""

    def listed(self, rows: Rows, batch: WalkBatch[Item]) -> Iterator[None]:
        """Add the listed invoices to `rows`; yield after each portion, so that the rows can be taken."""
        invoices = {key: item for key, item in batch.records.items() if isinstance(item, Invoice)}
        is_full = batch.figures.sync_mode != "incremental"
        held = self._held(invoices, is_full=is_full)
        is_readable = self._stored.capabilities.is_readable
        remaining = iter(invoices.items())
        while portion := list(islice(remaining, _PORTION)):
            if rows.tables:
                yield
            for key, invoice in portion:
                # Without the last version in the destination, a change has no number, so none is recorded.
                unknown = NOTHING_STORED if is_readable else Stored(change_hash=invoice.row_hash)
                stored = held.get(key, unknown)
                rows.listed(key, invoice, stored)
                self._look_for_evidence(key, invoice, stored, is_full=is_full)

    def rest(self, rows: Rows, batch: WalkBatch[Item]) -> Kept:
        """Add the rejected records and what is no longer listed to `rows`; return which rows stay."""
        rejects = {key: item for key, item in batch.rejects.items() if isinstance(item, Reject)}
        is_empty = self._compare is Compare.NOTHING
        current = set() if is_empty else self._stored.rejects(self._account_id)
        for key, reject in rejects.items():
            if key not in current:
                rows.rejected(key, reject)
        if rows.left_out.names and batch.figures.sync_mode != "incremental":
            rows.still_rejected(self._stored.reject_rows(self._account_id, current & rejects.keys()))
        if is_empty:
            if batch.package_end is PackageEnd.ALWAYS:  # the next walk finds rows loaded
                self._compare = Compare.ROWS
            return Kept((), 0)
        if not batch.end or batch.end.rejects is None:
            return Kept()
        listed = batch.end.rejects
        rows.resolved(self._stored.reject_rows(self._account_id, current - listed.keys()))
        of_rejects = self._stored.rows(self._account_id, {id_ for id_ in listed.values() if id_})
        if batch.end.is_listed is None:
            return Kept(None, len(of_rejects))
        unlisted = {key for key in self._stored.ids(self._account_id) if not batch.end.is_listed(key)}
        return Kept(self._delete(rows, unlisted), len(of_rejects))

    def _delete(self, rows: Rows, unlisted: set[str]) -> tuple[str, ...]:
        """Add what was deleted to `rows`. Return the keys that cannot have been deleted: their rows stay."""
        held = self._stored.stored(self._account_id, unlisted)
        stored_rows = self._stored.rows(self._account_id, held)
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

    def _held(self, invoices: Mapping[str, Invoice], *, is_full: bool) -> Mapping[str, Stored]:
        """Look up what the destination holds of these invoices."""
        if self._compare is Compare.NOTHING:
            return {}
        if self._compare is Compare.REWRITE:
            held = self._stored.stored(self._account_id, invoices)
            return {key: replace(stored, row_hash=None) for key, stored in held.items()}

        def is_as_listed(row: Mapping[str, Any]) -> bool:
            return is_same(invoices[row["id"]], row)

        return self._stored.stored(self._account_id, invoices, is_as_listed if is_full else None)
