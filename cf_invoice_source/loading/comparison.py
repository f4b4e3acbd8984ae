"""Compares what a walk read of one account with what the destination holds of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from enum import Enum
from itertools import islice
from typing import Any

from cf_invoice_source.invoices.changes import NOTHING_STORED, Stored
from cf_invoice_source.invoices.record import Invoice, Item, Reject
from cf_invoice_source.invoices.rows import Rows, is_same
from cf_invoice_source.walk.batches import PackageEnd, WalkBatch, WalkEnd
from cf_invoice_source.warehouse.stored import StoredRows

_PORTION = 1_000
"""Invoices whose rows are there at once."""


class Compare(Enum):
    """How listed invoices are compared with what the destination holds."""

    NOTHING = "nothing"
    """The destination holds nothing of the account: every row is new."""
    ROWS = "rows"
    """An incremental walk looks at the hash of a row, a full one at each value."""
    REWRITE = "rewrite"
    """Every row is written, whatever the destination seems to hold."""


class Comparison:
    """Finds the rows to write for the batches of one walk."""

    def __init__(self, account_id: str, stored: StoredRows, compare: Compare) -> None:
        self._account_id = account_id
        self._stored = stored
        self._compare = compare

    def listed(self, rows: Rows, batch: WalkBatch[Item]) -> Iterator[None]:
        """Note the invoices that the list has; yield before more come, so that `rows` can be taken."""
        invoices = {key: item for key, item in batch.records.items() if isinstance(item, Invoice)}
        held = self._held(invoices, is_full=batch.figures.sync_mode != "incremental")
        is_readable = self._stored.capabilities.is_readable
        remaining = iter(invoices.items())
        while portion := list(islice(remaining, _PORTION)):
            if rows.tables:
                yield
            for key, invoice in portion:
                # Without a look at the changes that are there, one cannot be numbered: then none is noted.
                unknown = NOTHING_STORED if is_readable else Stored(change_hash=invoice.row_hash)
                rows.listed(key, invoice, held.get(key, unknown))

    def rest(self, rows: Rows, batch: WalkBatch[Item]) -> None:
        """Note the rejected records, and what the list does not have any more."""
        rejects = {key: item for key, item in batch.rejects.items() if isinstance(item, Reject)}
        is_empty = self._compare is Compare.NOTHING
        current = set() if is_empty else self._stored.rejects(self._account_id)
        for key, reject in rejects.items():
            if key not in current:
                rows.rejected(key, reject)
        if is_empty:
            if batch.package_end is PackageEnd.ALWAYS:  # what comes next finds what is loaded by then
                self._compare = Compare.ROWS
            return
        unlisted = {reject.id for reject in rejects.values() if reject.id is not None}
        if batch.end:
            unlisted |= self._unlisted(batch.end)
            if batch.end.rejects is not None:
                rows.resolved(self._stored.reject_rows(self._account_id, current - batch.end.rejects))
        held = self._stored.stored(self._account_id, unlisted)
        stored_rows = self._stored.rows(self._account_id, held)
        for key, stored in held.items():
            rows.gone(key, stored, stored_rows.get(key))

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

    def _unlisted(self, end: WalkEnd) -> set[str]:
        if end.is_listed is None:
            return set()
        return {key for key in self._stored.ids(self._account_id) if not end.is_listed(key)}
