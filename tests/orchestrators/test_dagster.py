"""The definitions run in a real Dagster: a tick, runs, checks. Without it they are skipped."""

from __future__ import annotations

import gc
import os
import shutil
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from cf_invoice_source.simulator import Simulator, World
from cf_invoice_source.simulator.faults import body
from tests.conftest import Warehouse
from tests.support.exact import assert_exact
from tests.support.fleet import PIPELINES, Fleet, make_fleet
from tests.support.make import CREATED_S, make_invoice, make_invoices
from tests.support.postgres import Database

pytestmark = pytest.mark.usefixtures("dlt_here")

MORNING = datetime(2026, 3, 1, 5, tzinfo=timezone.utc)


@pytest.fixture(autouse=True)
def dagster() -> Any:
    """Dagster itself. Where it is not installed, its tests are skipped, but never in CI."""
    if find_spec("dagster_dlt") is None:
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

    def tick(self) -> list[Any]:
        """What the schedule asks for in the morning."""
        context = self._dagster.build_schedule_context(
            instance=self.instance,
            repository_def=self.module.defs.get_repository_def(),
            scheduled_execution_time=MORNING,
        )
        requests: list[Any] = self.module.every_morning.evaluate_tick(context).run_requests
        return requests

    def run(self, account_id: str) -> Any:
        job = self.module.defs.resolve_job_def("load_account")
        return job.execute_in_process(instance=self.instance, partition_key=account_id, raise_on_error=False)


@pytest.fixture
def deployed(dagster: Any, instance: Any, in_duckdb: Warehouse) -> Dagster:
    return Dagster(dagster, instance)


def checks(result: Any) -> dict[str, Any]:
    return {check.check_name: check for check in result.get_asset_check_evaluations()}


def told(event: Any) -> dict[str, Any]:
    """Its metadata: a check's says of each account that does not pass, why."""
    return {name: value.value for name, value in event.metadata.items()}


def test_the_file_needs_no_secret_and_no_network(dagster: Any) -> None:
    assets = definitions().defs.resolve_asset_graph()

    keys = {tuple(key.path) for key in assets.get_all_asset_keys()}
    assert keys == {
        ("cf_invoices", table)
        for table in ("invoices", "invoice_changes", "invoice_syncs", "invoice_rejects")
    }
    node = assets.get(dagster.AssetKey(["cf_invoices", "invoices"]))
    assert node.parent_keys == set()
    assert node.kinds == {"dlt", "duckdb"}
    assert (node.group_name, node.owners) == ("cloudflare", ["team:finance"])


def test_each_morning_every_account_is_loaded_also_a_new_one(deployed: Dagster, simulator: Simulator) -> None:
    one = simulator.world.add_account()
    first = deployed.tick()
    other = simulator.world.add_account()
    second = deployed.tick()

    assert [request.partition_key for request in first] == [one.id]
    assert {request.partition_key for request in second} == {one.id, other.id}
    assert set(deployed.instance.get_dynamic_partitions("cloudflare_accounts")) == {one.id, other.id}
    assert first[0].run_key in {
        request.run_key for request in second
    }  # a tick that is repeated starts nothing


def test_accounts_load_each_for_itself_and_the_checks_say_which_need_somebody(
    deployed: Dagster, fleet: Fleet, in_duckdb: Warehouse
) -> None:
    deployed.tick()
    fleet.well.records[7].update(amount_due=10, amount_paid=3, amount_remaining=3)
    refused, well, rejecting, doubtful = (
        deployed.run(account.id) for account in (fleet.refused, fleet.well, fleet.rejecting, fleet.doubtful)
    )

    assert [run.success for run in (refused, well, rejecting, doubtful)] == [False, True, True, True]
    [failure] = [event for event in refused.all_events if event.event_type_value == "STEP_FAILURE"]
    description = failure.event_specific_data.user_failure_data.description
    assert description.startswith(f"Account {fleet.refused.id}: Cloudflare refused")
    assert in_duckdb.query(
        "SELECT account_id, count(*) FROM cf_invoices.invoices GROUP BY ALL ORDER BY ALL"
    ) == (sorted(fleet.counts().items()))
    last = checks(doubtful)
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
    shown = materialized["invoices"]
    assert shown["dagster/partition_row_count"] == shown["new"] == 60
    assert (shown["verified"], shown["requests"], shown["updated"], shown["unverified_reason"]) == (
        True,
        3,
        0,
        "",
    )


def test_all_checks_pass_when_all_is_well_and_fresh_fails_for_an_account_that_was_not_loaded_of_late(
    deployed: Dagster, simulator: Simulator, in_duckdb: Warehouse
) -> None:
    one, other = (simulator.world.add_account(invoices=3) for _ in range(2))
    deployed.tick()
    deployed.run(one.id)
    well = checks(deployed.run(other.id))
    in_duckdb.query(
        "UPDATE cf_invoices.invoice_syncs SET started_at = started_at - INTERVAL 27 HOUR "
        "WHERE account_id = ?",
        one.id,
    )
    late = checks(deployed.run(other.id))

    assert {name for name, check in well.items() if check.passed} == {"complete", "fresh", "amounts_add_up"}
    assert late["complete"].passed
    assert not late["fresh"].passed
    assert told(late["fresh"]).keys() == {one.id}


def test_what_may_pass_is_tried_again(
    deployed: Dagster, simulator: Simulator, in_duckdb: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployed.module, "RETRY_AFTER_S", 0)
    account = simulator.world.add_account(invoices=3)
    deployed.tick()
    simulator.faults.append(body(b"{}").only(times=1))
    result = deployed.run(account.id)

    assert result.success
    assert [event.event_type_value for event in result.all_events].count("STEP_UP_FOR_RETRY") == 1
    assert len(in_duckdb.ids()) == 3


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
    again = deployed.run(account.id)

    assert [request.page for request in simulator.requests] == [1]
    assert checks(again)["complete"].passed
    assert_exact(database.query, account)
