"""Our tables as dlt takes them: hints for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlt.common.schema.typing import TColumnSchema

from cf_invoice_source.invoices.columns import Column, Table
from cf_invoice_source.invoices.tables import CHANGES, INVOICES, MORE_FIELDS, TABLES
from cf_invoice_source.schema.capabilities import Capabilities, TableFormat


def table_hints(
    capabilities: Capabilities, table_format: TableFormat | None = None
) -> dict[str, dict[str, Any]]:
    """Give what `dlt.mark.make_hints` takes for each table, by its name.

    Args:
        capabilities: What the destination can do.
        table_format: In which format a destination of files is to keep the tables; None for its own.
    """
    tables = {name: _hints(table) for name, table in TABLES.items()}
    for name, hints in tables.items():
        if not capabilities.grows and name in {INVOICES, CHANGES}:
            hints["columns"][MORE_FIELDS] = {"name": MORE_FIELDS, "data_type": "text", "nullable": True}
        if table_format:
            hints["table_format"] = table_format
    return tables


def column_hints(table: Table) -> dict[str, TColumnSchema]:
    """Give dlt's hints for the columns of a table."""
    return {name: _column_hint(name, column, table.key) for name, column in table.columns.items()}


def _hints(table: Table) -> dict[str, Any]:
    # Without a merge key, whatever the resource has: by one, a change would replace all before it.
    return {
        "write_disposition": "merge",
        "primary_key": table.key,
        "merge_key": (),
        "columns": column_hints(table),
    }


def _column_hint(name: str, column: Column, key: tuple[str, ...]) -> TColumnSchema:
    hint: TColumnSchema = {"name": name, "data_type": column.type, "nullable": name not in key}
    if column.is_deletion:
        hint["hard_delete"] = True
    return hint


def incomplete_tables(known: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Name the tables that a schema lacks, or that an earlier version made without some column.

    Args:
        known: The tables of the schema, by name.
    """
    columns = {name: table["columns"].keys() for name, table in known.items()}
    return [name for name, table in TABLES.items() if table.columns.keys() - columns.get(name, set())]
