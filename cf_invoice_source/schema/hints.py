"""dlt's hints for our tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlt.common.schema.typing import TColumnSchema, TTableSchema
from dlt.common.schema.utils import has_table_seen_data

from cf_invoice_source.invoices.columns import Column, Table
from cf_invoice_source.invoices.tables import CHANGES, INVOICES, MORE_FIELDS, MORE_FIELDS_COLUMN, TABLES
from cf_invoice_source.schema.capabilities import Capabilities, TableFormat


def table_hints(capabilities: Capabilities, table_format: TableFormat | None = None) -> Mapping[str, Any]:
    """Give the arguments of `dlt.mark.make_hints` for each table of a load, by its name."""
    hints = {name: hints_of(table, table_format) for name, table in TABLES.items()}
    if not capabilities.grows:
        for name in (INVOICES, CHANGES):
            hints[name]["columns"] |= MORE_FIELDS_HINT
    return hints


def hints_of(table: Table, table_format: TableFormat | None = None) -> dict[str, Any]:
    """Give the arguments of `dlt.mark.make_hints` for a table."""
    return {
        "write_disposition": "merge",
        "primary_key": table.key,
        "merge_key": (),  # never one: a change would replace all earlier ones with it
        "columns": {
            name: _hint(name, column, nullable=name not in table.key)
            for name, column in table.columns.items()
        },
        "table_format": table_format,
        "additional_table_hints": {
            "description": table.description,
            "x-bigquery-table-description": table.description,  # what dlt's `bigquery_adapter` sets
        },
    }


def _hint(name: str, column: Column, *, nullable: bool = True) -> TColumnSchema:
    hint: TColumnSchema = {
        "name": name,
        "data_type": column.type,
        "nullable": nullable,
        "description": column.description,
    }
    if column.is_deletion:
        hint["hard_delete"] = True
    return hint


MORE_FIELDS_HINT: Mapping[str, TColumnSchema] = {MORE_FIELDS: _hint(MORE_FIELDS, MORE_FIELDS_COLUMN)}
"""For the rows that need the column."""


def incomplete_tables(known: Mapping[str, TTableSchema]) -> list[str]:
    """Name the tables that a schema lacks, or that lack a column because an earlier version made them."""
    # A table without a row so far does not exist yet: an imported schema may name it all the same.
    columns = {name: table["columns"].keys() for name, table in known.items() if has_table_seen_data(table)}
    return [name for name, table in TABLES.items() if table.columns.keys() - columns.get(name, set())]
