"""dlt's schema contract: what of it a verified copy can obey, and what new fields may do under it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast, get_args

from dlt.common.schema import Schema
from dlt.common.schema.typing import (
    TSchemaContractDict,
    TSchemaContractEntities,
    TSchemaEvolutionMode,
)

from cf_invoice_source.errors import SettingsError
from cf_invoice_source.invoices.tables import TABLES

LIST = "list"
"""What dlt names a list in a list; and here the kind of a field that has a table of its own."""

_ENTITIES = get_args(TSchemaContractEntities)
_MODES = get_args(TSchemaEvolutionMode)


def read_contract(given: Any) -> TSchemaContractDict | None:
    """Read a contract as a setting gives it.

    Raises:
        SettingsError: dlt knows no such contract; a word that it does not know it takes for another one.
    """
    if given is None:
        return None
    is_known = isinstance(given, dict) and all(
        entity in _ENTITIES and mode in _MODES for entity, mode in given.items()
    )
    if not is_known:
        raise SettingsError(
            "schema_contract makes no sense.",
            remedy=f"set {', '.join(_ENTITIES)}, or one of them, each to {', '.join(_MODES)}",
        )
    return cast("TSchemaContractDict", given)


def check_contract(schema: Schema) -> None:
    """Check that no invoice would be missing under the contract of a source.

    Raises:
        SettingsError: One would.
    """
    for table in TABLES:
        contract = _of(schema, table)
        if contract["tables"] != "evolve" and table not in schema.tables:
            raise SettingsError(
                "The schema contract allows no new tables, and those for the invoices are not there yet.",
                remedy="make them first, with create_tables(pipeline) or a load without that contract",
            )


def check_growth(
    schema: Schema, table: str, field: str, known: Iterable[str], needed: Mapping[str, str]
) -> None:
    """Check that a field may have the columns and tables that it needs, before it is part of a package.

    dlt looks only when it normalizes the package, and then each further run stumbles over that.

    Args:
        schema: The source's schema.
        table: A table that is there.
        field: The field, as a message may show it.
        known: Names of the columns of the table, and of the tables below it.
        needed: Likewise with those that the field needs: their types, `LIST` for a table.

    Raises:
        SettingsError: It may not.
    """
    contract = _of(schema, table)
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


def _of(schema: Schema, table: str) -> TSchemaContractDict:
    """Give the contract of a table, unless it drops whole invoices."""
    contract = schema.resolve_contract_settings_for_table(table)
    if contract["columns"] == "discard_row":
        raise SettingsError(
            "The schema contract discards rows: an invoice with a new field would be missing.",
            remedy="set columns to discard_value, which leaves out the field alone, to freeze or to evolve",
        )
    return contract
