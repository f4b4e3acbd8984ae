"""Checks dlt's schema contract and write disposition: only some allow a verified copy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, cast, get_args

from dlt.common.schema import Schema
from dlt.common.schema.typing import TSchemaContractDict as TSchemaContractDict  # noqa: PLC0414 - a re-export
from dlt.common.schema.typing import TSchemaContractEntities, TSchemaEvolutionMode

from cf_invoice_source.errors import SettingsError
from cf_invoice_source.invoices.tables import TABLES

LIST = "list"
"""dlt's name for a list inside a list; here also the kind of a field that has its own table."""

NORMALIZER: Final = "x-normalizer"
"""Where dlt notes in a table what has become of it so far."""

_ENTITIES = get_args(TSchemaContractEntities)
_MODES = get_args(TSchemaEvolutionMode)


def read_contract(given: Any) -> TSchemaContractDict | None:
    """Read a contract from a setting; refuse words that dlt does not know and would misread."""
    if given is None:
        return None
    if isinstance(given, dict) and all(name in _ENTITIES and given[name] in _MODES for name in given):
        return cast("TSchemaContractDict", given)
    raise SettingsError(
        "schema_contract makes no sense.",
        remedy=f"set {', '.join(_ENTITIES)}, or one of them, each to {', '.join(_MODES)}",
    )


def check_contract(schema: Schema) -> None:
    """Check that a source's contract leaves out no invoice."""
    for table in TABLES:
        if _contract_of(schema, table)["tables"] != "evolve" and table not in schema.tables:
            raise SettingsError(
                "The schema contract allows no new tables, and the tables for the invoices do not exist yet.",
                remedy="create them first, with create_tables(pipeline) or a load without that contract",
            )


def check_growth(
    schema: Schema, table: str, field: str, known: Iterable[str], needed: Mapping[str, str]
) -> None:
    """Check that an existing table may get the columns and child tables (`LIST`) that a field needs.

    dlt itself checks only when it normalizes the package, and then that package fails in each later run, too.
    """
    contract = _contract_of(schema, table)
    new = {"tables" if needed[name] == LIST else "columns" for name in needed.keys() - set(known)}
    if (schema.tables[table].get(NORMALIZER) or {}).get("evolve-columns-once"):
        new.discard("columns")  # dlt lets a table's first rows add columns
    for entity, mode in contract.items():
        if mode == "freeze" and entity in new:
            raise SettingsError(
                f"The schema contract freezes {entity}, but the new field {field} needs some of its own.",
                remedy=f"set {entity} to evolve, or to discard_value to leave the field out, and run again: "
                "nothing of this run was loaded",
            )


def _contract_of(schema: Schema, table: str) -> TSchemaContractDict:
    """Give the contract of a table; refuse one that drops whole invoices."""
    contract = schema.resolve_contract_settings_for_table(table)
    if contract["columns"] == "discard_row":
        raise SettingsError(
            "The schema contract discards rows: an invoice with a new field would be missing.",
            remedy="set columns to discard_value (which leaves out only the field), to freeze or to evolve",
        )
    return contract


def check_write_disposition(given: Any) -> None:
    """Check that a write disposition (from a setting or a hint) makes `invoices` a mirror of the list."""
    named = dict(given) if isinstance(given, Mapping) else {"disposition": given or "merge"}
    named = {name: value for name, value in named.items() if value is not None}
    # The merge that every destination has; its strategy may be named or not.
    if {"strategy": "delete-insert"} | named != {"disposition": "merge", "strategy": "delete-insert"}:
        asked = named.get("strategy") or named.get("disposition")
        raise SettingsError(
            f"invoices mirrors Cloudflare's list: it is loaded with merge, not with {asked}.",
            remedy="leave write_disposition out; the history of each invoice is in the table invoice_changes",
        )
