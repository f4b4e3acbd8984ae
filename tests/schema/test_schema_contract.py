"""dlt's schema contract on the source: what it does with new fields, and what is refused, before it harms."""

from pathlib import Path
from typing import Any

import dlt
import pytest
from dlt.common.pipeline import LoadInfo
from dlt.pipeline.exceptions import PipelineStepFailed

from cf_invoice_source import SettingsError, cf_invoice_source, create_tables
from cf_invoice_source.simulator import Account, Simulator
from tests.conftest import Command, Load, Warehouse
from tests.support.make import CREATED_S, make_invoice, make_invoices


@pytest.fixture
def loaded(load: Load, account: Account) -> Account:
    """Two invoices are loaded; a third is new, with a field that nobody knows and a list."""
    account.records += make_invoices(2)
    load()
    account.records.insert(
        0, make_invoice(id="in_3", created=CREATED_S + 9 * 3600, tax=1, lines=[{"net": 1}])
    )
    return account


def pipeline() -> dlt.Pipeline:
    return dlt.pipeline("cloudflare_invoices", destination="duckdb", dataset_name="cf_invoices")


def run(contract: Any, way: str) -> LoadInfo:
    """Run dlt's own way, with a contract on the source or for the run."""
    source = cf_invoice_source()
    if way == "source":
        source.schema_contract = contract
        return pipeline().run(source)
    return pipeline().run(source, schema_contract=contract)


WAYS = pytest.mark.parametrize("way", ["source", "run"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "contract", [{"columns": "evolve"}, {"data_type": "freeze"}, {"data_type": "discard_row"}, {}]
)
def test_new_fields_come_in_where_columns_and_tables_may_evolve(
    load: Load, loaded: Account, warehouse: Warehouse, contract: dict[str, str]
) -> None:
    report = load(schema_contract=contract)

    assert report.is_verified
    assert [row["tax"] for row in warehouse.rows()] == [None, None, 1]
    assert warehouse.query("SELECT net FROM cf_invoices.invoices__lines") == [(1,)]


@pytest.mark.quick("contract0-*")
@pytest.mark.parametrize(
    ("contract", "told"),
    [
        ({"columns": "freeze"}, "freezes columns, but the new field tax"),
        ({"tables": "freeze"}, "freezes tables, but the new field lines"),
    ],
)
def test_a_field_that_is_not_allowed_stops_the_load_before_anything_is_lost(
    load: Load, loaded: Account, warehouse: Warehouse, contract: dict[str, str], told: str
) -> None:
    with pytest.raises(SettingsError, match=told) as caught:
        load(schema_contract=contract)

    assert "discard_value" in caught.value.remedy
    assert warehouse.ids() == ["in_1", "in_2"]
    assert not pipeline().has_pending_data
    report = load()
    assert report.is_verified
    assert report.accounts[0].full_reason == "lines is a field that no invoice had before"
    assert warehouse.ids() == ["in_1", "in_2", "in_3"]


@pytest.mark.slow
@WAYS
def test_a_run_of_dlts_own_that_is_stopped_leaves_no_package_to_stumble_over(
    loaded: Account, warehouse: Warehouse, way: str
) -> None:
    with pytest.raises(PipelineStepFailed, match="freezes columns, but the new field tax"):
        run({"columns": "freeze"}, way)

    assert not pipeline().has_pending_data
    run({"columns": "evolve"}, way)
    assert warehouse.ids() == ["in_1", "in_2", "in_3"]


@pytest.mark.slow
def test_what_is_frozen_and_known_goes_on_loading(load: Load, loaded: Account, warehouse: Warehouse) -> None:
    load()
    loaded.records[0] |= {"tax": 2, "lines": [{"net": 5}], "status": "open"}
    loaded.records.insert(0, make_invoice(id="in_4", created=CREATED_S + 10 * 3600, tax=3, note=None))

    report = load(schema_contract={"columns": "freeze", "tables": "freeze", "data_type": "freeze"}, full=True)

    assert report.is_verified
    assert [row["tax"] for row in warehouse.rows()] == [None, None, 2, 3]
    assert warehouse.query("SELECT net FROM cf_invoices.invoices__lines") == [(5,)]


@pytest.mark.slow
def test_a_value_that_has_no_column_but_the_one_for_the_rest_is_stopped_too(
    load: Load, loaded: Account, warehouse: Warehouse
) -> None:
    load()
    loaded.records[0]["tax"] = "7"

    with pytest.raises(SettingsError, match="the new field more_fields"):
        load(schema_contract={"columns": "freeze"}, full=True)


@pytest.mark.slow
def test_a_record_that_is_set_aside_needs_no_column(
    load: Load, loaded: Account, warehouse: Warehouse
) -> None:
    loaded.records[0] = make_invoice(id="in_3", currency=7, tax=1)

    report = load(schema_contract={"columns": "freeze"})

    assert [reject["reason"] for reject in warehouse.rows("invoice_rejects")] == ["currency is not a text"]
    assert report.accounts[0].unverified_reason == ""


@pytest.mark.quick("source")
@WAYS
def test_discard_value_leaves_out_the_new_column_and_keeps_the_invoice(
    loaded: Account, warehouse: Warehouse, way: str
) -> None:
    run({"columns": "discard_value", "tables": "discard_value"}, way)

    assert warehouse.ids() == ["in_1", "in_2", "in_3"]
    assert "tax" not in warehouse.columns()
    assert "invoices__lines" not in warehouse.tables()


@pytest.mark.slow
def test_a_copy_without_the_discarded_values_is_verified_and_stays_quiet(
    load: Load, loaded: Account, warehouse: Warehouse
) -> None:
    for _ in range(2):
        report = load(schema_contract={"columns": "discard_value"}, full=True)

        assert report.is_verified
    assert report.accounts[0].updated == 0
    assert len(warehouse.rows("invoice_changes")) == 3


@pytest.mark.slow
@WAYS
def test_a_contract_that_would_drop_invoices_is_refused(
    loaded: Account, warehouse: Warehouse, simulator: Simulator, way: str
) -> None:
    simulator.requests.clear()

    with pytest.raises(PipelineStepFailed, match="an invoice with a new field would be missing"):
        run({"columns": "discard_row"}, way)

    assert simulator.requests == []
    assert not pipeline().has_pending_data
    run({"columns": "evolve"}, way)
    assert warehouse.ids() == ["in_1", "in_2", "in_3"]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["freeze", "discard_value", "discard_row"])
