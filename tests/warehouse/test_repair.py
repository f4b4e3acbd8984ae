"""Proof up to the warehouse: whatever somebody broke there, the next run repairs, and says so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest

from cf_invoice_source import Report, cf_invoice_source
from cf_invoice_source import load as load_into
from cf_invoice_source.simulator import Account, Simulator, World
from tests.conftest import Command, Load, Warehouse
from tests.support.copies import arrive, copy_of, truth_of
from tests.support.make import CREATED_S, make_invoice, make_invoices

pytestmark = pytest.mark.usefixtures("held")


def changes(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return warehouse.query("SELECT id, version, change, status FROM cf_invoices.invoice_changes ORDER BY ALL")


def why(report: Report) -> str:
    [account] = report.accounts
    return account.full_reason


@pytest.fixture
def listed(simulator: Simulator, account: Account) -> Account:
    """An account with three pages of invoices, two of them open."""
    simulator.max_per_page = 5
    account.records += make_invoices(12)
    for invoice_id in ("in_3", "in_11"):
        account.find(invoice_id).update(status="open", amount_paid=0, amount_remaining=2178)
    return account


# The tables

DAMAGE = {
    "a table dropped": "DROP TABLE invoices",
    "a table emptied": "DELETE FROM invoices",
    "a row deleted": "DELETE FROM invoices WHERE id = 'in_5'",
    "a row too many": "INSERT INTO invoices BY NAME (SELECT * REPLACE ('in_forged' AS id, 'x' AS _dlt_id) "
    "FROM invoices LIMIT 1)",
    "a row doubled": "INSERT INTO invoices BY NAME (SELECT * REPLACE ('x' AS _dlt_id) FROM invoices LIMIT 1)",
    "a column dropped": "ALTER TABLE invoices DROP COLUMN amount_due",
    "the rejects dropped": "DROP TABLE invoice_rejects",
    "the walks dropped": "DROP TABLE invoice_syncs",
    "a column of the changes dropped": "ALTER TABLE invoice_changes DROP COLUMN status",
}


@pytest.mark.quick("a table dropped", "a row deleted")
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damage_is_repaired_in_the_same_run_and_doubles_no_change(
    load: Load,
    listed: Account,
    warehouse: Warehouse,
    held: duckdb.DuckDBPyConnection,
    damage: str,
) -> None:
    load()
    keys = "SELECT account_id, id, version, change FROM cf_invoices.invoice_changes ORDER BY ALL"
    before = warehouse.query(keys)
    held.execute("USE cf_invoices")
    held.execute(damage)

    report = load()

    assert copy_of(warehouse) == truth_of(listed)
    assert warehouse.query(keys) == before
    assert report.is_verified
    assert why(report) != ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    ["ALTER TABLE cf_invoices.invoices DROP COLUMN tax", "DROP TABLE cf_invoices.invoices__lines"],
    ids=["its column dropped", "its child table dropped"],
)
def test_a_field_that_this_version_does_not_know_is_repaired_too(
    load: Load, account: Account, warehouse: Warehouse, held: duckdb.DuckDBPyConnection, damage: str
) -> None:
    account.records.append(make_invoice(tax=5, lines=[{"net": 7}]))
    load()
    held.execute(damage)

    load()

    assert [row["tax"] for row in warehouse.rows()] == [5]
    assert [row["net"] for row in warehouse.rows("invoices__lines")] == [7]


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    ["DROP TABLE cf_invoices.invoice_changes", "DROP SCHEMA cf_invoices CASCADE"],
    ids=["the changes dropped", "the dataset dropped"],
)
def test_changes_that_were_dropped_begin_anew_with_what_is_there(
    load: Load, listed: Account, warehouse: Warehouse, held: duckdb.DuckDBPyConnection, damage: str
) -> None:
    load()
    listed.pay("in_3")
    load()
    held.execute(damage)

    report = load()

    assert copy_of(warehouse) == truth_of(listed)
    assert {(version, change) for _, version, change, _ in changes(warehouse)} == {(1, "new")}
    assert len(changes(warehouse)) == 12
    assert report.is_verified


@pytest.mark.slow
def test_changes_that_were_emptied_by_hand_come_back_with_the_next_full_walk(
    load: Load, listed: Account, warehouse: Warehouse, held: duckdb.DuckDBPyConnection
) -> None:
    load()
    held.execute("DELETE FROM cf_invoices.invoice_changes")

    load(full=True)

    assert len(changes(warehouse)) == 12


@pytest.mark.slow
@pytest.mark.parametrize(
    "happening",
    [
        pytest.param(arrive, id="an invoice is missing in it"),
        pytest.param(lambda account: account.pay("in_3"), id="an invoice is still open in it"),
    ],
)
def test_an_older_backup_of_the_file_catches_up(
    load: Load,
    listed: Account,
    warehouse: Warehouse,
    held: duckdb.DuckDBPyConnection,
    tmp_path: Path,
    happening: Callable[[Account], object],
) -> None:
    held.close()
    load()
    shutil.copy(warehouse.path, tmp_path / "backup")
    happening(listed)
    load()
    shutil.copy(tmp_path / "backup", warehouse.path)

    report = load()

    assert copy_of(warehouse) == truth_of(listed)
    assert report.is_verified


def test_values_that_were_edited_by_hand_are_put_right_by_a_full_walk_and_are_no_change(
    load: Load, listed: Account, warehouse: Warehouse, held: duckdb.DuckDBPyConnection
) -> None:
    load()
    before = changes(warehouse)
    held.execute("UPDATE cf_invoices.invoices SET amount_due = 1, status = 'open' WHERE id = 'in_5'")
    held.execute("UPDATE cf_invoices.invoices SET created = NULL WHERE id = 'in_6'")

    report = load(full_sync_every_days=0)

    assert copy_of(warehouse) == truth_of(listed)
    assert changes(warehouse) == before
    assert report.is_verified


# Where the state is kept


def test_a_fresh_machine_takes_its_state_from_the_destination(
    load: Load, simulator: Simulator, listed: Account, warehouse: Warehouse, tmp_path: Path
) -> None:
    load()
    shutil.rmtree(tmp_path / "dlt")
    arrive(listed)
    simulator.requests.clear()

    report = load()

    assert copy_of(warehouse) == truth_of(listed)
    assert [request.page for request in simulator.requests] == [1, 3]  # in_3 is open
    assert report.is_verified


@pytest.mark.slow
def test_local_state_without_its_destination_is_not_believed(
    load: Load, listed: Account, warehouse: Warehouse, held: duckdb.DuckDBPyConnection
) -> None:
    held.close()
    load()
    warehouse.path.unlink()

    report = load()

    assert copy_of(warehouse) == truth_of(listed)
    assert len(changes(warehouse)) == 12
    assert report.is_verified


@pytest.mark.slow
def test_a_bookmark_of_an_unknown_version_leads_to_a_full_walk(
    load: Load, listed: Account, warehouse: Warehouse
) -> None:
    load()
    pipeline = dlt.attach("cloudflare_invoices")
    with pipeline.managed_state() as state:
        bookmarks_of(state)[listed.id] = "[99]"

    report = load()

    assert [account.sync_mode for account in report.accounts] == ["full"]
    assert copy_of(warehouse) == truth_of(listed)
    assert len(changes(warehouse)) == 12
    assert report.is_verified


def bookmarks_of(state: Any) -> Any:
    return state["sources"]["cf_invoice_source"]["resources"]["invoices"]["bookmarks"]


@pytest.mark.slow
@pytest.mark.parametrize("is_normalized", [True, False], ids=["normalized", "only extracted"])
def test_a_package_that_an_earlier_run_left_behind_is_loaded_first(
    load: Load,
    simulator: Simulator,
    listed: Account,
    warehouse: Warehouse,
    *,
    is_normalized: bool,
) -> None:
    load()
    arrive(listed, "in_left_behind")
    pipeline = dlt.attach("cloudflare_invoices")
    pipeline.extract(cf_invoice_source())
    if is_normalized:
        pipeline.normalize()
    arrive(listed)

    report = load()

    assert copy_of(warehouse) == truth_of(listed)
    assert [account.sync_mode for account in report.accounts] == ["incremental"]
    assert report.is_verified


# One dataset, several loads


@pytest.mark.slow
def test_two_pipelines_load_different_accounts_into_one_dataset(
    dlt_here: None, simulator: Simulator, world: World, listed: Account, warehouse: Warehouse
) -> None:
    other = world.add_account("Other")
    other.records += make_invoices(3)

    def load_each() -> list[Report]:
        return [
            load_into(
                dlt.pipeline(account.name, destination="duckdb", dataset_name="cf_invoices"),
                account_id=account.id,
            )
            for account in (listed, other)
        ]

    load_each()
    arrive(listed)
    arrive(other)

    reports = load_each()

    assert copy_of(warehouse) == truth_of(listed, other)
    assert [report.accounts[0].sync_mode for report in reports] == ["incremental", "incremental"]
    assert all(report.is_verified for report in reports)


def test_another_type_is_bad_usage_before_any_request_and_the_remedy_is_named(
    load: Load, command: Command, simulator: Simulator, listed: Account, warehouse: Warehouse
) -> None:
    load()
    before = warehouse.rows()
    simulator.requests.clear()

    ended = command("load", "--type", "auto", "--json")

    assert ended.exit_code == 2
    assert "--dataset" in ended.stderr
    assert json.loads(ended.stdout)["error"]["type"] == "MixedTypesError"
    assert warehouse.rows() == before
    assert simulator.requests == []


# A range of `created`


def of_range(first: int, behind: int) -> Any:
    """From in_<first> on, up to before in_<behind>."""
    start = datetime.fromtimestamp(CREATED_S, tz=timezone.utc)
    return dlt.sources.incremental(
        "created",
        initial_value=start + timedelta(hours=first),
        end_value=start + timedelta(hours=behind),
    )


@pytest.mark.slow
def test_a_range_leaves_the_bookmark_as_it_was(
    load: Load, simulator: Simulator, listed: Account, warehouse: Warehouse
) -> None:
    load()
    before = bookmarks_of(dlt.attach("cloudflare_invoices").state)
    load(created=of_range(4, 7))
    after = bookmarks_of(dlt.attach("cloudflare_invoices").state)
    simulator.requests.clear()

    report = load()

    assert after == before
    assert [request.page for request in simulator.requests] == [1, 2]
    assert copy_of(warehouse) == truth_of(listed)
    assert report.is_verified


@pytest.mark.slow
def test_a_range_proves_nothing_and_a_load_after_it_completes_the_copy(
    load: Load, listed: Account, warehouse: Warehouse
) -> None:
    ranged = load(created=of_range(4, 7))
    ids = warehouse.ids()
    told = warehouse.query("SELECT verified, unverified_reason FROM cf_invoices.invoice_syncs")

    report = load()

    assert ids == ["in_4", "in_5", "in_6"]
    assert not ranged.is_verified
    assert told == [(False, "only a range of created was loaded")]
    assert copy_of(warehouse) == truth_of(listed)
    assert {(version, change) for _, version, change, _ in changes(warehouse)} == {(1, "new")}
    assert len(changes(warehouse)) == 12
    assert report.is_verified
