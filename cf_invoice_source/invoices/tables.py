"""Schema hints for each table as data: keys, dispositions, types.

Types are a one-way door in dlt (a hint that comes after the first load rounds silently), so every documented
column has its type from the first version on. Only keys are NOT NULL: a deletion sends nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dlt.common.data_types import TDataType
from dlt.common.schema.typing import TColumnSchema

from cf_invoice_source.invoices.record import MORE_FIELDS
from cf_invoice_source.loading.write_disposition import Keeping
from cf_invoice_source.schema.capabilities import Abilities, TableFormat

INVOICES = "invoices"
CHANGES = "invoice_changes"
WALKS = "invoice_walks"
REJECTS = "invoice_rejects"


def _columns(types: Mapping[str, TDataType], key: Sequence[str]) -> dict[str, TColumnSchema]:
    return {
        name: {"name": name, "data_type": data_type, "nullable": name not in key}
        for name, data_type in types.items()
    }


_INVOICE_KEY = ("account_id", "id")

_INVOICE_TYPES: Mapping[str, TDataType] = {
    "account_id": "text",
    "id": "text",
    "amount_due": "decimal",
    "amount_paid": "decimal",
    "amount_remaining": "decimal",
    "currency": "text",
    "status": "text",
    "created": "timestamp",
    "created_by": "text",
    "invoice_origin": "text",
    "description": "text",
    "attempt_count": "bigint",
    "attempted": "bool",
    "auto_advance": "bool",
    "invoice_pdf": "text",
    "row_hash": "text",
}

_CHANGE_KEY = (*_INVOICE_KEY, "version")

_CHANGE_TYPES: Mapping[str, TDataType] = {
    **_INVOICE_TYPES,
    "version": "bigint",
    "change": "text",
    "observed_at": "timestamp",
}

_WALK_KEY = ("account_id", "started_at")

_WALK_TYPES: Mapping[str, TDataType] = {
    "account_id": "text",
    "started_at": "timestamp",
    "finished_at": "timestamp",
    "type": "text",
    "kind": "text",
    "why": "text",
    "requests": "bigint",
    "retries": "bigint",
    "rate_limited": "bigint",
    "waited_s": "bigint",
    "total_count": "bigint",
    "seen": "bigint",
    "new": "bigint",
    "updated": "bigint",
    "deleted": "bigint",
    "rejected": "bigint",
    "proven": "bool",
    "doubt": "text",
    "error": "text",
}

_REJECT_KEY = ("account_id", "record_hash", "n")

_REJECT_TYPES: Mapping[str, TDataType] = {
    "account_id": "text",
    "record_hash": "text",
    "n": "bigint",
    "id": "text",
    "reason": "text",
    "raw": "text",
    "observed_at": "timestamp",
    "resolved_at": "timestamp",
}

_DELETED: TColumnSchema = {"name": "deleted", "data_type": "bool", "nullable": True, "hard_delete": True}


def _table(key: Sequence[str], columns: Mapping[str, TColumnSchema]) -> dict[str, Any]:
    # Without a merge key, whatever the resource has: by one, a change would replace all before it.
    return {"write_disposition": "merge", "primary_key": key, "merge_key": (), "columns": columns}


TABLES: Mapping[str, Mapping[str, Any]] = {
    INVOICES: _table(_INVOICE_KEY, _columns(_INVOICE_TYPES, _INVOICE_KEY) | {"deleted": _DELETED}),
    CHANGES: _table(_CHANGE_KEY, _columns(_CHANGE_TYPES, _CHANGE_KEY)),
    WALKS: _table(_WALK_KEY, _columns(_WALK_TYPES, _WALK_KEY)),
    REJECTS: _table(_REJECT_KEY, _columns(_REJECT_TYPES, _REJECT_KEY)),
}
"""What `dlt.mark.make_hints` takes for each table, by its name; they all merge by their key."""

ROW_VERSION = "row_version"
"""A column that scd2 adds to `invoices`: by it, dlt tells the versions of a row from each other."""

_SCD2 = {
    "disposition": "merge",
    "strategy": "scd2",
    "row_version_column_name": ROW_VERSION,
    # A row that says deleted closes the open version of its invoice, and adds none.
    "source_filter": "deleted IS NULL",
}


def table_hints(
    keeping: Keeping, dialect: str | None, abilities: Abilities, table_format: TableFormat | None
) -> dict[str, dict[str, Any]]:
    """Give the hints of every table: here the user's choices and the destination meet.

    Args:
        keeping: How `invoices` is to be kept.
        dialect: sqlglot's name for the SQL of the destination.
        abilities: What the destination can do.
        table_format: In which format a destination of files is to keep the tables; None for its own.
    """
    tables = {name: dict(hints) for name, hints in TABLES.items()}
    tables[INVOICES] |= _kept(keeping, dialect)
    for name, hints in tables.items():
        if not abilities.grows and name in {INVOICES, CHANGES}:
            hints["columns"] = {**hints["columns"], **_columns({MORE_FIELDS: "text"}, ())}
        if table_format:
            hints["table_format"] = table_format
    return tables


def _kept(keeping: Keeping, dialect: str | None) -> dict[str, Any]:
    """Give what `invoices` has of its own where it is no mirror."""
    if keeping == "merge":
        return {}
    columns = {**TABLES[INVOICES]["columns"], "deleted": {**_DELETED, "hard_delete": False}}
    if keeping == "append":
        return {"write_disposition": "append", "columns": columns}
    columns[ROW_VERSION] = {"name": ROW_VERSION, "data_type": "text", "nullable": False}
    # SQLite has CONCAT from 3.44 on.
    key = "account_id || id" if dialect == "sqlite" else "CONCAT(account_id, id)"
    scope = f"{key} IN (SELECT {key} FROM {{staging_table}})"  # noqa: S608 - names of ours
    return {"write_disposition": {**_SCD2, "destination_scope": scope}, "columns": columns}
