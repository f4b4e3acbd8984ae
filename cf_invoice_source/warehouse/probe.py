"""Tries whether a destination can be written, and leaves nothing behind."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import duckdb
from dlt.common.schema.typing import TTableSchema
from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials
from dlt.destinations.job_client_impl import SqlJobClientBase

from cf_invoice_source.warehouse.dataset_ref import DatasetRef, settings_of
from cf_invoice_source.warehouse.destination import is_sqlite
from cf_invoice_source.warehouse.dlt_names import (
    FilesystemClient,
    JobClientBase,
    dataset_path_of,
    new_column,
    new_table,
)
from cf_invoice_source.warehouse.staging import name_staging


def try_pipeline(ref: DatasetRef) -> None:
    """Create the pipeline as a load would, in a temporary directory; nothing is opened."""
    with TemporaryDirectory() as elsewhere, settings_of(ref.pipeline_name):
        ref.pipeline(pipelines_dir=elsewhere).deactivate()


def try_writing(ref: DatasetRef) -> str | None:
    """Create something, remove it, and say what it was; None if it cannot be removed."""
    scratch = f"cf_invoices_check_{uuid4().hex}"  # tells whose it is, if a check is killed
    client = staged_client(ref, new_table(scratch, columns=[new_column("tried", "bigint")]))
    credentials = client.config.credentials
    if isinstance(credentials, DuckDbCredentials) and not Path(credentials.database).exists():
        beside = Path(credentials.database).with_name(f"{scratch}.duckdb")
        try:
            duckdb.connect(str(beside), read_only=credentials.read_only).close()
        finally:
            beside.unlink(missing_ok=True)
        return "can be written: a file can be made"
    if isinstance(client, FilesystemClient):
        directory = dataset_path_of(client)
        if client.is_local_filesystem:  # where directories are real, take the nearest one that is there
            directory = str(next(filter(Path.exists, (Path(directory), *Path(directory).parents))))
        client.fs_client.write_text(f"{directory}/{scratch}", "")
        client.fs_client.rm_file(f"{directory}/{scratch}")
        return "can be written: a file was made and removed"
    if isinstance(client, SqlJobClientBase) and not is_sqlite(client):  # to open that would make files
        return _try_sql(client, scratch)
    return None


def staged_client(ref: DatasetRef, *tables: TTableSchema) -> JobClientBase:
    """Make a client with the staging dataset that a load would have."""
    name_staging(ref.destination, ref.client().config, ref.pipeline_name)
    return ref.client(*tables)


def _try_sql(client: SqlJobClientBase, scratch: str) -> str:
    """Create a table in the dataset and in the staging dataset. A missing dataset is created, too."""
    with client.sql_client as sql:
        has_dataset = sql.has_dataset()
        for dataset_name in dict.fromkeys((sql.dataset_name, sql.staging_dataset_name)):
            with sql.with_alternative_dataset_name(dataset_name):
                is_there = sql.has_dataset()
            with sql.with_alternative_dataset_name(dataset_name if is_there else scratch):
                _try_table(client, scratch, in_new_dataset=not is_there)
    return f"can be written: a {'table' if has_dataset else 'dataset'} was made and dropped"


def _create_table(client: SqlJobClientBase, scratch: str) -> list[str]:
    if client.config.destination_type == "sqlalchemy":  # which writes it only when it makes a table
        sql = client.sql_client
        return [f"CREATE TABLE {sql.make_qualified_table_name(scratch)} (tried BIGINT)"]
    columns = list(client.schema.get_table_columns(scratch).values())
    return client._get_table_update_sql(scratch, columns, generate_alter=False)  # noqa: SLF001 - each database's own


class _UndoError(Exception):
    """Ends a transaction with nothing done, if there is one."""


def _try_table(client: SqlJobClientBase, scratch: str, *, in_new_dataset: bool) -> None:
    """Create a table and drop it: not every database rolls back a CREATE."""
    sql = client.sql_client

    def drop() -> None:
        if not in_new_dataset:
            sql.drop_tables(scratch)
        elif sql.has_dataset():
            sql.drop_dataset()

    try:
        with suppress(_UndoError), client.maybe_ddl_transaction():
            if in_new_dataset:
                sql.create_dataset()
            for statement in _create_table(client, scratch):
                sql.execute_sql(statement)
            raise _UndoError  # noqa: TRY301 - only so does a transaction of dlt's undo what was done
    except Exception:
        with suppress(Exception):
            drop()
        raise
    drop()
