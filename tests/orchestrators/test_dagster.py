"""The definitions run in Dagster, in this process: ticks, runs, checks. Without it they are skipped."""

from __future__ import annotations

import gc
import os
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from cf_invoice_source import ApiChangedError
from cf_invoice_source.simulator import Simulator, World
from cf_invoice_source.simulator.faults import body
from tests.conftest import Warehouse, tree
from tests.support.exact import assert_exact
from tests.support.fleet import PIPELINES, Fleet, make_fleet
from tests.support.make import CREATED_S, make_invoice, make_invoices
from tests.support.postgres import Database

pytestmark = pytest.mark.usefixtures("dlt_here")


@pytest.fixture(autouse=True)
def dagster() -> Any:
    """Dagster itself. Where it is not installed, its tests are skipped, but never in CI."""
    if find_spec("dagster") is None:
        missing = 'Dagster is not installed: pip install -e ".[dagster]"'
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    import dagster

    return dagster


@pytest.fixture(autouse=True)
def instance(dagster: Any) -> Iterator[Any]:
    """An instance for each test: definitions are read with the one that came last, or what is left of it.

    One that is collected puts back the one before it, so that must not happen in the middle of a test.
    """
    gc.collect()
    with dagster.instance_for_test() as instance:
        yield instance


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with Simulator(World(seed=5)) as simulator:
        monkeypatch.setenv("CLOUDFLARE_BASE_URL", simulator.base_url)
        monkeypatch.setenv("CLOUDFLARE_API_TOKEN", simulator.token)
        yield simulator


@pytest.fixture
def fleet(simulator: Simulator) -> Fleet:
    return make_fleet(simulator)


