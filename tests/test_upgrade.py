"""A warehouse that an earlier release left behind keeps loading, with nothing twice and nothing lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from cf_invoice_source.simulator import Account, Simulator, World
from tests.conftest import Load, Warehouse
from tests.released.make import let_time_pass, list_invoices, make

RELEASED = Path(__file__).parent / "released"
EARLIEST = "0.1.0-no-bookmarks"
"""Before the release 0.1.0 (commit 0a01558): without bookmarks, changes and walks, and with fewer columns."""


@pytest.fixture
def account(world: World) -> Account:
    """The account that `tests.released.make` has, as its second load left it."""
    account = world.add_account("Test")
    list_invoices(account)
    let_time_pass(account)
    return account


@pytest.fixture
def simulator(simulator: Simulator) -> Simulator:
    simulator.max_per_page = 3
    return simulator


def restore(database: duckdb.DuckDBPyConnection, release: str) -> None:
    database.execute((RELEASED / f"{release}.sql").read_text("utf-8"))


def changes(warehouse: Warehouse) -> list[Any]:
    return warehouse.query("SELECT id, version, change, status FROM cf_invoices.invoice_changes ORDER BY ALL")


def assert_equals_the_list(warehouse: Warehouse, account: Account) -> None:
    rows = warehouse.query(
        "SELECT coalesce(status, ''), amount_due, created, tax FROM cf_invoices.invoices ORDER BY created"
    )
    listed = [record for record in reversed(account.records) if record["amount_due"] != "broken"]
    assert [(status, float(due), int(created.timestamp()), tax) for status, due, created, tax in rows] == [
        (record["status"], record["amount_due"], record["created"], record.get("tax")) for record in listed
    ]
    assert warehouse.query("SELECT net FROM cf_invoices.invoices__lines") == [(7.5,)]


@pytest.mark.parametrize("release", ["0.1.0"])
def test_a_warehouse_of_an_earlier_release_goes_on_where_it_was(
    load: Load, account: Account, warehouse: Warehouse, held: duckdb.DuckDBPyConnection, release: str
) -> None:
    restore(held, release)
    before = changes(warehouse)

    quiet = load()

    assert [(each.kind, each.why) for each in quiet.accounts] == [("incremental", "")]
    assert [each.doubt for each in quiet.accounts] == [""]
    assert changes(warehouse) == before

    account.pay("in_2")
    account.delete("in_9")
    account.find("in_6")["amount_due"] = 7
    account.records.insert(0, make(10))
    busy = load()

    assert [each.doubt for each in busy.accounts] == [""]
    assert busy.is_proven
    assert sorted(set(changes(warehouse)) - set(before)) == [
        ("in_10", 1, "new", "paid"),
        ("in_2", 2, "updated", "paid"),
        ("in_6", 1, "new", "paid"),
        ("in_9", 2, "deleted", "draft"),
    ]
    assert_equals_the_list(warehouse, account)

    noted = changes(warehouse)
    full = load(full=True)

    assert full.is_proven
    assert changes(warehouse) == noted
    assert_equals_the_list(warehouse, account)


def test_a_warehouse_from_before_bookmarks_and_changes_is_read_once_as_a_whole(
    load: Load, account: Account, warehouse: Warehouse, held: duckdb.DuckDBPyConnection
) -> None:
    restore(held, EARLIEST)

    first = load()

    assert [(each.kind, each.why, each.doubt) for each in first.accounts] == [("full", "first run", "")]
    assert [(version, change) for _, version, change, _ in changes(warehouse)] == [(1, "new")] * 7
    assert_equals_the_list(warehouse, account)

    second = load()

    assert [(each.kind, each.doubt) for each in second.accounts] == [("incremental", "")]
    assert len(changes(warehouse)) == 7


@pytest.mark.parametrize("release", ["0.1.0", EARLIEST])
def test_a_warehouse_of_an_earlier_release_can_be_refreshed(
    load: Load, account: Account, warehouse: Warehouse, held: duckdb.DuckDBPyConnection, release: str
) -> None:
    restore(held, release)

    report = load(refresh=True)

    assert [each.doubt for each in report.accounts] == [""]
    assert_equals_the_list(warehouse, account)
    assert len({row[:2] for row in changes(warehouse)}) == len(changes(warehouse))
