"""A DuckDB file stays open while a load goes on, and takes no more memory than it needs for that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import dlt
from dlt.common.destination.client import JobClientBase
from dlt.destinations.exceptions import DatabaseException
from dlt.destinations.sql_client import SqlClientBase, WithSqlClient

from cf_invoice_source.place import is_duckdb

WHILE_LOADING = {"memory_limit": "160MB", "threads": "1"}
"""DuckDB takes most of a machine if it may: 500 MiB while it tidies up a million invoices. Packages of 20,000
need 128 MB at times; each job of dlt has a thread of its own besides."""


@contextmanager
def open_database(client: JobClientBase) -> Iterator[None]:
    """Keep a DuckDB file open: dlt would open it for each step, and DuckDB tidy it up at each end.

    Settings of the user's own stay as they are.
    """
    if client.config.destination_type != "duckdb" or not isinstance(client, WithSqlClient):
        yield
        return
    with client.sql_client as database:
        own = _users_own(database)
        before = {name: _read(database, name) for name in WHILE_LOADING}
        _write(database, {name: value for name, value in WHILE_LOADING.items() if name not in own})
        try:
            yield
        finally:
            with suppress(DatabaseException):  # a database that broke down says why by the error on its way
                _write(database, before)


def lift_memory_limit(pipeline: dlt.Pipeline) -> None:
    """Let DuckDB take what it wants: something did not go well, and unusual rows may need more.

    A limit of the user's own stays as it is.
    """
    if is_duckdb(pipeline.destination):
        with pipeline.sql_client() as database:
            if "memory_limit" not in _users_own(database):
                database.execute_sql("RESET GLOBAL memory_limit")


def _users_own(database: SqlClientBase[Any]) -> Mapping[str, Any]:
    return getattr(database.credentials, "global_config", None) or {}


def _read(database: SqlClientBase[Any], name: str) -> Any:
    ((value,),) = database.execute_sql(f"SELECT current_setting('{name}')") or ()
    return value


def _write(database: SqlClientBase[Any], settings: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        database.execute_sql(f"SET GLOBAL {name} = '{value}'")
