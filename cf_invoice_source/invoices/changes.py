"""Decides what is new, updated or deleted, by comparing the list with what the destination holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Change = Literal["new", "updated", "deleted"]


@dataclass(frozen=True, slots=True)
class Stored:
    """What the destination holds of one invoice.

    Each of the two tables is compared on its own: if only one of them was written, the next run writes the
    other.

    Attributes:
        row_hash: Of its row in `invoices`; None if there is none.
        version: Of its latest change in `invoice_changes`; 0 if there is none.
        change_hash: `row_hash` of that change; None if there is none, or it says deleted.
        is_final: Whether its row in `invoices` has a status that never changes.
    """

    row_hash: str | None = None
    version: int = 0
    change_hash: str | None = None
    is_final: bool = False


NOTHING_STORED = Stored()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to write (or delete) the row in `invoices`, and which change to add, if any."""

    writes_row: bool
    change: Change | None
    version: int


def judge(row_hash: str | None, stored: Stored) -> Verdict:
    """Compare an invoice's hash in the list (None if it is no longer listed) with what is stored."""
    change: Change | None = None
    if row_hash != stored.change_hash:
        change = "deleted" if row_hash is None else "new" if stored.change_hash is None else "updated"
    return Verdict(row_hash != stored.row_hash, change, stored.version + 1)
