"""Reads our tables of one dataset by SQL, in the dialect and with the quotes of its database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dlt.destinations.exceptions import DatabaseUndefinedRelation
from dlt.destinations.sql_client import SqlClientBase

from cf_invoice_source.hints import TABLES


class Tables:
    """Asks queries about our tables. A table that is not there reads as empty.

    Args:
        connect: Makes a client that opens a connection each time it is entered.
    """

    def __init__(self, connect: Callable[[], SqlClientBase[Any]]) -> None:
        self._connect = connect
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
        """Fetch all rows of a SELECT that has each name of a table or column in braces."""
        with self.connected() as client:
            try:
                return list(client.execute_sql(select.format_map(_Names(client)), *args) or ())
            except DatabaseUndefinedRelation:
                return []

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
    """Quotes a table's or a column's name as its database wants it."""

    def __init__(self, client: SqlClientBase[Any]) -> None:
        super().__init__()
        self._client = client

    def __missing__(self, name: str) -> str:
        if name in TABLES:
            return self._client.make_qualified_table_name(name)
        return self._client.escape_column_name(name)
