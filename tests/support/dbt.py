"""The dbt project in a copy of its directory, and `dbt build` in a process that has dbt already."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from psycopg2.extensions import parse_dsn

from tests.support.elsewhere import Elsewhere

PROJECT = Path(__file__).parents[2] / "pipelines" / "dbt"

SCHEMA = "cf_invoices_dbt"
"""Where the models go, by the profile of the project."""


def dbt_programs() -> Path:
    """Where dbt's programs are: beside DBT_PYTHON. Without it tests are skipped, but never in CI."""
    python = os.environ.get("DBT_PYTHON")
    if python is None:
        missing = "DBT_PYTHON names no Python with the extra dbt, dagster-dbt and this package"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    return Path(python).parent


@dataclass(frozen=True)
class Built:
    """What came of a run of dbt.

    Attributes:
        results: The status of each model, seed and test by its name.
    """

    exit_code: int
    output: str
    results: dict[str, str]

    def having(self, *statuses: str) -> set[str]:
        """The names of what ended so."""
        return {name for name, status in self.results.items() if status in statuses}


@dataclass(frozen=True)
class Dbt:
    """A copy of the project, and a profile that the environment decides."""

    project: Path

    def run(self, *arguments: str, **environment: str) -> Built:
        results = (
            self.project / "target" / ("sources.json" if "freshness" in arguments else "run_results.json")
        )
        results.unlink(missing_ok=True)
        exit_code, said = _dbt().run(
            *("--no-use-colors", *arguments),
            directory=self.project,
            environment={**os.environ, **environment},
        )
        found = json.loads(results.read_text())["results"] if results.exists() else []
        names = {each["unique_id"].split(".")[2]: each["status"] for each in found}
        return Built(exit_code, said, names)


@cache
def _dbt() -> Elsewhere:
    return Elsewhere(dbt_programs() / "python", "dbt_run.py", os.environ)


def copy_project(folder: Path) -> Dbt:
    """Copy the project into a folder, as a user does."""
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("target", "logs"))
    return Dbt(folder)


def postgres_settings(dsn: str) -> dict[str, str]:
    """What the profile reads from the environment, for this database."""
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
    given = {name: str(value) for name, value in parse_dsn(dsn).items()}
    settings = {variable: given[name] for name, variable in names.items()}
    return {**settings, "PGDATABASE": given["dbname"], "CF_INVOICES_DBT_TARGET": "postgres"}
