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
    """What to write of one invoice.

    Attributes:
        writes_row: Whether its row in `invoices` is to be written, or deleted.
        change: The change to note in `invoice_changes`; None for none.
        version: The number of that change.
    """

    writes_row: bool
    change: Change | None
    version: int


def judge_listed(row_hash: str, stored: Stored) -> Verdict:
    """Judge an invoice that the API lists."""
    change: Change | None = None
    if stored.change_hash is None:
        change = "new"
    elif stored.change_hash != row_hash:
        change = "updated"
    return Verdict(stored.row_hash != row_hash, change, stored.version + 1)


def judge_gone(stored: Stored) -> Verdict:
    """Judge an invoice that the API does not list any more."""
    return Verdict(
        stored.row_hash is not None, None if stored.change_hash is None else "deleted", stored.version + 1
    )
