"""Makes the rows of each table from what a walk read and what the destination holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation
from operator import itemgetter
from typing import Any

from cf_invoice_source.exact_json import encode
from cf_invoice_source.invoices.changes import Change, Stored, Verdict, judge
from cf_invoice_source.invoices.columns import FIELDS
from cf_invoice_source.invoices.record import Invoice, Reject
from cf_invoice_source.invoices.tables import CHANGES, INVOICES, REJECTS, TABLES
from cf_invoice_source.invoices.values import UnstorableValue, timestamp

_compared = itemgetter(*FIELDS.keys() - {"id", "invoice_pdf"})
"""The values that a full walk compares with the destination's. The PDF link is not one: each answer has a
new one."""


@dataclass(slots=True)
class Rows:
    """Rows of one account by table, and how many changes of each kind they record."""

    account_id: str
    observed_at: datetime
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
        row = {column: value for column, value in _storable(stored_row or {}) if column != "deleted"}
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
            self._add(REJECTS, {**dict(_storable(row)), "resolved_at": self.observed_at})

    def _judged(self, verdict: Verdict, row: dict[str, Any], changed: Mapping[str, Any]) -> None:
        if verdict.writes_row:
            self._add(INVOICES, row)
        if verdict.change:
            self.changes[verdict.change] += 1
            noted = {"version": verdict.version, "change": verdict.change, "observed_at": self.observed_at}
            self._add(CHANGES, {**changed, **noted})

    def _add(self, table: str, row: dict[str, Any]) -> None:
        self.tables.setdefault(table, []).append(row)


def is_same(invoice: Invoice, stored: Mapping[str, Any]) -> bool:
    """Say whether an invoice's row in the destination has the API's values."""
    given, held = _compared(invoice.values), _compared(stored)
    return given == held or all(map(_is_equal, given, held))


def _storable(stored: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Prepare a row that was read from a database to be written again.

    Some databases return times as text. A time that Python cannot represent becomes null.
    """
    for name, value in stored.items():
        is_time = isinstance(value, str) and name in _TIMES
        try:
            yield name, timestamp(name, value) if is_time else value
        except UnstorableValue:
            yield name, None


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
