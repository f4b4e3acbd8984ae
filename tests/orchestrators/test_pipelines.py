"""The orchestrator files run as they are."""

from pathlib import Path

import pytest

from cf_invoice_source.simulator import Account, Simulator
from tests.conftest import Warehouse, run_warm
from tests.support.make import make_invoices

PIPELINES = Path(__file__).parents[2] / "pipelines"


@pytest.mark.quick
def test_load_to_duckdb_fills_the_file_beside_you(
    simulator: Simulator, account: Account, place: Path
) -> None:
    account.records += make_invoices(60)

    ended = run_warm(str(PIPELINES / "load_to_duckdb.py"))

    assert ended.exit_code == 0, ended.stderr
    assert len(Warehouse(place / "cloudflare_invoices.duckdb").ids()) == 60
    assert simulator.token not in ended.output


def test_load_to_duckdb_fails_when_the_account_does(
    simulator: Simulator, account: Account, place: Path
) -> None:
    simulator.denied.add(account.id)

    ended = run_warm(str(PIPELINES / "load_to_duckdb.py"))

    assert ended.exit_code == 1
    assert "AI Gateway Read" in ended.stderr
    assert simulator.token not in ended.output


def test_load_to_duckdb_fails_when_a_record_is_rejected(
    simulator: Simulator, account: Account, place: Path
) -> None:
    account.records += [*make_invoices(2), "garbage"]

    ended = run_warm(str(PIPELINES / "load_to_duckdb.py"))

    assert ended.exit_code == 1
    assert "1 record rejected: see invoice_rejects" in ended.stderr
    assert len(Warehouse(place / "cloudflare_invoices.duckdb").ids()) == 2
