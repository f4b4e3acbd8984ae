"""A whole Airflow, as `airflow standalone` starts it: mapped tasks at once into one PostgreSQL, and dbt."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from cf_invoice_source.simulator import Account, Simulator, World
from cf_invoice_source.simulator.faults import edit
from tests.support.dbt import SCHEMA, copy_project, dbt_programs, postgres_settings
from tests.support.exact import assert_exact
from tests.support.fleet import PIPELINES
from tests.support.make import make_invoices
from tests.support.postgres import Database, free_port

ACCOUNTS = 4
POOL = "cloudflare"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(World(seed=5)) as simulator:
        yield simulator


class Airflow:
    """An installation that runs what is in its folder at once."""

    def __init__(self, python: str, home: Path, **settings: str) -> None:
        self._home = home
        (home / "dags").mkdir(parents=True)
        dag = (PIPELINES / "airflow_dag.py").read_text()
        # Nobody waits for minutes here.
        (home / "dags" / "airflow_dag.py").write_text(
            dag.replace("timedelta(minutes=1)", "timedelta(seconds=1)")
        )
        api, worker, triggerer, trigger = (free_port() for _ in range(4))
        self._env = {
            **os.environ,
            "PATH": f"{Path(python).parent}:{os.environ['PATH']}",
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__API__PORT": str(api),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://localhost:{api}/execution/",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": str(ACCOUNTS),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker),
            "AIRFLOW__TRIGGERER__TRIGGERER_LOG_SERVER_PORT": str(triggerer),
            **settings,
        }
        self._said = home / "standalone.log"

    def run(self, has_ended: Callable[[], bool], timeout_s: float = 400) -> None:
        """Run until something has ended."""
        with self._said.open("w") as said:
            process = subprocess.Popen(
                ["airflow", "standalone"],  # noqa: S607 - that of the environment
                env=self._env,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        try:
            ends_at = monotonic() + timeout_s
            while not has_ended():
                assert monotonic() < ends_at, self.said[-5000:]
                self._make_pool()
                sleep(1)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def trigger(self, dag: str) -> None:
        subprocess.run(["airflow", "dags", "trigger", dag], env=self._env, check=True, capture_output=True)  # noqa: S607

    def states(self, dag: str = "cloudflare_invoices") -> list[str]:
        """The states of its runs, the first one first."""
        return [
            state
            for name, state in self.query("SELECT dag_id, state FROM dag_run ORDER BY id")
            if name == dag
        ]

    def _make_pool(self) -> None:
        """Make the pool of the tasks, as `airflow pools set` does: it is there when Airflow's own is."""
        if self.query("SELECT pool FROM slot_pool") == [("default_pool",)]:
            with closing(sqlite3.connect(self._home / "airflow.db", timeout=30)) as connection, connection:
                connection.execute(
                    "INSERT INTO slot_pool (pool, slots, include_deferred) VALUES (?, ?, 0)", (POOL, ACCOUNTS)
                )

    @property
    def said(self) -> str:
        return self._said.read_text()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask its database; empty where there is none yet."""
        file = f"file:{self._home}/airflow.db?mode=ro"
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(file, uri=True)) as connection:
            return connection.execute(sql).fetchall()
        return []

    def logs(self, task: str, attempt: int = 1) -> list[dict[str, Any]]:
        """The lines in the logs of a task."""
        files = self._home.glob(f"logs/**/task_id={task}/**/attempt={attempt}.log")
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def kill_the_load_of(account: Account, data_dir: Path) -> None:
    """End the process that holds the lock of the account's pipeline."""
    lock = data_dir / "pipelines" / f"cloudflare_invoices_{account.id}.lock"
    held = (line.split() for line in Path("/proc/locks").read_text().splitlines())
    [pid] = {int(each[4]) for each in held if each[5].endswith(f":{lock.stat().st_ino}")}
    os.kill(pid, signal.SIGKILL)


def test_accounts_are_loaded_at_once_and_dbt_builds_when_every_one_is_verified_and_not_before(
    airflow_python: str, simulator: Simulator, database: Database, tmp_path: Path
) -> None:
    """Also one whose worker is killed twice. In the first run one is refused."""
    accounts = [simulator.world.add_account() for _ in range(ACCOUNTS)]
    for account in accounts:
        account.records += make_invoices(60)
    unlucky, refused, data_dir = accounts[1], accounts[2], tmp_path / "dlt"
    kill = edit(lambda _: kill_the_load_of(unlucky, data_dir))
    simulator.faults.append(kill.only(path=unlucky.id, times=2))
    simulator.denied.add(refused.id)
    airflow = Airflow(
        airflow_python,
        tmp_path / "airflow",
        CF_INVOICES_DBT=str(dbt_programs() / "dbt"),
        CF_INVOICES_DBT_PROJECT=str(copy_project(tmp_path / "dbt").project),
        CF_INVOICES_DESTINATION="postgres",
        CF_INVOICES_POOL=POOL,
        CLOUDFLARE_ACCOUNT_ID=",".join(account.id for account in accounts),
        CLOUDFLARE_API_TOKEN=simulator.token,
        CLOUDFLARE_BASE_URL=simulator.base_url,
        DLT_DATA_DIR=str(data_dir),
        RUNTIME__LOG_LEVEL="INFO",
        **postgres_settings(database.dsn),
    )
    loads = "SELECT rendered_map_index, state, try_number FROM task_instance WHERE map_index >= 0"
    early: list[Any] = []

    def has_ended() -> bool:
        if airflow.states() == ["failed"] and not early:
            early.extend([airflow.query(loads), airflow.states("cloudflare_invoices_dbt")])
            early.append(airflow.said.count("/execution/variables/"))
            simulator.denied.clear()
            airflow.trigger("cloudflare_invoices")
        return airflow.states("cloudflare_invoices_dbt") in (["success"], ["failed"])

    airflow.run(has_ended)

    tried, built, asked = early
    assert {label: (state, tries) for label, state, tries in tried} == {
        account.id: ("success", 3 if account is unlucky else 1) for account in accounts
    } | {refused.id: ("failed", 1)}
    assert built == []
    tries = 2 + ACCOUNTS + 2
    assert asked <= tries  # dlt would ask for some 860 in each
    assert airflow.states() == ["failed", "success"]
    assert airflow.states("cloudflare_invoices_dbt") == ["success"], airflow.logs("build")
    pooled = airflow.query(f"SELECT DISTINCT task_id FROM task_instance WHERE pool = '{POOL}'")  # noqa: S608
    assert set(pooled) == {("find_accounts",), ("load_account",)}
    assert airflow.query("SELECT count(*) FROM asset_event") == [(1,)]
    assert_exact(database.query, *accounts)
    lines = airflow.logs("load_account", attempt=3)
    assert {line["level"] for line in lines} == {"info"}
    assert f"Account {unlucky.id}: 60 invoices" in str(lines)
    assert "dlt" in {line["logger"] for line in lines}
    counts = database.query(f"SELECT account_id, count(*) FROM {SCHEMA}.invoices GROUP BY 1")  # noqa: S608
    assert dict(counts) == {account.id: 60 for account in accounts}
