"""Reads our tables of one dataset by SQL, in the dialect and with the quotes of its database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any

from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.destination.client import JobClientBase
from dlt.common.destination.exceptions import DestinationUndefinedEntity
from dlt.destinations.impl.filesystem.filesystem import FilesystemClient
from dlt.destinations.sql_client import SqlClientBase

from cf_invoice_source.errors import MixedTypesError, SettingsError
from cf_invoice_source.invoices.tables import INVOICES, TABLES
from cf_invoice_source.loading.write_disposition import Keeping
from cf_invoice_source.schema.capabilities import Abilities, TableFormat
from cf_invoice_source.settings import InvoiceType
from cf_invoice_source.warehouse.abilities import abilities_of, sql_client_of

_ROWS_AT_ONCE = 1_000


class Tables:
    """Asks queries about our tables, each row in its newest form. A table that is not there reads as empty.

    Args:
        connect: Makes a client of the destination, with the schema of the tables.
        table_format: The format that the user chose for the tables; without it, the one they have.
    """

    def __init__(self, connect: Callable[[], JobClientBase], table_format: TableFormat | None = None) -> None:
        self._connect = connect
        self.table_format = table_format
        self._loaded_as: Keeping | None = None
        self._made: JobClientBase | None = None
        self._client: SqlClientBase[Any] | None = None

    @cached_property
    def abilities(self) -> Abilities:
        """What the destination can do for our tables."""
        return abilities_of(self._job_client(), self.table_format)

    @property
    def capabilities(self) -> DestinationCapabilitiesContext:
        """What dlt can do there."""
        return self._job_client().capabilities

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
                if isinstance(self._made, FilesystemClient):  # it remembers what the tables were
                    self._made = None

    def _query(self, select: str, *args: Any) -> list[Any]:
        """Fetch all rows of a SELECT; see `_stream`."""
        return list(self._stream(select, *args))

    def _stream(self, select: str, *args: Any) -> Iterator[Any]:
        """Give row after row of a SELECT that has each name of a table or column in braces.

        `{current}` are the rows of `invoices` that are true now, however it is kept. Take all rows before
        anything else is asked: on one connection, DuckDB has one answer at a time.
        """
        with self.connected() as client:
            if not client:
                return
            names = _Names(client, self.abilities)
            if "{current}" in select:  # before the first load, to find out asks the destination
                names["current"] = _CURRENT[self.loaded_as() or "merge"].format_map(names)
            with (
                suppress(DestinationUndefinedEntity),
                client.execute_query(select.format_map(names), *args) as cursor,
            ):
                for rows in cursor.iter_fetch(_ROWS_AT_ONCE):
                    yield from rows

    def loaded_as(self) -> Keeping | None:
        """Say how `invoices` has been kept so far; None where it was never loaded."""
        self._loaded_as = self._loaded_as or self._find_keeping()
        return self._loaded_as

    def _find_keeping(self) -> Keeping | None:
        raise NotImplementedError

    def check_type(self, invoice_type: InvoiceType) -> None:
        """Check that invoices of this type may be loaded.

        Raises:
            MixedTypesError: There are some of another type.
        """
        types = {row[0] for row in self._query("SELECT DISTINCT {type} FROM {invoice_walks}")}
        if others := types - {invoice_type}:
            raise MixedTypesError(
                f"The dataset holds invoices of type {', '.join(sorted(others))}, not {invoice_type}.",
                remedy="load each type into a dataset of its own, with --dataset",
            )

    def check_keeping(self, keeping: Keeping) -> None:
        """Check that `invoices` can be kept so.

        Raises:
            SettingsError: The destination cannot do it, or what is there is kept in another way.
        """
        if keeping == "scd2" and "scd2" not in (self.capabilities.supported_merge_strategies or ()):
            raise SettingsError("This destination cannot load with scd2.", remedy="use merge or append")
        loaded_as = self.loaded_as()
        if loaded_as not in {None, keeping} and self.holds_invoices():
            raise SettingsError(
                f"The dataset was loaded with {loaded_as}, and cannot go on with {keeping}.",
                remedy=f"set write_disposition to {loaded_as}, or load into another dataset, with --dataset",
            )

    def holds_invoices(self) -> bool:
        """Whether `invoices` has any row."""
        return any(count for (count,) in self._query("SELECT count(*) FROM {invoices}"))

    def counts(self) -> Mapping[str, tuple[int, int]]:
        """Count each account's invoices and current rejects."""
        counts: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
        invoices = "SELECT {account_id}, count(*) FROM {current} GROUP BY {account_id}"
        for account_id, count in self._query(invoices):
            counts[account_id] = (count, 0)
        rejects = (
            "SELECT {account_id}, count(*) FROM {invoice_rejects} WHERE {resolved_at} IS NULL "
            "GROUP BY {account_id}"
        )
        for account_id, count in self._query(rejects):
            counts[account_id] = (counts[account_id][0], count)
        return counts


_LATEST = (
    "SELECT {account_id}, {id}, max({_dlt_load_id}) AS {_dlt_load_id} "
    "FROM {invoices} GROUP BY {account_id}, {id}"
)
_COLUMNS = ", ".join(f"r.{{{column}}}" for column in TABLES[INVOICES]["columns"])
_CURRENT: Mapping[Keeping, str] = {
    "merge": "{invoices}",
    "scd2": "(SELECT * FROM {invoices} WHERE {_dlt_valid_to} IS NULL) AS open_versions",
    # dlt itself loads a package again that was cut off, and that leaves its rows twice.
    "append": f"(SELECT DISTINCT {_COLUMNS} FROM {{invoices}} r JOIN ({_LATEST}) latest "
    "ON r.{account_id} = latest.{account_id} AND r.{id} = latest.{id} "
    "AND r.{_dlt_load_id} = latest.{_dlt_load_id} WHERE r.{deleted} IS NULL) AS newest_rows",
}
"""The rows of `invoices` that are true now, as a table."""


class _Names(dict[str, str]):
    """Quotes a column's name as its database wants it, and selects the rows of a table that count."""

    def __init__(self, client: SqlClientBase[Any], abilities: Abilities) -> None:
        super().__init__()
        self._client = client
        self._abilities = abilities

    def __missing__(self, name: str) -> str:
        if name not in TABLES:
            return self._client.escape_column_name(name)
        rows = self._client.make_qualified_table_name(name)
        if not self._abilities.replaces:
            key = ", ".join(map(self._client.escape_column_name, TABLES[name]["primary_key"]))
            newest = f"row_number() OVER (PARTITION BY {key} ORDER BY {self['_dlt_load_id']} DESC)"
            rows = f"(SELECT * FROM (SELECT *, {newest} AS place FROM {rows}) AS placed WHERE place = 1)"
        if name == INVOICES and not self._abilities.is_mirror:
            rows = f"(SELECT * FROM {rows} AS newest WHERE {self['deleted']} IS NULL)"
        return rows
