"""The figures of the report, exact, from plain rows: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from cf_invoice_source.invoices.money import Money
from cf_invoice_source.loading.report import Problem
from cf_invoice_source.reporting.accounts import AccountFigures
from cf_invoice_source.reporting.sums import CurrencySums


@dataclass(frozen=True, slots=True)
class UnpaidInvoice:
    """An invoice with money to be paid.

    Attributes:
        age_days: Days from `created` to the report's day; None if it has no date.
        attempts: How often payment was tried.
        failing_since: When payment was first seen to fail; None if it did not, or if that is not on record.
    """

    account_id: str
    id: str
    status: str
    created: datetime | None
    age_days: int | None
    remaining: Money
    origin: str | None
    description: str | None
    attempts: int
    failing_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Age:
    """Open invoices of one age in days, and what remains to be paid of them in each currency."""

    label: str
    invoices: int
    remaining: tuple[Money, ...]


@dataclass(frozen=True, slots=True)
class SeenChange:
    """A change that a run saw: what the status was before, and which fields differ."""

    observed_at: datetime | None
    account_id: str
    id: str
    version: int
    change: str
    status_before: str | None
    status: str | None
    amount_due: Money
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """What runs saw in the 30 days until the report's day.

    Attributes:
        begin: The first of these days.
        counts: How many changes of each kind. Those that the first load of an account noted are "first_load".
        newest: The newest of them, at most 1,000, without those of a first load.
    """

    begin: date
    counts: Mapping[str, int]
    newest: tuple[SeenChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Everything on the report.

    Attributes:
        pipeline_name: Name of the dlt pipeline.
        dataset_name: Dataset (schema) that holds the tables.
        destination: Where the dataset is, without secrets.
        page: The file that was written; empty if none was.
        as_of: The day of the report, in UTC: what was known at its end.
        is_past: Whether that day was asked for: the figures are those of `invoice_changes` then.
        accounts: Those with a problem first.
        origins: The origins with the most purchases; "" for none, and at the end None for all others, if any.
        open: The open invoices, oldest first.
        undocumented: Paid and void invoices without an archived document; None if there never was one, or
            for a day in the past.
        failed: Invoices whose payment was tried and failed, longest first.
        problems: What is wrong with which account, and what is missing.
    """

    pipeline_name: str
    dataset_name: str
    destination: str
    page: str
    as_of: date
    is_past: bool
    invoices: int
    undocumented: int | None
    accounts: tuple[AccountFigures, ...]
    origins: tuple[str | None, ...]
    currencies: tuple[CurrencySums, ...]
    ages: tuple[Age, ...]
    open: tuple[UnpaidInvoice, ...]
    failed: tuple[UnpaidInvoice, ...]
    changes: Changes
    problems: tuple[Problem, ...]

    @property
    def is_verified(self) -> bool:
        """Whether the tables equal every account's list, without a rejected record; was so on a past day."""
        return bool(self.accounts) and not self.problems

    @property
    def has_failed(self) -> bool:
        """Whether the last sync of any account could not read it."""
        return any(account.error for account in self.accounts)
