"""Which account is verified, and how its last syncs went: pure."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from cf_invoice_source.invoices.syncs import problem_of, remedy_of

if TYPE_CHECKING:
    from cf_invoice_source.loading.status import AccountStatus

SHOWN_SYNCS = 14
"""How many syncs of an account are shown: two weeks of nights."""

State = Literal["verified", "unverified", "failed"]


@dataclass(frozen=True, slots=True)
class SyncMark:
    """A sync of an account, as the report shows it."""

    account_id: str
    sync_number: int
    started_at: datetime | None
    finished_at: datetime | None
    sync_mode: str
    new: int
    updated: int
    deleted: int
    rejected: int
    verified: bool
    unverified_reason: str
    error: str

    @property
    def state(self) -> State:
        """How it went."""
        if self.error:
            return "failed"
        return "verified" if self.verified and not self.rejected else "unverified"


@dataclass(frozen=True, slots=True)
class AccountFigures:
    """An account on the report.

    Attributes:
        invoices: How many are listed.
        rejected: Records in the list that could not be stored.
        error: Why the last sync could not read it; empty if it could.
        problem: What is wrong with it; empty if all is well.
        remedy: What to do about that.
        last_verified_sync_at: When its last verified sync ended.
        last_full_sync_at: When its last verified full walk began.
        syncs: Its last syncs, oldest first.
    """

    account_id: str
    invoices: int
    rejected: int
    error: str
    problem: str
    remedy: str
    reject_reasons: tuple[str, ...]
    last_verified_sync_at: datetime | None
    last_full_sync_at: datetime | None
    syncs: tuple[SyncMark, ...]

    @property
    def state(self) -> State:
        """Whether it is verified."""
        return "failed" if self.error else "unverified" if self.problem else "verified"


def sorted_by_need(accounts: Iterable[AccountFigures]) -> tuple[AccountFigures, ...]:
    """Put failed accounts first and verified ones last."""
    order: Mapping[State, int] = {"failed": 0, "unverified": 1, "verified": 2}
    return tuple(sorted(accounts, key=lambda each: (order[each.state], each.account_id)))


def accounts_now(
    found: Sequence[AccountStatus], invoices: Mapping[str, int], syncs: Iterable[SyncMark]
) -> Iterator[AccountFigures]:
    """Give each account as `cf-invoices status` has it; syncs come in the order of their numbers."""
    latest: dict[str, deque[SyncMark]] = defaultdict(lambda: deque(maxlen=SHOWN_SYNCS))
    for sync in syncs:
        latest[sync.account_id].append(sync)
    for each in found:
        yield AccountFigures(
            account_id=each.account_id,
            invoices=invoices.get(each.account_id, 0),
            rejected=each.rejected,
            error=each.error,
            problem=each.problem,
            remedy=each.remedy,
            reject_reasons=each.reject_reasons,
            last_verified_sync_at=each.last_verified_sync_at,
            last_full_sync_at=each.last_full_sync_at,
            syncs=tuple(latest[each.account_id]),
        )


def accounts_then(
    invoices: Mapping[str, int], syncs: Iterable[SyncMark], end: datetime
) -> Iterator[AccountFigures]:
    """Give each account as its last sync before this moment left it; syncs come in their order."""
    latest: dict[str, deque[SyncMark]] = defaultdict(lambda: deque(maxlen=SHOWN_SYNCS))
    verified: dict[str, datetime | None] = {}
    full: dict[str, datetime | None] = {}
    for sync in syncs:
        if sync.finished_at and sync.finished_at >= end:
            continue
        latest[sync.account_id].append(sync)
        if sync.verified:
            verified[sync.account_id] = sync.finished_at
            if sync.sync_mode != "incremental":
                full[sync.account_id] = sync.started_at
    for account_id in sorted(latest.keys() | invoices.keys()):
        reason, rejected, error = "no sync is on record", 0, ""
        if marks := latest[account_id]:
            last = marks[-1]
            reason, rejected, error = last.unverified_reason, last.rejected, last.error
        yield AccountFigures(
            account_id=account_id,
            invoices=invoices.get(account_id, 0),
            rejected=rejected,
            error=error,
            problem=problem_of(error, reason, rejected),
            remedy=remedy_of(error, reason, rejected),
            reject_reasons=(),
            last_verified_sync_at=verified.get(account_id),
            last_full_sync_at=full.get(account_id),
            syncs=tuple(marks),
        )
