"""The write disposition of `invoices` is the user's: a mirror, a history or a log, each of them proven."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from itertools import product
from typing import Any

import dlt
import duckdb
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from cf_invoice_source import Report, SettingsError, cf_invoice_source, create_tables
from cf_invoice_source import load as load_into
from cf_invoice_source.simulator import Account, Simulator, World
from tests.conftest import Command, Load, Warehouse, run_warm
from tests.make import CREATED_S, make_invoice, make_invoices
from tests.postgres import Database

pytestmark = pytest.mark.usefixtures("held")

KEY = ("account_id", "id")
SCD2: Any = {"disposition": "merge", "strategy": "scd2"}


@pytest.fixture
def listed(simulator: Simulator, account: Account) -> Account:
    """An account with three pages of invoices; two have no id and are alike."""
    simulator.max_per_page = 5
    account.records += make_invoices(12, lines=[{"net": 1}])
    for number in (3, 8):
        account.find(f"in_{number}").update(status="open", amount_paid=0, amount_remaining=2178)
    account.find("in_7").update(status="draft")
    account.find("in_2").update(status="draft")
    for number in (4, 5):
        account.find(f"in_{number}").update(id=None, created=CREATED_S + 5 * 3600)
    return account


def pipeline() -> dlt.Pipeline:
    return dlt.pipeline("cloudflare_invoices", destination="duckdb", dataset_name="cf_invoices")


def live_story(listed: Account, load: Callable[[], object]) -> None:
    """Load after each of: nothing, payments, deletions, an arrival, a correction back and forth, nothing."""
    load()
    listed.pay("in_3")
    load()
    listed.delete("in_7")
    listed.records.insert(0, make_invoice(id="in_new", created=CREATED_S + 10**6, status="open"))
    load()
    listed.find("in_8")["description"] = "second thoughts"
    load()
    listed.find("in_8")["description"] = "AI Gateway credits"
    listed.delete("in_2")
    load()
    load()


STORED = "account_id, id, status, amount_paid, description, row_hash"


def noted(warehouse: Warehouse) -> list[Any]:
    """What the changes say, a row for each."""
    return warehouse.query(
        f"SELECT {STORED} FROM cf_invoices.invoice_changes WHERE change <> 'deleted' ORDER BY ALL"  # noqa: S608
    )


def assert_is_the_history(warehouse: Warehouse) -> None:
    """Every version once, each closed before the next one, the last one open unless the invoice is gone."""
    versions = f"SELECT {STORED} FROM cf_invoices.invoices ORDER BY ALL"  # noqa: S608
    still_open = (
        "SELECT account_id, id, row_hash FROM cf_invoices.invoices WHERE _dlt_valid_to IS NULL ORDER BY ALL"
    )
    latest = (
        "SELECT account_id, id, row_hash FROM (FROM cf_invoices.invoice_changes QUALIFY version = "
        "max(version) OVER (PARTITION BY account_id, id)) WHERE change <> 'deleted' ORDER BY ALL"
    )
    overlapping = (
        "SELECT a.id FROM cf_invoices.invoices a JOIN cf_invoices.invoices b USING (account_id, id) "
        "WHERE a._dlt_valid_from < b._dlt_valid_from "
        "AND (a._dlt_valid_to IS NULL OR a._dlt_valid_to > b._dlt_valid_from)"
    )
    assert warehouse.query(versions) == noted(warehouse)
    assert warehouse.query(still_open) == warehouse.query(latest)
    assert warehouse.query(overlapping) == []


def open_ids(warehouse: Warehouse) -> list[str]:
    rows = warehouse.query("SELECT id FROM cf_invoices.invoices WHERE _dlt_valid_to IS NULL ORDER BY id")
    return [invoice_id for (invoice_id,) in rows]


def listed_ids(account: Account) -> list[str]:
    return sorted(record["id"] for record in account.records if record["id"])


def test_scd2_keeps_every_version_and_a_deletion_closes_the_last_one(
    load: Load, listed: Account, warehouse: Warehouse
) -> None:
    reports: list[Report] = []

    live_story(listed, lambda: reports.append(load(write_disposition="scd2")))

    assert all(report.is_proven for report in reports)
    assert_is_the_history(warehouse)
    assert [key for key in open_ids(warehouse) if key.startswith("in_")] == listed_ids(listed)
    assert len(open_ids(warehouse)) == len(listed.records)
    assert warehouse.query("SELECT count(*) FROM cf_invoices.invoices WHERE amount_due IS NULL") == [(0,)]

    before = warehouse.rows()
    full = load(write_disposition="scd2", full=True)

    assert full.is_proven
    assert warehouse.rows() == before


@pytest.mark.parametrize("seed", range(int(os.environ.get("WORLDS", "1"))))
def test_scd2_keeps_the_history_of_any_world(
    load: Load, simulator: Simulator, warehouse: Warehouse, seed: int
) -> None:
    simulator.world = world = World(seed=seed)
    simulator.max_per_page = 4
    accounts = [world.add_account(invoices=11), world.add_account(invoices=3)]
    for _ in range(5):
        world.live(12)
        report = load(
            write_disposition="scd2", account_id=[account.id for account in accounts], package_rows=5
        )

        assert report.is_proven
        assert_is_the_history(warehouse)
        assert len(open_ids(warehouse)) == sum(len(account.records) for account in accounts)


def test_scd2_by_apply_hints_in_a_bare_run_of_dlt(load: Load, listed: Account, warehouse: Warehouse) -> None:
    def run() -> None:
        source = cf_invoice_source()
        source.invoices.apply_hints(write_disposition=SCD2, merge_key=KEY)
        pipeline().run(source)

    live_story(listed, run)

    assert_is_the_history(warehouse)
    assert warehouse.query("SELECT count(*) FROM cf_invoices.invoice_changes") == [(18,)]


def test_scd2_of_values_that_were_edited_by_hand_opens_a_right_version(
    load: Load, listed: Account, warehouse: Warehouse, held: duckdb.DuckDBPyConnection
) -> None:
    load(write_disposition="scd2")
    held.execute("UPDATE cf_invoices.invoices SET amount_due = 1 WHERE id = 'in_6'")
    held.execute("INSERT INTO cf_invoices.invoices BY NAME (FROM cf_invoices.invoices WHERE id = 'in_9')")

    report = load(write_disposition="scd2", full=True)

    versions = (
        "SELECT id, amount_due, _dlt_valid_to IS NULL FROM cf_invoices.invoices WHERE id = ? ORDER BY ALL"
    )
    assert warehouse.query(versions, "in_6") == [("in_6", 1, False), ("in_6", 2178, True)]
    assert [is_open for *_, is_open in warehouse.query(versions, "in_9")] == [False, False, True]
    assert len(open_ids(warehouse)) == len(listed.records)
    assert report.is_proven


DAMAGE = [
    "DELETE FROM invoices WHERE id = 'in_6'",
    "DROP TABLE invoice_rejects",
    "ALTER TABLE invoices DROP COLUMN amount_due",
]


@pytest.mark.parametrize(
    ("keeping", "damage"),
    [
        *product(["scd2", "append"], DAMAGE),
        ("scd2", "UPDATE invoices SET _dlt_valid_to = now() WHERE id = 'in_6'"),
    ],
)
def test_damage_is_repaired_however_the_table_is_kept(
    load: Load,
    listed: Account,
    warehouse: Warehouse,
    held: duckdb.DuckDBPyConnection,
    keeping: str,
    damage: str,
) -> None:
    load(write_disposition=keeping)
    before = noted(warehouse)
    held.execute("USE cf_invoices")
    held.execute(damage)

    report = load(write_disposition=keeping)

    assert report.is_proven
    assert noted(warehouse) == before
    current = "_dlt_valid_to IS NULL" if keeping == "scd2" else "amount_due = 2178"
    rows = f"SELECT count(DISTINCT id) FROM cf_invoices.invoices WHERE amount_due = 2178 AND {current}"  # noqa: S608
    assert warehouse.query(rows) == [(12,)]


@pytest.mark.parametrize("moment", ["invoices are copied", "a table is merged", "the load will be noted"])
@pytest.mark.parametrize("keeping", ["scd2", "append"])
def test_a_load_that_was_killed_leaves_history_right(
    listed: Account,
    warehouse: Warehouse,
    dlt_here: None,
    monkeypatch: pytest.MonkeyPatch,
    held: duckdb.DuckDBPyConnection,
    moment: str,
    keeping: str,
) -> None:
    held.close()
    monkeypatch.setenv("SOURCES__CF_INVOICE_SOURCE__WRITE_DISPOSITION", keeping)
    load_into(pipeline())
    listed.pay("in_3")
    listed.delete("in_7")
    ended = run_warm("-m", "tests.killed", "duckdb", moment)
    listed.pay("in_8")

    report = load_into(pipeline())

    assert ended.exit_code == -signal.SIGKILL, ended.output
    assert report.is_proven
    if keeping == "scd2":
        assert_is_the_history(warehouse)
    else:
        assert sorted(appended(warehouse), key=str) == sorted(logged(warehouse), key=str)


# append


def appended(warehouse: Warehouse) -> list[Any]:
    return warehouse.query(
        "SELECT account_id, id, CASE WHEN deleted THEN NULL ELSE row_hash END, coalesce(deleted, false) "
        "FROM cf_invoices.invoices ORDER BY _dlt_load_id, id"
    )


def logged(warehouse: Warehouse) -> list[Any]:
    return warehouse.query(
        "SELECT account_id, id, CASE WHEN change = 'deleted' THEN NULL ELSE row_hash END, change = 'deleted' "
        "FROM cf_invoices.invoice_changes ORDER BY _dlt_load_id, id"
    )


@pytest.mark.parametrize("how", ["argument", "hints"])
def test_append_adds_a_row_for_every_change_and_for_every_deletion(
    load: Load, listed: Account, warehouse: Warehouse, how: str
) -> None:
    reports: list[Report] = []

    def run() -> None:
        if how == "argument":
            reports.append(load(write_disposition="append"))
        else:
            source = cf_invoice_source()
            source.invoices.apply_hints(write_disposition="append")
            pipeline().run(source)

    live_story(listed, run)

    assert appended(warehouse) == logged(warehouse)
    assert len(appended(warehouse)) == 18
    assert all(report.is_proven for report in reports)
    assert load(write_disposition="append", full=True).is_proven
    assert len(appended(warehouse)) == 18


# Told and proven


@pytest.mark.parametrize("keeping", ["scd2", "append"])
def test_the_command_and_its_status_know_what_is_true_now(
    command: Command, listed: Account, held: duckdb.DuckDBPyConnection, keeping: str
) -> None:
    held.close()
    env = {"SOURCES__CF_INVOICE_SOURCE__WRITE_DISPOSITION": keeping}
    command("load", env=env)
    listed.pay("in_3")
    listed.delete("in_7")

    loaded = command("load", env=env)
    status = command("status", "--json")

    assert loaded.exit_code == 0, loaded.output
    assert status.exit_code == 0, status.output
    [account] = json.loads(status.stdout)["accounts"]
    assert (account["invoices"], account["doubt"]) == (11, "")
    assert account["open"] == [{"currency": "USD", "amount": "21.78", "is_minor": False}]


def test_scd2_on_postgresql(
    dlt_here: None, listed: Account, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run() -> Report:
        here = dlt.pipeline("cloudflare_invoices", destination="postgres", dataset_name="cf_invoices")
        return load_into(here, write_disposition="scd2")

    reports: list[Report] = []

    live_story(listed, lambda: reports.append(run()))

    assert all(report.is_proven for report in reports)
    versions = database.query("SELECT count(*), count(_dlt_valid_to) FROM cf_invoices.invoices")
    assert versions == [(16, 5)]


# Refused


REFUSED: dict[str, Any] = {
    "replace": "replace",
    "upsert": {"disposition": "merge", "strategy": "upsert"},
    "insert-only": {"disposition": "merge", "strategy": "insert-only"},
    "replace with a strategy": {"disposition": "replace"},
    "columns of one's own": {**SCD2, "validity_column_names": ["valid_from", "valid_to"]},
    "nothing that dlt knows": "mirror",
}


@pytest.mark.parametrize("given", REFUSED.values(), ids=REFUSED)
def test_what_would_spoil_the_table_is_refused_before_anything_is_loaded(
    load: Load, simulator: Simulator, listed: Account, warehouse: Warehouse, given: Any
) -> None:
    source = cf_invoice_source()
    source.invoices.apply_hints(write_disposition=given)

    with pytest.raises(PipelineStepFailed) as bare:
        pipeline().run(source)
    with pytest.raises(SettingsError) as loading:
        load(write_disposition=given)

    assert isinstance(bare.value.__cause__.__cause__, SettingsError)  # type: ignore[union-attr]
    assert "use merge, scd2 or append" in str(loading.value)
    assert simulator.requests == []
    assert warehouse.tables() == set()


def test_the_strategy_delete_insert_may_be_named(load: Load, listed: Account, warehouse: Warehouse) -> None:
    def run() -> None:
        source = cf_invoice_source()
        source.invoices.apply_hints(
            write_disposition={"disposition": "merge", "strategy": "delete-insert"}, merge_key=KEY
        )
        pipeline().run(source)

    live_story(listed, run)

    assert len(warehouse.rows()) == len(listed.records)
    assert len(warehouse.rows("invoice_changes")) == 18


@pytest.mark.parametrize(
    ("first", "then"), [("merge", "scd2"), ("scd2", "merge"), ("append", "scd2"), ("merge", "append")]
)
def test_a_dataset_stays_with_what_it_was_loaded_with(
    load: Load, listed: Account, warehouse: Warehouse, first: str, then: str
) -> None:
    load(write_disposition=first)
    before = warehouse.rows()

    with pytest.raises(SettingsError, match=f"was loaded with {first}"):
        load(write_disposition=then)

    assert warehouse.rows() == before
    assert load(write_disposition=first).is_proven


@pytest.mark.parametrize("keeping", ["scd2", "append"])
def test_a_history_is_not_written_over_by_a_refresh(
    load: Load, listed: Account, warehouse: Warehouse, keeping: str
) -> None:
    load(write_disposition=keeping)
    before = warehouse.rows()

    with pytest.raises(SettingsError, match="--full"):
        load(write_disposition=keeping, refresh=True)

    assert warehouse.rows() == before


@pytest.mark.parametrize("keeping", ["scd2", "append"])
def test_tables_that_were_created_first_take_any_disposition(
    load: Load, listed: Account, warehouse: Warehouse, keeping: str
) -> None:
    create_tables(dlt.pipeline("other", destination="duckdb", dataset_name="cf_invoices"))

    reports = [load(write_disposition=keeping) for _ in range(2)]

    assert all(report.is_proven for report in reports)
    assert [report.accounts[0].kind for report in reports] == ["full", "incremental"]


def test_a_destination_that_cannot_do_scd2_is_told(
    load: Load, listed: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", "files")

    with pytest.raises(SettingsError, match="cannot load with scd2"):
        load_into(
            dlt.pipeline("files", destination="filesystem", dataset_name="cf_invoices"),
            write_disposition="scd2",
        )
