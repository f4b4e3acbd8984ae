"""Makes the rows of each table from what a walk read and what the destination holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation
from operator import itemgetter
from typing import Any

from cf_invoice_source.exact_json import decode, encode
from cf_invoice_source.invoices.changes import Change, Stored, Verdict, judge
from cf_invoice_source.invoices.columns import FIELDS
from cf_invoice_source.invoices.left_out import NOTHING_LEFT_OUT, LeftOut
from cf_invoice_source.invoices.record import Invoice, Reject
from cf_invoice_source.invoices.tables import CHANGES, INVOICES, MORE_FIELDS, REJECTS, TABLES
from cf_invoice_source.invoices.values import UnstorableValue, timestamp

_compared = itemgetter(*FIELDS.keys() - {"id", "invoice_pdf"})
"""The values that a full walk compares with the destination's. The PDF link is not one: each answer has a
new one."""


@dataclass(slots=True)
class Rows:
    """Rows of one account by table, and how many changes of each kind they record."""

    account_id: str
    observed_at: datetime
    left_out: LeftOut = NOTHING_LEFT_OUT
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    changes: Counter[Change] = field(default_factory=Counter)

    def take(self) -> dict[str, list[dict[str, Any]]]:
        """Return the rows and keep none of them; the counts of changes go on."""
        tables, self.tables = self.tables, {}
        return tables

    def listed(self, key: str, invoice: Invoice, stored: Stored) -> None:
        """Add what a listed invoice changes; `key` is its id, or the key that we give it."""
        row = {"account_id": self.account_id, "id": key, **invoice.values, "row_hash": invoice.row_hash}
        self._judged(judge(invoice.row_hash, stored), row, row)

    def gone(self, key: str, stored: Stored, stored_row: Mapping[str, Any] | None) -> None:
        """Add the deletion of an invoice that is no longer listed, or has become a reject."""
        keys = {"account_id": self.account_id, "id": key}
        row = {name: value for name, value in self._storable(stored_row or {}).items() if name != "deleted"}
        self._judged(judge(None, stored), {**keys, "deleted": True}, {**row, **keys})

    def rejected(self, key: str, reject: Reject) -> None:
        """Add a record that is not an invoice."""
        row_hash, _, occurrence = key.rpartition(":")
        row = {
            "account_id": self.account_id,
            "record_hash": row_hash,
            "occurrence": int(occurrence),
            "id": reject.id,
            "reason": reject.reason,
            "raw": encode(reject.record),
            "observed_at": self.observed_at,
        }
        self._add(REJECTS, row)

    def resolved(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Mark these rejected records as resolved: they are no longer in the list in this form."""
        for row in rows:
            self._add(REJECTS, {**self._storable(row), "resolved_at": self.observed_at})

    def still_rejected(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rejected records again that hold a field which is left out by now."""
        for row in rows:
            if self.left_out.of_row(row) != row:
                self._add(REJECTS, self._storable(row))

    def _judged(self, verdict: Verdict, row: dict[str, Any], changed: Mapping[str, Any]) -> None:
        if verdict.writes_row:
            self._add(INVOICES, row)
        if verdict.change:
            self.changes[verdict.change] += 1
            noted = {"version": verdict.version, "change": verdict.change, "observed_at": self.observed_at}
            self._add(CHANGES, {**changed, **noted})

    def _storable(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Prepare a row that was read from a database to be written again."""
        return self.left_out.of_row({name: _readable(name, value) for name, value in stored.items()})

    def _add(self, table: str, row: dict[str, Any]) -> None:
        self.tables.setdefault(table, []).append(row)


def is_same(invoice: Invoice, stored: Mapping[str, Any]) -> bool:
    """Say whether an invoice's row in the destination has the API's values.

    Of the link to the PDF, only whether there is one is compared. And no field may be in `more_fields` that
    is left out by now.
    """
    given, held = _compared(invoice.values), _compared(stored)
    if not (given == held or all(map(_is_equal, given, held))):
        return False
    if (invoice.values["invoice_pdf"] is None) != (stored["invoice_pdf"] is None):
        return False
    unread = _documented(stored.get(MORE_FIELDS))
    return unread is not None and unread <= invoice.values.get(MORE_FIELDS, {}).keys()


def _documented(more_fields: Any) -> set[str] | None:
    """Name the documented fields in `more_fields`; None if somebody has written something else there."""
    try:
        more = decode(str(more_fields or "{}").encode())
    except ValueError:
        return None
    return more.keys() & FIELDS.keys() if isinstance(more, dict) else None


def _readable(name: str, value: Any) -> Any:
    """Read a value from a database: some have times as texts. A time that Python cannot represent is None."""
    if not (isinstance(value, str) and name in _TIMES):
        return value
    try:
        return timestamp(name, value)
    except UnstorableValue:
        return None


_TIMES = {
    name for table in TABLES.values() for name, each in table.columns.items() if each.type == "timestamp"
}


def _is_equal(value: Any, stored: Any) -> bool:
    """Compare a value with the one read from a database, which may have another Python type."""
    if value is None or stored is None:
        return value is stored
    if isinstance(value, Decimal):
        try:
            return value == Decimal(str(stored))
        except InvalidOperation:  # SQLite stores any type in any column
            return False
    if isinstance(value, datetime) and isinstance(stored, datetime):
        return value == (stored if stored.tzinfo else stored.replace(tzinfo=timezone.utc))
    return bool(value == stored)
