"""`dbt build` over loaded worlds, compared value for value with the same answers in plain Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import dlt
import pytest

from cf_invoice_source import report
from cf_invoice_source.simulator import Account, World, demo_world
from tests.dbt.conftest import Store
from tests.support import answers
from tests.support.answers import History, Row
from tests.support.dbt import SCHEMA
from tests.support.make import CREATED_S, make_invoice

DAY_S = 24 * 3600

FIRST_LOAD = datetime(2026, 5, 30, 4, tzinfo=timezone.utc)
"""The tables are made to say that the loads were days apart, beginning here."""

LOADED_ON = (FIRST_LOAD, FIRST_LOAD + timedelta(days=3), FIRST_LOAD + timedelta(days=2))
"""When each load was: before the last one the machine's clock was put back."""


def odd_world() -> World:
    """A world of everything odd, in two accounts that have an id in common."""
    world = World(seed=5)
    one, other = world.add_account(), world.add_account()
    new(one, "in_void", status="void", created=CREATED_S + 31 * DAY_S - 1, amount_remaining=2178)
    new(one, "in_first", created=CREATED_S + 31 * DAY_S)  # is paid at first sight
    owed = {"status": "open", "amount_paid": 0}
    new(one, "in_eur", **owed, currency="eur", amount_due=1050, amount_remaining=1050)
    new(one, "in_yen", **owed, currency="jpy", amount_due=500, amount_remaining=500)
    new(one, "in_dinar", **owed, currency="kwd", amount_due=1999, amount_remaining=1999, attempted=False)
    new(one, "in_odd", **owed, currency="zzz", amount_due=7, amount_remaining=7, invoice_origin=None)
    new(one, "in_due", **owed, amount_due=10, amount_remaining=3)  # does not add up
    new(one, "in_less", amount_due=-500, amount_paid=-500, amount_remaining=0)
    new(one, "in_part", amount_due="1050.123456789", amount_paid=0, amount_remaining=0)
    new(one, "in_most", currency="jpy", amount_due="9" * 24, amount_paid=0, amount_remaining=0, status="void")
    new(one, "in_draft", status="draft", amount_paid=0, amount_remaining=2178)
    new(one, "in_null", status=None, attempted=None, attempt_count=None)
    new(one, "in_new", status="shipped", attempt_count=0, attempted=False)
    new(one, "in_undated", **owed, created=None, amount_remaining=2178)
    new(one, "in_bad", status="uncollectible", created=None, amount_paid=0, amount_remaining=2178)
    new(other, "in_eur", status="draft", amount_paid=0, amount_remaining=2178)
    return world


def new(account: Account, invoice_id: str, **fields: Any) -> None:
    age = len(account.records) * 10 * DAY_S
    account.add(make_invoice(**{"id": invoice_id, "created": CREATED_S + age, **fields}))


def oddly_later(world: World, number: int) -> None:
    one, other = world.accounts.values()
    if number == 1:
        one.pay("in_eur")
        one.write_off("in_yen")
        one.delete("in_draft")
        one.find("in_dinar").update(attempt_count=0)
        other.finalize("in_eur")
    else:
        new(one, "in_draft", status="open", created=CREATED_S + 100 * DAY_S, amount_paid=0)
        one.pay("in_undated")
        one.find("in_dinar").update(attempt_count=3, attempted=True)
        one.find("in_null").update(status="paid")
        other.pay("in_eur")


def demo_later(world: World, number: int) -> None:
    """Go on as the demo does."""
    for account, later in zip(world.accounts.values(), demo_world(number).accounts.values(), strict=True):
        account.records[:] = later.records


WORLDS: dict[str, tuple[Callable[[], World], Callable[[World, int], None]]] = {
    "demo": (demo_world, demo_later),
    "odd": (odd_world, oddly_later),
}


def in_order(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: [str(value) for value in row.values()])


def assert_equal(store: Store, model: str, expected: Iterable[Row]) -> None:
    rows = in_order(expected)
    assert rows, f"{model} would be compared with nothing"
    assert in_order(store.rows(model, rows[0])) == rows, model


