"""A pipeline that is new to a dataset, or that another source shares: it sees the tables that are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dlt
import pytest

from cf_invoice_source.errors import MixedTypesError
from cf_invoice_source.simulator import Account, Simulator
from tests.conftest import Warehouse
from tests.destinations.homes import HOMES, Told
from tests.support.make import CREATED_S, make_invoice

pytestmark = [
    pytest.mark.usefixtures("dlt_here"),
    # Raised inside the drivers, and inside dlt's use of them.
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture(params=["duckdb", "delta", "parquet"])
def told(request: pytest.FixtureRequest, tmp_path: Path, simulator: Simulator, account: Account) -> Told:
    """A destination, and an account with three invoices of automatic top-ups and two of manual ones."""
    for number, origin in enumerate(["auto_topup"] * 3 + ["manual_topup"] * 2, 1):
        fields = {"created": CREATED_S + number, "invoice_origin": origin, "status": "open", "amount_paid": 0}
        account.records.insert(0, make_invoice(id=f"in_{number}", **fields))
    return Told(HOMES[request.param], str(tmp_path), simulator, account)


def tables(told: Told) -> list[list[dict[str, Any]]]:
    return [told.rows(table) for table in ("invoices", "invoice_changes")]


@pytest.mark.slow
def test_another_type_is_refused_whatever_pipeline_brings_it(told: Told) -> None:
    told.load()
    before = tables(told)

    with pytest.raises(MixedTypesError, match="holds invoices of type all, not auto"):
        told.load("newcomer", type="auto")

    assert tables(told) == before


@pytest.mark.quick("duckdb")
def test_a_newcomer_notes_only_what_has_changed_and_numbers_it_on(told: Told) -> None:
    told.load()
    before = told.rows("invoice_changes")
    told.account.pay("in_1")

    report = told.load("newcomer")

    [change] = [row for row in told.rows("invoice_changes") if row not in before]
    assert (change["id"], change["change"], int(change["version"])) == ("in_1", "updated", 2)
    assert [row for row in told.rows("invoice_changes") if row != change] == before
    assert told.newest() == told.truth()
    assert report.is_verified == (told.home is not HOMES["parquet"])


@pytest.mark.slow
def test_beside_another_source_a_run_with_nothing_new_writes_nothing(told: Told) -> None:
    others = dlt.resource([{"id": 1}], name="others")
    pipeline = dlt.pipeline(
        "cloudflare_invoices", destination=told.home.connect(told.place), dataset_name="cf_invoices"
    )
    pipeline.run(others)
    told.load()
    before = tables(told)

    report = told.load()

    assert tables(told) == before
    assert [account.sync_mode for account in report.accounts] == ["incremental"]


@pytest.mark.slow
@pytest.mark.parametrize("table", ["invoices", "invoice_changes"])
def test_beside_another_source_a_table_that_was_dropped_is_repaired_in_the_same_run(
    table: str, warehouse: Warehouse, simulator: Simulator, account: Account
) -> None:
    account.records += [make_invoice(id="in_1")]
    told = Told(HOMES["duckdb"], str(warehouse.path.parent), simulator, account)
    destination = told.home.connect(told.place)
    pipeline = dlt.pipeline("cloudflare_invoices", destination=destination, dataset_name="cf_invoices")
    pipeline.run([{"id": 1}], table_name="others")
    told.load()
    with pipeline.sql_client() as client:
        client.execute_sql(f"DROP TABLE {table}")

    report = told.load()

    assert report.is_verified
    assert [each.full_reason for each in report.accounts] == [
        f"the table {table}, or a column of it, is missing"
    ]
    assert told.rows("invoices") == told.truth() == told.newest()
