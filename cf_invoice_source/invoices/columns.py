"""What a column and a table are: plain data, without dlt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ColumnType = Literal["text", "decimal", "timestamp", "bigint", "bool"]
"""dlt's names of the types that our columns have; a decimal is DECIMAL(38, 9)."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        type: dlt's name of its type.
        description: What it means, with its unit.
        is_deletion: Whether it is dlt's mark for rows to delete (`hard_delete`).
    """

    type: ColumnType
    description: str
    is_deletion: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One table, which merges by its key.

    Attributes:
        key: The columns of its primary key; only they are NOT NULL, since a deletion sends nothing else.
        columns: Every documented column, in order.
        description: What a row is.
    """

    key: tuple[str, ...]
    columns: Mapping[str, Column]
    description: str
