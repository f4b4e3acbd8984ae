"""Decides which unknown fields get columns: none that dlt would convert, or write over another field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from dlt.common.schema import Schema

from cf_invoice_source.exact_json import encode
from cf_invoice_source.invoices.tables import CHANGES, INVOICES, MORE_FIELDS, TABLES
from cf_invoice_source.invoices.values import printable
from cf_invoice_source.schema.capabilities import EVERYTHING, Capabilities
from cf_invoice_source.schema.contract import LIST, check_growth
from cf_invoice_source.settings import MAX_COLUMNS, MAX_TABLES

_KINDS: Mapping[type, str] = {str: "text", bool: "bool", Decimal: "decimal"}
"""dlt's types for the values of unknown fields; all their numbers are Decimal."""


_Position = tuple[str, tuple[Any, ...], str, str | None]
"""Where dlt puts a value: table, row, column and the column's type. A list goes into a table with the
column's name."""


@dataclass(slots=True)
class Columns:
    """Finds a column for the fields that the published schema does not name.

    dlt makes a column for each, and infers its type from the first value. It converts later values of another
    type where it can ("007" to 7, 3 to true). "NaN" for a number would block its package for ever, and fields
    whose names become the same column would overwrite each other.

    Any such field goes as a whole into the column `more_fields`, a text with a JSON object. So does a field
    beyond `MAX_COLUMNS` or `MAX_TABLES`, and one that needs a new table or column where the destination can
    have none.
    """

    schema: Schema
    capabilities: Capabilities = EVERYTHING
    _known: dict[str, dict[str, str]] = field(default_factory=dict)
    _below: set[str] = field(default_factory=set)

    def fitted(self, table: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a row ready to be yielded; refuse one with a field that the contract allows no column."""
        documented = TABLES[table].columns.keys()
        if row.keys() <= documented:
            return row
        kept: dict[str, Any] = {}
        more: dict[str, Any] = {}
        taken: set[tuple[Any, ...]] = {(table, (), name) for name in documented}
        for name, value in row.items():
            if name == MORE_FIELDS:
                more |= value
            elif name in documented or self._take(name, value, taken):
                kept[name] = value
            else:
                more[name] = value
        if more:
            self._check({table: {MORE_FIELDS: "text"}}, MORE_FIELDS)
            kept[MORE_FIELDS] = encode(more)
        return kept

    def _take(self, name: str, value: Any, taken: set[tuple[Any, ...]]) -> bool:
        """Take a field's columns in both tables that have it; False if one of them is not possible."""
        tables = (INVOICES, CHANGES)
        positions = [each for table in tables for each in self._positions((table,), (), (), name, value)]
        wanted = {(table, row, column) for table, row, column, _ in positions}
        can_nest = self.capabilities.nests or all(kind != LIST for *_, kind in positions)
        if not (self.capabilities.grows and can_nest) or len(wanted) < len(positions) or wanted & taken:
            return False
        kinds: dict[str, dict[str, str]] = {}
        for table, _, column, kind in positions:
            columns = kinds.setdefault(table, dict(self._columns(table)))
            if not column or (kind and columns.setdefault(column, kind) != kind):
                return False
        if any(len(columns) > max(MAX_COLUMNS, len(self._columns(at))) for at, columns in kinds.items()):
            return False
        below = kinds.keys() - TABLES.keys()
        if not self._has_room_for(below):
            return False
        self._check(kinds, printable(name))
        taken |= wanted
        self._known |= kinds
        self._below |= below
        return True

    def _check(self, kinds: Mapping[str, Mapping[str, str]], field: str) -> None:
        # A new table was checked with its parent.
        for table in kinds.keys() & self.schema.tables.keys():
            check_growth(self.schema, table, field, self._columns(table), kinds[table])

    def _columns(self, table: str) -> dict[str, str]:
        if table not in self._known:
            tables = self.schema.tables
            columns = tables[table]["columns"] if table in tables else {}
            kinds = {name: kind for name, column in columns.items() if (kind := column.get("data_type"))}
            below = {name: LIST for name, each in tables.items() if each.get("parent") == table}
            self._known[table] = {**kinds, **below}
        return self._known[table]

    def _has_room_for(self, tables: set[str]) -> bool:
        """Whether these child tables are allowed in addition to those that dlt has made or will make."""
        there = self._below | {name for name, each in self.schema.tables.items() if each.get("parent")}
        return tables <= there or len(there | tables) <= MAX_TABLES

    def _positions(
        self, table: tuple[str, ...], row: tuple[Any, ...], path: tuple[str, ...], name: str, value: Any
    ) -> Iterator[_Position]:
        """Say where dlt's normalizer puts a field: objects become columns, lists become tables."""
        naming = self.schema.naming
        table_name = naming.shorten_fragments(*table)
        at = (*path, naming.normalize_path(name) if name.strip() else "")
        if isinstance(value, Mapping):
            for inner, item in value.items():
                yield from self._positions(table, row, at, inner, item)
        elif isinstance(value, list):
            below = (*table, *path, naming.normalize_tables_path(name))
            named = naming.shorten_fragments(*below)
            yield table_name, row, named if all(at) else "", LIST
            for index, item in enumerate(value):
                only = LIST if isinstance(item, list) else "value"
                fields = item if isinstance(item, Mapping) else {only: item}
                for inner, each in fields.items():
                    yield from self._positions(below, (*row, named, index), (), inner, each)
        else:
            column = naming.shorten_fragments(*at) if all(at) else ""
            yield table_name, row, column, _KINDS.get(type(value))
