"""What dlt says about a destination: whether our tables can be read and merged there, and in which format."""

from __future__ import annotations

from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any, cast

from dlt.common.destination.utils import resolve_merge_strategy
from dlt.common.schema.typing import TTableFormat
from dlt.destinations.sql_client import SqlClientBase

from cf_invoice_source.errors import SettingsError
from cf_invoice_source.invoices.tables import INVOICES, SYNCS
from cf_invoice_source.schema.capabilities import Capabilities
from cf_invoice_source.warehouse.dlt_names import (
    AnyDestination,
    DestinationUndefinedEntity,
    FilesystemClient,
    JobClientBase,
    WithSqlClient,
    get_table_format,
    new_table,
)


def destination_capabilities(client: JobClientBase, table_format: str | None = None) -> Capabilities:
    """Say what a destination can do, asked with the schema that is loaded there, if there is one."""
    table_format = table_format or get_table_format(client.schema.tables, INVOICES)
    table = new_table(INVOICES, write_disposition="merge", table_format=cast("TTableFormat", table_format))
    strategy = resolve_merge_strategy({INVOICES: table}, table, client.capabilities)
    is_iceberg = isinstance(client, FilesystemClient) and table_format == "iceberg"
    return Capabilities(
        is_readable=sql_client_of(client) is not None,
        replaces=strategy is not None,  # else dlt only adds rows
        deletes=not is_iceberg,  # pyiceberg's upsert deletes nothing,
        grows=not is_iceberg,  # and from 0.10 on it fails where a column came after the rows
        shares=not is_iceberg,
        nests=strategy != "upsert",  # it merges each table on its own, and takes row keys from primary keys
        digits=15 if is_sqlite(client) else None,  # of a REAL (https://www.sqlite.org/floatingpoint.html)
        text_bytes=_text_bytes(client),
    )


def _text_bytes(client: JobClientBase) -> int | None:
    """Say how long a text may be in a table of dlt's own; None if that is more than they ever need."""
    if isinstance(client, FilesystemClient):
        return None
    if client.capabilities.sqlglot_dialect == "mysql":
        return 65_535  # dlt makes it a TEXT, and does not know the limit of that
    most = client.capabilities.max_text_data_type_length
    return most if most < _LONG_TEXT else None


_LONG_TEXT = 2**28


def is_duckdb(destination: AnyDestination) -> bool:
    """Whether a destination is a DuckDB file; MotherDuck and DuckLake are others."""
    return destination.destination_type == "dlt.destinations.duckdb"


def is_sqlite(client: JobClientBase) -> bool:
    """Whether a destination is SQLite, which dlt writes by SQLAlchemy."""
    return client.capabilities.sqlglot_dialect == "sqlite"


def check_format(client: JobClientBase, table_format: str | None) -> None:
    """Check that the destination knows the format that the user chose, and has no tables in another one."""
    if not table_format:
        return
    known = client.capabilities.supported_table_formats or []
    if table_format not in {"native", *known}:
        raise SettingsError(
            f"This destination keeps no tables in the format {table_format}.",
            remedy="leave table_format out" + (f", or use one of {', '.join(known)}" if known else ""),
        )
    stored = get_table_format(client.schema.tables, INVOICES) or "native"
    if INVOICES in client.schema.tables and stored != table_format:
        raise SettingsError(
            f"The tables are there already, in the format {stored}, not {table_format}.",
            remedy="leave table_format as it was, or load into another dataset, with another pipeline",
        )


def check_file_format(client: JobClientBase, file_format: str | None, table_format: str | None) -> None:
    """Check that the destination takes files in this format, and holds none in another one."""
    capabilities, tables = client.capabilities, client.schema.tables
    known = capabilities.supported_loader_file_formats or []
    if file_format and file_format not in {"preferred", *known}:
        raise SettingsError(
            f"This destination takes no files in the format {file_format}.",
            remedy=f"leave file_format out, or use one of {', '.join(known)}",
        )
    is_plain = (table_format or get_table_format(tables, INVOICES) or "native") == "native"
    if not (isinstance(client, FilesystemClient) and is_plain and SYNCS in tables):
        return
    wanted = file_format or tables[SYNCS].get("file_format") or "preferred"
    wanted = str(capabilities.preferred_loader_file_format) if wanted == "preferred" else wanted
    with suppress(DestinationUndefinedEntity):
        found = {
            PurePosixPath(path.removesuffix(".gz")).suffix[1:] for path in client.list_table_files(SYNCS)
        }
        if others := found - {wanted}:
            raise SettingsError(
                f"The files are there already, in the format {', '.join(sorted(others))}, not {wanted}.",
                remedy="set file_format as it was, or load into another dataset, with another pipeline",
            )


def sql_client_of(client: JobClientBase) -> SqlClientBase[Any] | None:
    """Give a client that answers SQL about our tables; None if there is none."""
    if isinstance(client, FilesystemClient):
        from cf_invoice_source.warehouse.open_tables import OpenTables  # noqa: PLC0415 - it needs DuckDB's

        try:
            return OpenTables(client, client.dataset_name)
        except NotImplementedError:  # a protocol that DuckDB cannot read
            return None
    return client.sql_client if isinstance(client, WithSqlClient) else None
