"""What is loaded, read from the destination alone: no credentials, no Cloudflare."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from iso4217 import Currency

from cf_invoice_source.cloudflare.accounts import read_account_ids
from cf_invoice_source.invoices.money import STRIPE_EXPONENTS, to_major, total
from cf_invoice_source.loading.accounts import difference
from cf_invoice_source.walk.bookmark import from_dict
from cf_invoice_source.warehouse.dlt_errors import dlt_errors_explained
from cf_invoice_source.warehouse.overview import Overview
from cf_invoice_source.warehouse.target import Target


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount.

    Attributes:
        currency: ISO 4217 code in capitals; as stored where ISO does not know it.
        amount: How much.
        is_minor: Whether it is in minor units still, because the currency is not known.
    """

    currency: str
    amount: Decimal
    is_minor: bool = False


@dataclass(frozen=True, slots=True)
class Walk:
    """The last walk of an account, as in its row of `invoice_walks`."""

    started_at: datetime
    finished_at: datetime
    kind: str
    why: str
    proven: bool
    doubt: str
    error: str


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """What is loaded of one account.

    Attributes:
        account_id: Cloudflare account ID.
        invoices: Rows in `invoices`.
        rejected: Records in the list that could not be stored.
        newest: The newest `created`, in UTC; None where no invoice has one.
        open: What remains to be paid of the invoices whose status is open, by currency.
        last_walk: The last walk; None where none is on record.
        last_full_walk_at: When the whole list was last read and proven, in UTC.
        doubt: Why the rows are not proven to be the list of the last walk; empty when they are.
    """

    account_id: str
    invoices: int
    rejected: int
    newest: datetime | None
    open: tuple[Money, ...]
    last_walk: Walk | None
    last_full_walk_at: datetime | None
    doubt: str


@dataclass(frozen=True, slots=True)
class Status:
    """What is loaded.

    Attributes:
        pipeline_name: Name of the dlt pipeline.
        dataset_name: Dataset (schema) that holds the tables.
        destination: Where it lies, without secrets.
        pending_packages: Load packages of an interrupted run, which the next load finishes.
        accounts: Each account that something is known of, by ID.
        absent: How many of the accounts asked for are not among them.
    """

    pipeline_name: str
    dataset_name: str
    destination: str
    pending_packages: int
    accounts: tuple[AccountStatus, ...]
    absent: int

    @property
    def is_loaded(self) -> bool:
        """Whether anything is there."""
        return bool(self.accounts)

    @property
    def has_failed(self) -> bool:
        """Whether some account could not be read by its last walk."""
        return any(account.last_walk and account.last_walk.error for account in self.accounts)

    @property
    def is_proven(self) -> bool:
        """Whether the tables equal every account's list as its last walk found it, and hold every record."""
        is_whole = not any(account.doubt or account.rejected for account in self.accounts)
        return is_whole and not (self.pending_packages or (self.is_loaded and self.absent))


def read_status(target: Target, account_ids: Sequence[str] = ()) -> Status:
    """Read what is loaded. Nothing is created, whether or not something is there.

    Args:
        target: Where to look.
        account_ids: Accounts to tell about; all where there are none.

    Raises:
        SettingsError: The destination's settings are missing or wrong, or an account ID is none.
        DestinationError: The destination cannot be read.
    """
    wanted = set(read_account_ids(account_ids))
    with dlt_errors_explained(), target.reading() as dataset:
        found = _accounts(Overview(dataset), target.pipeline_name) if dataset else ()
        accounts = tuple(each for each in found if not wanted or each.account_id in wanted)
        return Status(
            pipeline_name=target.pipeline_name,
            dataset_name=target.dataset_name,
            destination=target.location,
            pending_packages=target.pending_packages(),
            accounts=accounts,
            absent=len(wanted - {account.account_id for account in accounts}),
        )


def _accounts(overview: Overview, pipeline_name: str) -> tuple[AccountStatus, ...]:
    with overview.connected():
        counts = overview.counts()
        newest = overview.newest()
        walks = {account_id: Walk(**walk) for account_id, walk in overview.last_walks().items()}
        full_walks = overview.last_full_walks()
        amounts: _Amounts = defaultdict(lambda: defaultdict(list))
        for account_id, currency, amount in overview.open_amounts():
            amounts[account_id][currency].append(amount)
    bookmarks = overview.bookmarks(pipeline_name)
    return tuple(
        AccountStatus(
            account_id,
            *counts[account_id],
            newest=newest.get(account_id),
            open=tuple(_money(*each) for each in sorted(amounts[account_id].items())),
            last_walk=(walk := walks.get(account_id)),
            last_full_walk_at=full_walks.get(account_id),
            doubt=_doubt(walk) or difference(from_dict(bookmarks.get(account_id)), counts[account_id]),
        )
        for account_id in sorted(counts.keys() | walks.keys())
    )


_Amounts = dict[str, dict[str, list[Decimal]]]
"""By account and currency, in minor units."""


def _doubt(walk: Walk | None) -> str:
    return walk.doubt if walk else "no walk is on record"


def _money(currency: str, minor: Sequence[Decimal]) -> Money:
    code = currency.upper()
    exponent = STRIPE_EXPONENTS.get(code, _iso_exponent(code))
    if exponent is None:
        return Money(currency, total(minor), is_minor=True)
    return Money(code, to_major(total(minor), exponent))


def _iso_exponent(code: str) -> int | None:
    try:
        return Currency(code).exponent
    except ValueError:
        return None
