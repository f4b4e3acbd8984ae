"""What is new, updated or gone, by what the destination holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Change = Literal["new", "updated", "deleted"]


@dataclass(frozen=True, slots=True)
class Stored:
    """What the destination holds of one invoice.

    The two tables are compared each on its own, so that either heals if only the other was written.

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
    """Whether the row in `invoices` is to be written, or deleted, and which change to note, if any."""

    writes_row: bool
    change: Change | None
    version: int


def judge(row_hash: str | None, stored: Stored) -> Verdict:
    """Judge an invoice by the hash that the list has of it; None if it is not listed any more."""
    change: Change | None = None
    if row_hash != stored.change_hash:
        change = "deleted" if row_hash is None else "new" if stored.change_hash is None else "updated"
    return Verdict(row_hash != stored.row_hash, change, stored.version + 1)
