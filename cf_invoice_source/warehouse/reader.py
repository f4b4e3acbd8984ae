"""Reads our tables of one dataset by SQL, in the dialect of its database, and answers questions on them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any

import dlt
from dlt.common.schema.typing import PIPELINE_STATE_TABLE_NAME
from dlt.common.time import ensure_datetime_in_tz
from dlt.common.versioned_state import decompress_state
from dlt.destinations.sql_client import SqlClientBase

from cf_invoice_source.errors import MixedTypesError, SettingsError
from cf_invoice_source.invoices.columns import Table
from cf_invoice_source.invoices.syncs import SYNC_COLUMNS, Sync
from cf_invoice_source.invoices.tables import DICTIONARY, INVOICES, MORE_FIELDS, TABLES
from cf_invoice_source.invoices.values import EPOCH
from cf_invoice_source.redaction import readable
from cf_invoice_source.schema.capabilities import Capabilities, TableFormat
from cf_invoice_source.settings import SECTION, InvoiceType
from cf_invoice_source.walk.bookmark import Bookmark, from_text
from cf_invoice_source.warehouse.destination import destination_capabilities, sql_client_of
from cf_invoice_source.warehouse.dlt_errors import translated_driver_errors
from cf_invoice_source.warehouse.dlt_names import DestinationUndefinedEntity, JobClientBase

MOST = 2**63 - 1
"""What a BIGINT holds: a number that was counted further by hand stays where it can be written."""


class TableReader:
    """Queries our tables; of each row the newest version counts. A missing table reads as empty."""

    def __init__(self, connect: Callable[[], JobClientBase], table_format: TableFormat | None = None) -> None:
        self._connect = connect
        self.table_format = table_format  # None for the one that the tables were made in
        self._client: JobClientBase | None = None
        self._sql_client: SqlClientBase[Any] | None = None

    @cached_property
    def capabilities(self) -> Capabilities:
        """What the destination can do for our tables."""
        return destination_capabilities(self._job_client(), self.table_format)

    def _job_client(self) -> JobClientBase:
        self._client = self._client or self._connect()
        return self._client

    @contextmanager
    def connected(self) -> Iterator[SqlClientBase[Any] | None]:
        """Keep one connection for everything that is read inside; None if nothing can be read."""
        sql_client = self._sql_client or sql_client_of(self._job_client())
        if self._sql_client or not sql_client:
            yield sql_client
            return
        with sql_client as client:
            self._sql_client = client
            try:
                yield client
            finally:
                self._sql_client = self._client = None  # it remembers what the tables were

    def stored_states(self) -> dict[str, Any]:
        """Give the state that each pipeline stored with the rows, by its name."""
        # dlt itself takes the one with the latest load ID, which is a time of some machine's clock.
        newest = self._query(
            "SELECT s.{pipeline_name}, s.{state} FROM {_dlt_pipeline_state} s JOIN (SELECT {pipeline_name}, "
            "max({version}) AS {version} FROM {_dlt_pipeline_state} GROUP BY {pipeline_name}) latest "
            "ON s.{pipeline_name} = latest.{pipeline_name} AND s.{version} = latest.{version}"
        )
        return {pipeline_name: decompress_state(state) for pipeline_name, state in newest}

    def _query(self, select: str, *args: Any) -> list[Any]:
        return list(self._stream(select, *args))

    def _stream(self, select: str, *args: Any) -> Iterator[Any]:
        """Yield the rows of a SELECT in which names of tables and columns stand in braces.

        Take all rows before anything else is asked: on one connection, DuckDB has one answer at a time.
        """
        with suppress(DestinationUndefinedEntity):
            yield from self._ask(select, *args)

    def _query_all(self, *selects: str) -> list[Any]:
        """Give the rows of several SELECTs with the same columns: as one query, if all tables are there."""
        try:
            return list(self._ask(" UNION ALL ".join(selects)))
        except DestinationUndefinedEntity:
            return [row for select in selects for row in self._query(select)]

    def _ask(self, select: str, *args: Any) -> Iterator[Any]:
        with self.connected() as client:
            if not client:
                return
            query = select.format_map(self._names(client))
            # Some drivers fail at a row with a time that Python does not know.
            with translated_driver_errors(), client.execute_query(query, *args) as cursor:
                for rows in cursor.iter_fetch(1_000):
                    yield from rows

    def _names(self, client: SqlClientBase[Any]) -> dict[str, str]:
        """Quote columns for this database, and select the rows of each table that count."""
        ours = [column for table in DICTIONARY.values() for column in table.columns]
        columns = ("_dlt_load_id", "pipeline_name", "state", MORE_FIELDS, *ours)
        names = {column: client.escape_column_name(column) for column in columns}
        for name, table in DICTIONARY.items():
            rows = client.make_qualified_table_name(name)
            if not self.capabilities.replaces:
                key = ", ".join(names[column] for column in table.key)
                newest = f"row_number() OVER (PARTITION BY {key} ORDER BY {names['_dlt_load_id']} DESC)"
                numbered = f"(SELECT *, {newest} AS newest_first FROM {rows}) AS numbered"
                rows = f"(SELECT * FROM {numbered} WHERE newest_first = 1)"
            if name == INVOICES and not (self.capabilities.replaces and self.capabilities.deletes):
                rows = f"(SELECT * FROM {rows} AS newest WHERE {names['deleted']} IS NULL)"
            names[name] = rows
        names[PIPELINE_STATE_TABLE_NAME] = client.make_qualified_table_name(PIPELINE_STATE_TABLE_NAME)
        return names

    def syncs_so_far(self, invoice_type: InvoiceType | None = None) -> dict[str, int]:
        """Give the number of the last sync of each account.

        Raises:
            MixedTypesError: There are invoices of another type than the one that is given.
        """
        by_type = "{account_id}, {type}"
        syncs = self._query(
            f"SELECT {by_type}, max({{sync_number}}) FROM {{invoice_syncs}} GROUP BY {by_type}"
        )
        others = {type_ for _, type_, _ in syncs} - {invoice_type, None} if invoice_type else ()
        if others:
            cause = f"The dataset holds invoices of type {', '.join(sorted(others))}, not {invoice_type}."
            raise MixedTypesError(cause, remedy="load each type into a dataset of its own, with --dataset")
        numbers = Counter[str]()
        for account_id, _, number in syncs:
            numbers[account_id] = max(numbers[account_id], min(number or 0, MOST - 1))
        return numbers

    def check_owner(self, tables: Mapping[str, Table] = TABLES) -> None:
        """Check that no table of another program has the name of one of ours."""
        with self.connected() as client:
            if not client:
                return
            for name, table in tables.items():
                rows = client.make_qualified_table_name(name)
                key = ", ".join(map(client.escape_column_name, table.key))
                selects = [f"SELECT {columns} FROM {rows} WHERE 1 = 0" for columns in ("1", key)]
                is_there, is_ours = (can_be_asked(client, select) for select in selects)
                if is_there and not is_ours:
                    raise SettingsError(
                        f"The dataset has a table {name} already that is not of this package.",
                        remedy="load into a dataset of its own: --dataset with another name",
                    )

    def counts(self) -> Mapping[str, tuple[int, int]]:
        """Count each account's invoices and current rejects."""
        invoices = "SELECT {account_id}, count(*), 0 FROM {invoices} GROUP BY {account_id}"
        rejects = "SELECT {account_id}, 0, count(*) FROM {invoice_rejects} WHERE {resolved_at} IS NULL"
        counts = defaultdict[str, tuple[int, int]](lambda: (0, 0))
        for account_id, *more in self._query_all(invoices, rejects + " GROUP BY {account_id}"):
            held, rejected = counts[account_id]
            counts[account_id] = (held + more[0], rejected + more[1])
        return counts

    def reject_reasons(self) -> Mapping[str, tuple[str, ...]]:
        """Say why records of each account are rejected now, each reason once."""
        current = "SELECT DISTINCT {account_id}, {reason} FROM {invoice_rejects} WHERE {resolved_at} IS NULL"
        reasons = defaultdict[str, tuple[str, ...]](tuple)
        for account_id, reason in sorted(self._query(current)):
            reasons[account_id] += (readable(reason),)
        return reasons


