"""Rows of one table as a file of JSON lines, and whether DuckDB would read its texts unchanged."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlt.common.json import json
from dlt.common.normalizers.utils import generate_dlt_ids

MOST_ROWS = 20_480
"""DuckDB infers the columns of a file and their types from so many rows, and refuses other ones later."""

Row = Mapping[str, Any]
Rows = Sequence[Row]


class RowFile:
    """A file with one row in each line, with the columns that dlt adds."""

    def __init__(self, path: Path, load_id: str, texts: Collection[str]) -> None:
        self.path = path
        self.rows = 0
        self._load_id = load_id.encode()
        path.unlink(missing_ok=True)  # left by a load that was killed
        self._lines = path.open("xb")  # "x" does not follow somebody else's link
        self._undecided = set(texts)
        self._rewritten = set[str]()

    def add(self, rows: Rows) -> None:
        """Write rows; the file may have at most `MOST_ROWS`."""
        line = b'%b,"_dlt_load_id":"%b","_dlt_id":"%b"}\n'
        lines = []
        for row, dlt_id in zip(rows, generate_dlt_ids(len(rows)), strict=True):
            self._decide(row)
            lines.append(line % (json.dumpb(row)[:-1], self._load_id, dlt_id.encode()))
        self._lines.write(b"".join(lines))  # at once: after each write this thread waits for those that fetch
        self.rows += len(rows)

    def close(self) -> bool:
        """Close the file, and say whether DuckDB reads every text in it unchanged.

        DuckDB guesses types: it would rewrite a column in which every text looks like a time or a UUID.
        """
        self._lines.close()
        return not self._rewritten & self._undecided

    def read(self) -> Rows:
        """Read the rows back, with JSON's types and without dlt's columns."""
        with self.path.open("rb") as lines:
            rows = [json.loadb(line) for line in lines]
        return [{name: row[name] for name in row if not name.startswith("_dlt_")} for row in rows]

    def _decide(self, row: Row) -> None:
        """One text that looks like no other type keeps its column text; often the first one does."""
        for column in tuple(self._undecided):
            text = row.get(column)
            if text is None:
                continue
            if duckdb_sniffs(text):
                self._rewritten.add(column)
            else:
                self._undecided.remove(column)


_GUESSABLE = re.compile(
    r"\s*(?:[+-]?\d+[-/\\ ]\d+[-/\\ ]\d|\d+:\d|[+-]?infinity|epoch|\{?[0-9a-f]{8}-?[0-9a-f]{4}-)",
    re.IGNORECASE,
)
"""Tried with DuckDB 2.0 on 400,000 texts: it rewrote only texts that match this."""

_PLAIN_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""A UUID as DuckDB writes it, so that it is not changed."""


def duckdb_sniffs(value: Any) -> bool:
    """Say whether a value has a text, however deep, that DuckDB may rewrite.

    If all texts of a column look like times, "2026-01-01T00:00:00Z" becomes "2026-01-01 00:00:00+00".
    """
    kind = type(value)
    if kind is str:
        return _GUESSABLE.match(value) is not None and not _PLAIN_UUID.fullmatch(value)
    if kind is dict:
        value = value.values()
    elif kind is not list:
        return False
    return any(map(duckdb_sniffs, value))
