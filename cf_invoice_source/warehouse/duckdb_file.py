"""Keeps a DuckDB file open during a load, with no more memory than a load needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from dlt.destinations.exceptions import DatabaseException
from dlt.destinations.sql_client import SqlClientBase

from cf_invoice_source.errors import SettingsError
from cf_invoice_source.warehouse.dataset_ref import database_file
from cf_invoice_source.warehouse.dlt_names import JobClientBase, WithSqlClient
from cf_invoice_source.warehouse.umask import private_umask

WHILE_LOADING = {"memory_limit": "128MB", "threads": "1"}
"""DuckDB takes most of a machine if it may: 500 MiB while it tidies up a million invoices. Packages of 20,000
take as long with 96 MB, and a quarter longer with 80; each job of dlt has a thread of its own besides."""


def check_file(client: JobClientBase) -> None:
    """Refuse a SQLite file, and one named like the dataset: DuckDB cannot tell the two names apart."""
    file = database_file(client.config.credentials)
    if not file or client.config.destination_type != "duckdb" or not isinstance(client, WithSqlClient):
        return
    if file.stem.casefold() == client.sql_client.dataset_name.casefold():
        raise SettingsError(
            f"The DuckDB file {file} is named like the dataset: DuckDB cannot tell one from the other.",
            remedy="name one of them otherwise, by --dataset or by DESTINATION__DUCKDB__CREDENTIALS",
        )
    if file.is_file() and _begins_with(file, _SQLITE):
        raise SettingsError(
            f"The file {file} is a database of SQLite, not of DuckDB.",
            remedy="name another file in DESTINATION__DUCKDB__CREDENTIALS, or load into SQLite: "
            "--destination sqlalchemy",
        )


_SQLITE = b"SQLite format 3\0"


def _begins_with(file: Path, sign: bytes) -> bool:
    with suppress(OSError), file.open("rb") as content:
        return content.read(len(sign)) == sign
    return False


@contextmanager
def open_database(client: JobClientBase) -> Iterator[Callable[[], None]]:
    """Keep a DuckDB file open. Otherwise dlt opens it for each step, and DuckDB checkpoints it after each.

    The user's own settings are kept. The yielded function closes the file early. It is called when a step
    failed: unusual rows may need more memory, and after a commit that ran out of it the file must be opened
    again.
    """
    with ExitStack() as stack:
        if client.config.destination_type == "duckdb" and isinstance(client, WithSqlClient):
            stack.enter_context(_opened(client.sql_client))
        yield stack.close


@contextmanager
def _opened(sql_client: SqlClientBase[Any]) -> Iterator[None]:
    file = database_file(sql_client.credentials)
    is_new = file is not None and not file.exists()
    with sql_client as database:
        if file and is_new and file.exists():
            file.chmod(0o666 & ~private_umask())  # before it holds a row
        own: Mapping[str, Any] = getattr(database.credentials, "global_config", None) or {}
        asked = ", ".join(f"current_setting('{name}')" for name in WHILE_LOADING)
        (found,) = database.execute_sql(f"SELECT {asked}") or ()
        before = dict(zip(WHILE_LOADING, found, strict=True))
        _write(database, {name: value for name, value in WHILE_LOADING.items() if name not in own})
        try:
            yield
        finally:
            with suppress(DatabaseException):  # the error that is on its way says why the database broke down
                database.execute_sql("CHECKPOINT")  # the last one to close the file would do so without limit
            with suppress(DatabaseException):
                _write(database, before)


def _write(database: SqlClientBase[Any], settings: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        database.execute_sql(f"SET GLOBAL {name} = '{value}'")
