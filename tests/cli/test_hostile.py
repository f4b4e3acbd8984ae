"""Whatever a server says, or a cell of the database holds: screens show characters only."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cf_invoice_source.simulator import Account, Fault, Simulator
from cf_invoice_source.simulator.answers import failures, success
from cf_invoice_source.simulator.faults import edit
from tests.conftest import Command, Ended, Warehouse
from tests.support.make import make_invoice, make_invoices

FORGED = "Loaded into your imagination."

HOSTILE = {
    "an escape": "\x1b[2J\x1b[31m",
    "a link": "\x1b]8;;https://evil.example\x1b\\here\x1b]8;;\x1b\\",
    "a title": "\x1b]0;owned\x07",
    "C1 controls": "\x9b2J\x9d0;owned\x9c",
    "marks of direction": "\u202egnihton\u2066\u2069\u200f",
    "invisible characters": "\u200b\u2060\ufeff\u00ad",
    "a forged line": f"\n{FORGED}\n",
    "line ends of Unicode": f"\u2028{FORGED}\u2029\x85\x0b\x0c\r",
    "markup": "[/nope] [bold]x[/] [link=https://evil.example]y[/link] :skull:",
    "format": "{0} %s %(x)s {cause}",
    "backspaces": "\b\b\b\b\x7f",
    "another plane": "\U000e0041\U000f0000",
}

API_PATH = re.compile(
    r"/client/v4/(accounts|user/tokens/verify|accounts/[0-9a-f]{32}/"
    r"(ai-gateway/billing/invoice-history|tokens/verify))"
)

TOGETHER = {
    "all of them": "x".join(HOSTILE.values()),
    **{name: HOSTILE[name] for name in ("a forged line", "markup")},
}

texts = st.sampled_from([*HOSTILE.values()]) | st.text(min_size=1, max_size=40)


def check_screen(ended: Ended) -> None:
    """Check that the two streams have printable lines only, and none that somebody else wrote."""
    lines = ended.output.split("\n")
    assert [line for line in lines if not line.isprintable()] == []
    assert [line for line in lines if line.strip().startswith(FORGED)] == []


def check_requests(simulator: Simulator) -> None:
    asked = [request.path for request in simulator.requests]
    assert [path for path in asked if not API_PATH.fullmatch(path)] == []


# The cells of the database

CELLS = {
    "currency": "UPDATE cf_invoices.invoices SET currency = ?",
    "account of an invoice": "UPDATE cf_invoices.invoices SET account_id = ?",
    "account of a sync": "UPDATE cf_invoices.invoice_syncs SET account_id = ?",
    "error": "UPDATE cf_invoices.invoice_syncs SET error = ?",
    "unverified_reason": "UPDATE cf_invoices.invoice_syncs SET unverified_reason = ?",
    "sync_mode": "UPDATE cf_invoices.invoice_syncs SET sync_mode = ?",
    "type": "UPDATE cf_invoices.invoice_syncs SET type = ?",
    "reason of a reject": "UPDATE cf_invoices.invoice_rejects SET reason = ?",
}


TABLES = ("invoices", "invoice_syncs", "invoice_rejects")


@pytest.fixture
def cells(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command
) -> Callable[[str, str], None]:
    """Load an open invoice and a reject; give what writes a text into a cell."""
    account.records += [make_invoice(status="open"), "garbage"]
    assert command("load").exit_code == 3
    for table in TABLES:
        warehouse.query(f"CREATE TABLE before_{table} AS FROM cf_invoices.{table}")

    def write(cell: str, text: str) -> None:
        with duckdb.connect(str(warehouse.path)) as connection:
            for table in TABLES:
                connection.execute(f"TRUNCATE cf_invoices.{table}")
                connection.execute(f"INSERT INTO cf_invoices.{table} FROM before_{table}")
            connection.execute(CELLS[cell], [text])

    return write


def check_status(command: Command) -> None:
    ended = command("status")
    as_json = command("status", "--json")

    check_screen(ended)
    check_screen(as_json)
    assert "dataset cf_invoices" in ended.stdout
    assert json.loads(as_json.stdout)["accounts"]


@pytest.mark.slow
def test_status_shows_characters_whatever_a_cell_holds(
    cells: Callable[[str, str], None], command: Command
) -> None:
    for cell in CELLS:
        cells(cell, "x".join(HOSTILE.values()))
        check_status(command)


@pytest.mark.slow
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cell=st.sampled_from([*CELLS]), text=texts)
def test_status_shows_characters_whatever_a_cell_holds_by_chance(
    cells: Callable[[str, str], None], command: Command, cell: str, text: str
) -> None:
    cells(cell, text.replace("\x00", "").encode(errors="replace").decode())

    check_status(command)


# The fields of the API


def of_the_list(text: str) -> Fault:
    listed = [{"id": text, "name": text}]
    return Fault(
        lambda _request, _answering: success(listed, result_info={"total_count": 1}), path="/accounts"
    ).only(times=1)


def of_a_name(text: str) -> Fault:
    listed = [{"id": "0" * 32, "name": text}]
    return Fault(
        lambda _request, _answering: success(listed, result_info={"total_count": 1}), path="/accounts"
    ).only(times=1)


def of_an_error(text: str) -> Fault:
    errors = [{"code": text, "message": text, "error_chain": [{"code": text, "message": text}]}, text]
    return Fault(lambda _request, _answering: failures(403, errors))  # type: ignore[arg-type]


def of_the_token(text: str) -> Fault:
    said = success({"status": text, "expires_on": text}, messages=[{"code": text, "message": text}])
    return Fault(lambda _request, _answering: said, path="/tokens/verify")


def of_its_end(text: str) -> Fault:
    said = success({"status": "active", "expires_on": text})
    return Fault(lambda _request, _answering: said, path="/tokens/verify")


def of_an_invoice(text: str) -> Fault:
    names = ("id", "status", "description", "currency", "created_by", "invoice_origin", "invoice_pdf")
    spoilt = make_invoice(**dict.fromkeys(names, text), **{text: text, "attempted": text})

    def change(document: Any) -> None:
        document["result"]["invoices"][:1] = [spoilt]
        document |= {"messages": [text, {"code": text, "message": text}]}

    return edit(change)


def of_a_record(text: str) -> Fault:
    def change(document: Any) -> None:
        document["result"]["invoices"][0] = {"amount_due": text, text: {text: text}}

    return edit(change)


def of_the_pages(text: str) -> Fault:
    return edit(lambda document: document["result"].update(pagination={"page": text, text: text}))


FIELDS: dict[str, Callable[[str], Fault]] = {
    "an account of the list": of_the_list,
    "the name of an account": of_a_name,
    "an error": of_an_error,
    "a token": of_the_token,
    "its end": of_its_end,
    "an invoice": of_an_invoice,
    "a rejected record": of_a_record,
    "the pages": of_the_pages,
}


@pytest.mark.quick(
    "a forged line-an error-check", "all of them-its end-check", "markup-a rejected record-load"
)
@pytest.mark.parametrize("name", ["load", "check"])
@pytest.mark.parametrize("spoil", FIELDS.values(), ids=FIELDS)
@pytest.mark.parametrize("text", TOGETHER.values(), ids=TOGETHER)
def test_a_command_shows_characters_and_asks_for_accounts_only_whatever_the_api_says(
    simulator: Simulator,
    account: Account,
    warehouse: Warehouse,
    held: object,
    command: Command,
    spoil: Callable[[str], Fault],
    text: str,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CLOUDFLARE_ACCOUNT_ID")
    account.records += make_invoices(2)
    simulator.faults.append(spoil(f"x{text}y"))

    ended = command(name)

    check_screen(ended)
    check_requests(simulator)
    if name == "load":
        check_screen(command("status"))


@pytest.mark.slow
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from([*FIELDS]), text=texts)
def test_a_command_shows_characters_whatever_the_api_says_by_chance(
    simulator: Simulator,
    account: Account,
    warehouse: Warehouse,
    held: object,
    command: Command,
    place: str,
    text: str,
) -> None:
    simulator.requests.clear()
    account.records[:] = make_invoices(2)
    simulator.faults[:] = [FIELDS[place](text)]

    for name in ("check", "load"):
        check_screen(command(name, env={"CLOUDFLARE_ACCOUNT_ID": None}))
    check_requests(simulator)
