"""Reads our tables of one dataset by SQL, in the dialect and with the quotes of its database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any

from dlt.common.destination.client import JobClientBase
from dlt.common.destination.exceptions import DestinationUndefinedEntity
from dlt.destinations.sql_client import SqlClientBase

from cf_invoice_source.errors import MixedTypesError
from cf_invoice_source.invoices.tables import INVOICES, TABLES
from cf_invoice_source.schema.capabilities import Capabilities, TableFormat
from cf_invoice_source.settings import InvoiceType
from cf_invoice_source.warehouse.destination import destination_capabilities, sql_client_of

_ROWS_AT_ONCE = 1_000


class TableReader:
    """Asks queries about our tables, each row in its newest form. A table that is not there reads as empty.

    Args:
        connect: Makes a client of the destination, with the schema of the tables.
        table_format: The format that the user chose for the tables; without it, the one they have.
    """

    def __init__(self, connect: Callable[[], JobClientBase], table_format: TableFormat | None = None) -> None:
        self._connect = connect
        self.table_format = table_format
        self._made: JobClientBase | None = None
        self._client: SqlClientBase[Any] | None = None

    @cached_property
    def capabilities(self) -> Capabilities:
        """What the destination can do for our tables."""
        return destination_capabilities(self._job_client(), self.table_format)

    @property
    def dialect(self) -> str | None:
        """Sqlglot's name for the SQL of the destination."""
        return self._job_client().capabilities.sqlglot_dialect

    def _job_client(self) -> JobClientBase:
        self._made = self._made or self._connect()
        return self._made

    @contextmanager
    def connected(self) -> Iterator[SqlClientBase[Any] | None]:
        """Keep one connection for everything that is read inside: to open one costs more than a query.

        It is None where the destination cannot be read.
        """
        sql_client = self._client or sql_client_of(self._job_client())
        if self._client or not sql_client:
            yield sql_client
            return
        with sql_client as client:
            self._client = client
            try:
                yield client
            finally:
                self._client = None
                self._made = None  # it remembers what the tables were

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
            names = _Names(client, self.capabilities)
            with (
                suppress(DestinationUndefinedEntity),
                client.execute_query(select.format_map(names), *args) as cursor,
            ):
                for rows in cursor.iter_fetch(_ROWS_AT_ONCE):
                    yield from rows

    def check_type(self, invoice_type: InvoiceType) -> None:
        """Check that invoices of this type may be loaded.

        Raises:
            MixedTypesError: There are some of another type.
        """
        types = {row[0] for row in self._query("SELECT DISTINCT {type} FROM {invoice_syncs}")}
        if others := types - {invoice_type}:
            raise MixedTypesError(
                f"The dataset holds invoices of type {', '.join(sorted(others))}, not {invoice_type}.",
                remedy="load each type into a dataset of its own, with --dataset",
            )

    def counts(self) -> Mapping[str, tuple[int, int]]:
        """Count each account's invoices and current rejects."""
        counts: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
        invoices = "SELECT {account_id}, count(*) FROM {invoices} GROUP BY {account_id}"
        for account_id, count in self._query(invoices):
            counts[account_id] = (count, 0)
        rejects = (
            "SELECT {account_id}, count(*) FROM {invoice_rejects} WHERE {resolved_at} IS NULL "
            "GROUP BY {account_id}"
        )
        for account_id, count in self._query(rejects):
            counts[account_id] = (counts[account_id][0], count)
        return counts


class _Names(dict[str, str]):
    """Quotes a column's name as its database wants it, and selects the rows of a table that count."""

    def __init__(self, client: SqlClientBase[Any], capabilities: Capabilities) -> None:
        super().__init__()
        self._client = client
        self._capabilities = capabilities

    def __missing__(self, name: str) -> str:
        if name not in TABLES:
            return self._client.escape_column_name(name)
        rows = self._client.make_qualified_table_name(name)
        if not self._capabilities.replaces:
            key = ", ".join(map(self._client.escape_column_name, TABLES[name].key))
            newest = f"row_number() OVER (PARTITION BY {key} ORDER BY {self['_dlt_load_id']} DESC)"
            numbered = f"(SELECT *, {newest} AS newest_first FROM {rows}) AS numbered"
            rows = f"(SELECT * FROM {numbered} WHERE newest_first = 1)"
        if name == INVOICES and not self._capabilities.is_mirror:
            rows = f"(SELECT * FROM {rows} AS newest WHERE {self['deleted']} IS NULL)"
        return rows
