"""A database with loaded tables, and dbt above them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import dlt
import pytest

from cf_invoice_source import load
from cf_invoice_source.simulator import Simulator, World
from tests.conftest import Warehouse
from tests.support import answers
from tests.support.answers import History, Look, Row
from tests.support.dbt import SCHEMA, Built, Dbt, copy_project, postgres_settings
from tests.support.exact import Query
from tests.support.postgres import Database


@dataclass
class Store:
    """A database with the tables of a world, the models above them, and what the loads saw."""

    destination: str
    query: Query
    dbt: Dbt
    settings: dict[str, str]
    looks: list[Look] = field(default_factory=list)

    def load(self, world: World, at: datetime | None = None) -> None:
        """Load; with a time, have the tables say that this was then."""
        pipeline = dlt.pipeline("cf_invoices", destination=self.destination, dataset_name="cf_invoices")
        began = datetime.now(timezone.utc)
        assert not load(pipeline).has_failed
        if at is None:
            return
        sql = f"UPDATE cf_invoices.invoice_changes SET observed_at = '{at}' WHERE observed_at >= '{began}'"  # noqa: S608
        self.query(sql)
        self.looks += [Look(each.id, at, deepcopy(each.records)) for each in world.accounts.values()]

    def build(self, *arguments: str) -> Built:
        return self.dbt.run("build", *arguments, **self.settings)

    @property
    def history(self) -> History:
        return answers.history_of(self.looks)

    def rows(self, model: str, like: Iterable[str]) -> list[Row]:
        """What a model holds in these columns."""
        names = list(like)
        listed = ", ".join(f'"{name}"' for name in names)
        rows = self.query(f"SELECT {listed} FROM {SCHEMA}.{model}")  # noqa: S608 - names of ours
        return [dict(zip(names, row, strict=True)) for row in rows]


IN_DUCKDB = {"CF_INVOICES_DUCKDB_FILE": "../warehouse.duckdb"}
"""The same for all: with another profile dbt would read the project anew."""


@pytest.fixture(scope="session")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, which dbt has read: that takes as long as to build the models."""
    dbt = copy_project(tmp_path_factory.mktemp("parsed") / "dbt")
    assert dbt.run("parse", **IN_DUCKDB).exit_code == 0
    return dbt.project


@pytest.fixture
def in_duckdb(warehouse: Warehouse, dlt_here: None, parsed: Path, tmp_path: Path) -> Store:
    shutil.copytree(parsed, tmp_path / "dbt")
    return Store("duckdb", warehouse.query, Dbt(tmp_path / "dbt"), IN_DUCKDB)


@pytest.fixture
def in_postgres(database: Database, dlt_here: None, tmp_path: Path) -> Store:
    return Store("postgres", database.query, copy_project(tmp_path / "dbt"), postgres_settings(database.dsn))


@pytest.fixture(params=["duckdb", "postgres"])
def store(request: pytest.FixtureRequest) -> Store:
    store: Store = request.getfixturevalue(f"in_{request.param}")
    return store


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[World], None]]:
    """Play Cloudflare with a world."""
    running: list[Simulator] = []

    def start(world: World) -> None:
        simulator = Simulator(world)
        running.append(simulator)
        simulator.__enter__()
        monkeypatch.setenv("CLOUDFLARE_BASE_URL", simulator.base_url)
        monkeypatch.setenv("CLOUDFLARE_API_TOKEN", simulator.token)

    yield start
    for simulator in running:
        simulator.__exit__(None, None, None)
