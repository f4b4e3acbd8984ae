"""Dagster as a deployment has it, with a daemon and a server of the code: a tick, backfills, checks, dbt."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from socket import socket
from time import monotonic, sleep
from typing import IO, Any

import pytest

from cf_invoice_source.simulator import Simulator, World
from tests.support.dbt import SCHEMA, copy_project, dbt_programs, postgres_settings
from tests.support.exact import assert_exact
from tests.support.fleet import PIPELINES
from tests.support.make import CREATED_S, make_invoice, make_invoices
from tests.support.postgres import Database, free_port

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


class Dagster:
    """A daemon, and the server that gives it and the commands the code: else each starts one of its own."""

    def __init__(self, home: Path) -> None:
        self._said = home / "said.log"
        self._workspace = home / "workspace.yaml"
        self._port = free_port()
        server = {"host": "localhost", "port": self._port, "location_name": "invoices"}
        self._workspace.write_text(json.dumps({"load_from": [{"grpc_server": server}]}))

    @contextmanager
    def running(self) -> Iterator[None]:
        serve = ["dagster", "api", "grpc", "-f", FILE, "-p", str(self._port)]
        with self._said.open("w") as said, self._begun(said, *serve):
            self.wait_for(self._is_served)
            with self._begun(said, "dagster-daemon", "run", "-w", str(self._workspace)):
                yield

    def run(self, *arguments: str) -> None:
        command = [str(dbt_programs() / "dagster"), *arguments, "-w", str(self._workspace)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def wait_for(self, what: Callable[[], bool], timeout_s: float = 240) -> None:
        ends_at = monotonic() + timeout_s
        while not what():
            assert monotonic() < ends_at, self._said.read_text()[-5000:]
            sleep(1)

    @contextmanager
    def _begun(self, said: IO[str], program: str, *arguments: str) -> Iterator[None]:
        command = [str(dbt_programs() / program), *arguments]
        process = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _is_served(self) -> bool:
        with closing(socket()) as client:
            return client.connect_ex(("localhost", self._port)) == 0


def test_a_daemon_loads_each_account_once_a_day_and_builds_when_every_one_is_verified(
    instance: Any,
    simulator: Simulator,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from dagster import AssetCheckKey, AssetKey, RunsFilter

    dbt = copy_project(tmp_path / "dbt")
    for name, value in {
        **postgres_settings(database.dsn),
        "CF_INVOICES_DBT_PROJECT": str(dbt.project),
    }.items():
        monkeypatch.setenv(name, value)
    assert dbt.run("parse").exit_code == 0
    well, refused = (simulator.world.add_account() for _ in range(2))
    for account in (well, refused):
        account.records += make_invoices(60)
    simulator.denied.add(refused.id)

    def ended(job: str, **states: int) -> bool:
        runs = instance.get_runs(RunsFilter(job_name=job))
        return Counter(run.status.value for run in runs) == Counter(states)

    dagster = Dagster(tmp_path)
    with dagster.running():
        dagster.run("sensor", "start", "every_day")
        dagster.wait_for(lambda: ended("load_account", SUCCESS=1, FAILURE=1))
        assert_exact(database.query, well)
        dagster.run("job", "launch", "-j", "check_invoices")
        dagster.wait_for(lambda: ended("check_invoices", FAILURE=1))
        early = database.query("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", SCHEMA)

        simulator.denied.clear()
        well.add(make_invoice(id="in_new", created=CREATED_S + 10**7))
        for partitions in (("--all", "all"), ("--partitions", well.id)):
            # They overlap: the second run of an account waits for the first one.
            dagster.run("job", "backfill", "-j", "load_account", *partitions, "--noprompt")
        dagster.wait_for(lambda: ended("load_account", SUCCESS=4, FAILURE=1))
        assert_exact(database.query, well, refused)
        dagster.run("job", "launch", "-j", "check_invoices")
        dagster.wait_for(lambda: ended("check_invoices", SUCCESS=1, FAILURE=1))

    names = ("complete", "fresh", "amounts_add_up")
    keys = [AssetCheckKey(AssetKey(["cf_invoices", "invoices"]), name) for name in names]
    found = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    assert {key.name: record.status.value for key, record in found.items()} == dict.fromkeys(
        names, "SUCCEEDED"
    )
    assert early == []
    sql = f"SELECT account_id, count(*) FROM {SCHEMA}.invoices GROUP BY 1"  # noqa: S608
    assert dict(database.query(sql)) == {well.id: 61, refused.id: 60}
