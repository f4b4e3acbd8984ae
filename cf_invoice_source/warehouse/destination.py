"""What dlt says about a destination: whether our tables can be read and merged there, and in which format."""

from __future__ import annotations

from typing import Any, cast

from dlt.common.configuration.specs import ConnectionStringCredentials
from dlt.common.destination import AnyDestination
from dlt.common.destination.client import DestinationClientConfiguration, JobClientBase
from dlt.common.destination.utils import resolve_merge_strategy
from dlt.common.schema.typing import TTableFormat
from dlt.common.schema.utils import new_table
from dlt.destinations.impl.filesystem.filesystem import FilesystemClient
from dlt.destinations.sql_client import SqlClientBase, WithSqlClient

from cf_invoice_source.errors import SettingsError
from cf_invoice_source.invoices.tables import INVOICES, TABLES
from cf_invoice_source.schema.capabilities import Capabilities, capabilities_of
from cf_invoice_source.schema.hints import column_hints


def destination_capabilities(client: JobClientBase, table_format: str | None = None) -> Capabilities:
    """Look at a destination.

    Args:
        client: A client of it, with the schema that is loaded there, if one is.
        table_format: The format that the user chose; without it that of the tables that are there counts,
            then the preferred one.
    """
    is_files = isinstance(client, FilesystemClient)
    capabilities = client.capabilities
    table_format = table_format or stored_format(client) or capabilities.preferred_table_format
    table = new_table(
        INVOICES, write_disposition="merge", columns=list(column_hints(TABLES[INVOICES]).values())
    )
    if table_format and table_format != "native":
        table["table_format"] = cast("TTableFormat", table_format)
    return capabilities_of(
        is_readable=sql_client_of(client) is not None,
        strategy=resolve_merge_strategy({INVOICES: table}, table, capabilities),
        is_files=is_files,
        table_format=table_format,
        dialect=dialect_of(client.config),
    )


def is_duckdb(destination: AnyDestination) -> bool:
    """Whether a destination is a DuckDB file; MotherDuck and DuckLake are others."""
    return destination.destination_type == "dlt.destinations.duckdb"


def dialect_of(config: DestinationClientConfiguration) -> str:
    """Give SQLAlchemy's name of a database; empty where dlt does not use SQLAlchemy."""
    credentials = config.credentials
    if config.destination_type != "sqlalchemy" or not isinstance(credentials, ConnectionStringCredentials):
        return ""
    return (credentials.drivername or "").partition("+")[0]


def stored_format(client: JobClientBase) -> str | None:
    """Say in which format the tables are there; None if they are not, or in the destination's own."""
    table = client.schema.tables.get(INVOICES)
    return table.get("table_format") if table else None


def check_format(client: JobClientBase, table_format: str | None) -> None:
    """Check that the tables can be kept in the format that the user chose.

    Raises:
        SettingsError: The destination does not know it, or the tables are there in another one.
    """
    if not table_format:
        return
    known = client.capabilities.supported_table_formats or []
    if table_format not in {"native", *known}:
        raise SettingsError(
            f"This destination keeps no tables in the format {table_format}.",
            remedy=f"leave table_format out, or use one of {', '.join(known)}"
            if known
            else "leave table_format out",
        )
    stored = stored_format(client)
    if INVOICES in client.schema.tables and (stored or "native") != table_format:
        raise SettingsError(
            f"The tables are there already, in the format {stored or 'native'}, not {table_format}.",
            remedy="leave table_format as it was, or load into another dataset, with another pipeline",
        )


def sql_client_of(client: JobClientBase) -> SqlClientBase[Any] | None:
    """Give what answers SQL about our tables; None where nothing does."""
    if isinstance(client, FilesystemClient):
        from cf_invoice_source.warehouse.open_tables import OpenTables  # noqa: PLC0415 - it needs DuckDB's

        try:
            return OpenTables(client, client.dataset_name)
        except NotImplementedError:  # a protocol that DuckDB cannot read
            return None
    return client.sql_client if isinstance(client, WithSqlClient) else None
