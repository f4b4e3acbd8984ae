"""The result of a load: an outcome for each account, and one verdict on them all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cf_invoice_source.errors import NotVerifiedError
from cf_invoice_source.invoices.syncs import Sync


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Sync):
    """The result of one account: its row of `invoice_syncs`, and what the tables hold of it now.

    Attributes:
        invoices: How many invoices of the account the table holds; None if that is not verified.
        full_sync_at: When the last completed full walk began, in UTC; None if there was none. Final invoices
            have not been compared since.
        reject_reasons: Why records of the account are in `invoice_rejects` now, each reason once.
    """

    invoices: int | None
    full_sync_at: datetime | None
    reject_reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong: the text, further reasons if there are any, and what to do about it."""

    text: str
    reasons: tuple[str, ...] = ()
    remedy: str = ""

    def __str__(self) -> str:
        named = {"Reason": "; ".join(self.reasons), "Do": self.remedy}
        return "\n".join([self.text, *(f"{name}: {text}" for name, text in named.items() if text)])


class Account(Protocol):
    """What a load or a status knows of one account."""

    @property
    def account_id(self) -> str:
        """Cloudflare account ID."""

    @property
    def error(self) -> str:
        """Why it could not be read; empty if it could."""

    @property
    def problem(self) -> str:
        """What is wrong with it; empty if all is well."""

    @property
    def remedy(self) -> str:
        """What to do about that."""

    @property
    def reject_reasons(self) -> tuple[str, ...]:
        """Why records of it are rejected, each reason once."""


def problems_of(accounts: Iterable[Account]) -> tuple[Problem, ...]:
    """List what is wrong with accounts, leaving out those that are well."""
    return tuple(
        Problem(
            f"Account {each.account_id}: {each.problem}",
            each.reject_reasons,
            "" if each.error else each.remedy,  # an error's text ends with what to do
        )
        for each in accounts
        if each.problem
    )


@dataclass(frozen=True, slots=True)
class Report:
    """What a load did.

    Attributes:
        pipeline_name: Name of the dlt pipeline.
        dataset_name: Dataset (schema) that holds the tables, as it is named there.
        destination: Where the dataset is, without secrets.
        accounts: The outcome of each account, in the order of the settings or of Cloudflare's list.
        unlisted: Accounts that were loaded before, and that Cloudflare no longer lists. Their rows stay.
    """

    pipeline_name: str
    dataset_name: str
    destination: str
    accounts: tuple[Outcome, ...]
    unlisted: tuple[str, ...] = ()

    @property
    def has_failed(self) -> bool:
        """Whether any account could not be read."""
        return any(account.error for account in self.accounts)

    @property
    def is_verified(self) -> bool:
        """Whether the tables equal every account's list, without a rejected record."""
        return not any(account.problem for account in self.accounts)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with which account."""
        return problems_of(self.accounts)

    def raise_on_failed(self) -> None:
        """Raise if the command `cf-invoices load` would not end with exit code 0.

        Raises:
            NotVerifiedError: An account could not be read, is not verified, or has rejected records.
        """
        if problems := self.problems:
            cause = f"{len(problems):,} of {len(self.accounts):,} accounts are not verified."
            remedies = dict.fromkeys(each.remedy for each in problems if each.remedy)
            raise NotVerifiedError(cause, [each.text for each in problems], remedy="; ".join(remedies))
