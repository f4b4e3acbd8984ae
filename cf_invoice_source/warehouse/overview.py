"""What a dataset holds of each account, for people to read: sums, dates, and what the last walk said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import dlt
from dlt.common.destination.client import WithStateSync
from dlt.common.destination.exceptions import DestinationUndefinedEntity
from dlt.common.time import ensure_datetime_in_tz
from dlt.pipeline.state_sync import load_pipeline_state_from_destination

from cf_invoice_source.invoices.tables import INVOICES
from cf_invoice_source.loading.write_disposition import Keeping, keeping_of
from cf_invoice_source.settings import SECTION
from cf_invoice_source.warehouse.reader import Tables

WALK = ("started_at", "finished_at", "kind", "why", "proven", "doubt", "error")
"""What is told of an account's last walk."""


class Overview(Tables):
    """Reads our tables, whoever loaded them. A table that is not there reads as empty.

    Args:
        dataset: Where they are.
    """

    def __init__(self, dataset: dlt.Dataset) -> None:
        super().__init__(lambda: dataset.destination_client)
        self._dataset = dataset

    def _find_keeping(self) -> Keeping | None:
        table = self._dataset.schema.tables.get(INVOICES)
        return keeping_of(table) if table else None

    def newest(self) -> dict[str, datetime | None]:
        """Give the newest `created` of each account that has invoices."""
        rows = self._query("SELECT {account_id}, max({created}) FROM {current} GROUP BY {account_id}")
        return {account_id: _time(created) for account_id, created in rows}

    def open_amounts(self) -> Iterator[tuple[str, str, Decimal]]:
        """Give account, currency and remaining amount of each open invoice: a database's sum may overflow."""
        select = "SELECT {account_id}, {currency}, {amount_remaining} FROM {current} WHERE {status} = 'open'"
        for account_id, currency, amount in self._query(select):
            yield account_id, currency, Decimal(str(amount))  # SQLite gives floats

    def last_walks(self) -> dict[str, dict[str, Any]]:
        """Give the row of each account's last walk, as named in `WALK`."""
        columns = ", ".join(f"w.{{{column}}}" for column in ("account_id", *WALK))
        rows = self._query(
            f"SELECT {columns} FROM {{invoice_walks}} w JOIN (SELECT {{account_id}}, max({{started_at}}) "
            "AS {started_at} FROM {invoice_walks} GROUP BY {account_id}) latest "
            "ON w.{account_id} = latest.{account_id} AND w.{started_at} = latest.{started_at}"
        )
        walks = {account_id: dict(zip(WALK, row, strict=True)) for account_id, *row in rows}
        for walk in walks.values():
            walk |= {name: _time(walk[name]) for name in ("started_at", "finished_at")}
        return walks

    def last_full_walks(self) -> dict[str, datetime | None]:
        """Say when each account's list was last read as a whole, and proven."""
        rows = self._query(
            "SELECT {account_id}, {proven}, max({started_at}) FROM {invoice_walks} "
            "WHERE {kind} <> 'incremental' GROUP BY {account_id}, {proven}"
        )
        return {account_id: _time(started_at) for account_id, proven, started_at in rows if proven}

    def bookmarks(self, pipeline_name: str) -> Mapping[str, Any]:
        """Give the bookmark that the pipeline stored with the rows, by account."""
        with self._dataset.destination_client as client:
            if not isinstance(client, WithStateSync):
                return {}
            try:
                state: Any = load_pipeline_state_from_destination(pipeline_name, client)
            except DestinationUndefinedEntity:
                return {}
        for name in ("sources", SECTION, "resources", INVOICES, "bookmarks"):
            state = (state or {}).get(name)
        return state or {}


def _time(stored: Any) -> datetime | None:
    """Read a timestamp, which some databases give as text."""
    return None if stored is None else ensure_datetime_in_tz(stored, timezone.utc)