def test_without_new_tables_a_first_load_says_how_to_make_them(
    load: Load, account: Account, warehouse: Warehouse, simulator: Simulator, mode: str
) -> None:
    account.records += make_invoices(2)

    with pytest.raises(SettingsError, match="allows no new tables") as caught:
        load(schema_contract={"tables": mode})

    assert "create_tables" in caught.value.remedy
    assert simulator.requests == []
    create_tables(pipeline())
    assert load(schema_contract={"tables": mode}).is_verified
    assert warehouse.ids() == ["in_1", "in_2"]


@pytest.mark.parametrize(
    "contract", ["freeze", {"columns": "frozen"}, {"column": "freeze"}, {"columns": []}, 3]
)
def test_a_contract_that_dlt_does_not_know_is_refused(load: Load, contract: Any) -> None:
    with pytest.raises(SettingsError, match="schema_contract makes no sense") as caught:
        load(schema_contract=contract)

    assert "each to evolve, discard_value, freeze, discard_row" in caught.value.remedy


@pytest.mark.slow
def test_the_contract_may_come_from_the_environment(
    command: Command, loaded: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__CF_INVOICE_SOURCE__SCHEMA_CONTRACT", '{"columns": "freeze"}')

    ended = command("load")

    assert ended.exit_code == 1
    assert "The schema contract freezes columns, but the new field tax needs some of its own." in ended.stderr


@pytest.mark.slow
def test_the_contract_may_come_from_config_toml(
    account: Account, place: Path, request: pytest.FixtureRequest
) -> None:
    (place / ".dlt").mkdir()
    (place / ".dlt" / "config.toml").write_text(
        '[sources.cf_invoice_source.schema_contract]\ncolumns = "freeze"\n'
    )
    load: Load = request.getfixturevalue("load")
    account.records += make_invoices(2)
    load()
    account.records.insert(0, make_invoice(id="in_3", created=CREATED_S + 9 * 3600, tax=1))

    with pytest.raises(SettingsError, match="freezes columns"):
        load()
