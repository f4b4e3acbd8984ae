"""A warehouse that an earlier release left behind keeps loading, with nothing twice and nothing lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from cf_invoice_source.simulator import Account, Simulator, World
from tests.conftest import Command, Load, Warehouse
from tests.support.released.make import let_time_pass, list_invoices, make

RELEASED = Path(__file__).parents[1] / "support" / "released"
EARLIEST = "0.1.0-no-bookmarks"
"""Before the release 0.1.0 (commit 0a01558): without bookmarks, changes and walks, and with fewer columns."""


@pytest.fixture
def account(world: World) -> Account:
    """The account that `tests.support.released.make` has, as its second load left it."""
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

    assert [(each.sync_mode, each.full_reason) for each in quiet.accounts] == [("incremental", "")]
    assert [each.unverified_reason for each in quiet.accounts] == [""]
    assert changes(warehouse) == before

    account.pay("in_2")
    account.delete("in_9")
    account.find("in_6")["amount_due"] = 7
    account.records.insert(0, make(10))
    busy = load()

    assert [each.unverified_reason for each in busy.accounts] == [""]
    assert busy.is_verified
    assert sorted(set(changes(warehouse)) - set(before)) == [
        ("in_10", 1, "new", "paid"),
        ("in_2", 2, "updated", "paid"),
        ("in_6", 1, "new", "paid"),
        ("in_9", 2, "deleted", "draft"),
    ]
    assert_equals_the_list(warehouse, account)

    noted = changes(warehouse)
    full = load(full=True)

    assert full.is_verified
    assert changes(warehouse) == noted
    assert_equals_the_list(warehouse, account)


@pytest.mark.slow
def test_a_warehouse_from_before_bookmarks_and_changes_is_read_once_as_a_whole(
    load: Load, account: Account, warehouse: Warehouse, held: duckdb.DuckDBPyConnection
) -> None:
    restore(held, EARLIEST)

    first = load()

    assert [(each.sync_mode, each.full_reason, each.unverified_reason) for each in first.accounts] == [
        ("full", "first run", "")
    ]
    assert [(version, change) for _, version, change, _ in changes(warehouse)] == [(1, "new")] * 7
    assert_equals_the_list(warehouse, account)

    second = load()

    assert [(each.sync_mode, each.unverified_reason) for each in second.accounts] == [("incremental", "")]
    assert len(changes(warehouse)) == 7


ANOTHER_VERSION = [
    ('[0, ["in_1"]]', "the bookmark is of version 0, not 1"),
    ("[2, [12]]", "the bookmark is of version 2, not 1"),
    ({"version": 1}, "the bookmark cannot be read"),
    ("[1, 12]", "the bookmark cannot be read"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("bookmark", "why"), ANOTHER_VERSION)
def test_a_bookmark_of_another_version_leads_to_a_full_walk_with_a_message(
    load: Load,
    command: Command,
    account: Account,
    warehouse: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
    bookmark: Any,
    why: str,
) -> None:
    account.records = [record for record in account.records if record["amount_due"] != "broken"]
    with monkeypatch.context() as another_version:
        another_version.setattr("cf_invoice_source.source.to_text", lambda _bookmark: bookmark)
        load()

    ended = command("load")
    later = command("load")

    assert (ended.exit_code, later.exit_code) == (0, 0)
    assert f"All invoices are read again: {why}." in ended.stderr
    assert later.stderr == ""
    syncs = "SELECT sync_mode, full_reason FROM cf_invoices.invoice_syncs ORDER BY started_at"
    assert warehouse.query(syncs) == [("full", "first run"), ("full", why), ("incremental", "")]
    assert_equals_the_list(warehouse, account)