class StatusQueries(TableReader):
    """Reads our tables, whichever pipeline loaded them. A missing table reads as empty."""

    def __init__(self, dataset: dlt.Dataset) -> None:
        super().__init__(lambda: dataset.destination_client)

    def newest(self) -> dict[str, datetime | None]:
        """Give the newest `created` of each account that has invoices."""
        rows = self._query("SELECT {account_id}, max({created}) FROM {invoices} GROUP BY {account_id}")
        return {account_id: read_time(created) for account_id, created in rows}

    def open_amounts(self) -> Iterator[tuple[str, str, Decimal]]:
        """Give account, currency and remaining amount of each open invoice: a database's sum may overflow."""
        select = "SELECT {account_id}, {currency}, {amount_remaining} FROM {invoices} WHERE {status} = 'open'"
        for account_id, currency, amount in self._query(select):
            with suppress(InvalidOperation):  # what is no amount cannot be added
                yield account_id, str(currency), Decimal(str(amount))  # SQLite gives floats

    def unbalanced(self) -> Counter[str]:
        """Count each account's invoices whose amounts do not add up; those of a void one need not."""
        # Only those are read that are partly paid or wrong, and added up here: a database's sum may overflow.
        rows = self._stream(
            "SELECT {account_id}, {amount_due}, {amount_paid}, {amount_remaining} FROM {invoices} "
            "WHERE ({status} IS NULL OR {status} <> 'void') "
            "AND NOT ({amount_due} = {amount_paid} AND {amount_remaining} = 0) "
            "AND NOT ({amount_due} = {amount_remaining} AND {amount_paid} = 0)"
        )
        exact = ((account_id, *(Decimal(str(amount)) for amount in amounts)) for account_id, *amounts in rows)
        return Counter(account_id for account_id, due, paid, left in exact if due != paid + left)

    def last_syncs(self) -> dict[str, Sync]:
        """Give the row of each account's last sync."""
        syncs = {}
        for row in self._latest(tuple(SYNC_COLUMNS), "account_id"):
            values = dict(zip(SYNC_COLUMNS, row, strict=True))
            values |= {name: read_time(values[name]) for name in ("started_at", "finished_at")}
            values = {
                name: _EMPTY[SYNC_COLUMNS[name].type] if values[name] is None else values[name]
                for name in values
            }
            syncs[values["account_id"]] = Sync(**values)
        return syncs

    def last_full_syncs(self) -> dict[str, datetime | None]:
        """Say when each account's list was last read as a whole, and verified."""
        columns = ("account_id", "verified", "sync_mode", "started_at")
        rows = self._latest(columns, "account_id", "verified", "sync_mode")
        found: dict[str, datetime | None] = {}
        for account_id, verified, sync_mode, started_at in rows:
            if verified and sync_mode != "incremental":
                times = (found.get(account_id), read_time(started_at))
                found[account_id] = max(filter(None, times), default=None)
        return found

    def last_verified_syncs(self) -> dict[str, datetime | None]:
        """Say when each account was last verified."""
        rows = self._latest(("account_id", "verified", "finished_at"), "account_id", "verified")
        return {account_id: read_time(finished_at) for account_id, verified, finished_at in rows if verified}

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
            pipeline_name: {key: from_text(stored) for key, stored in bookmarks_in(state).items()}
            for pipeline_name, state in self.stored_states().items()
        }


