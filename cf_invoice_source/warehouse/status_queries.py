"""What a dataset holds of each account, for people to read: sums, dates, and what the last sync said."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import dlt
from dlt.common.time import ensure_datetime_in_tz

from cf_invoice_source.invoices.syncs import SYNC_COLUMNS, Sync
from cf_invoice_source.walk.bookmark import Bookmark, from_dict
from cf_invoice_source.warehouse.reader import TableReader, bookmarks_in


class StatusQueries(TableReader):
    """Reads our tables, whoever loaded them. A table that is not there reads as empty."""

    def __init__(self, dataset: dlt.Dataset) -> None:
        super().__init__(lambda: dataset.destination_client)

    def newest(self) -> dict[str, datetime | None]:
        """Give the newest `created` of each account that has invoices."""
        rows = self._query("SELECT {account_id}, max({created}) FROM {invoices} GROUP BY {account_id}")
        return {account_id: _time(created) for account_id, created in rows}

    def open_amounts(self) -> Iterator[tuple[str, str, Decimal]]:
        """Give account, currency and remaining amount of each open invoice: a database's sum may overflow."""
        select = "SELECT {account_id}, {currency}, {amount_remaining} FROM {invoices} WHERE {status} = 'open'"
        for account_id, currency, amount in self._query(select):
            yield account_id, currency, Decimal(str(amount))  # SQLite gives floats

    def last_syncs(self) -> dict[str, Sync]:
        """Give the row of each account's last sync."""
        syncs = {}
        for row in self._latest(tuple(SYNC_COLUMNS), "account_id"):
            values = dict(zip(SYNC_COLUMNS, row, strict=True))
            for name in ("started_at", "finished_at"):
                values[name] = _time(values[name])
            syncs[values["account_id"]] = Sync(**values)
        return syncs

    def last_full_syncs(self) -> dict[str, datetime | None]:
        """Say when each account's list was last read as a whole, and verified."""
        columns = ("account_id", "verified", "sync_mode", "started_at")
        rows = self._latest(columns, "account_id", "verified", "sync_mode")
        found: dict[str, datetime | None] = {}
        for account_id, verified, sync_mode, started_at in rows:
            if verified and sync_mode != "incremental":
                found[account_id] = max(filter(None, (found.get(account_id), _time(started_at))))
        return found

    def last_verified_syncs(self) -> dict[str, datetime | None]:
        """Say when each account was last verified."""
        rows = self._latest(("account_id", "verified", "finished_at"), "account_id", "verified")
        return {account_id: _time(finished_at) for account_id, verified, finished_at in rows if verified}

    def _latest(self, columns: tuple[str, ...], *by: str) -> Iterator[Any]:
        """Give the sync with the highest number of each group: clocks do not say which was the last."""
        selected = ", ".join(f"s.{{{column}}}" for column in columns)
        grouped = ", ".join(f"{{{column}}}" for column in by)
        same = " AND ".join(f"s.{{{column}}} = latest.{{{column}}}" for column in (*by, "sync_number"))
        yield from self._query(
            f"SELECT {selected} FROM {{invoice_syncs}} s JOIN (SELECT {grouped}, max({{sync_number}}) AS "
            f"{{sync_number}} FROM {{invoice_syncs}} GROUP BY {grouped}) latest ON {same}"
        )

    def bookmarks(self) -> dict[str, dict[str, Bookmark]]:
        """Give what each pipeline remembers of its accounts, by its name."""
        return {
            pipeline_name: {key: from_dict(stored) for key, stored in bookmarks_in(state).items()}
            for pipeline_name, state in self.stored_states().items()
        }


def _time(stored: Any) -> datetime | None:
    """Read a timestamp, which some databases give as text."""
    return None if stored is None else ensure_datetime_in_tz(stored, timezone.utc)
