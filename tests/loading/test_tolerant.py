"""An API that writes the same in another JSON type costs nobody a night: no change, no row, no doubt.

All rows of the table share four loads, over real HTTP, each in an account of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from cf_invoice_source import Report
from cf_invoice_source.exact_json import decode
from cf_invoice_source.simulator import Account, Record, Simulator, World
from tests.conftest import Command, Load, Warehouse
from tests.support.make import expected_row, make_invoices

INVOICES = 33
PER_PAGE = 5


def as_text(*names: str) -> Callable[[Record], None]:
    def change(record: Record) -> None:
        record.update({name: str(record[name]).lower() for name in names})

    return change


def in_iso(record: Record) -> None:
    record["created"] = datetime.fromtimestamp(record["created"], timezone.utc).isoformat()


def in_milliseconds(record: Record) -> None:
    record["created"] *= 1000


def with_flags_as_numbers(record: Record) -> None:
    record.update({name: int(record[name]) for name in ("attempted", "auto_advance")})


OTHERWISE: dict[str, tuple[int, Callable[[Record], None]]] = {
    "amounts as texts": (1, as_text("amount_due", "amount_paid", "amount_remaining")),
    "attempted as a text, from page 3 on": (3, as_text("attempted")),
    "attempt_count as a text, from page 3 on": (3, as_text("attempt_count")),
    "flags as numbers, on the last page": (7, with_flags_as_numbers),
    "created as digits": (1, as_text("created")),
    "created in ISO 8601": (1, in_iso),
    "created in milliseconds, from page 3 on": (3, in_milliseconds),
}
"""From which page on the API writes what it says in another way, and how."""


@pytest.fixture
def simulator(world: World, account: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with Simulator(world, max_per_page=PER_PAGE) as simulator:
        monkeypatch.setenv("CLOUDFLARE_BASE_URL", simulator.base_url)
        monkeypatch.setenv("CLOUDFLARE_API_TOKEN", simulator.token)
        monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", account.id)
        yield simulator


def figures(report: Report) -> list[tuple[str, str, int | None, int | None, int | None, int | None]]:
    return [
        (each.error, each.unverified_reason, each.new, each.updated, each.deleted, each.rejected)
        for each in report.accounts
    ]


@pytest.mark.slow
def test_what_says_the_same_in_another_type_is_verified_and_writes_nothing(
    load: Load, world: World, warehouse: Warehouse
) -> None:
    accounts = {name: world.add_account(name) for name in OTHERWISE}
    for each in accounts.values():
        each.records += make_invoices(INVOICES)
    ids = [each.id for each in accounts.values()]
    load(account_id=ids)
    before = [warehouse.query(f"FROM cf_invoices.{table} ORDER BY ALL") for table in WRITTEN]
    for name, (page, change) in OTHERWISE.items():
        for record in accounts[name].records[(page - 1) * PER_PAGE :]:
            change(record)

    reports = [load(account_id=ids), load(account_id=ids, full=True), load(account_id=ids)]

    assert all(report.is_verified for report in reports)
    assert [figures(report) for report in reports] == [[("", "", 0, 0, 0, 0)] * len(OTHERWISE)] * 3
    assert [warehouse.query(f"FROM cf_invoices.{table} ORDER BY ALL") for table in WRITTEN] == before
    assert not warehouse.rows("invoice_rejects")


WRITTEN = ("invoices", "invoice_changes")


def test_new_invoices_in_another_type_are_loaded_as_always(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    account.records += make_invoices(len(OTHERWISE))
    for record, (_, change) in zip(account.records, OTHERWISE.values(), strict=True):
        change(record)
    account.records[0]["id"] = 7

    assert figures(load()) == [("", "", len(OTHERWISE), 0, 0, 0)]

    held = {row["id"]: row for row in warehouse.rows()}
    truth = {row["id"]: row for row in (expected_row(account.id, record) for record in account.records)}
    assert {key: {name: held[key][name] for name in row} for key, row in truth.items()} == truth
    assert held.keys() == truth.keys()


@pytest.mark.slow
def test_a_text_that_no_database_can_store_is_null_and_kept_beside_the_others(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    account.records += make_invoices(3)
    load()
    account.records[1]["description"] = "a\x00b"
    account.records[0] |= {"status": "open", "id": ["in_3"], "tax": "\x00"}

    first, again = load(full=True), load(full=True)

    rows = {row["id"]: row for row in warehouse.rows()}
    anonymous = next(row for key, row in rows.items() if key.startswith("anonymous:"))
    assert rows["in_2"]["description"] is None
    assert decode(rows["in_2"]["more_fields"].encode()) == {"description": "a\x00b"}
    assert decode(anonymous["more_fields"].encode()) == {"id": ["in_3"], "tax": "\x00"}
    assert [each.accounts[0].rejected for each in (first, again)] == [0, 0]
    assert (again.accounts[0].new, again.accounts[0].updated) == (0, 0)


@pytest.mark.quick("open-'in_2'")
@pytest.mark.parametrize("invoice_id", ["in_2", 2], ids=repr)
@pytest.mark.parametrize("status", ["draft", "open", "paid"])
def test_an_invoice_that_becomes_unreadable_keeps_its_last_good_row(
    load: Load, account: Account, warehouse: Warehouse, command: Command, status: str, invoice_id: Any
) -> None:
    account.records += make_invoices(3, status=status)
    account.records[1]["id"] = invoice_id
    load()
    before = [warehouse.query(f"FROM cf_invoices.{table} ORDER BY ALL") for table in WRITTEN]
    account.records[1]["amount_due"] = "broken"

    ended = command("load", "--full")

    assert ended.exit_code == 3
    assert [warehouse.query(f"FROM cf_invoices.{table} ORDER BY ALL") for table in WRITTEN] == before
    [rejected] = warehouse.rows("invoice_rejects")
    assert rejected["id"] == str(invoice_id)
    assert rejected["reason"] == "amount_due is not a number"
    assert '"amount_due": "broken"' in rejected["raw"]
