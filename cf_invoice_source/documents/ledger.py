"""PURE: which invoices need a document, and the rows of `invoice_documents`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the tables hold of one invoice.

    Attributes:
        created: When it was made, in UTC.
        position: How many newer invoices of its account are held; None if it has no `created`.
    """

    account_id: str
    id: str
    created: datetime | None
    status: str | None
    row_hash: str
    position: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """A row of `invoice_documents`; each field is a column."""

    account_id: str
    id: str
    sha256: str = ""
    path: str | None = None
    bytes: int | None = None
    content_type: str | None = None
    fetched_at: datetime
    status: str | None
    row_hash: str
    error: str | None = None
    attempts: int

    def row(self) -> dict[str, Any]:
        """Give the row for dlt."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(slots=True)
class Wanted:
    """What a run has to do.

    Attributes:
        invoices: Those that need a document, by account, newest first.
        held: How many invoices of each account the tables hold.
        attempts: How many runs have tried in vain, by account and invoice.
        failing: The invoices that are noted as failing.
    """

    invoices: dict[str, list[Held]] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    attempts: dict[tuple[str, str], int] = field(default_factory=dict)
    failing: set[tuple[str, str]] = field(default_factory=set)

    @property
    def total(self) -> int:
        """How many documents are wanted."""
        return sum(map(len, self.invoices.values()))

    def add(
        self, account_id: str, rows: Iterable[Mapping[str, Any]], stored: Collection[str], *, drafts: bool
    ) -> None:
        """Add an account's invoices that need a document.

        One without a link has no document. But if no invoice has one, the column is left out, and says
        nothing.

        Args:
            account_id: Cloudflare account ID.
            rows: All its invoices, newest first.
            stored: Paths of the files that are in the archive.
            drafts: Whether drafts get a document, too.
        """
        with_link: list[Held] = []
        without: list[Held] = []
        links_are_kept, position, count = False, 0, 0
        for row in rows:
            count += 1
            links_are_kept |= row["has_link"]
            held = Held(
                account_id=account_id,
                id=row["id"],
                created=row["created"],
                status=row["status"],
                row_hash=row["row_hash"] or "",
                position=position if row["created"] else None,
            )
            position += row["created"] is not None
            is_archived = row["path"] is not None and row["path"] in stored
            if is_archived or (held.status == "draft" and not drafts):
                continue
            (with_link if row["has_link"] else without).append(held)
        self.held[account_id] = count
        self.invoices[account_id] = with_link if links_are_kept else without
