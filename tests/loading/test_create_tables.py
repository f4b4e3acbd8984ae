"""The tables are made once, before many jobs fill them."""

import dlt
import pytest

from cf_invoice_source import create_tables
from cf_invoice_source.invoices.tables import TABLES
from cf_invoice_source.simulator import Account, Simulator
from tests.conftest import Load, Warehouse
from tests.support.make import make_invoices


def create() -> None:
    create_tables(dlt.pipeline("tables", destination="duckdb", dataset_name="cf_invoices"))


@pytest.mark.usefixtures("dlt_here")
def test_the_tables_are_made_without_an_account_and_without_a_sign_in(warehouse: Warehouse) -> None:
    create()

    assert warehouse.tables() >= TABLES.keys()
    assert not any(warehouse.rows(table) for table in TABLES)
    assert warehouse.columns()["id"] == ("VARCHAR", False)


@pytest.mark.slow
def test_what_is_there_stays_and_what_is_missing_comes_back(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    create()
    account.records += make_invoices(3)
    load()
    warehouse.query("DROP TABLE cf_invoices.invoice_rejects")

    create()

    assert warehouse.ids() == ["in_1", "in_2", "in_3"]
    assert warehouse.rows("invoice_rejects") == []


@pytest.mark.slow
def test_the_tables_of_any_type_of_invoice_will_do(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    account.records += make_invoices(3)
    load(type="auto")

    create()

    assert len(warehouse.ids()) == 3


def test_no_request_is_sent(dlt_here: None, simulator: Simulator, warehouse: Warehouse) -> None:
    create()

    assert simulator.requests == []
