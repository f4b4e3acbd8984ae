"""Makes the figures of a day from the rows of the tables, read one after the other: pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from heapq import nlargest

from cf_invoice_source.invoices.money import Money, add, money_of
from cf_invoice_source.invoices.values import EPOCH
from cf_invoice_source.reporting.figures import Age, Changes, SeenChange, UnpaidInvoice
from cf_invoice_source.reporting.history import (
    Change,
    Invoice,
    Version,
    changes_since,
    failing_since,
    histories,
    known_before,
    listed_at_the_end,
)
from cf_invoice_source.reporting.sums import CurrencySums, Sums, currency_of

CHANGE_DAYS = 30
"""How many days before the report's day changes are told of, that day included."""

MOST_CHANGES = 1_000
"""How many of the newest changes are kept; the others are counted."""

_AGES = {30: "0-30", 60: "31-60", 90: "61-90"}
_OLDER, _UNDATED = "over 90", "without a date"
"""In days; the dbt models have the same names."""


def end_of(day: date) -> datetime:
    """Give the moment at which a day ends, in UTC."""
    return datetime.combine(day, time(), timezone.utc) + timedelta(days=1)


class Book:
    """Everything about the invoices that the report of a day tells.

    Args:
        day: The day of the report.
        is_past: Whether invoices are to be as they were known at the end of that day. Then only histories are
            read; otherwise `read_invoices` comes first.
    """

    def __init__(self, day: date, *, is_past: bool) -> None:
        self._day = day
        self._is_past = is_past
        self._sums = Sums()
        self._open: list[UnpaidInvoice] = []
        self._failing: dict[tuple[str, str], UnpaidInvoice] = {}
        self._ages: dict[str, dict[str, Decimal]] = {}
        self._counted = Counter[str]()
        self._changes: list[SeenChange] = []
        self._kinds = Counter[str]()
        self.invoices: Counter[str] = Counter()
        """How many invoices of each account are listed."""

    def read_invoices(self, invoices: Iterable[Invoice]) -> None:
        """Take the invoices as they are listed now."""
        for invoice in invoices:
            self._hold(invoice)

    def read_versions(self, versions: Iterable[Version], first_seen: Mapping[str, datetime]) -> None:
        """Take all versions, sorted by account, ID and number, and when each account was first seen."""
        end = end_of(self._day)
        begin = end - timedelta(days=CHANGE_DAYS)
        for whole in histories(versions):
            history = known_before(whole, end) if self._is_past else whole
            if self._is_past and (invoice := listed_at_the_end(history)):
                self._hold(invoice)
            if history and (since := failing_since(history)):
                key = history[-1].version.invoice.key
                if failing := self._failing.get(key):
                    self._failing[key] = replace(failing, failing_since=since)
            for change in changes_since(history, begin):
                self._note(change, first_seen)

    def _hold(self, invoice: Invoice) -> None:
        self.invoices[invoice.account_id] += 1
        self._sums.add(invoice)
        if invoice.status == "open":
            unpaid = self._unpaid(invoice)
            self._open.append(unpaid)
            self._age(invoice, unpaid.age_days)
        if invoice.is_failing:
            self._failing[invoice.key] = self._unpaid(invoice)

    def _unpaid(self, invoice: Invoice) -> UnpaidInvoice:
        return UnpaidInvoice(
            account_id=invoice.account_id,
            id=invoice.id,
            status=invoice.status or "",
            created=invoice.created,
            age_days=(self._day - invoice.created.date()).days if invoice.created else None,
            remaining=money_of(currency_of(invoice), [invoice.amount_remaining]),
            origin=invoice.invoice_origin,
            description=invoice.description,
            attempts=invoice.attempt_count,
        )

    def _age(self, invoice: Invoice, days: int | None) -> None:
        label = _UNDATED if days is None else next((_AGES[most] for most in _AGES if days <= most), _OLDER)
        self._counted[label] += 1
        amounts = self._ages.setdefault(label, defaultdict(Decimal))
        currency = currency_of(invoice)
        amounts[currency] = add(amounts[currency], invoice.amount_remaining)

    def _note(self, change: Change, first_seen: Mapping[str, datetime]) -> None:
        version = change.span.version
        invoice = version.invoice
        first = first_seen.get(invoice.account_id)
        if first and change.span.valid_from <= first:
            self._kinds["first_load"] += 1
            return
        self._kinds[version.change] += 1
        self._changes.append(
            SeenChange(
                observed_at=version.observed_at,
                account_id=invoice.account_id,
                id=invoice.id,
                version=version.version,
                change=version.change,
                status_before=change.status_before,
                status=None if change.span.is_deleted else invoice.status,
                amount_due=money_of(currency_of(invoice), [invoice.amount_due]),
                fields=change.fields,
            )
        )
        if len(self._changes) > 2 * MOST_CHANGES:
            self._changes = self._newest()

    def _newest(self) -> list[SeenChange]:
        def when(change: SeenChange) -> tuple[datetime, str, str, int]:
            return change.observed_at or EPOCH, change.account_id, change.id, change.version

        return nlargest(MOST_CHANGES, self._changes, key=when)

    def currencies(self, months: int) -> tuple[CurrencySums, ...]:
        """Give the sums by currency, with so many months until the report's day."""
        return self._sums.until(self._day, months)

    def origins(self) -> tuple[str | None, ...]:
        """Give the origins that are told apart."""
        return self._sums.origins()

    def open(self) -> tuple[UnpaidInvoice, ...]:
        """Give the open invoices, oldest first; those without a date come last."""

        def age(each: UnpaidInvoice) -> tuple[bool, datetime, str, str]:
            return not each.created, each.created or EPOCH, each.account_id, each.id

        return tuple(sorted(self._open, key=age))

    def failed(self) -> tuple[UnpaidInvoice, ...]:
        """Give the invoices whose payment failed, longest first; those without a record of it come last."""

        def since(each: UnpaidInvoice) -> tuple[bool, datetime, str, str]:
            return not each.failing_since, each.failing_since or EPOCH, each.account_id, each.id

        return tuple(sorted(self._failing.values(), key=since))

    def ages(self) -> tuple[Age, ...]:
        """Give the open invoices by age; ages that none has are left out."""
        return tuple(
            Age(label, self._counted[label], self._money(self._ages[label]))
            for label in (*_AGES.values(), _OLDER, _UNDATED)
            if label in self._ages
        )

    @staticmethod
    def _money(amounts: Mapping[str, Decimal]) -> tuple[Money, ...]:
        return tuple(money_of(currency, [amount]) for currency, amount in sorted(amounts.items()))

    def changes(self) -> Changes:
        """Give what runs saw in the last days, newest first."""
        begin = self._day - timedelta(days=CHANGE_DAYS - 1)
        kinds = {kind: self._kinds[kind] for kind in ("first_load", "new", "updated", "deleted")}
        return Changes(begin, kinds, tuple(self._newest()))
