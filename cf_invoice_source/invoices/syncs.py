"""What a run did for one account: a row of `invoice_syncs`. The fields of `Sync` are its columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, get_type_hints

from cf_invoice_source.invoices.columns import Column, ColumnType


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """What a run did for one account; each field is a column of `invoice_syncs` with its description."""

    account_id: Annotated[str, "Cloudflare account ID."]
    started_at: Annotated[datetime, "When the run began with this account, in UTC."]
    finished_at: Annotated[datetime, "When the run finished this account, in UTC."]
    sync_number: Annotated[
        int, "Counts the syncs of one account from 1. The highest is the last one: clocks can be wrong."
    ]
    type: Annotated[str, "Which invoices this dataset holds: all, auto or manual."]
    sync_mode: Annotated[
        str, "incremental, full, or sequential (page after page, because the server counts wrongly)."
    ]
    full_reason: Annotated[str, "Why the whole list was read; empty for an incremental sync."]
    requests: Annotated[int, "Pages asked for."]
    retries: Annotated[int, "Requests that were sent again, after a fault of the network or the edge."]
    rate_limited: Annotated[int, "Answers 429."]
    waited_s: Annotated[int, "Seconds waited for the rate limit, rounded."]
    total_count: Annotated[int, "Length of the list when the walk began."]
    records_read: Annotated[int, "Records read."]
    new: Annotated[int, "Changes recorded as new."]
    updated: Annotated[int, "Changes recorded as updated."]
    deleted: Annotated[int, "Changes recorded as deleted."]
    rejected: Annotated[int, "Records in the list that could not be stored; they are in invoice_rejects."]
    verified: Annotated[bool, "Whether the tables are known to equal the list, as page 1 described it."]
    unverified_reason: Annotated[str, "Why they are not known to; empty if they are."]
    error: Annotated[str, "Why the account could not be read, and what to do; empty if it could."]

    @property
    def problem(self) -> str:
        """What is wrong with this sync, in one line; empty if all is well."""
        return problem_of(self.error, self.unverified_reason, self.rejected)

    @property
    def remedy(self) -> str:
        """What to do about the problem; empty if all is well."""
        return remedy_of(self.error, self.unverified_reason, self.rejected)

    def row(self) -> dict[str, Any]:
        """Give the row of `invoice_syncs`."""
        return {column: getattr(self, column) for column in SYNC_COLUMNS}


def problem_of(error: str, unverified_reason: str, rejected: int) -> str:
    """Say what is wrong with an account; empty if all is well."""
    if error:
        return f"failed: {error}"
    if unverified_reason:
        return f"not verified: {unverified_reason}"
    if rejected:
        return f"{rejected:,} record{'s' * (rejected != 1)} rejected: see invoice_rejects"
    return ""


_AGAIN = "run cf-invoices load again; with --full it reads the whole list and compares every value"

_REMEDIES = {
    "not listed any more and kept": (
        "if you know that they are gone, run cf-invoices load --accept-deletions; else wait until they are "
        "listed again"
    ),
    "only adds rows": "take the newest row of each invoice from invoice_changes, or change the destination",
    "cannot be read back": "choose another destination, or do without verification",
}
"""What to do where another run does not help, by words in the reason: a stored sync has only its text."""


def remedy_of(error: str, unverified_reason: str, rejected: int) -> str:
    """Say what to do about a problem; empty if there is none."""
    if error:
        return error.partition("\nDo: ")[2].partition("\n")[0]
    if unverified_reason:
        return next((remedy for words, remedy in _REMEDIES.items() if words in unverified_reason), _AGAIN)
    if rejected:
        return (
            "SELECT reason, raw FROM invoice_rejects WHERE resolved_at IS NULL; each load asks for these "
            "records again, and one that Cloudflare has corrected becomes an invoice"
        )
    return ""


_TYPES: Mapping[type, ColumnType] = {str: "text", int: "bigint", bool: "bool", datetime: "timestamp"}

SYNC_COLUMNS: Mapping[str, Column] = {
    name: Column(_TYPES[hint.__origin__], *hint.__metadata__)
    for name, hint in get_type_hints(Sync, include_extras=True).items()
}
