"""The DAG runs in a real Airflow, in an environment of its own, whose Python is named by AIRFLOW_PYTHON."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cf_invoice_source.simulator import Simulator, World
from tests.conftest import Warehouse
from tests.support.elsewhere import Elsewhere
from tests.support.exact import assert_exact
from tests.support.fleet import PIPELINES, make_fleet
from tests.support.make import CREATED_S, make_invoice, make_invoices
from tests.support.postgres import Database


@dataclass(frozen=True)
class Ran:
    """What is left of a run of the DAG."""

    result: dict[str, Any]
    output: str

    @property
    def state(self) -> str:
        return str(self.result["state"])

    @property
    def summary(self) -> dict[str, Any]:
        summary: dict[str, Any] = self.result["summary"]
        return summary

    def tasks(self, name: str) -> dict[str | None, tuple[str, int]]:
        """State and tries of a task; of a mapped one by the label that a person sees."""
        return {
            task["label"]: (task["state"], task["tries"])
            for task in self.result["tasks"]
            if task["task"] == name
        }


class Airflow:
    """An installation with nothing but our DAG."""

    def __init__(self, python: str, home: Path) -> None:
        self._home = home
        self._env = {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "false"}
        env = {**os.environ, **self._env, "HOME": str(home)}
        subprocess.run([python, "-m", "airflow", "db", "migrate"], env=env, check=True, capture_output=True)
        shutil.copy(home / "airflow.db", home / "empty.db")
        (home / "dags").mkdir()
        shutil.copy(PIPELINES / "airflow_dag.py", home / "dags")
        self.process = Elsewhere(Path(python), "airflow_run.py", env)

    def begin_anew(self) -> None:
        """Forget all runs: to make an empty database takes half as long as to run the DAG."""
        shutil.copy(self._home / "empty.db", self._home / "airflow.db")

    def run(self, **settings: str) -> Ran:
        result = self._home / "result.json"
        result.unlink(missing_ok=True)
        exit_code, output = self.process.run(
            *(str(self._home / "dags"), str(result)),
            directory=self._home,
            environment={**os.environ, **self._env, **settings},
        )

        assert exit_code == 0, output[-5000:]
        return Ran(json.loads(result.read_text()), output)


@pytest.fixture(scope="module")
def installed(airflow_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    airflow = Airflow(airflow_python, tmp_path_factory.mktemp("airflow"))
    yield airflow
    airflow.process.end()


@pytest.fixture
def airflow(installed: Airflow) -> Airflow:
    installed.begin_anew()
    return installed


@pytest.fixture
def simulator() -> Any:
    with Simulator(World(seed=5)) as simulator:
        yield simulator


def test_a_run_fails_and_names_each_account_that_failed_or_is_not_verified_and_loads_the_others(
    airflow: Airflow, simulator: Simulator, warehouse: Warehouse
) -> None:
    fleet = make_fleet(simulator)
    secrets = f'[sources.cf_invoice_source]\napi_token = "{simulator.token}"\n'
    ran = airflow.run(
        AIRFLOW_VAR_DLT_SECRETS_TOML=secrets,  # a Variable; Airflow takes them from the environment, too
        CLOUDFLARE_BASE_URL=simulator.base_url,
        CF_INVOICES_DUCKDB_FILE=str(warehouse.path),
    )

    assert ran.result["errors"] == {}
    assert ran.state == "failed"
    assert ran.tasks("load_account") == {
        fleet.well.id: ("success", 1),
        fleet.refused.id: ("failed", 1),  # a permission does not mend itself
        fleet.rejecting.id: ("success", 1),
        fleet.doubtful.id: ("failed", 5),
    }
    assert ran.tasks("summarise") == {None: ("success", 1)}
    assert ran.tasks("require_verified") == {None: ("failed", 1)}
    problems = ran.summary["problems"]
    assert problems.keys() == {fleet.refused.id, fleet.rejecting.id, fleet.doubtful.id}
    assert "AI Gateway Read" in problems[fleet.refused.id]
    assert problems[fleet.rejecting.id] == "1 record rejected: see invoice_rejects"
    assert problems[fleet.doubtful.id].startswith("not verified: ")
    assert "AirflowFailException: 3 of 4 accounts" in ran.output
    assert "Nobody is told yet" in ran.output
    assert f"{fleet.refused.id}: failed: Cloudflare refused the request" in ran.output
    counts = warehouse.query("SELECT account_id, count(*) FROM cf_invoices.invoices GROUP BY ALL")
    assert dict(counts) == fleet.counts()
    assert simulator.token not in ran.output


def test_where_the_tables_cannot_be_made_no_account_starts_and_each_says_why(
    airflow: Airflow, simulator: Simulator, tmp_path: Path
) -> None:
    account = simulator.world.add_account()
    ran = airflow.run(
        CF_INVOICES_DUCKDB_FILE=str(tmp_path / "nowhere" / "invoices.duckdb"),
        CLOUDFLARE_ACCOUNT_ID=account.id,
        CLOUDFLARE_API_TOKEN=simulator.token,
        CLOUDFLARE_BASE_URL=simulator.base_url,
    )

    assert ran.state == "failed"
    assert ran.tasks("load_account") == {None: ("upstream_failed", 0)}
    assert ran.summary["problems"] == {account.id: "did not start: see create_tables"}
    assert simulator.requests == []


def test_without_credentials_the_run_fails_at_once_and_says_what_to_set(airflow: Airflow) -> None:
    ran = airflow.run(PROVIDERS__ENABLE_AIRFLOW_SECRETS="false")

    assert ran.state == "failed"
    assert ran.tasks("find_accounts") == {None: ("failed", 1)}
    assert ran.tasks("summarise") == {None: ("failed", 1)}
    assert ran.tasks("require_verified") == {None: ("failed", 1)}
    assert "There are no Cloudflare credentials" in ran.output
    assert ran.result["dags"] == ["cloudflare_invoices"]  # without a project of dbt, there is nothing for it
    assert ran.result["imported"] == []  # dlt takes a second to import, and the file is parsed all the time


def test_a_fresh_worker_goes_on_from_what_the_warehouse_knows(
    airflow: Airflow, simulator: Simulator, database: Database, tmp_path: Path
) -> None:
    accounts = [simulator.world.add_account() for _ in range(2)]
    for account in accounts:
        account.records += make_invoices(60)
    settings = {
        "CF_INVOICES_DESTINATION": "postgres",
        "CLOUDFLARE_API_TOKEN": simulator.token,
        "CLOUDFLARE_BASE_URL": simulator.base_url,
        "CLOUDFLARE_ACCOUNT_ID": ",".join(account.id for account in accounts),
        "PROVIDERS__ENABLE_AIRFLOW_SECRETS": "false",  # many times as fast, where there are none
    }
    first = airflow.run(**settings, DLT_DATA_DIR=str(tmp_path / "one"))
    accounts[0].add(make_invoice(id="in_new", created=CREATED_S + 10**7))
    second = airflow.run(**settings, DLT_DATA_DIR=str(tmp_path / "another"))

    assert (first.state, second.state) == ("success", "success")
    assert (first.summary["new"], first.summary["requests"]) == (120, 6)
    assert (second.summary["new"], second.summary["requests"]) == (1, 2)
    assert second.summary["problems"] == {}
    assert_exact(database.query, *accounts)
