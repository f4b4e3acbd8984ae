"""`cf-invoices status` of many accounts: amounts, verdicts, exit codes. They share two loads."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from cf_invoice_source.simulator.faults import edit
from tests.conftest import Command, Warehouse
from tests.support.days import Days, days_of
from tests.support.make import make_invoice, make_invoices

AMOUNTS: dict[str, tuple[list[tuple[str, Any]], dict[str, Any]]] = {
    "two decimals": ([("usd", 1999), ("usd", 1)], {"currency": "USD", "amount": "20.00", "is_minor": False}),
    "no decimals": ([("jpy", 500)], {"currency": "JPY", "amount": "500", "is_minor": False}),
    "three decimals": ([("kwd", 1005)], {"currency": "KWD", "amount": "1.005", "is_minor": False}),
    "Stripe's two decimals": ([("isk", 500)], {"currency": "ISK", "amount": "5.00", "is_minor": False}),
    "Stripe's no decimals": ([("mga", 500)], {"currency": "MGA", "amount": "500", "is_minor": False}),
    "part of a minor unit": (
        [("usd", Decimal("0.123456789")), ("usd", 1)],
        {"currency": "USD", "amount": "0.01123456789", "is_minor": False},
    ),
    "more digits than a double or a sum of the column holds": (
        [("usd", Decimal("99999999999999999999999999999.999999999"))] * 2,
        {"currency": "USD", "amount": "1999999999999999999999999999.99999999998", "is_minor": False},
    ),
    "unknown currency": ([("doge", 1999)], {"currency": "doge", "amount": "1999", "is_minor": True}),
    "a code that is no money": ([("xau", 7)], {"currency": "xau", "amount": "7", "is_minor": True}),
    "negative": ([("eur", -1999)], {"currency": "EUR", "amount": "-19.99", "is_minor": False}),
    "nothing": ([("eur", 0)], {"currency": "EUR", "amount": "0.00", "is_minor": False}),
}

WIDE = Decimal("12345678901234567890.123456789")

LISTS: dict[str, list[list[Any]]] = {
    **{
        name: [
            [
                make_invoice(id=f"in_{number}", status="open", currency=currency, amount_remaining=amount)
                for number, (currency, amount) in enumerate(remaining)
            ]
        ]
        for name, (remaining, _) in AMOUNTS.items()
    },
    "wide": [[make_invoice(status="open", currency="doge", amount_remaining=WIDE)]],
    "rejected": [[make_invoice(), "garbage"]],
    "rejected once": [["garbage"], [make_invoice()]],
    "never ending": [make_invoices(60)],
    "refused": [[]],
}
"""By account, its list at the first load and at the second, where it is another then."""


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Days]:
    with days_of(tmp_path_factory.mktemp("status")) as days:
        for case, lists in LISTS.items():
            days.open(case, copy.deepcopy(lists[0]))
        endless = edit(lambda document: document["result"]["pagination"].update(has_more=True))
        days.simulator.faults.append(endless.only(path=days.accounts["never ending"].id))
        days.simulator.denied.add(days.accounts["refused"].id)
        days.load()
        for case, lists in LISTS.items():
            days.accounts[case].records[:] = lists[-1]
        days.load()
        days.database.close()  # `status` opens it for itself
        yield days


@pytest.fixture
def loaded(days: Days, monkeypatch: pytest.MonkeyPatch) -> Days:
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(days.file))
    monkeypatch.setenv("COLUMNS", "120")
    return days


def told(command: Command, *account_ids: str) -> dict[str, dict[str, Any]]:
    """What `status` says of these accounts, or of all, by account ID."""
    options = [word for account_id in account_ids for word in ("--account", account_id)]
    accounts = json.loads(command("status", "--json", *options).stdout)["accounts"]
    return {each["account_id"]: each for each in accounts}


def test_open_amounts_are_exact_and_in_major_units(loaded: Days, command: Command) -> None:
    accounts = told(command)

    assert {name: accounts[loaded.accounts[name].id]["open"] for name in AMOUNTS} == {
        name: [amount] for name, (_, amount) in AMOUNTS.items()
    }


def test_all_accounts_are_told_or_those_asked_for(loaded: Days, command: Command) -> None:
    other = loaded.accounts["no decimals"].id

    assert list(told(command)) == sorted(account.id for account in loaded.accounts.values())
    assert list(told(command, other)) == [other]


def test_an_unknown_currency_is_shown_in_minor_units_and_says_so(loaded: Days, command: Command) -> None:
    screen = command("status", "--account", loaded.accounts["unknown currency"].id).stdout

    assert " 1,999 doge* " in screen
    assert "* in minor units" in screen


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_the_screen_names_an_account_whatever_the_amounts(
    loaded: Days, command: Command, columns: int
) -> None:
    account_id = loaded.accounts["wide"].id

    screen = command("status", "--account", account_id, env={"COLUMNS": str(columns)}).stdout

    assert f"✓  {account_id[:5]}" in screen
    assert max(map(len, screen.splitlines()[:-2])) <= columns


def test_a_quiet_run_is_the_last_sync_and_the_full_one_stays_on_record(
    loaded: Days, command: Command
) -> None:
    account_id = loaded.accounts["two decimals"].id
    syncs = Warehouse(loaded.file).query(
        "SELECT sync_mode, started_at FROM cf_invoices.invoice_syncs "
        "WHERE account_id = ? ORDER BY sync_number",
        account_id,
    )

    account = told(command, account_id)[account_id]

    assert [sync_mode for sync_mode, _ in syncs] == ["full", "incremental"]
    assert account["last_sync"]["sync_mode"] == "incremental"
    assert [
        datetime.fromisoformat(account["last_full_sync_at"]),
        datetime.fromisoformat(account["last_sync"]["started_at"]),
    ] == [started for _, started in syncs]


def test_an_account_that_is_not_there_is_not_repeated(loaded: Days, command: Command) -> None:
    """It may be a token, pasted into the wrong place."""
    secret = "5ec2e7" + "0" * 26
    nothing = command("status", "--account", secret)
    one = command("status", "--account", secret, "--account", loaded.accounts["two decimals"].id)

    assert nothing.stderr.startswith("Nothing is loaded yet of the accounts asked for.")
    assert "Nothing is loaded yet of 1 of the accounts asked for." in one.stderr
    assert "What to do: run cf-invoices load" in one.stderr
    assert (nothing.exit_code, one.exit_code) == (3, 3)
    assert secret not in nothing.output + one.output


# Not verified, failed


def test_rejected_records_are_exit_code_3_as_long_as_they_are_rejected(
    loaded: Days, command: Command
) -> None:
    rejected, once = (loaded.accounts[case].id for case in ("rejected", "rejected once"))

    still = command("status", "--account", rejected)
    no_more = command("status", "--account", once)
    accounts = told(command)

    assert (still.exit_code, no_more.exit_code) == (3, 0)
    assert still.stderr.splitlines()[:2] == [
        f"Account {rejected}: 1 record rejected: see invoice_rejects",
        "Reason: the record is not an object",
    ]
    assert "What to do: SELECT reason, raw FROM invoice_rejects" in still.stderr
    assert (accounts[rejected]["rejected"], accounts[once]["rejected"]) == (1, 0)


def test_a_sync_that_was_not_verified_is_exit_code_3_and_says_why(loaded: Days, command: Command) -> None:
    endless = loaded.accounts["never ending"].id

    ended = command("status", "--account", endless)

    assert ended.exit_code == 3
    assert f"Account {endless}: not verified: page 3 is empty, but says that more follow" in ended.stderr
    assert "What to do: run cf-invoices load again" in ended.stderr
    assert told(command, endless)[endless]["last_full_sync_at"] is None


def test_an_account_whose_last_sync_failed_is_exit_code_1_and_beats_3(loaded: Days, command: Command) -> None:
    refused = loaded.accounts["refused"].id

    ended = command("status")

    assert ended.exit_code == 1
    assert f"Account {refused}: failed: Cloudflare refused the request" in ended.stderr
    assert "Authentication error" in told(command)[refused]["last_sync"]["error"]