def assert_the_report_says_so(store: Store, day: date | None = None) -> None:
    """The figures of `cf-invoices report` are those of the models, of which some tell of now only."""
    pipeline = dlt.pipeline("cf_invoices", destination=store.destination, dataset_name="cf_invoices")
    figures = report(pipeline, as_of=day, months=60)
    columns = ["account_id", "id", "status", "currency", "amount_remaining", "amount_remaining_minor"]
    unpaid = store.rows("receivables_aging", [*columns, "age_bucket"])
    told = {(each.account_id, each.id): each.remaining.amount for each in figures.open}
    assert told == {
        (row["account_id"], row["id"]): _told(row, "amount_remaining")
        for row in unpaid
        if row["status"] == "open"
    }
    assert {each.label: each.invoices for each in figures.ages} == Counter(
        row["age_bucket"] for row in unpaid if row["status"] == "open"
    )
    assert sum(each.uncollectible_invoices for each in figures.currencies) == sum(
        row["status"] == "uncollectible" for row in unpaid
    )
    if day:
        return
    bought: dict[tuple[str, str], Decimal] = {}
    columns = ["created_month", "currency", "amount_due", "amount_due_minor"]
    for row in store.rows("purchases_monthly", columns):
        month = f"{row['created_month']:%Y-%m}" if row["created_month"] else "without a date"
        key = (row["currency"], month)
        bought[key] = bought.get(key, Decimal(0)) + _told(row, "amount_due")
    assert {
        (sums.currency.upper(), month.label): month.amount_due
        for sums in figures.currencies
        for month in sums.months
        if month.invoices
    } == bought
    assert {(each.account_id, each.id): each.failing_since for each in figures.failed} == {
        (row["account_id"], row["id"]): row["failing_since"]
        for row in store.rows("failed_payments", ("account_id", "id", "failing_since"))
    }


def _told(row: Row, amount: str) -> Decimal:
    """The report tells the minor unit where the currency is unknown."""
    told: Decimal = row[f"{amount}_minor"] if row[amount] is None else row[amount]
    return told


def history_rows(history: History) -> list[Row]:
    return [
        {
            **version.row,
            "version": version.version,
            "change": version.change,
            "observed_at": version.observed_at,
            "valid_from": version.valid_from,
            "valid_to": version.valid_to,
            "is_current": version.is_current,
        }
        for versions in history.values()
        for version in versions
    ]


def focus_rows(rows: Iterable[Row]) -> list[Row]:
    return [
        {
            "BilledCost": row["amount_due"],
            "EffectiveCost": 0,
            "BillingAccountId": row["account_id"],
            "BillingCurrency": row["currency"],
            "InvoiceId": row["id"],
            "InvoiceIssuerName": "Cloudflare",
            "ServiceProviderName": "Cloudflare",
            "ServiceName": "AI Gateway",
            "ServiceCategory": "AI and Machine Learning",
            "ChargeCategory": "Purchase",
            "ChargeFrequency": "One-Time",
            "ChargeDescription": row["description"],
            "ChargePeriodStart": row["created"],
            "x_InvoiceStatus": row["status"],
            "x_InvoiceOrigin": row["invoice_origin"],
        }
        for row in rows
        if answers.is_purchase(row)
    ]


DAYS = {"demo": (), "odd": (FIRST_LOAD.date(), date(2026, 6, 1))}
"""Days of which the models are asked what was known then."""

WARNED = {
    "demo": set(),
    "odd": {
        "source_accepted_values_cf_invoices_invoices_status__draft__open__paid__uncollectible__void",
        "source_amounts_add_up_cf_invoices_invoices_",
        "relationships_invoices_currency__code__ref_currency_exponents_",
    },
}


@pytest.mark.parametrize("name", WORLDS)
def test_the_models_say_what_python_says_of_the_world_to_the_last_digit(
    name: str, store: Store, serve: Callable[[World], None]
) -> None:
    make, change = WORLDS[name]
    world = make()
    serve(world)
    store.load(world, LOADED_ON[0])
    for number in (1, 2):
        change(world, number)
        store.load(world, LOADED_ON[number])

    built = store.build()

    assert built.exit_code == 0, built.output
    assert built.having("warn") == WARNED[name]
    history = store.history
    now = [version.row for version in answers.current(history)]
    listed = [
        answers.invoice_row(each.id, record) for each in world.accounts.values() for record in each.records
    ]
    assert in_order(now) == in_order(listed)
    assert_equal(store, "invoices", now)
    assert_equal(store, "invoice_history", history_rows(history))
    assert_equal(store, "invoice_payments", answers.invoice_payments(history))
    assert_equal(store, "purchases_monthly", answers.purchases_monthly(now))
    assert_equal(store, "failed_payments", answers.failed_payments(history))
    assert_equal(store, "focus_invoices", focus_rows(now))
    [(today,)] = store.query(f"SELECT DISTINCT as_of FROM {SCHEMA}.invoices_as_of")  # noqa: S608
    assert_equal(store, "invoices_as_of", now)
    assert_equal(store, "receivables_aging", answers.receivables_aging(history, today, now=True))
    assert_the_report_says_so(store)

    for day in DAYS[name]:
        selected = ("--select", "invoices_as_of+", "--exclude-resource-type", "unit_test")
        built = store.build(*selected, "--vars", f"{{as_of: {day}}}")

        assert built.exit_code == 0, built.output
        known = [{**version.row, "as_of": day} for version in answers.as_of(history, day)]
        assert_equal(store, "invoices_as_of", known)
        assert_equal(store, "receivables_aging", answers.receivables_aging(history, day))
        assert_the_report_says_so(store, day)
