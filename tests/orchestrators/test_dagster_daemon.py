"""A Dagster with a daemon, as a deployment has it: a tick of the sensor, the runs, a backfill, the checks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from cf_invoice_source.simulator import Simulator, World
from tests.support.dbt import SCHEMA, copy_project, dbt_programs, postgres_settings
from tests.support.exact import assert_exact
from tests.support.fleet import PIPELINES
from tests.support.make import CREATED_S, make_invoice, make_invoices
from tests.support.postgres import Database

ACCOUNTS = 4
COMMANDS = Path(sys.executable).parent
FILE = str(PIPELINES / "dagster_definitions.py")


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with Simulator(World(seed=5)) as simulator:
        monkeypatch.setenv("CLOUDFLARE_BASE_URL", simulator.base_url)
        monkeypatch.setenv("CLOUDFLARE_API_TOKEN", simulator.token)
        yield simulator


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An instance with a limit for pools, made before two processes could make it at once."""
    if find_spec("dagster") is None:
        missing = 'Dagster is not installed: pip install -e ".[dagster]"'
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    home = tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text("concurrency:\n  pools:\n    default_limit: 4\n")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.setenv("CF_INVOICES_DESTINATION", "postgres")
    from dagster import DagsterInstance

    return DagsterInstance.get()


def dagster(*arguments: str, programs: Path = COMMANDS) -> None:
    command = [str(programs / "dagster"), *arguments, "-f", FILE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def daemon(instance: Any, simulator: Simulator, database: Database, tmp_path: Path) -> Iterator[Path]:
    """A running daemon; gives the file of what it says."""
    with running(COMMANDS, tmp_path / "daemon.log") as said:
        yield said


@contextmanager
def running(programs: Path, said: Path) -> Iterator[Path]:
    command = [str(programs / "dagster-daemon"), "run", "-f", FILE]
    with said.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
    try:
        yield said
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(what: Callable[[], bool], said: Path, timeout_s: float = 120) -> None:
    ends_at = monotonic() + timeout_s
    while not what():
        assert monotonic() < ends_at, said.read_text()[-5000:]
        sleep(1)


def test_a_daemon_loads_each_account_once_a_day_and_again_in_a_backfill(
    daemon: Path, instance: Any, simulator: Simulator, database: Database
) -> None:
    from dagster import AssetCheckKey, AssetKey, RunsFilter

    accounts = [simulator.world.add_account() for _ in range(ACCOUNTS)]
    for account in accounts:
        account.records += make_invoices(60)

    def ended(job: str, number: int) -> bool:
        runs = instance.get_runs(RunsFilter(job_name=job))
        assert not [run for run in runs if run.status.value == "FAILURE"], daemon.read_text()[-5000:]
        return [run.status.value for run in runs].count("SUCCESS") == number

    dagster("sensor", "start", "every_day")
    began = monotonic()
    wait_for(lambda: ended("load_account", ACCOUNTS), daemon)
    first_s = monotonic() - began
    assert_exact(database.query, *accounts)

    accounts[0].add(make_invoice(id="in_new", created=CREATED_S + 10**7))
    for _ in range(2):  # they overlap: the second run of an account waits for the first one
        dagster("job", "backfill", "-j", "load_account", "--all", "all", "--noprompt")
    began = monotonic()
    wait_for(lambda: ended("load_account", 3 * ACCOUNTS), daemon)
    backfill_s = monotonic() - began
    assert_exact(database.query, *accounts)

    dagster("job", "launch", "-j", "check_invoices")
    wait_for(lambda: ended("check_invoices", 1), daemon)
    names = ("complete", "fresh", "amounts_add_up")
    keys = [AssetCheckKey(AssetKey(["cf_invoices", "invoices"]), name) for name in names]
    found = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    assert {key.name: record.status.value for key, record in found.items()} == dict.fromkeys(
        names, "SUCCEEDED"
    )
    print(f"\n{ACCOUNTS} accounts: tick and runs {first_s:.0f} s, two backfills {backfill_s:.0f} s")


def test_dbt_builds_when_every_account_is_verified_and_not_before(
    instance: Any,
    simulator: Simulator,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from dagster import RunsFilter

    programs, dbt = dbt_programs(), copy_project(tmp_path / "dbt")
    for name, value in {
        **postgres_settings(database.dsn),
        "CF_INVOICES_DBT_PROJECT": str(dbt.project),
    }.items():
        monkeypatch.setenv(name, value)
    assert dbt.run("parse").exit_code == 0
    well, refused = (simulator.world.add_account(invoices=3) for _ in range(2))
    simulator.denied.add(refused.id)

    def ended(job: str, *states: str) -> bool:
        runs = instance.get_runs(RunsFilter(job_name=job))
        return sorted(run.status.value for run in runs) == sorted(states)

    with running(programs, tmp_path / "daemon.log") as said:
        dagster("sensor", "start", "every_day", programs=programs)
        wait_for(lambda: ended("load_account", "SUCCESS", "FAILURE"), said)
        dagster("job", "launch", "-j", "check_invoices", programs=programs)
        wait_for(lambda: ended("check_invoices", "FAILURE"), said)
        early = database.query("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", SCHEMA)
        simulator.denied.clear()
        dagster("job", "backfill", "-j", "load_account", "--all", "all", "--noprompt", programs=programs)
        wait_for(lambda: ended("load_account", "SUCCESS", "FAILURE", "SUCCESS", "SUCCESS"), said)
        dagster("job", "launch", "-j", "check_invoices", programs=programs)
        wait_for(lambda: ended("check_invoices", "FAILURE", "SUCCESS"), said)

    assert early == []
    sql = f"SELECT account_id, count(*) FROM {SCHEMA}.invoices GROUP BY 1 ORDER BY 1"  # noqa: S608
    assert database.query(sql) == [(account_id, 3) for account_id in sorted([well.id, refused.id])]