@pytest.fixture
def in_duckdb(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    monkeypatch.setenv("CF_INVOICES_DUCKDB_FILE", str(warehouse.path))
    return warehouse


def definitions() -> Any:
    """Import the file as Dagster does, with the environment of the test."""
    spec = spec_from_file_location("dagster_definitions", PIPELINES / "dagster_definitions.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Dagster:
    """A deployment: the definitions and an instance."""

    def __init__(self, dagster: Any, instance: Any) -> None:
        self._dagster, self.instance = dagster, instance
        self.module = definitions()
        self.module.RETRY_AFTER_S = 0  # nobody waits here

    def tick(self) -> list[Any]:
        """What the sensor asks for; its partitions are there then, as the daemon adds them."""
        asked = self.preview()
        for added in asked.dynamic_partitions_requests:
            self.instance.add_dynamic_partitions(added.partitions_def_name, added.partition_keys)
        requests: list[Any] = asked.run_requests
        return requests

    def preview(self) -> Any:
        """What a person sees who asks for a preview of the tick."""
        return self.module.every_day()

    def run(self, account_id: str) -> Any:
        job = self.module.defs.resolve_job_def("load_account")
        return job.execute_in_process(instance=self.instance, partition_key=account_id, raise_on_error=False)

    def check(self) -> dict[str, Any]:
        """What the checks say, by their names."""
        job = self.module.defs.resolve_job_def("check_invoices")
        result = job.execute_in_process(instance=self.instance, raise_on_error=False)
        return {check.check_name: check for check in result.get_asset_check_evaluations()}


@pytest.fixture
def deployed(dagster: Any, instance: Any, in_duckdb: Warehouse) -> Dagster:
    return Dagster(dagster, instance)


def told(event: Any) -> dict[str, Any]:
    """Its metadata: a check's says of each account that does not pass, why."""
    return {name: value.value for name, value in event.metadata.items()}


def failure_of(result: Any) -> str:
    [failure] = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    return str(failure.event_specific_data.user_failure_data.description)


def test_the_file_needs_no_secret_and_no_network_and_writes_nothing(dagster: Any, tmp_path: Path) -> None:
    before = tree(tmp_path)
    defs = definitions().defs
    assets = defs.resolve_asset_graph()

    keys = {tuple(key.path) for key in assets.get_all_asset_keys()}
    assert keys == {
        ("cf_invoices", table)
        for table in ("invoices", "invoice_changes", "invoice_syncs", "invoice_rejects")
    }
    node = assets.get(dagster.AssetKey(["cf_invoices", "invoices"]))
    assert node.parent_keys == set()
    assert node.kinds == {"dlt", "duckdb"}
    assert (node.group_name, node.owners) == ("cloudflare", [])
    assert node.metadata["dagster/table_name"] == "cf_invoices.invoices"
    schema = {column.name: column for column in node.metadata["dagster/column_schema"].columns}
    assert schema["amount_due"].type == "decimal"
    assert "minor unit" in schema["amount_due"].description
    assert (schema["id"].constraints.nullable, schema["created"].constraints.nullable) == (False, True)
    assert tree(tmp_path) == before


def test_every_day_each_account_is_loaded_also_a_new_one(deployed: Dagster, simulator: Simulator) -> None:
    one = simulator.world.add_account()
    first = deployed.tick()
    other = simulator.world.add_account()
    second = deployed.tick()

    assert [request.partition_key for request in first] == [one.id]
    assert {request.partition_key for request in second} == {one.id, other.id}
    assert set(deployed.instance.get_dynamic_partitions("cloudflare_accounts")) == {one.id, other.id}
    assert first[0].run_key in {request.run_key for request in second}  # so a day has one run


def test_a_preview_of_the_tick_writes_nothing(deployed: Dagster, simulator: Simulator) -> None:
    account = simulator.world.add_account()

    asked = deployed.preview()

    assert [request.partition_key for request in asked.run_requests] == [account.id]
    assert deployed.instance.get_dynamic_partitions("cloudflare_accounts") == []


def test_accounts_load_each_for_itself_and_the_checks_say_which_need_somebody(
    deployed: Dagster, fleet: Fleet, in_duckdb: Warehouse
) -> None:
    deployed.tick()
    unequal = {"amount_due": 10, "amount_paid": 3, "amount_remaining": 3}
    fleet.well.records[7].update(unequal, status="open")
    fleet.rejecting.records[3].update(unequal, status="void")  # nobody will pay it
    refused, well, rejecting, doubtful = (
        deployed.run(account.id) for account in (fleet.refused, fleet.well, fleet.rejecting, fleet.doubtful)
    )

    assert [run.success for run in (refused, well, rejecting, doubtful)] == [False, True, True, True]
    assert failure_of(refused).startswith(f"Account {fleet.refused.id}: Cloudflare refused")
    assert in_duckdb.query(
        "SELECT account_id, count(*) FROM cf_invoices.invoices GROUP BY ALL ORDER BY ALL"
    ) == (sorted(fleet.counts().items()))
    last = deployed.check()
    assert not last["complete"].passed
    assert last["complete"].description == "1 of 4 accounts are complete"
    problems = told(last["complete"])
    assert problems.keys() == {fleet.refused.id, fleet.rejecting.id, fleet.doubtful.id}
    assert "AI Gateway Read" in problems[fleet.refused.id]
    assert problems[fleet.rejecting.id] == "1 record rejected: see invoice_rejects"
    assert "says that more follow" in problems[fleet.doubtful.id]
    assert told(last["fresh"]).keys() == {fleet.refused.id, fleet.doubtful.id}
    assert not last["amounts_add_up"].passed
    assert last["amounts_add_up"].severity.value == "WARN"
    assert told(last["amounts_add_up"]).keys() == {fleet.well.id}


def test_a_run_shows_what_a_person_wants_to_see(deployed: Dagster, fleet: Fleet) -> None:
    deployed.tick()
    materialized = {
        event.asset_key.path[-1]: told(event.materialization)
        for event in deployed.run(fleet.well.id).all_events
        if event.event_type_value == "ASSET_MATERIALIZATION"
    }

    assert materialized.keys() == {"invoices", "invoice_changes", "invoice_syncs", "invoice_rejects"}
    assert materialized["invoices"] == {
        "dagster/partition_row_count": 60,
        "new": 60,
        "updated": 0,
        "deleted": 0,
        "verified": True,
        "problem": "",
    }
    assert materialized["invoice_changes"]["rows_added"] == 60
    assert materialized["invoice_syncs"]["requests"] == 3
    assert materialized["invoice_rejects"]["rejected"] == 0


def test_all_checks_pass_when_all_is_well_and_fresh_fails_for_an_account_that_was_not_loaded_of_late(
    deployed: Dagster, simulator: Simulator, in_duckdb: Warehouse
) -> None:
    one, other = (simulator.world.add_account(invoices=3) for _ in range(2))
    deployed.tick()
    none = deployed.check()
    deployed.run(one.id)
    deployed.run(other.id)
    well = deployed.check()
    in_duckdb.query(
        "UPDATE cf_invoices.invoice_syncs SET finished_at = finished_at - INTERVAL 27 HOUR "
        "WHERE account_id = ?",
        one.id,
    )
    late = deployed.check()

    assert told(none["fresh"]).keys() == {one.id, other.id}
    assert {name for name, check in well.items() if check.passed} == {"complete", "fresh", "amounts_add_up"}
    assert late["complete"].passed
    assert not late["fresh"].passed
    assert told(late["fresh"]).keys() == {one.id}


def test_fresh_fails_too_where_no_tick_of_the_sensor_comes_through(
    deployed: Dagster, simulator: Simulator, in_duckdb: Warehouse
) -> None:
    account = simulator.world.add_account(invoices=3)
    deployed.tick()
    simulator.faults.append(body(b"{}"))

    with pytest.raises(ApiChangedError):
        deployed.tick()

    assert told(deployed.check()["fresh"]) == {account.id: "last verified load: never"}


def test_what_may_pass_is_tried_again(
    deployed: Dagster, simulator: Simulator, in_duckdb: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = simulator.world.add_account(invoices=3)
    deployed.tick()
    simulator.faults.append(body(b"{}").only(times=1))
    result = deployed.run(account.id)

    assert result.success
    assert [event.event_type_value for event in result.all_events].count("STEP_UP_FOR_RETRY") == 1
    assert len(in_duckdb.ids()) == 3


def test_when_retries_are_used_up_the_run_says_why(
    deployed: Dagster, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = simulator.world.add_account(invoices=3)
    deployed.tick()
    simulator.faults.append(body(b"{}"))
    result = deployed.run(account.id)

    assert [event.event_type_value for event in result.all_events].count("STEP_UP_FOR_RETRY") == 2
    assert failure_of(result).startswith(f"Account {account.id}: Cloudflare")


def test_a_fresh_worker_goes_on_from_what_the_warehouse_knows(
    dagster: Any,
    instance: Any,
    simulator: Simulator,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CF_INVOICES_DESTINATION", "postgres")
    account = simulator.world.add_account()
    account.records += make_invoices(60)
    deployed = Dagster(dagster, instance)
    deployed.tick()
    deployed.run(account.id)
    account.add(make_invoice(id="in_new", created=CREATED_S + 10**7))
    shutil.rmtree(tmp_path / "dlt")
    simulator.requests.clear()
    deployed.run(account.id)

    assert [request.page for request in simulator.requests] == [1]
    assert deployed.check()["complete"].passed
    assert_exact(database.query, account)


OTHERS = {
    "delta": {
        "CF_INVOICES_DESTINATION": "filesystem",
        "DESTINATION__FILESYSTEM__BUCKET_URL": "file://{place}/files",
        "SOURCES__CF_INVOICE_SOURCE__TABLE_FORMAT": "delta",
    },
    "sqlite": {
        "CF_INVOICES_DESTINATION": "sqlalchemy",
        "DESTINATION__SQLALCHEMY__CREDENTIALS": "sqlite:///{place}/w.db",
    },
    "mariadb": {
        "CF_INVOICES_DESTINATION": "sqlalchemy",
        "DESTINATION__SQLALCHEMY__CREDENTIALS": "{mariadb}",
    },
}
"""Destinations whose tables or times SQL alone does not read."""


@pytest.mark.filterwarnings("default:implicitly coercing SELECT")  # dlt's SQL, which SQLAlchemy warns of
@pytest.mark.parametrize("destination", OTHERS)
def test_the_checks_read_what_other_destinations_hold(
    destination: str,
    dagster: Any,
    instance: Any,
    simulator: Simulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    mariadb = request.getfixturevalue("mariadb").exact_dsn() if destination == "mariadb" else ""
    for name, value in OTHERS[destination].items():
        monkeypatch.setenv(name, value.format(place=tmp_path, mariadb=mariadb))
    account, unloaded = (simulator.world.add_account(invoices=3) for _ in range(2))
    account.records[0].update(amount_due=10, amount_paid=3, amount_remaining=3, status="open")
    deployed = Dagster(dagster, instance)
    deployed.tick()
    assert deployed.run(account.id).success
    checks = deployed.check()

    assert checks["complete"].passed
    assert told(checks["fresh"]) == {unloaded.id: "last verified load: never"}
    assert told(checks["amounts_add_up"]) == {account.id: "1 invoices"}
