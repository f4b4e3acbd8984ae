"""Passes rows to dlt in large portions, and as files if dlt would not change them anyway."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dlt
from dlt.common.schema.typing import TColumnSchema
from dlt.common.storages.load_package import load_package_state

from cf_invoice_source.invoices.tables import CHANGES, INVOICES, MORE_FIELDS, TABLES
from cf_invoice_source.loading.row_file import MOST_ROWS, Row, RowFile, Rows, duckdb_sniffs
from cf_invoice_source.schema.capabilities import Capabilities
from cf_invoice_source.schema.columns import Columns
from cf_invoice_source.schema.hints import MORE_FIELDS_HINT, incomplete_tables
from cf_invoice_source.warehouse.destination import is_duckdb
from cf_invoice_source.warehouse.dlt_names import AnyDestination, capabilities_in

_DLTS_COLUMNS: dict[str, TColumnSchema] = {
    "_dlt_load_id": {"name": "_dlt_load_id", "data_type": "text", "nullable": False},
    "_dlt_id": {"name": "_dlt_id", "data_type": "text", "nullable": False, "unique": True, "row_key": True},
}
"""What dlt's normalizer adds to every table."""

_WITH_CURSOR = (INVOICES, CHANGES)
"""Tables that can be imported as files: they have `created`. dlt would add the cursor's column to others."""

TableHints = Mapping[str, Mapping[str, Any]]


class PackageWriter:
    """The rows of one load package.

    With `is_direct`, rows may go to DuckDB as files that dlt loads without normalizing each row. This saves a
    quarter of the time. It is not for pipelines to which a user may have added steps of dlt's.
    """

    def __init__(
        self,
        pipeline: dlt.Pipeline,
        hints: TableHints,
        capabilities: Capabilities,
        *,
        file_format: str | None,
        is_direct: bool,
    ) -> None:
        schema = dlt.current.source_schema()
        self._hints = hints
        self._columns = Columns(schema, capabilities)
        self._folder = Path(pipeline.working_dir)
        self._file_format = file_format or _own_format(pipeline.destination)
        # As far as DuckDB reads it to the letter.
        self._may_be_sniffed = self._file_format == "jsonl" and is_duckdb(pipeline.destination)
        is_direct = is_direct and self._may_be_sniffed and _keeps_names(schema)
        self._as_files = _WITH_CURSOR if is_direct else ()
        self._files: dict[str, RowFile] = {}
        self._waiting: dict[str, list[Row]] = {}
        self._in_one_file = Counter[str]()

    def add(self, tables: Mapping[str, Rows]) -> Iterator[Any]:
        """Add rows by table, and yield full portions."""
        for table, given in tables.items():
            rows = given
            if table in self._as_files:
                documented = TABLES[table].columns.keys()
                yield from self._write(table, [row for row in rows if row.keys() <= documented])
                rows = [row for row in rows if not row.keys() <= documented]
            waiting = self._waiting.setdefault(table, [])
            waiting += [self._columns.fitted(table, row) for row in rows]
            while len(waiting) >= MOST_ROWS:
                yield from self._portion(table, waiting[:MOST_ROWS])
                del waiting[:MOST_ROWS]

    def rest(self) -> Iterator[Any]:
        """Yield the remaining rows."""
        for table in tuple(self._files):
            yield from self._file(table)
        for table, waiting in self._waiting.items():
            if waiting:
                yield from self._portion(table, waiting)
        self._waiting.clear()

    def close(self) -> None:
        """Delete the files that were not yielded."""
        for file in self._files.values():
            file.close()
            file.path.unlink()

    def _write(self, table: str, rows: Rows) -> Iterator[Any]:
        while rows:
            if table not in self._files:
                path, load_id = self._folder / f"{table}.jsonl", load_package_state()["load_id"]
                self._files[table] = RowFile(path, load_id, _texts(table))
            file = self._files[table]
            room = MOST_ROWS - file.rows
            file.add(rows[:room])
            rows = rows[room:]
            if file.rows == MOST_ROWS:
                yield from self._file(table)

    def _file(self, table: str) -> Iterator[Any]:
        file = self._files[table]
        if file.close():
            hints = dlt.mark.make_hints(table_name=table, columns=_DLTS_COLUMNS)
            item = dlt.mark.with_file_import(str(file.path), "jsonl", file.rows, hints)
            item.data = []  # dlt skips an item without data
            yield item
        else:
            yield from self._portion(table, file.read())
        file.path.unlink()  # dlt has made its own link to it
        del self._files[table]

    def _portion(self, table: str, rows: Rows) -> Iterator[Any]:
        self._in_one_file[table] += len(rows)
        if self._may_be_sniffed and (self._in_one_file[table] > MOST_ROWS or any(map(duckdb_sniffs, rows))):
            self._file_format = "preferred"
        hints = dict(self._hints[table])
        if any(MORE_FIELDS in row for row in rows):
            hints["columns"] = {**hints["columns"], **MORE_FIELDS_HINT}
        yield _marked(table, rows, **hints, file_format=self._file_format)


def _texts(table: str) -> list[str]:
    return [name for name, column in TABLES[table].columns.items() if column.type == "text"]


def _keeps_names(schema: dlt.Schema) -> bool:
    """Whether the user's naming convention leaves the names of the documented columns as they are."""
    names = {name for table in _WITH_CURSOR for name in (*TABLES[table].columns, *_DLTS_COLUMNS)}
    return all(schema.naming.normalize_identifier(name) == name for name in names)


def _own_format(destination: AnyDestination) -> str | None:
    """Choose a format where the user chose none: only for DuckDB, which else has the slowest one of all."""
    if not is_duckdb(destination):
        return None
    # "preferred", as a table may have another format from an earlier load.
    return "preferred" if "preferred_loader_file_format" in capabilities_in(destination) else "jsonl"


def missing_tables(pipeline: dlt.Pipeline, hints: TableHints, capabilities: Capabilities) -> Iterator[Any]:
    """Create all tables in the first load, even if an account has no invoices."""
    if not capabilities.nests:
        return
    # Not as jsonl, as the table may be known: DuckDB cannot read the empty file that it makes of this.
    file_format = "preferred" if is_duckdb(pipeline.destination) else None
    for table in incomplete_tables(dlt.current.source_schema().tables):
        yield _marked(table, dlt.mark.materialize_table_schema(), **hints[table], file_format=file_format)


def _marked(table: str, rows: Any, **hints: Any) -> Any:
    """Mark rows with the hints of their table, not with those of the resource."""
    made = dlt.mark.make_hints(table_name=table, **hints)
    return dlt.mark.with_hints(rows, made, create_table_variant=True)
