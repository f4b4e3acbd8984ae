"""From what a walk saw, and what the destination holds, to the rows of each table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal
from operator import itemgetter
from typing import Any

from cf_invoice_source.exact_json import encode
from cf_invoice_source.invoices.changes import Stored, Verdict, judge_gone, judge_listed
from cf_invoice_source.invoices.fields import FIELDS
from cf_invoice_source.invoices.record import Invoice, Reject
from cf_invoice_source.invoices.tables import CHANGES, INVOICES, REJECTS

_compared = itemgetter(*(field.name for field in FIELDS if field.is_compared))
"""The values that a full walk compares with the destination's."""


@dataclass(slots=True)
class Rows:
    """Rows by table, and how many changes of each kind they note.

    Args:
        account_id: Cloudflare account ID.
        observed_at: When these changes were observed, in UTC.
    """

    account_id: str
    observed_at: datetime
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    changes: dict[str, int] = field(default_factory=lambda: {"new": 0, "updated": 0, "deleted": 0})

    def take(self) -> dict[str, list[dict[str, Any]]]:
        """Hand the rows over; the counts go on."""
        tables, self.tables = self.tables, {}
        return tables

    def listed(self, key: str, invoice: Invoice, stored: Stored) -> None:
        """Note an invoice that the API lists.

        Args:
            key: Its id, or the one it gets from us.
            invoice: The invoice.
            stored: What the destination holds of it.
        """
        row = {"account_id": self.account_id, "id": key, **invoice.values, "row_hash": invoice.row_hash}
        verdict = judge_listed(invoice.row_hash, stored)
        if verdict.writes_row:
            self._add(INVOICES, row)
        self._change(verdict, row)

    def gone(self, key: str, stored: Stored, stored_row: Mapping[str, Any] | None) -> None:
        """Note an invoice that the API does not list any more, or not as one that can be stored."""
        verdict = judge_gone(stored)
        if verdict.writes_row:
            self._add(INVOICES, {"account_id": self.account_id, "id": key, "deleted": True})
        row = {column: value for column, value in (stored_row or {}).items() if column != "deleted"}
        self._change(verdict, {**row, "account_id": self.account_id, "id": key})

    def rejected(self, key: str, reject: Reject) -> None:
        """Note a record that is no invoice."""
        row_hash, _, number = key.rpartition(":")
        row = {
            "account_id": self.account_id,
            "record_hash": row_hash,
            "occurrence": int(number),
            "id": reject.id,
            "reason": reject.reason,
            "raw": encode(reject.record),
            "observed_at": self.observed_at,
        }
        self._add(REJECTS, row)

    def resolved(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Note that these rejected records are not in the list any more."""
        for row in rows:
            self._add(REJECTS, {**row, "resolved_at": self.observed_at})

    def _change(self, verdict: Verdict, row: Mapping[str, Any]) -> None:
        if verdict.change:
            self.changes[verdict.change] += 1
            noted = {"version": verdict.version, "change": verdict.change, "observed_at": self.observed_at}
            self._add(CHANGES, {**row, **noted})

    def _add(self, table: str, row: dict[str, Any]) -> None:
        self.tables.setdefault(table, []).append(row)


def is_same(invoice: Invoice, stored: Mapping[str, Any]) -> bool:
    """Say whether an invoice's row in the destination has the values that the API gives."""
    given, held = _compared(invoice.values), _compared(stored)
    return given == held or all(map(_is_equal, given, held))


def _is_equal(value: Any, stored: Any) -> bool:
    """Compare a value with what a database gave back for it, whatever Python type that has."""
    if value is None or stored is None:
        return value is stored
    if isinstance(value, Decimal):
        return value == Decimal(str(stored))
    if isinstance(value, datetime) and isinstance(stored, datetime):
        return value == (stored if stored.tzinfo else stored.replace(tzinfo=timezone.utc))
    return bool(value == stored)
