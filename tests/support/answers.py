"""The answers to what people ask of the tables, in plain Python from the lists that loads have seen.

Written once more, so that it does not repeat a mistake of the SQL. Everything is exact: amounts are decimals.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Context, Decimal
from itertools import pairwise
from typing import Any

from iso4217 import Currency

from tests.support.make import expected_row

Row = dict[str, Any]

AMOUNTS = ("amount_due", "amount_paid", "amount_remaining")

STRIPES = {"ISK": 2, "MGA": 0, "UGX": 2}

_EXACT = Context(prec=100)


@dataclass(frozen=True)
class Look:
    """An account's list, as a load saw it."""

    account_id: str
    seen_at: datetime
    records: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Version:
    """One version of an invoice: what a load saw changed."""

    row: Row
    version: int
    change: str
    observed_at: datetime
    valid_from: datetime
    valid_to: datetime | None = None

    @property
    def is_current(self) -> bool:
        return self.valid_to is None and self.change != "deleted"

    @property
    def has_failed(self) -> bool:
        tried = (self.row["attempt_count"] or 0) > 0 or bool(self.row["attempted"])
        is_owed = self.row["status"] in {"open", "uncollectible"} and self.row["amount_remaining_minor"] > 0
        return self.change != "deleted" and is_owed and tried


History = Mapping[tuple[str, str], Sequence[Version]]


def exponent_of(currency: str) -> int | None:
    code = currency.upper()
    try:
        return STRIPES.get(code, Currency(code).exponent)
    except ValueError:
        return None


def invoice_row(account_id: str, record: Mapping[str, Any]) -> Row:
    """One invoice as the models have it: in major units, with the minor ones beside them."""
    row = expected_row(account_id, record)
    del row["deleted"]
    exponent = exponent_of(row["currency"])
    for amount in AMOUNTS:
        minor = row[f"{amount}_minor"] = row[amount]
        row[amount] = None if exponent is None else _EXACT.scaleb(minor, -exponent)
    created = row["created"]
    return {
        **row,
        "currency": row["currency"].upper(),
        "currency_exponent": exponent,
        "created_date": created and created.date(),
    }


def history_of(looks: Sequence[Look]) -> History:
    """Every version of each invoice; the looks are in the order of the loads."""
    history: dict[tuple[str, str], list[Version]] = defaultdict(list)
    listed: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for look in looks:
        before = listed[look.account_id]
        now: dict[str, Mapping[str, Any]] = {
            record["id"]: {**record, "invoice_pdf": None} for record in look.records
        }
        changes = [
            ("new" if key not in before else "updated", key) for key in now if now[key] != before.get(key)
        ]
        for change, key in [*changes, *(("deleted", key) for key in before if key not in now)]:
            row = invoice_row(look.account_id, now.get(key) or before[key])
            _append(history[look.account_id, key], row, change, look.seen_at)
        listed[look.account_id] = now
    return history


def _append(versions: list[Version], row: Row, change: str, seen_at: datetime) -> None:
    valid_from = max([seen_at, *(each.valid_from for each in versions)])
    if versions:
        versions[-1] = Version(**{**vars(versions[-1]), "valid_to": valid_from})
    versions.append(Version(row, len(versions) + 1, change, seen_at, valid_from))


def current(history: History) -> list[Version]:
    return [version for versions in history.values() for version in versions if version.is_current]


def as_of(history: History, day: date | None) -> list[Version]:
    """What was known at the end of a day (UTC), or is known now."""
    if day is None:
        return current(history)
    end = datetime.combine(day + timedelta(days=1), time(), timezone.utc)
    return [
        version
        for versions in history.values()
        for version in versions
        if version.change != "deleted"
        and version.valid_from < end
        and (version.valid_to is None or version.valid_to >= end)
    ]


def is_purchase(row: Row) -> bool:
    return row["status"] not in {"draft", "void"}


def purchases_monthly(rows: Iterable[Row]) -> list[Row]:
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in filter(is_purchase, rows):
        month = row["created_date"] and row["created_date"].replace(day=1)
        groups[row["account_id"], month, row["currency"], row["invoice_origin"]].append(row)
    names = ("account_id", "created_month", "currency", "invoice_origin")
    amounts = [*AMOUNTS, *(f"{amount}_minor" for amount in AMOUNTS)]
    return [
        {
            **dict(zip(names, group, strict=True)),
            "invoices": len(members),
            **{amount: _sum([member[amount] for member in members]) for amount in amounts},
        }
        for group, members in groups.items()
    ]


def _sum(amounts: Sequence[Decimal | None]) -> Decimal | None:
    total = Decimal(0)
    for amount in amounts:
        if amount is None:
            return None
        total = _EXACT.add(total, amount)
    return total


def receivables_aging(history: History, day: date, *, now: bool = False) -> list[Row]:
    """Open and uncollectible invoices with their age; `now` takes what is known now."""
    names = (
        "account_id",
        "id",
        "status",
        "currency",
        "amount_remaining",
        "amount_remaining_minor",
        "created",
    )
    found = []
    for version in as_of(history, None if now else day):
        if version.row["status"] in {"open", "uncollectible"}:
            created = version.row["created_date"]
            age = (day - created).days if created else None
            row = {name: version.row[name] for name in names}
            found.append({**row, "as_of": day, "age_days": age, "age_bucket": bucket(age)})
    return found


def bucket(age_days: int | None) -> str:
    if age_days is None:
        return "without a date"
    edges = ((30, "0-30"), (60, "31-60"), (90, "61-90"))
    return next((name for edge, name in edges if age_days <= edge), "over 90")


def invoice_payments(history: History) -> list[Row]:
    found = []
    for versions in history.values():
        alive = [version for version in versions if version.change != "deleted"]
        if not any(version.row["status"] == "paid" for version in alive):
            continue
        seen = [
            (version.observed_at, before.row["status"])
            for before, version in pairwise(versions)
            if version.change == "updated" and version.row["status"] == "paid" != before.row["status"]
        ]
        at, status_before = seen[0] if seen else (None, None)
        row = alive[-1].row
        days = (at.date() - row["created_date"]).days if at and row["created_date"] else None
        names = ("account_id", "id", "status", "currency", "amount_due", "amount_paid")
        more = {"first_seen_paid_at": at, "status_before": status_before, "days_to_pay": days}
        found.append(
            {
                **{name: row[name] for name in (*names, "amount_due_minor", "amount_paid_minor", "created")},
                "is_listed": versions[-1].is_current,
                **more,
            }
        )
    return found


def failed_payments(history: History) -> list[Row]:
    names = ("account_id", "id", "status", "currency", "amount_due", "amount_remaining", "amount_due_minor")
    more = ("amount_remaining_minor", "attempt_count", "attempted", "created")
    found = []
    for versions in history.values():
        since = None
        for version in versions:
            since = (since or version.valid_from) if version.has_failed else None
        if since:
            row = versions[-1].row
            found.append({**{name: row[name] for name in names + more}, "failing_since": since})
    return found
