"""What a destination can do with our tables, and which limits a user has to know before a load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

TableFormat = Literal["delta", "iceberg", "native"]
"""How a destination of files stores tables; the names are dlt's."""

FileFormat = Literal["jsonl", "parquet", "csv", "insert_values"]
"""How rows travel, and lie in plain files: those of dlt's formats that a user may want."""

FILE_FORMATS: tuple[str, ...] = get_args(FileFormat)

TABLE_FORMATS: tuple[str, ...] = get_args(TableFormat)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a destination can do: replace rows by key, delete rows, make tables and columns."""

    is_readable: bool = True
    replaces: bool = True  # a row replaces the one with its key; if not, both stay
    deletes: bool = True  # a row marked deleted is removed; if not, it stays, marked and empty
    nests: bool = True  # a list in a row can have its own table, and a table can be made without rows
    grows: bool = True  # a table can get new columns
    shares: bool = True  # several pipelines can load into one dataset at once
    digits: int | None = None  # how many significant digits of a number it keeps; None for all
    text_bytes: int | None = None  # how long a text may be; None if that is more than any state takes

    @property
    def unverified_reason(self) -> str:
        """Why the tables can never be verified; empty if they can."""
        if not self.is_readable:
            return "this destination cannot be read back"
        only_adds = "this destination only adds rows: invoices holds old rows, too; invoice_changes is exact"
        return "" if self.replaces else only_adds

    @property
    def limit(self) -> str:
        """What to know before a load, and what to do; empty if there is no limit."""
        if not self.is_readable:
            return (
                "This destination cannot be read back: each row that is read is written again, "
                "changes are not noted, and nothing is verified"
            )
        only_adds = (
            "This destination only adds rows: the table invoices will hold old rows, too. Take the "
            "newest row of each invoice from invoice_changes (README, Destinations), or choose another "
            "destination; files can be Delta or Iceberg tables (table_format)"
        )
        return "" if self.replaces else only_adds


EVERYTHING = Capabilities()
"""A destination without a limit."""
