"""Verified means verified: no exit 0 beside evidence to the contrary, and nothing is decided by clocks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dlt
import duckdb
import pytest

from cf_invoice_source import cf_invoice_source
from cf_invoice_source import load as load_into
from cf_invoice_source.simulator import Account, Simulator, World
from cf_invoice_source.simulator.faults import edit
from tests.conftest import Command, Load, Warehouse
from tests.support.copies import LATER_S
from tests.support.make import make_invoice, make_invoices


@pytest.fixture
def listed(simulator: Simulator, account: Account) -> Account:
    """Ten paid invoices, five on a page."""
    simulator.max_per_page = 5
    account.records += make_invoices(10)
    return account


def changes(warehouse: Warehouse) -> list[Any]:
    return warehouse.query("SELECT id, version, change FROM cf_invoices.invoice_changes ORDER BY ALL")


def change(warehouse: Warehouse, sql: str) -> None:
    with duckdb.connect(str(warehouse.path)) as database:
        database.execute(sql)


def pipeline(name: str = "cloudflare_invoices", **settings: Any) -> dlt.Pipeline:
    made: dlt.Pipeline = dlt.pipeline(name, destination="duckdb", dataset_name="cf_invoices", **settings)
    return made


# A list that lacks what cannot have been deleted


def empty(document: Any) -> None:
    """What a glitch answers: success, and nothing."""
    facts = {"has_more": False, "total_count": 0}
    document["result"]["invoices"] = []
    document["result"]["pagination"].update(facts)
    document["result_info"].update(facts)


@pytest.mark.slow
def test_a_list_that_is_suddenly_empty_takes_nothing_away_and_is_not_verified(
    load: Load, simulator: Simulator, listed: Account, warehouse: Warehouse
) -> None:
    load()
    before = warehouse.rows(), changes(warehouse)
    simulator.faults.append(edit(empty))

    [first], [second] = (load().accounts for _ in range(2))
    emptied = warehouse.rows(), changes(warehouse)
    simulator.faults.clear()
    healthy = load()

    assert emptied == before
    assert (first.verified, first.deleted, first.invoices) == (False, 0, 10)
    assert first.unverified_reason == (
        "10 invoices that cannot be deleted are not listed any more and kept: in_1, in_10, in_2, in_3, in_4 "
        "and 5 more (load --accept-deletions deletes them)"
    )
    assert (second.sync_mode, second.requests, second.unverified_reason) == (
        "incremental",
        1,
        first.unverified_reason,
    )
    assert healthy.is_verified
    assert (warehouse.rows(), changes(warehouse)) == before


def test_invoices_that_are_missing_are_named_until_a_person_accepts_their_deletion(
    simulator: Simulator, listed: Account, warehouse: Warehouse, command: Command
) -> None:
    command("load")
    gone = [listed.find(each) for each in ("in_2", "in_7", "in_9")]
    listed.records = [record for record in listed.records if record not in gone]

    missing = command("load")
    looked = command("status")
    accepted = command("load", "--accept-deletions")

    assert missing.exit_code == 3
    assert f"Account {listed.id}: not verified: 3 invoices that cannot be deleted" in missing.stderr
    assert "in_2, in_7, in_9" in missing.stderr
    assert "What to do: if you know that they are gone" in missing.stderr
    assert "What to do: if you know that they are gone" in looked.stderr
    assert looked.exit_code == 3
    assert accepted.exit_code == 0
    assert warehouse.ids() == sorted(record["id"] for record in listed.records)
    assert [(key, change) for key, _, change in changes(warehouse) if change != "new"] == [
        (key, "deleted") for key in ("in_2", "in_7", "in_9")
    ]


@pytest.mark.slow
def test_a_draft_that_is_not_listed_any_more_is_deleted(
    load: Load, listed: Account, warehouse: Warehouse
) -> None:
    listed.find("in_2")["status"] = "draft"
    load()
    listed.delete("in_2")

    report = load()

    assert report.is_verified
    assert "in_2" not in warehouse.ids()


# Evidence against the premises


def amend(record: Any) -> None:
    record["amount_paid"] = 1


def extend(record: Any) -> None:
    record["tax"] = 7


@pytest.mark.quick("amend")
@pytest.mark.parametrize("amend", [amend, extend])
def test_a_final_invoice_that_has_changed_leads_to_a_full_walk_in_the_same_run(
    load: Load, simulator: Simulator, listed: Account, warehouse: Warehouse, amend: Callable[[Any], None]
) -> None:
    load()
    for record in listed.records:
        amend(record)

    [account] = load().accounts

    assert account.verified
    assert (account.sync_mode, account.updated) == ("full", 10)
    assert account.full_reason.endswith("was final, and has changed")
    column = "tax" if amend is extend else "amount_paid"
    assert {int(row[column]) for row in warehouse.rows()} == {7 if amend is extend else 1}


@pytest.mark.slow
def test_a_field_that_no_invoice_had_before_leads_to_a_full_walk_once(
    load: Load, simulator: Simulator, listed: Account, warehouse: Warehouse
) -> None:
    """It stands on a new invoice only, at first sight: the others may have it, too, below page 1."""
    load()
    for record in listed.records[5:]:
        extend(record)
    for number in range(6):
        listed.records.insert(0, make_invoice(id=f"in_new_{number}", created=LATER_S + number))
    extend(listed.records[0])

    [first] = load().accounts
    listed.records.insert(0, make_invoice(id="in_newest", created=LATER_S + 99, tax=8))
    [second] = load().accounts

    assert first.full_reason == "tax is a field that no invoice had before"
    assert first.verified
    assert sum(row["tax"] is not None for row in warehouse.rows()) == 5 + 1 + 1
    assert second.sync_mode == "incremental"


# Clocks


@pytest.mark.slow
def test_a_clock_that_is_wrong_for_a_while_decides_nothing(
    load: Load, listed: Account, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker whose clock is 20 minutes ahead, then one that is 18 hours behind."""
    import time

    load()
    modes = []
    for offset_s in (1_200, 0, -64_800, -64_800, 0):
        shifted = SimpleNamespace(time=lambda offset=offset_s: time.time() + offset)
        monkeypatch.setattr("cf_invoice_source.loading.accounts.time", shifted)
        [account] = load().accounts
        modes.append((account.sync_mode, account.full_reason))
        assert account.verified

    # Only a full walk that lies in the future is of no account, and then another one is due: once.
    assert modes[:2] == [("incremental", "")] * 2
    assert modes.count(("full", "a full walk was due")) <= 2
    assert modes[-1] == ("incremental", "")


