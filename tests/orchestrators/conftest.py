"""What the tests of one orchestrator share."""

import os

import pytest


@pytest.fixture(scope="session")
def airflow_python() -> str:
    """Airflow's Python. Where there is none, its tests are skipped, but never in CI."""
    python = os.environ.get("AIRFLOW_PYTHON")
    if python is None:
        missing = "AIRFLOW_PYTHON names no Python with apache-airflow and this package"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    return python
