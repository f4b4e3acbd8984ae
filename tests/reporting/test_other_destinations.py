"""The report of other destinations: the same figures wherever the rows are."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from cf_invoice_source.simulator import Account, Simulator
from tests.conftest import Command
from tests.reporting.story import ages, failed, lists, money, rows_of, unpaid
from tests.support import answers
from tests.support.answers import Look

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

FILES = "SOURCES__CF_INVOICE_SOURCE__"
HOMES: dict[str, tuple[str, dict[str, str], int]] = {
    "postgres": ("postgres", {}, 0),
    "sqlite": ("sqlalchemy", {}, 0),
    "mariadb": ("sqlalchemy", {}, 0),
    "delta": ("filesystem", {f"{FILES}TABLE_FORMAT": "delta"}, 0),
    "iceberg": ("filesystem", {f"{FILES}TABLE_FORMAT": "iceberg"}, 0),
    "parquet": ("filesystem", {f"{FILES}FILE_FORMAT": "parquet"}, 3),
    "jsonl": ("filesystem", {}, 3),
}
"""By name: dlt's destination, the settings, and the exit code: plain files are never verified."""


@pytest.fixture(params=HOMES)
def home(
    request: pytest.FixtureRequest, place: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, list[str], int]:
    """Name a home, the options that lead there, and the exit code of a load into it."""
    name = request.param
    destination, settings, exit_code = HOMES[name]
    if name == "postgres":
        request.getfixturevalue("database")
    dsn = f"sqlite:///{place / 'invoices.db'}" if name == "sqlite" else ""
    dsn = request.getfixturevalue("mariadb").exact_dsn() if name == "mariadb" else dsn
    if dsn:
        monkeypatch.setenv("DESTINATION__SQLALCHEMY__CREDENTIALS", dsn)
    for key, value in {"DESTINATION__FILESYSTEM__BUCKET_URL": str(place / "files"), **settings}.items():
        monkeypatch.setenv(key, value)
    return name, ["--destination", destination], exit_code


def test_the_figures_are_those_of_the_lists(
    home: tuple[str, list[str], int], simulator: Simulator, account: Account, command: Command
) -> None:
    name, options, exit_code = home
    days: list[list[dict[str, Any]]] = lists()["many"]
    wide = {"in_fraction", "in_huge"} if name == "sqlite" else set[str]()
    for records in days:
        account.records[:] = [record for record in records if record["id"] not in wide]
        assert command("load", *options).exit_code == exit_code
    today = datetime.now(timezone.utc)
    seen = [[record for record in records if record["id"] not in wide] for records in days]
    history = answers.history_of([Look(account.id, today, records) for records in seen])
    rows = rows_of(history)

    ended = command("report", "--json", "--output", "page.html", *options)
    document = json.loads(ended.stdout)
    bought: dict[str, Fraction] = {}
    for row in filter(answers.is_purchase, rows):
        currency, amount = money(row, "amount_due")
        bought[currency] = bought.get(currency, Fraction(0)) + amount

    assert ended.exit_code == exit_code
    assert document["invoices"] == len(rows)
    assert {
        each["currency"].upper(): Fraction(each["purchased"]) for each in document["currencies"]
    } == bought
    assert {each["label"]: each["invoices"] for each in document["ages"]} == ages(rows, today.date())
    assert {
        each["currency"].upper(): (each["open_invoices"], Fraction(each["open"]))
        for each in document["currencies"]
        if each["open_invoices"]
    } == unpaid(rows, "open")
    assert {(each["account_id"], each["id"]) for each in document["failed"]} == failed(history)
    assert all(each["failing_since"] for each in document["failed"])
    assert document["changes"]["counts"] == {
        "first_load": len(days[0]) - len(wide),
        "new": 2,
        "updated": 3,
        "deleted": 1,
    }
