"""Reads what is loaded from the destination alone, without credentials or Cloudflare."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from decimal import Decimal

from cf_invoice_source.cloudflare.accounts import read_account_ids
from cf_invoice_source.invoices.money import Money, money_of
from cf_invoice_source.invoices.syncs import Sync, problem_of, remedy_of
from cf_invoice_source.loading.report import Problem, problems_of
from cf_invoice_source.walk.bookmark import Bookmark, difference
from cf_invoice_source.warehouse.dataset_ref import DatasetRef, location_of
from cf_invoice_source.warehouse.dlt_errors import translated_errors
from cf_invoice_source.warehouse.documents import DocumentQueries
from cf_invoice_source.warehouse.reader import StatusQueries
from cf_invoice_source.warehouse.staging import dataset_name_in


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """What is loaded of one account. Times are in UTC.

    Attributes:
        account_id: Cloudflare account ID.
        invoices: Rows in `invoices`.
        rejected: Records in the list that could not be stored.
        newest: The latest `created`.
        open: What remains to be paid of open invoices, by currency.
        unbalanced: Invoices that are not void whose `amount_due` is not `amount_paid` + `amount_remaining`.
        last_sync: What the last run did.
        last_verified_sync_at: When the last verified sync ended.
        last_full_sync_at: When the last verified full walk began.
        unverified_reason: Why the tables are not known to equal the list; empty where they are.
        reject_reasons: Why records of it could not be stored.
        undocumented: Final invoices whose document is not archived; None if no document ever was.
    """

    account_id: str
    invoices: int
    rejected: int
    newest: datetime | None
    open: tuple[Money, ...]
    unbalanced: int
    last_sync: Sync | None
    last_verified_sync_at: datetime | None
    last_full_sync_at: datetime | None
    unverified_reason: str
    reject_reasons: tuple[str, ...]
    undocumented: int | None = None

    @property
    def error(self) -> str:
        """Why the last sync could not read the account; empty if it could, or if there is none."""
        return self.last_sync.error if self.last_sync else ""

    @property
    def problem(self) -> str:
        """What is wrong with this account, in one line; empty if all is well."""
        return problem_of(self.error, self.unverified_reason, self.rejected)

    @property
    def remedy(self) -> str:
        """What to do about the problem; empty if all is well."""
        return remedy_of(self.error, self.unverified_reason, self.rejected)


@dataclass(frozen=True, slots=True)
class Status:
    """What is loaded of each account. `absent` is how many of those asked for have nothing loaded."""

    pipeline_name: str
    dataset_name: str
    destination: str
    pending_packages: int
    accounts: tuple[AccountStatus, ...]
    absent: int

    @property
    def has_failed(self) -> bool:
        """Whether the last sync of any account could not read it."""
        return any(account.error for account in self.accounts)

    @property
    def is_verified(self) -> bool:
        """Whether the tables equal every account's list of its last sync, without a rejected record."""
        is_whole = not any(account.problem for account in self.accounts)
        return bool(self.accounts) and is_whole and not (self.pending_packages or self.absent)

    @property
    def undocumented(self) -> int | None:
        """Final invoices whose document is not archived; None if no document ever was."""
        counts = [each.undocumented for each in self.accounts if each.undocumented is not None]
        return sum(counts) if counts else None

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with which account, and what is missing."""
        found = list(problems_of(self.accounts))
        if self.absent or not self.accounts:
            whose = " of the accounts asked for" if self.absent else ""
            how_many = f" of {self.absent:,}" if self.absent and self.accounts else ""
            where = f"{self.destination}, dataset {self.dataset_name}"
            remedy = f"run cf-invoices load; if it has run, check that it loaded into {where}"
            found.append(Problem(f"Nothing is loaded yet{how_many}{whose}.", remedy=remedy))
        if pending := self.pending_packages:
            packages = f"{pending:,} package{'s' * (pending != 1)} pending"
            remedy = "run cf-invoices load: it finishes them"
            found.append(Problem(f"A load was interrupted, or is running now: {packages}.", remedy=remedy))
        return tuple(found)


def status_of(ref: DatasetRef, account_ids: Sequence[str] = (), *, max_age_h: float | None = None) -> Status:
    """Read what is loaded of these accounts, or of all. A sync older than `max_age_h` is not verified."""
    with translated_errors(), ref.reading() as dataset:
        queries = StatusQueries(dataset) if dataset else None
        undocumented = DocumentQueries(dataset).undocumented() if dataset else None
        return status_by(queries, ref, account_ids, undocumented=undocumented, max_age_h=max_age_h)


def status_by(
    queries: StatusQueries | None,
    ref: DatasetRef,
    account_ids: Sequence[str] = (),
    *,
    undocumented: Counter[str] | None = None,
    max_age_h: float | None = None,
) -> Status:
    """Read it by these queries; None if the dataset does not exist."""
    wanted = set(read_account_ids(account_ids))
    bookmarks = queries.bookmarks() if queries else {}
    found = _accounts(queries, bookmarks, max_age_h) if queries else ()
    if undocumented is not None:
        found = tuple(replace(each, undocumented=undocumented[each.account_id]) for each in found)
    accounts = tuple(each for each in found if not wanted or each.account_id in wanted)
    client = ref.client()
    return Status(
        pipeline_name=ref.pipeline_name,
        dataset_name=dataset_name_in(client, ref.dataset_name),
        destination=location_of(client),
        pending_packages=ref.pending_packages(bookmarks),
        accounts=accounts,
        absent=len(wanted - {account.account_id for account in accounts}),
    )


def _accounts(
    queries: StatusQueries, bookmarks: Mapping[str, Mapping[str, Bookmark]], max_age_h: float | None
) -> tuple[AccountStatus, ...]:
    with queries.connected():
        counts = queries.counts()
        newest = queries.newest()
        syncs = queries.last_syncs()
        full_syncs = queries.last_full_syncs()
        reject_reasons = queries.reject_reasons()
        verified = queries.last_verified_syncs()
        unbalanced = queries.unbalanced()
        amounts: dict[str, dict[str, list[Decimal]]] = defaultdict(lambda: defaultdict(list))
        for account_id, currency, amount in queries.open_amounts():
            amounts[account_id][currency].append(amount)

    def unverified_reason(account_id: str) -> str:
        remembered = [accounts[account_id] for accounts in bookmarks.values() if account_id in accounts]
        differences = [difference(bookmark, counts[account_id]) for bookmark in remembered] or [
            "not compared: no pipeline has stored a bookmark for it with the rows"
        ]
        sync = syncs.get(account_id)
        reason = sync.unverified_reason if sync else "no sync is on record"
        # Several pipelines may load the account: one of their bookmarks must agree with the tables.
        reason = reason or ("" if "" in differences else differences[0])
        return reason or ("" if max_age_h is None else _age(verified.get(account_id), max_age_h))

    return tuple(
        AccountStatus(
            account_id,
            *counts[account_id],
            newest=newest.get(account_id),
            open=tuple(money_of(*each) for each in sorted(amounts[account_id].items())),
            unbalanced=unbalanced[account_id],
            last_sync=syncs.get(account_id),
            last_verified_sync_at=verified.get(account_id),
            last_full_sync_at=full_syncs.get(account_id),
            unverified_reason=unverified_reason(account_id),
            reject_reasons=reject_reasons.get(account_id, ()),
        )
        for account_id in sorted(counts.keys() | syncs.keys() | set().union(*bookmarks.values()))
    )


def _age(verified_at: datetime | None, max_age_h: float) -> str:
    if verified_at is None:
        return "no verified sync is on record"
    age_h = (datetime.now(timezone.utc) - verified_at).total_seconds() / 3600
    return f"the last verified sync was {age_h:,.0f} hours ago" if age_h > max_age_h else ""
