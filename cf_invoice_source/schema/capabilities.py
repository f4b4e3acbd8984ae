"""What a destination can do for our tables, and what of it a user has to know before a load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

TableFormat = Literal["delta", "iceberg", "native"]
"""How a destination of files keeps tables, as dlt names it."""

FileFormat = Literal["jsonl", "parquet", "csv", "insert_values"]
"""How rows travel, and lie in plain files: those of dlt's formats that a user may want."""

FILE_FORMATS: tuple[str, ...] = get_args(FileFormat)

TABLE_FORMATS: tuple[str, ...] = get_args(TableFormat)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a destination does with a row that has the key of another one, or is marked deleted."""

    is_readable: bool = True
    replaces: bool = True  # a row takes the place of the one with its key; else both stay
    deletes: bool = True  # a row that is marked deleted goes; else it stays, marked and empty
    nests: bool = True  # a list in a row can have a table of its own, and a table be made without a row
    grows: bool = True  # a table can get new columns
    shares: bool = True  # several pipelines can load into one dataset at once
    digits: int | None = None  # the significant ones that it keeps of a number; None for all

    @property
    def unverified_reason(self) -> str:
        """Why the tables are never known to be the list; empty where they can be."""
        if not self.is_readable:
            return "this destination cannot be read back"
        only_adds = "this destination only adds rows: invoices holds old ones, too, invoice_changes is exact"
        return "" if self.replaces else only_adds

    @property
    def limit(self) -> str:
        """What to know before a load, and what to do; empty where there is nothing."""
        if not self.is_readable:
            return (
                "This destination cannot be read back: each row that is asked for is written again, "
                "changes are not noted, and nothing is verified"
            )
        only_adds = (
            "This destination only adds rows: the table invoices will hold old ones, too. Take the "
            "newest row of each invoice from invoice_changes (README, Destinations), or choose another "
            "destination; files can be Delta or Iceberg tables (table_format)"
        )
        return "" if self.replaces else only_adds


EVERYTHING = Capabilities()
"""A destination without a limit."""
