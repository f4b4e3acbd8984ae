"""Purchases by currency and month, exact: pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from cf_invoice_source.invoices.money import add, exponent_of, money_of
from cf_invoice_source.reporting.history import Invoice

MOST_ORIGINS = 5
"""How many origins are told apart, the last of which may be all others: there are so many colours."""


@dataclass(frozen=True, slots=True)
class MonthSums:
    """Purchases of one month, or of all months around those of the report.

    Attributes:
        label: "2026-11", "earlier", "later" or "without a date".
        invoices: How many purchases.
        by_origin: `amount_due` by origin, in the order of the report's origins.
    """

    label: str
    invoices: int
    amount_due: Decimal
    amount_paid: Decimal
    amount_remaining: Decimal
    by_origin: tuple[Decimal, ...]


@dataclass(frozen=True, slots=True)
class CurrencySums:
    """What was bought in one currency, in major units; in minor units if ISO 4217 does not know it.

    Attributes:
        invoices: How many purchases: invoices that are neither drafts nor void.
        this_month: `amount_due` of the purchases in the month of the report's day, with which the last 12
            months end, too.
        purchased: `amount_due` of all purchases.
        open: What remains to be paid of the open invoices.
        uncollectible: What remains to be paid of the uncollectible ones, which are not in `open`.
        by_origin: `amount_due` of all purchases by origin, in the order of the report's origins.
        months: Each month of the report, oldest first, also one without purchases. Before them stands
            "earlier", after them "later" and "without a date", if there are any.
    """

    currency: str
    is_minor: bool
    invoices: int
    this_month: Decimal
    last_month: Decimal
    last_12_months: Decimal
    purchased: Decimal
    open: Decimal
    open_invoices: int
    uncollectible: Decimal
    uncollectible_invoices: int
    by_origin: tuple[Decimal, ...]
    months: tuple[MonthSums, ...]


def months_until(day: date, count: int) -> list[str]:
    """List so many months, as "2026-11", of which the last is this day's."""
    last = day.year * 12 + day.month - 1
    return [f"{month // 12:04}-{month % 12 + 1:02}" for month in range(max(last - count + 1, 12), last + 1)]


def currency_of(invoice: Invoice) -> str:
    """Give the currency by which invoices are added up: "usd" and "USD" are one."""
    is_known = exponent_of(invoice.currency) is not None
    return invoice.currency.upper() if is_known else invoice.currency


class Sums:
    """Adds up invoices by currency."""

    def __init__(self) -> None:
        self._books: dict[str, _Book] = {}

    def add(self, invoice: Invoice) -> None:
        """Add an invoice to the sums of its currency."""
        currency = currency_of(invoice)
        book = self._books.setdefault(currency, _Book(currency))
        amounts = (invoice.amount_due, invoice.amount_paid, invoice.amount_remaining)
        if invoice.is_purchase:
            book.purchases[_month_of(invoice.created), invoice.invoice_origin or ""].add(1, *amounts)
        if invoice.status in {"open", "uncollectible"}:
            book.unpaid[invoice.status].add(1, *amounts)

    def origins(self) -> tuple[str | None, ...]:
        """Give the origins with the most purchases: "" for none, and at the end None for others, if any."""
        bought = Counter[str]()
        for book in self._books.values():
            for (_, origin), cell in book.purchases.items():
                bought[origin] += cell.invoices
        ranked = sorted(bought, key=lambda origin: (-bought[origin], origin))
        return tuple(ranked) if len(ranked) <= MOST_ORIGINS else (*ranked[: MOST_ORIGINS - 1], None)

    def until(self, day: date, months: int) -> tuple[CurrencySums, ...]:
        """Give the sums, with so many months until this day; the currency with the most purchases first."""
        origins = self.origins()
        sums = [book.sums(day, months, origins) for book in self._books.values()]
        return tuple(sorted(sums, key=lambda each: (-each.invoices, each.currency)))


def _month_of(moment: datetime | None) -> str:
    return f"{moment.year:04}-{moment.month:02}" if moment else _UNDATED


_UNDATED = ""


@dataclass(slots=True)
class _Cell:
    """How many invoices, and their amounts in minor units."""

    invoices: int = 0
    due: Decimal = Decimal(0)
    paid: Decimal = Decimal(0)
    remaining: Decimal = Decimal(0)

    def add(self, invoices: int, due: Decimal, paid: Decimal, remaining: Decimal) -> None:
        self.invoices += invoices
        self.due, self.paid = add(self.due, due), add(self.paid, paid)
        self.remaining = add(self.remaining, remaining)


def _sum(cells: Iterable[_Cell]) -> _Cell:
    summed = _Cell()
    for each in cells:
        summed.add(each.invoices, each.due, each.paid, each.remaining)
    return summed


@dataclass(slots=True)
class _Book:
    """What was added up of one currency: purchases by month and origin, and what is not paid, by status."""

    currency: str
    purchases: dict[tuple[str, str], _Cell] = field(default_factory=lambda: defaultdict(_Cell))
    unpaid: dict[str, _Cell] = field(default_factory=lambda: defaultdict(_Cell))

    def sums(self, day: date, months: int, origins: tuple[str | None, ...]) -> CurrencySums:
        year = months_until(day, 12)
        not_paid, written_off = self.unpaid["open"], self.unpaid["uncollectible"]
        everything = self._row("all", {month for month, _ in self.purchases}, origins)
        return CurrencySums(
            currency=self.currency,
            is_minor=exponent_of(self.currency) is None,
            invoices=everything.invoices,
            this_month=self._major(self._in(year[-1:]).due),
            last_month=self._major(self._in(year[-2:-1]).due),
            last_12_months=self._major(self._in(year).due),
            purchased=everything.amount_due,
            open=self._major(not_paid.remaining),
            open_invoices=not_paid.invoices,
            uncollectible=self._major(written_off.remaining),
            uncollectible_invoices=written_off.invoices,
            by_origin=everything.by_origin,
            months=tuple(self._months(months_until(day, months), origins)),
        )

    def _major(self, minor: Decimal) -> Decimal:
        return money_of(self.currency, [minor]).amount

    def _in(self, months: Collection[str]) -> _Cell:
        return _sum(cell for (month, _), cell in self.purchases.items() if month in months)

    def _months(self, shown: list[str], origins: tuple[str | None, ...]) -> Iterator[MonthSums]:
        found = {month for month, _ in self.purchases}
        if earlier := {month for month in found if _UNDATED < month < shown[0]}:
            yield self._row("earlier", earlier, origins)
        for month in shown:
            yield self._row(month, {month}, origins)
        if later := {month for month in found if month > shown[-1]}:
            yield self._row("later", later, origins)
        if _UNDATED in found:
            yield self._row("without a date", {_UNDATED}, origins)

    def _row(self, label: str, months: Collection[str], origins: tuple[str | None, ...]) -> MonthSums:
        by_origin: dict[str | None, _Cell] = {origin: _Cell() for origin in origins}
        for (month, origin), cell in self.purchases.items():
            if month in months:
                column = by_origin[origin if origin in by_origin else None]
                column.add(cell.invoices, cell.due, cell.paid, cell.remaining)
        row = _sum(by_origin.values())
        return MonthSums(
            label=label,
            invoices=row.invoices,
            amount_due=self._major(row.due),
            amount_paid=self._major(row.paid),
            amount_remaining=self._major(row.remaining),
            by_origin=tuple(self._major(cell.due) for cell in by_origin.values()),
        )