def read_time(stored: Any) -> datetime | None:
    """Read a stored time, which some give as a text; None if there is none that Python knows."""
    try:
        return None if stored is None else ensure_datetime_in_tz(stored, timezone.utc)
    except (ValueError, OverflowError):
        return None


_EMPTY: Mapping[str, Any] = {"text": "", "bigint": 0, "bool": False, "timestamp": EPOCH}
"""What a column of `invoice_syncs` has in place of a value that somebody took away."""


def bookmarks_in(state: Any) -> Mapping[str, Any]:
    """Give our bookmarks by account from the state of a pipeline, which may have other sources, too."""
    for name in ("sources", SECTION, "resources", INVOICES, "bookmarks"):
        state = state.get(name) if isinstance(state, Mapping) else None
    return state if isinstance(state, Mapping) else {}


def can_be_asked(client: SqlClientBase[Any], select: str) -> bool:
    """Whether a query works although the connection does: a temporary fault is no damage."""
    try:
        client.execute_sql(select)
    except DestinationUndefinedEntity:
        return False
    # Each database has its own error for a missing column. So a query that failed is tried once more, after
    # another one that must work.
    except Exception:  # noqa: BLE001 - see above
        client.execute_sql("SELECT 1")
        with suppress(Exception):
            client.execute_sql(select)
            return True
        return False
    return True
