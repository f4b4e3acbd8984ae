"""dlt's settings for tables that a verified copy can obey: its schema contract and its write disposition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast, get_args

from dlt.common.schema import Schema
from dlt.common.schema.typing import TSchemaContractDict as TSchemaContractDict  # noqa: PLC0414 - handed on
from dlt.common.schema.typing import TSchemaContractEntities, TSchemaEvolutionMode

from cf_invoice_source.errors import SettingsError
from cf_invoice_source.invoices.tables import TABLES

LIST = "list"
"""What dlt names a list in a list; and here the kind of a field that has a table of its own."""

_ENTITIES = get_args(TSchemaContractEntities)
_MODES = get_args(TSchemaEvolutionMode)


def read_contract(given: Any) -> TSchemaContractDict | None:
    """Read a contract as a setting gives it; a word that dlt does not know it would take for another one."""
    if given is None:
        return None
    if isinstance(given, dict) and all(name in _ENTITIES and given[name] in _MODES for name in given):
        return cast("TSchemaContractDict", given)
    raise SettingsError(
        "schema_contract makes no sense.",
        remedy=f"set {', '.join(_ENTITIES)}, or one of them, each to {', '.join(_MODES)}",
    )


def check_contract(schema: Schema) -> None:
    """Check that no invoice would be missing under the contract of a source."""
    for table in TABLES:
        if _contract_of(schema, table)["tables"] != "evolve" and table not in schema.tables:
            raise SettingsError(
                "The schema contract allows no new tables, and those for the invoices are not there yet.",
                remedy="make them first, with create_tables(pipeline) or a load without that contract",
            )


def check_growth(
    schema: Schema, table: str, field: str, known: Iterable[str], needed: Mapping[str, str]
) -> None:
    """Check that a field may have what it needs, columns and tables below (`LIST`), in a table that is there.

    dlt looks only when it normalizes the package, and then each further run stumbles over that.
    """
    contract = _contract_of(schema, table)
    new = {"tables" if needed[name] == LIST else "columns" for name in needed.keys() - set(known)}
    if (schema.tables[table].get("x-normalizer") or {}).get("evolve-columns-once"):
        new.discard("columns")  # dlt lets the first rows of a table make its columns
    for entity, mode in contract.items():
        if mode == "freeze" and entity in new:
            raise SettingsError(
                f"The schema contract freezes {entity}, but the new field {field} needs some of its own.",
                remedy=f"set {entity} to evolve, or to discard_value to do without the field, and run again: "
                "nothing of this run was loaded",
            )


def _contract_of(schema: Schema, table: str) -> TSchemaContractDict:
    """Give the contract of a table, unless it drops whole invoices."""
    contract = schema.resolve_contract_settings_for_table(table)
    if contract["columns"] == "discard_row":
        raise SettingsError(
            "The schema contract discards rows: an invoice with a new field would be missing.",
            remedy="set columns to discard_value, which leaves out the field alone, to freeze or to evolve",
        )
    return contract


def check_write_disposition(given: Any) -> None:
    """Check that a write disposition, as a setting or a hint of dlt gives it, makes `invoices` a mirror."""
    named = dict(given) if isinstance(given, Mapping) else {"disposition": given or "merge"}
    named = {name: value for name, value in named.items() if value is not None}
    # The merge that dlt runs in every destination, with its strategy named or not.
    if {"strategy": "delete-insert"} | named != {"disposition": "merge", "strategy": "delete-insert"}:
        asked = named.get("strategy") or named.get("disposition")
        raise SettingsError(
            f"invoices mirrors Cloudflare's list: it is loaded with merge, not with {asked}.",
            remedy="leave write_disposition out; the history of each invoice is in the table invoice_changes",
        )
