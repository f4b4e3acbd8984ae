"""Purchases by currency and month."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timezone
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cf_invoice_source.invoices.money import exponent_of
from cf_invoice_source.reporting.history import Invoice
from cf_invoice_source.reporting.sums import MOST_ORIGINS, CurrencySums, Sums, months_until
from tests.reporting.make import invoice

TODAY = date(2026, 3, 15)


def made_on(year: int, month: int, day: int = 1) -> datetime:
    return datetime(year, month, day, tzinfo=timezone.utc)


def sums_of(*invoices: Invoice, months: int = 13) -> dict[str, CurrencySums]:
    sums = Sums()
    for each in invoices:
        sums.add(each)
    return {each.currency: each for each in sums.until(TODAY, months)}


@pytest.mark.parametrize(
    ("day", "count", "months"),
    [
        (date(2026, 3, 31), 1, ["2026-03"]),
        (date(2026, 3, 1), 4, ["2025-12", "2026-01", "2026-02", "2026-03"]),
        (date(2026, 12, 31), 2, ["2026-11", "2026-12"]),
        (date(2, 1, 1), 3, ["0001-11", "0001-12", "0002-01"]),
        (date(1, 2, 1), 13, ["0001-01", "0001-02"]),
    ],
)
def test_the_months_end_with_that_of_the_day(day: date, count: int, months: list[str]) -> None:
    assert months_until(day, count) == months


@pytest.mark.parametrize(
    ("currency", "amount", "shown", "is_minor"),
    [
        ("usd", "1999", "19.99", False),
        ("jpy", "500", "500", False),
        ("kwd", "1005", "1.005", False),
        ("isk", "500", "5.00", False),
        ("usd", "0.123456789", "0.00123456789", False),
        ("usd", "99999999999999999999999999999.999999999", "999999999999999999999999999.99999999999", False),
        ("eur", "-1999", "-19.99", False),
        ("doge", "1999", "1999", True),
        ("xau", "7", "7", True),
        ("", "7", "7", True),
    ],
)
def test_sums_are_in_major_units_and_exact(currency: str, amount: str, shown: str, is_minor: bool) -> None:
    [found] = sums_of(invoice(currency=currency, amount_due=amount, created=made_on(2026, 3))).values()

    assert (f"{found.this_month:f}", found.is_minor) == (shown, is_minor)


@pytest.mark.parametrize(
    ("status", "counts"),
    [("draft", 0), ("void", 0), ("open", 1), ("paid", 1), ("uncollectible", 1), (None, 1), ("strange", 1)],
)
def test_drafts_and_void_invoices_were_not_bought(status: str | None, counts: int) -> None:
    [found] = sums_of(invoice(status=status)).values()

    assert found.invoices == counts


def test_what_is_open_and_what_is_uncollectible_are_apart() -> None:
    fields: dict[str, Any] = {"amount_due": 100, "amount_paid": 60, "amount_remaining": 40}
    invoices = [
        invoice(status=status, **fields) for status in ("open", "open", "uncollectible", "paid", "draft")
    ]
    [found] = sums_of(*invoices).values()

    assert (str(found.open), found.open_invoices) == ("0.80", 2)
    assert (str(found.uncollectible), found.uncollectible_invoices) == ("0.40", 1)


def test_nothing_is_left_out_of_the_months() -> None:
    dates = [made_on(2025, 3), made_on(2026, 3), made_on(2026, 4), made_on(2025, 2, 28), None, made_on(1, 1)]
    invoices = [invoice(amount_due=10**place, created=each) for place, each in enumerate(dates)]
    [found] = sums_of(*invoices).values()
    rows = {row.label: f"{row.amount_due:f}" for row in found.months if row.invoices}

    assert rows == {
        "earlier": "1010.00",
        "2025-03": "0.01",
        "2026-03": "0.10",
        "later": "1.00",
        "without a date": "100.00",
    }
    assert [row.label for row in found.months][:2] == ["earlier", "2025-03"]
    assert [row.label for row in found.months][-3:] == ["2026-03", "later", "without a date"]
    assert f"{found.purchased:f}" == "1111.11"


def test_this_month_the_one_before_and_twelve_of_them() -> None:
    dates = [made_on(2026, 3, 31), made_on(2026, 2), made_on(2025, 4), made_on(2025, 3, 31)]
    invoices = [invoice(amount_due=10**place, created=each) for place, each in enumerate(dates)]
    [found] = sums_of(*invoices, months=1).values()

    assert [str(each) for each in (found.this_month, found.last_month, found.last_12_months)] == [
        "0.01",
        "0.10",
        "1.11",
    ]


def test_codes_in_capitals_are_the_same_currency_and_unknown_ones_are_not() -> None:
    found = sums_of(*(invoice(currency=code) for code in ("usd", "USD", "doge", "DOGE")))

    assert {code: sums.invoices for code, sums in found.items()} == {"USD": 2, "DOGE": 1, "doge": 1}


def test_origins_beyond_the_colours_are_one_and_no_amount_is_lost() -> None:
    origins = [None, "", *(f"origin {number}" for number in range(9))]
    sums = Sums()
    for count, origin in enumerate(reversed(origins), 1):
        for _ in range(count):
            sums.add(invoice(invoice_origin=origin, amount_due=100))
    [found] = sums.until(TODAY, 13)

    assert sums.origins() == ("", "origin 0", "origin 1", "origin 2", None)
    assert len(sums.origins()) == MOST_ORIGINS
    assert [str(each) for each in found.by_origin] == ["21.00", "9.00", "8.00", "7.00", "21.00"]
    assert sum(found.by_origin) == found.purchased


AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**29), max_value=10**29)
INVOICES = st.builds(
    invoice,
    currency=st.sampled_from(["usd", "EUR", "jpy", "kwd", "doge", ""]),
    status=st.sampled_from(["draft", "open", "paid", "void", "uncollectible", None, "strange"]),
    created=st.none() | st.datetimes(timezones=st.just(timezone.utc)),
    amount_due=AMOUNTS,
    amount_paid=AMOUNTS,
    amount_remaining=AMOUNTS,
    invoice_origin=st.none() | st.text(max_size=1),
)


@given(st.lists(INVOICES, max_size=20), st.integers(1, 60))
def test_all_sums_are_those_of_fractions(invoices: list[Invoice], months: int) -> None:
    found = sums_of(*invoices, months=months)
    bought, unpaid = Counter[str](), Counter[tuple[str, str]]()
    for each in invoices:
        exponent = exponent_of(each.currency)
        code = each.currency if exponent is None else each.currency.upper()
        unit = Fraction(1, 10 ** (exponent or 0))
        if each.status not in {"draft", "void"}:
            bought[code] += Fraction(each.amount_due) * unit  # type: ignore[assignment]
        if each.status in {"open", "uncollectible"}:
            unpaid[code, each.status or ""] += Fraction(each.amount_remaining) * unit  # type: ignore[assignment]

    for code, sums in found.items():
        assert Fraction(sums.purchased) == bought[code]
        assert sum(Fraction(row.amount_due) for row in sums.months) == bought[code]
        assert sum(map(Fraction, sums.by_origin)) == bought[code]
        assert Fraction(sums.open) == unpaid[code, "open"]
        assert Fraction(sums.uncollectible) == unpaid[code, "uncollectible"]
        for row in sums.months:
            assert sum(map(Fraction, row.by_origin)) == Fraction(row.amount_due)
            assert len(row.by_origin) == len(sums.by_origin) <= MOST_ORIGINS
    assert sum(sums.invoices for sums in found.values()) == sum(each.is_purchase for each in invoices)
