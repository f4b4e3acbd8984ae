"""Reads our tables of one dataset by SQL, in the dialect and with the quotes of its database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dlt.destinations.exceptions import DatabaseUndefinedRelation
from dlt.destinations.sql_client import SqlClientBase

from cf_invoice_source.hints import INVOICES, TABLES
from cf_invoice_source.keeping import Keeping


class Tables:
    """Asks queries about our tables. A table that is not there reads as empty.

    Args:
        connect: Makes a client that opens a connection each time it is entered.
    """

    def __init__(self, connect: Callable[[], SqlClientBase[Any]]) -> None:
        self._connect = connect
        self._loaded_as: Keeping | None = None
        self._made: SqlClientBase[Any] | None = None
        self._client: SqlClientBase[Any] | None = None

    @contextmanager
    def connected(self) -> Iterator[SqlClientBase[Any]]:
        """Keep one connection for everything that is read inside: to open one costs more than a query."""
        if self._client:
            yield self._client
            return
        self._made = self._made or self._connect()
        with self._made as client:
            self._client = client
            try:
                yield client
            finally:
                self._client = None

    def _query(self, select: str, *args: Any) -> list[Any]:
        """Fetch all rows of a SELECT that has each name of a table or column in braces.

        `{current}` are the rows of `invoices` that are true now, however it is kept.
        """
        with self.connected() as client:
            names = _Names(client)
            names["current"] = _CURRENT[self.loaded_as() or "merge"].format_map(names)
            try:
                return list(client.execute_sql(select.format_map(names), *args) or ())
            except DatabaseUndefinedRelation:
                return []

    def loaded_as(self) -> Keeping | None:
        """Say how `invoices` has been kept so far; None where it was never loaded."""
        self._loaded_as = self._loaded_as or self._find_keeping()
        return self._loaded_as

    def _find_keeping(self) -> Keeping | None:
        raise NotImplementedError

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
    "append": f"(SELECT DISTINCT {_COLUMNS} FROM {{invoices}} r JOIN ({_LATEST}) latest "  # noqa: S608
    "ON r.{account_id} = latest.{account_id} AND r.{id} = latest.{id} "
    "AND r.{_dlt_load_id} = latest.{_dlt_load_id} WHERE r.{deleted} IS NULL) AS newest_rows",
}
"""The rows of `invoices` that are true now, as a table."""


class _Names(dict[str, str]):
    """Quotes a table's or a column's name as its database wants it."""

    def __init__(self, client: SqlClientBase[Any]) -> None:
        super().__init__()
        self._client = client

    def __missing__(self, name: str) -> str:
        if name in TABLES:
            return self._client.make_qualified_table_name(name)
        return self._client.escape_column_name(name)