@pytest.mark.slow
def test_the_number_of_a_sync_says_which_is_the_last_whatever_the_clock_says(
    listed: Account, warehouse: Warehouse, command: Command
) -> None:
    command("load")
    command("load")
    change(
        warehouse,
        "UPDATE cf_invoices.invoice_syncs SET started_at = started_at - INTERVAL 1 DAY, "
        "finished_at = finished_at - INTERVAL 1 DAY WHERE sync_number = 2",
    )

    [account] = json.loads(command("status", "--json").stdout)["accounts"]

    assert account["last_sync"]["sync_number"] == 2
    assert account["last_sync"]["sync_mode"] == "incremental"


# Neighbours


@pytest.mark.slow
def test_a_package_that_was_left_is_finished_though_another_pipeline_has_loaded_other_accounts(
    load: Load, simulator: Simulator, world: World, listed: Account, warehouse: Warehouse
) -> None:
    other = world.add_account("Other")
    other.records += make_invoices(3)
    load()
    listed.records.insert(0, make_invoice(id="in_new", created=LATER_S))
    pipeline().extract(cf_invoice_source())
    load_into(pipeline("another"), account_id=other.id)

    [account] = load_into(pipeline()).accounts

    assert (account.sync_mode, account.full_reason, account.verified) == ("incremental", "", True)
    assert "in_new" in warehouse.ids()


@pytest.mark.slow
def test_a_package_that_was_left_is_dropped_where_another_pipeline_has_loaded_the_same_account(
    load: Load, simulator: Simulator, listed: Account, warehouse: Warehouse
) -> None:
    load()
    listed.records.insert(0, make_invoice(id="in_new", created=LATER_S, status="open"))
    pipeline().extract(cf_invoice_source())
    listed.find("in_new")["status"] = "paid"
    load_into(pipeline("another"))

    [account] = load_into(pipeline()).accounts

    assert account.full_reason == "what an earlier run had left to load was dropped"
    assert account.verified
    assert [change for change in changes(warehouse) if change[0] == "in_new"] == [("in_new", 1, "new")]


