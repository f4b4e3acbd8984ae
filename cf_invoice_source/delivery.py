"""Rows on their way to dlt: in few large portions, and as files where dlt would change nothing about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dlt
from dlt.common.json import json
from dlt.common.normalizers.utils import generate_dlt_ids
from dlt.common.schema.typing import TColumnSchema
from dlt.common.storages.load_package import load_package_state
from dlt.common.utils import uniq_id

from cf_invoice_source.columns import Columns
from cf_invoice_source.decide.guess import has_guessable_text
from cf_invoice_source.decide.place import Place
from cf_invoice_source.hints import CHANGES, INVOICES, ROW_VERSION, TABLES

PORTION_ROWS = 20_000
"""Rows in one JSON file: DuckDB takes the columns from the first 20,480, and refuses what comes later."""

_DLTS_COLUMNS: dict[str, TColumnSchema] = {
    "_dlt_load_id": {"name": "_dlt_load_id", "data_type": "text", "nullable": False},
    "_dlt_id": {"name": "_dlt_id", "data_type": "text", "nullable": False, "unique": True, "row_key": True},
}
"""What dlt's normalizer adds to every table."""

_WITH_CURSOR = (INVOICES, CHANGES)
"""Tables that have `created`: dlt would add the resource's cursor to any other that it takes a file for."""

Rows = Sequence[Mapping[str, Any]]
TableHints = Mapping[str, Mapping[str, Any]]


class Delivery:
    """The rows of one load package.

    Args:
        pipeline: The pipeline that loads them.
        schema: The source's schema.
        hints: What `dlt.mark.make_hints` takes for each table.
        place: What the destination can do.
        is_direct: Whether rows may go to DuckDB as files that dlt loads as they are, without a look at each
            row, which spares a quarter of the time. Not where a user may have put dlt's own steps in between.
    """

    def __init__(
        self, pipeline: dlt.Pipeline, schema: dlt.Schema, hints: TableHints, place: Place, *, is_direct: bool
    ) -> None:
        self._hints, self._run = hints, uniq_id()
        self._schema, self._columns, self._is_direct = schema, Columns(schema, place), is_direct
        self._folder = Path(pipeline.working_dir)
        # For DuckDB not the format that dlt prefers, but the one that takes the least time and memory.
        is_duckdb = pipeline.destination.destination_type == "dlt.destinations.duckdb"
        self._file_format = "jsonl" if is_duckdb else "preferred"
        self._waiting: dict[str, list[Mapping[str, Any]]] = {}
        self._in_one_file = Counter[str]()

    def add(self, tables: Mapping[str, Rows]) -> Iterator[Any]:
        """Take in rows by table, and yield full portions."""
        for table, rows in tables.items():
            waiting = self._waiting.setdefault(table, [])
            waiting += [self._versioned(table, self._columns.fit(table, row)) for row in rows]
            while len(waiting) >= PORTION_ROWS:
                yield from self._portion(table, waiting[:PORTION_ROWS])
                del waiting[:PORTION_ROWS]

    def rest(self) -> Iterator[Any]:
        """Yield what is left."""
        for table, waiting in self._waiting.items():
            if waiting:
                yield from self._portion(table, waiting)
        self._waiting.clear()

    def _versioned(self, table: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make a row another version than those that are there, where versions are kept."""
        if ROW_VERSION not in self._hints[table]["columns"]:
            return row
        return {**row, ROW_VERSION: f"{row['account_id']}:{row['id']}:{self._run}"}

    def _portion(self, table: str, rows: Rows) -> Iterator[Any]:
        if any(map(has_guessable_text, rows)):
            self._file_format = "preferred"
        is_json = self._file_format == "jsonl"
        if self._is_direct and is_json and table in _WITH_CURSOR and self._is_final(table, rows):
            yield from self._as_file(table, rows)
            return
        self._in_one_file[table] += len(rows)
        if self._in_one_file[table] > PORTION_ROWS:
            self._file_format = "preferred"
        yield _marked(table, rows, **self._hints[table], file_format=self._file_format)

    def _is_final(self, table: str, rows: Rows) -> bool:
        """Whether dlt would change nothing: all columns are documented ones, under their own names."""
        documented = TABLES[table]["columns"].keys()
        return all(row.keys() <= documented for row in rows) and all(
            self._schema.naming.normalize_identifier(name) == name for name in (*documented, *_DLTS_COLUMNS)
        )

    def _as_file(self, table: str, rows: Rows) -> Iterator[Any]:
        load_id = load_package_state()["load_id"]
        file = self._folder / f"{table}.jsonl"
        with file.open("wb") as lines:
            for row, dlt_id in zip(rows, generate_dlt_ids(len(rows)), strict=True):
                # Null is left out, as dlt does it: DuckDB refuses a field that it did not see in the first
                # rows, but of one that it has seen as null only, it would read everything as null.
                given = {name: value for name, value in row.items() if value is not None}
                lines.write(json.dumpb(given | {"_dlt_load_id": load_id, "_dlt_id": dlt_id}) + b"\n")
        hints = dlt.mark.make_hints(table_name=table, columns=_DLTS_COLUMNS)
        item = dlt.mark.with_file_import(str(file), "jsonl", len(rows), hints)
        item.data = []  # dlt passes over what has no data
        yield item
        file.unlink()  # dlt has made a link of its own


def missing_tables(hints: TableHints, place: Place) -> Iterator[Any]:
    """Create what an account without invoices would not: the tables are there after the first load."""
    if not place.nests:
        return
    for table in incomplete_tables(dlt.current.source_schema()):
        # Not as jsonl, as the table may be known: DuckDB cannot read the empty file that it makes of this.
        yield _marked(table, dlt.mark.materialize_table_schema(), **hints[table], file_format="preferred")


def incomplete_tables(schema: dlt.Schema) -> list[str]:
    """Name the tables that a schema lacks, or that an earlier version made without some column."""
    known = {name: table["columns"].keys() for name, table in schema.tables.items()}
    return [name for name, hints in TABLES.items() if hints["columns"].keys() - known.get(name, set())]


def _marked(table: str, rows: Any, **hints: Any) -> Any:
    """Mark rows with the hints of their table, and with nothing that the resource has instead."""
    made = dlt.mark.make_hints(table_name=table, **hints)
    return dlt.mark.with_hints(rows, made, create_table_variant=True)
