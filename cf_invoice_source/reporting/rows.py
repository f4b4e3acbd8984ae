"""Reads what the report needs, by a few queries, whatever the number of accounts: never a link."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from cf_invoice_source.errors import DestinationError
from cf_invoice_source.invoices.tables import CHANGES, INVOICES, SYNCS
from cf_invoice_source.reporting.accounts import SHOWN_SYNCS, SyncMark
from cf_invoice_source.reporting.history import Invoice, Version
from cf_invoice_source.warehouse.reader import StatusQueries, can_be_asked, read_time

_INVOICE = ", ".join(f"{{{name}}}" for name in Invoice.__dataclass_fields__)
_SYNC = tuple(SyncMark.__dataclass_fields__)
_COLUMNS = {
    INVOICES: tuple(Invoice.__dataclass_fields__),
    CHANGES: (*Invoice.__dataclass_fields__, "version", "change", "observed_at"),
    SYNCS: _SYNC,
}


class ReportQueries(StatusQueries):
    """The rows of our tables, each once and in bounded memory. Take all of one before you ask for another."""

    def check_columns(self) -> None:
        """Check that no column is missing: a query for it would read the table as empty.

        Raises:
            DestinationError: One is.
        """
        with self.connected() as client:
            if not client:
                return
            for table, columns in _COLUMNS.items():
                rows = client.make_qualified_table_name(table)
                names = ", ".join(map(client.escape_column_name, columns))
                selects = [f"SELECT {select} FROM {rows} WHERE 1 = 0" for select in ("1", names)]
                is_there, is_whole = (can_be_asked(client, select) for select in selects)
                if is_there and not is_whole:
                    cause = f"The table {table} lacks a column that the report reads."
                    raise DestinationError(cause, remedy="run cf-invoices load: it makes the column again")

    def invoices(self, wanted: Collection[str]) -> Iterator[Invoice]:
        """Give the invoices as they are listed now; those of all accounts if none are wanted."""
        for row in self._stream(f"SELECT {_INVOICE} FROM {{invoices}}"):
            if not wanted or row[0] in wanted:
                yield _invoice(row)

    def versions(self, wanted: Collection[str]) -> Iterator[Version]:
        """Give all changes, sorted by account, ID and version."""
        more = "{version}, {change}, {observed_at}"
        order = "{account_id}, {id}, {version}"
        for row in self._stream(f"SELECT {_INVOICE}, {more} FROM {{invoice_changes}} ORDER BY {order}"):
            if not wanted or row[0] in wanted:
                *invoice, version, change, observed_at = row
                yield Version(_invoice(invoice), int(version), change, read_time(observed_at))

    def first_seen(self) -> dict[str, datetime]:
        """Say when a run first saw anything of each account."""
        by_account = "SELECT {account_id}, min({observed_at}) FROM {invoice_changes} GROUP BY {account_id}"
        times = {account_id: read_time(first) for account_id, first in self._query(by_account)}
        return {account_id: first for account_id, first in times.items() if first}

    def syncs(self, wanted: Collection[str], *, every: bool) -> Iterator[SyncMark]:
        """Give the syncs of each account in the order of their numbers: every one, or the last ones."""
        columns = ", ".join(f"s.{{{name}}}" for name in _SYNC)
        select = f"SELECT {columns} FROM {{invoice_syncs}} s"
        if not every:
            select += (
                " JOIN (SELECT {account_id}, max({sync_number}) AS {sync_number} FROM {invoice_syncs} "
                "GROUP BY {account_id}) latest ON s.{account_id} = latest.{account_id} "
                f"WHERE s.{{sync_number}} > latest.{{sync_number}} - {SHOWN_SYNCS}"
            )
        for row in self._stream(f"{select} ORDER BY s.{{account_id}}, s.{{sync_number}}"):
            if not wanted or row[0] in wanted:
                yield _sync(dict(zip(_SYNC, row, strict=True)))

    def last_numbers(self) -> dict[str, int]:
        """Give the number of each account's last sync: when it is another, a load has come in between."""
        by_account = "SELECT {account_id}, max({sync_number}) FROM {invoice_syncs} GROUP BY {account_id}"
        return dict(self._query(by_account))


def _invoice(row: Any) -> Invoice:
    values = dict(zip(Invoice.__dataclass_fields__, row, strict=True))
    amounts = {name: _amount(values[name]) for name in ("amount_due", "amount_paid", "amount_remaining")}
    return Invoice(
        **values
        | amounts
        | {
            "currency": values["currency"] or "",
            "created": read_time(values["created"]),
            "attempt_count": int(values["attempt_count"] or 0),
            "attempted": bool(values["attempted"]),
        }
    )


def _amount(stored: Any) -> Decimal:
    """Read an amount, which SQLite gives as a float; what somebody made no amount counts as nothing."""
    try:
        amount = Decimal(str(stored))
    except InvalidOperation:
        return Decimal(0)
    return amount if amount.is_finite() else Decimal(0)


def _sync(values: dict[str, Any]) -> SyncMark:
    numbers = ("sync_number", "new", "updated", "deleted", "rejected")
    texts = ("sync_mode", "unverified_reason", "error")
    return SyncMark(
        **values
        | {name: int(values[name] or 0) for name in numbers}
        | {name: values[name] or "" for name in texts}
        | {name: read_time(values[name]) for name in ("started_at", "finished_at")}
        | {"verified": bool(values["verified"])}
    )
