"""Three days, loaded once for many tests: every oddity that the report has to tell of."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from tests.support import answers
from tests.support.answers import History, Row
from tests.support.days import Days, days_of
from tests.support.make import MISSING, make_invoice

DAY_S = 86_400
AGO = (60, 20, 0)
"""How many days ago each load is made to be."""

LINK = "https://invoice.stripe.com/i/acct_1/confidential"

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "quotes": "\"'><img src=x onerror=alert(1)>",
    "style": "</style><style>body{display:none}",
    "template": "{{ figures.page }}{% raw %}",
    "right to left": "\u202eexe.fdp\u2066 \u05d0\u05d1\u05d2",
    "long": "W" * 10_000,
    "link": f"pay at {LINK}",
    "lines": "one\ntwo\r\x1b[31mthree\x07",
}
"""A stranger's texts, by the ID of the invoice that has them."""


def now_s() -> int:
    return int(datetime.now(timezone.utc).timestamp())


def owed(id_: str, days: int, **fields: Any) -> dict[str, Any]:
    """An open invoice that was made so many days ago."""
    amount = fields.pop("amount", 2178)
    return make_invoice(
        **{
            "id": id_,
            "created": now_s() - days * DAY_S,
            "status": "open",
            "amount_due": amount,
            "amount_paid": 0,
            "amount_remaining": amount,
            "attempt_count": 0,
            "attempted": False,
        }
        | fields
    )


def paid(record: dict[str, Any]) -> dict[str, Any]:
    return record | {
        "status": "paid",
        "amount_paid": record["amount_due"],
        "amount_remaining": 0,
        "attempt_count": 1,
        "attempted": True,
    }


def lists() -> dict[str, list[list[Any]]]:
    """By account, its list on each day."""
    tried = {"attempt_count": 2, "attempted": True}
    draft = owed("in_draft", 70, status="draft")
    before = [
        owed("in_late", 61, amount=5_000),
        draft,
        owed("in_failing", 95, **tried),
        owed("in_failed_later", 64),
        owed("in_written_off", 200, **tried | {"status": "uncollectible"}, amount=700),
        owed("in_yen", 90, currency="jpy", amount=500, invoice_origin="manual_topup"),
        owed("in_dinar", 91, currency="kwd", amount=1005, invoice_origin=MISSING),
        owed("in_unknown", 400, currency="doge", amount=1999),
        owed("in_negative", 65, currency="eur", amount=-1999),
        owed("in_fraction", 66, amount=Decimal("0.123456789")),
        owed("in_huge", 67, amount=Decimal("99999999999999999999999999999.999999999")),
        owed("in_undated", 0, created=MISSING),
        paid(owed("in_paid_at_first_sight", 800)),
        owed("in_void", 100, status="void"),
        owed("in_strange", 100, status="strange"),
        owed("in_null", 100, status=None),
        owed("in_same", 62),
    ]

    def changed(records: list[Any], **changes: Any) -> list[Any]:
        found = {each["id"]: each for each in records}
        return [changes[each]({**found[each]}) if each in changes else found[each] for each in found]

    second = [each for each in before if each is not draft]
    second = changed(second, in_late=paid, in_failed_later=lambda each: each | tried)
    third = [
        owed("in_new", 3),
        draft,
        *changed(second, in_failed_later=lambda each: each | {"attempt_count": 3}),
    ]
    hostile = [
        owed(
            f"in_<b>{name}",
            80 + place,
            description=text,
            invoice_origin=text,
            created_by=text,
            amount=100,
        )
        for place, (name, text) in enumerate(HOSTILE.items())
    ]
    return {
        "many": [before, second, third],
        "other": [[owed("in_same", 62, amount=1)]] * 3,
        "hostile": [hostile] * 3,
        "rejected": [["garbage", owed("in_kept", 63)]] * 3,
        "refused": [[]] * 3,
        "empty": [[]] * 3,
    }


def rows_of(history: History, day: date | None = None) -> list[Row]:
    """The invoices that are known now, or were known at the end of a day."""
    return [version.row for version in answers.as_of(history, day)]


def money(row: Row, name: str) -> tuple[str, Fraction]:
    """Currency and amount as the report tells them: the minor unit where the currency is unknown."""
    minor = row["currency_exponent"] is None
    return row["currency"], Fraction(row[f"{name}_minor" if minor else name])


def unpaid(rows: Iterable[Row], status: str) -> dict[str, tuple[int, Fraction]]:
    """Count the invoices of a status, and add what remains to be paid of them, by currency."""
    found: dict[str, tuple[int, Fraction]] = {}
    for row in rows:
        if row["status"] == status:
            currency, amount = money(row, "amount_remaining")
            count, before = found.get(currency, (0, Fraction(0)))
            found[currency] = (count + 1, before + amount)
    return found


def ages(rows: Iterable[Row], day: date) -> Counter[str]:
    """Count the open invoices by their age."""
    opened = (row["created_date"] for row in rows if row["status"] == "open")
    return Counter(answers.bucket((day - created).days if created else None) for created in opened)


def failed(history: History) -> set[tuple[str, str]]:
    """Name the invoices whose payment failed."""
    return {(row["account_id"], row["id"]) for row in answers.failed_payments(history)}


@contextmanager
def story(place: Path) -> Iterator[Days]:
    """Load the three days, and let the first two be some time ago."""
    with days_of(place) as days:
        found = lists()
        for case in found:
            days.open(case, [])
        days.simulator.denied.add(days.accounts["refused"].id)
        for day, ago in enumerate(AGO):
            for case, listed in found.items():
                days.accounts[case].records[:] = copy.deepcopy(listed[day])
            days.load()
            for table, columns in {
                "invoice_changes": ["observed_at"],
                "invoice_syncs": ["started_at", "finished_at"],
            }.items():
                earlier = ", ".join(f"{name} = {name} - INTERVAL {ago} DAY" for name in columns)
                recent = f"{columns[0]} > now() - INTERVAL 1 DAY"
                days.query(f"UPDATE cf_invoices.{table} SET {earlier} WHERE {recent}")  # noqa: S608
        days.database.close()  # the report opens it for itself
        yield days
