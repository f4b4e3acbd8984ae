"""Tries whether a destination can be written, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import duckdb
from dlt.common.schema.utils import new_column, new_table
from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials
from dlt.destinations.impl.filesystem.filesystem import FilesystemClient
from dlt.destinations.job_client_impl import SqlJobClientBase

from cf_invoice_source.warehouse.dataset_ref import DatasetRef
from cf_invoice_source.warehouse.staging import name_staging

_SCRATCH = "cf_invoices_check_"
"""How the names of all scratch objects begin, should a check be killed half-way."""


def try_writing(target: DatasetRef) -> str | None:
    """Make something under a name of its own, and take it away; what is there already is not touched.

    Returns:
        What was tried; None where this kind of destination cannot be tried without leaving something behind.

    Raises:
        Exception: Whatever dlt or the destination's driver raises where it cannot be written.
    """
    name_staging(target.destination, target.client().config, target.pipeline_name)
    scratch = f"{_SCRATCH}{uuid4().hex}"
    client = target.client(new_table(scratch, columns=[new_column("tried", "bigint")]))
    credentials = client.config.credentials
    if isinstance(credentials, DuckDbCredentials) and not Path(credentials.database).exists():
        return _try_directory(Path(credentials.database), scratch, read_only=credentials.read_only)
    if isinstance(client, FilesystemClient):
        return _try_files(client, scratch)
    if isinstance(client, SqlJobClientBase) and client.config.destination_type not in _UNTRIED:
        return _try_sql(client, scratch)
    return None


_UNTRIED = {"sqlalchemy"}
"""It writes no CREATE TABLE of its own, and opening its SQLite databases makes files."""


def _try_directory(database: Path, scratch: str, *, read_only: bool) -> str:
    """Make another DuckDB file beside the one that the first load will make."""
    beside = database.with_name(f"{scratch}.duckdb")
    try:
        duckdb.connect(str(beside), read_only=read_only).close()
    finally:
        beside.unlink(missing_ok=True)
    return "can be written: a file can be made"


def _try_files(client: FilesystemClient, scratch: str) -> str:
    """Write a file into the dataset; where directories are real, into the nearest one that is there."""
    directory = client.dataset_path.rstrip("/")
    if client.is_local_filesystem:
        directory = str(next(path for path in (Path(directory), *Path(directory).parents) if path.exists()))
    file = f"{directory}/{scratch}"
    client.fs_client.write_text(file, "")
    client.fs_client.rm_file(file)
    return "can be written: a file was made and removed"


def _try_sql(client: SqlJobClientBase, scratch: str) -> str:
    """Make a table in the dataset and in the one where dlt stages rows; one that is missing is made, too."""
    with client.sql_client as sql:
        has_dataset = sql.has_dataset()
        for dataset_name in dict.fromkeys((sql.dataset_name, sql.staging_dataset_name)):
            with sql.with_alternative_dataset_name(dataset_name):
                is_there = sql.has_dataset()
            with sql.with_alternative_dataset_name(dataset_name if is_there else scratch):
                _try_table(client, scratch, in_new_dataset=not is_there)
    return f"can be written: a {'table' if has_dataset else 'dataset'} was made and dropped"


def _try_table(client: SqlJobClientBase, scratch: str, *, in_new_dataset: bool) -> None:
    with _taken_away(client, scratch, with_dataset=in_new_dataset), client.maybe_ddl_transaction():
        if in_new_dataset:
            client.sql_client.create_dataset()
        columns = list(client.schema.get_table_columns(scratch).values())
        for statement in client._get_table_update_sql(scratch, columns, generate_alter=False):  # noqa: SLF001 - each database's own CREATE TABLE
            client.sql_client.execute_sql(statement)
        raise _UndoError


class _UndoError(Exception):
    """Lets a transaction end with nothing done, where there is one."""


@contextmanager
def _taken_away(client: SqlJobClientBase, scratch: str, *, with_dataset: bool) -> Iterator[None]:
    """Drop what was made: not every database undoes a CREATE with its transaction."""
    try:
        yield
    except _UndoError:
        _drop(client, scratch, with_dataset=with_dataset)
    except Exception:
        with suppress(Exception):
            _drop(client, scratch, with_dataset=with_dataset)
        raise


def _drop(client: SqlJobClientBase, scratch: str, *, with_dataset: bool) -> None:
    if not with_dataset:
        client.sql_client.drop_tables(scratch)
    elif client.sql_client.has_dataset():
        client.sql_client.drop_dataset()
