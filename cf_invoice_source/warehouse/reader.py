"""Reads our tables of one dataset by SQL, in the dialect and with the quotes of its database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any, cast

from dlt.common.destination.client import JobClientBase
from dlt.common.destination.exceptions import DestinationUndefinedEntity
from dlt.common.schema.typing import PIPELINE_STATE_TABLE_NAME
from dlt.common.versioned_state import decompress_state
from dlt.destinations.sql_client import SqlClientBase

from cf_invoice_source.errors import MixedTypesError
from cf_invoice_source.invoices.tables import INVOICES, TABLES
from cf_invoice_source.schema.capabilities import Capabilities, TableFormat
from cf_invoice_source.settings import SECTION, InvoiceType
from cf_invoice_source.warehouse.destination import destination_capabilities, sql_client_of

_ROWS_AT_ONCE = 1_000


class TableReader:
    """Asks queries about our tables, each row in its newest form. A table that is not there reads as empty.

    Without a format that the user chose, the tables have the one they were made in.
    """

    def __init__(self, connect: Callable[[], JobClientBase], table_format: TableFormat | None = None) -> None:
        self._connect = connect
        self.table_format = table_format
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
        """Keep one connection for everything that is read inside: to open one costs more than a query.

        It is None where the destination cannot be read.
        """
        sql_client = self._sql_client or sql_client_of(self._job_client())
        if self._sql_client or not sql_client:
            yield sql_client
            return
        with sql_client as client:
            self._sql_client = client
            try:
                yield client
            finally:
                self._sql_client = None
                self._client = None  # it remembers what the tables were

    def stored_states(self) -> dict[str, Any]:
        """Give the state that each pipeline stored with the rows, by its name.

        dlt itself takes the one with the latest load ID, which is a time of some machine's clock; here the
        highest version counts.
        """
        newest = self._query(
            "SELECT s.{pipeline_name}, s.{state} FROM {_dlt_pipeline_state} s JOIN (SELECT {pipeline_name}, "
            "max({version}) AS {version} FROM {_dlt_pipeline_state} GROUP BY {pipeline_name}) latest "
            "ON s.{pipeline_name} = latest.{pipeline_name} AND s.{version} = latest.{version}"
        )
        return {pipeline_name: decompress_state(state) for pipeline_name, state in newest}

    def _query(self, select: str, *args: Any) -> list[Any]:
        """Fetch all rows of a SELECT; see `_stream`."""
        return list(self._stream(select, *args))

    def _stream(self, select: str, *args: Any) -> Iterator[Any]:
        """Give row after row of a SELECT that has each name of a table or column in braces.

        Take all rows before anything else is asked: on one connection, DuckDB has one answer at a time.
        """
        with self.connected() as client:
            if not client:
                return
            query = select.format_map(self._names(client))
            with suppress(DestinationUndefinedEntity), client.execute_query(query, *args) as cursor:
                for rows in cursor.iter_fetch(_ROWS_AT_ONCE):
                    yield from rows

    def _names(self, client: SqlClientBase[Any]) -> dict[str, str]:
        """Quote columns as the database wants it, and select the rows of each table that count."""
        columns = {"_dlt_load_id", "pipeline_name", "state"}.union(
            *(each.columns for each in TABLES.values())
        )
        names = {column: client.escape_column_name(column) for column in columns}
        for name, table in TABLES.items():
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

    def check_type(self, invoice_type: InvoiceType) -> None:
        """Check that there are no invoices of another type."""
        types = {row[0] for row in self._query("SELECT DISTINCT {type} FROM {invoice_syncs}")}
        if others := types - {invoice_type}:
            raise MixedTypesError(
                f"The dataset holds invoices of type {', '.join(sorted(others))}, not {invoice_type}.",
                remedy="load each type into a dataset of its own, with --dataset",
            )

    def counts(self) -> Mapping[str, tuple[int, int]]:
        """Count each account's invoices and current rejects."""
        select = "SELECT {account_id}, count(*) FROM "
        by_account = " GROUP BY {account_id}"
        invoices = dict(self._query(select + "{invoices}" + by_account))
        rejects = dict(self._query(select + "{invoice_rejects} WHERE {resolved_at} IS NULL" + by_account))
        counts: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
        for account_id in invoices.keys() | rejects.keys():
            counts[account_id] = (invoices.get(account_id, 0), rejects.get(account_id, 0))
        return counts


def bookmarks_in(state: Any) -> Mapping[str, Any]:
    """Give our bookmarks by account from a pipeline's state, in which other sources have their own."""
    for name in ("sources", SECTION, "resources", INVOICES, "bookmarks"):
        state = state.get(name) or {}
    return cast("Mapping[str, Any]", state)
