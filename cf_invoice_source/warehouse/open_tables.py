"""Reads files, Delta and Iceberg tables with the libraries that wrote them, without DuckDB's extensions."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from dlt.common.destination.typing import PreparedTableSchema
from dlt.common.schema import Schema
from dlt.destinations.impl.filesystem.sql_client import FilesystemSqlClient

from cf_invoice_source.warehouse.dlt_names import DestinationUndefinedEntity, FilesystemClient


class OpenTables(FilesystemSqlClient):
    """Answers SQL about a dataset of files. A table is read once for each connection."""

    _views: dict[str, tuple[str, str] | None]

    def open_connection(self) -> Any:
        """Connect, and forget what an earlier connection saw."""
        self._views = {}
        return super().open_connection()

    def create_secret(
        self,
        scope: str,  # noqa: ARG002 - dlt's signature
        credentials: Any,  # noqa: ARG002
        secret_name: str | None = None,  # noqa: ARG002
        persist_secrets: bool = False,  # noqa: ARG002
    ) -> bool:
        """Let DuckDB read an object store through fsspec, not through its own extension.

        DuckDB downloads that extension at run time, and with DuckDB 2 dlt cannot create its secret.
        """
        protocol = self.remote_client.config.protocol
        if protocol != "file":
            self._register_filesystem(self.remote_client.fs_client, protocol)
        return True

    @staticmethod
    def _iceberg_setup_statements() -> list[str]:
        return []  # they are for DuckDB's own reader

    def create_view_select(
        self, table_schema: PreparedTableSchema, schema: Schema | None = None
    ) -> tuple[str, str] | None:
        """Say where a table lies, and how DuckDB selects its rows."""
        name = table_schema["name"] or ""
        if name not in self._views:
            self._views[name] = self._select(name, table_schema, schema or self.schema)
        return self._views[name]

    def _select(self, name: str, table: PreparedTableSchema, schema: Schema) -> tuple[str, str] | None:
        table_format = table.get("table_format")
        if table_format not in {"delta", "iceberg"} or name in schema.dlt_table_names():
            return super().create_view_select(table, schema)
        opened = self.remote_client.load_open_table(table_format, name)
        if table_format == "delta":
            rows = opened.to_pyarrow_dataset().scanner().to_reader()
        else:
            rows = opened.scan().to_arrow_batch_reader()
        columns = ", ".join(map(self.escape_column_name, table["columns"]))
        copy = self.escape_column_name(f"copy_of_{name}")
        # A copy: DuckDB would pass its filters on to Arrow, which does not support all of them.
        self._conn.register("rows_of_a_table", rows)
        self._conn.execute(f"CREATE OR REPLACE TABLE {copy} AS SELECT {columns} FROM rows_of_a_table")
        self._conn.unregister("rows_of_a_table")
        return name, f"SELECT {columns} FROM {copy}"


def purge(client: FilesystemClient, table_name: str) -> None:
    """Delete the rows that are marked deleted: Iceberg keeps them."""
    with suppress(DestinationUndefinedEntity):
        table = client.load_open_table("iceberg", table_name)
        if table.scan(row_filter="deleted = true").count():
            table.delete("deleted = true")