@pytest.mark.slow
def test_bookmarks_of_another_source_in_the_pipeline_stay_as_they_are(
    load: Load, simulator: Simulator, listed: Account, warehouse: Warehouse
) -> None:
    feeds = {"feed-1": {"etag": "abc"}}

    @dlt.resource
    def others() -> Any:
        dlt.current.resource_state()["bookmarks"] = feeds
        yield [{"id": 1}]

    pipeline().run(others(), table_name="others")
    load()
    pipeline().extract(cf_invoice_source(full=True))
    for file in Path(pipeline().working_dir, "normalize").rglob("*.typed-jsonl*"):
        file.write_bytes(file.read_bytes()[:-9])

    [account] = load_into(pipeline()).accounts

    [resources] = [
        source["resources"]["others"]
        for source in pipeline().state["sources"].values()
        if "others" in source.get("resources", {})
    ]
    assert account.full_reason == "what an earlier run had left to load was dropped"
    assert resources["bookmarks"] == feeds


@pytest.mark.slow
def test_a_dataset_of_the_name_that_dlt_gives_its_staging_tables_is_not_touched(
    load: Load, listed: Account, warehouse: Warehouse
) -> None:
    theirs = dlt.pipeline("theirs", destination="duckdb", dataset_name="cf_invoices_staging")
    theirs.run([{"id": "precious"}], table_name="invoices")

    load()
    listed.records.insert(0, make_invoice(id="in_new", created=LATER_S))
    report = load()

    assert report.is_verified
    assert warehouse.query("SELECT id FROM cf_invoices_staging.invoices") == [("precious",)]


# What is there, not what the schema says


@pytest.mark.slow
def test_an_imported_schema_makes_no_table_that_counts_as_known_and_is_not_there(
    load: Load, simulator: Simulator, listed: Account, warehouse: Warehouse, tmp_path: Path
) -> None:
    load()
    folder = tmp_path / "schemas"
    folder.mkdir()
    schema = pipeline().schemas["cf_invoice_source"]
    (folder / "cf_invoice_source.schema.yaml").write_text(schema.to_pretty_yaml(remove_processing_hints=True))
    fresh = dlt.pipeline("fresh", destination="duckdb", dataset_name="fresh", import_schema_path=str(folder))

    first = load_into(fresh)
    listed.records.insert(0, make_invoice(id="in_broken", created=LATER_S, amount_due="broken"))
    second = load_into(fresh)

    assert first.is_verified
    assert [account.problem for account in second.accounts] == ["1 record rejected: see invoice_rejects"]
    assert warehouse.query("SELECT id FROM fresh.invoice_rejects") == [("in_broken",)]


@pytest.mark.slow
def test_a_passing_fault_of_the_database_is_not_taken_for_damage(
    load: Load, listed: Account, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dlt.destinations.exceptions import DatabaseTransientException
    from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient

    load()
    execute, failed = DuckDbSqlClient.execute_sql, list[str]()

    def fail_once(self: Any, sql: Any, *arguments: Any, **named: Any) -> Any:
        if "WHERE 1 = 0" in sql and not failed:
            failed.append(sql)
            raise DatabaseTransientException(duckdb.IOException("for a moment"))
        return execute(self, sql, *arguments, **named)

    monkeypatch.setattr(DuckDbSqlClient, "execute_sql", fail_once)

    [account] = load().accounts

    assert failed
    assert (account.sync_mode, account.full_reason, account.verified) == ("incremental", "", True)


# Status, whatever the pipeline is called


@pytest.mark.slow
def test_status_compares_with_the_bookmarks_of_every_pipeline_in_the_dataset(
    listed: Account, warehouse: Warehouse, command: Command
) -> None:
    command("load", "--pipeline-name", "shard_1_of_8")
    before = command("status")
    change(warehouse, "DELETE FROM cf_invoices.invoices")

    emptied = command("status")

    assert before.exit_code == 0
    assert emptied.exit_code == 3
    assert "the tables hold 0 invoices and 0 rejected records, verified were 10 and 0" in emptied.stderr


@pytest.mark.slow
def test_status_tells_a_monitor_when_the_last_verified_sync_is_too_old(
    listed: Account, warehouse: Warehouse, command: Command
) -> None:
    command("load")
    change(warehouse, "UPDATE cf_invoices.invoice_syncs SET finished_at = finished_at - INTERVAL 30 HOUR")

    codes = [command("status", "--max-age", age).exit_code for age in ("26h", "40", "2d")]
    wrong = command("status", "--max-age", "soon")

    assert codes == [3, 0, 0]
    assert "the last verified sync was 30 hours ago" in command("status", "--max-age", "26h").stderr
    assert wrong.exit_code == 2


@pytest.mark.slow
def test_an_account_in_capitals_is_the_same_account(
    load: Load, listed: Account, warehouse: Warehouse
) -> None:
    load()

    [account] = load(account_id=listed.id.upper()).accounts

    assert (account.account_id, account.sync_mode) == (listed.id, "incremental")
    assert len(warehouse.rows()) == 10
