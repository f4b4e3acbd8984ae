"""`invoices` is a mirror: other write dispositions are refused, and dlt's refresh, with what to do."""

from collections.abc import Callable
from typing import Any

import dlt
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from cf_invoice_source import SettingsError, cf_invoice_source
from cf_invoice_source import load as load_into
from cf_invoice_source.schema.contract import check_write_disposition
from cf_invoice_source.simulator import Account, Simulator
from tests.conftest import Command, Load, Warehouse
from tests.support.make import make_invoices

REFUSED: dict[str, Any] = {
    "append": "append",
    "replace": "replace",
    "skip": "skip",
    "scd2 as a word": "scd2",
    "scd2": {"disposition": "merge", "strategy": "scd2"},
    "upsert": {"disposition": "merge", "strategy": "upsert"},
    "insert-only": {"disposition": "merge", "strategy": "insert-only"},
    "replace with a strategy": {"disposition": "replace", "strategy": "insert-from-staging"},
    "further options": {
        "disposition": "merge",
        "strategy": "delete-insert",
        "x": "y",
    },
    "nothing that dlt knows": "mirror",
}

ONE_MESSAGE = "invoices mirrors Cloudflare's list: it is loaded with merge, not with "


@pytest.mark.parametrize("given", REFUSED.values(), ids=REFUSED)
def test_another_way_is_refused_and_the_history_is_named(given: Any) -> None:
    with pytest.raises(SettingsError, match=ONE_MESSAGE) as refused:
        check_write_disposition(given)

    assert "invoice_changes" in refused.value.remedy


@pytest.mark.parametrize(
    "given",
    [
        None,
        "merge",
        {"disposition": "merge"},
        {"disposition": "merge", "strategy": None},
        {"disposition": "merge", "strategy": "delete-insert"},
    ],
)
def test_the_mirror_may_be_named(given: Any) -> None:
    check_write_disposition(given)


@pytest.fixture
def listed(account: Account) -> Account:
    account.records += make_invoices(2)
    return account


def pipeline() -> dlt.Pipeline:
    return dlt.pipeline("cloudflare_invoices", destination="duckdb", dataset_name="cf_invoices")


def test_a_hint_on_the_resource_is_refused_before_anything_is_loaded(
    dlt_here: None, simulator: Simulator, listed: Account, warehouse: Warehouse
) -> None:
    source = cf_invoice_source()
    source.invoices.apply_hints(write_disposition=REFUSED["scd2"])

    with pytest.raises(PipelineStepFailed, match=ONE_MESSAGE):
        pipeline().run(source)

    assert warehouse.tables() == set()


def test_dlts_own_argument_of_a_run_is_refused_before_anything_is_loaded(
    dlt_here: None, simulator: Simulator, listed: Account, warehouse: Warehouse
) -> None:
    with pytest.raises(PipelineStepFailed, match=ONE_MESSAGE):
        pipeline().run(cf_invoice_source(), write_disposition="append")

    assert warehouse.tables() == set()


def test_an_argument_is_refused_by_the_source_and_by_load(load: Load, listed: Account) -> None:
    for refuse in (cf_invoice_source, load):
        with pytest.raises(SettingsError, match=ONE_MESSAGE):
            refuse(write_disposition="append")


def test_a_setting_is_refused_by_the_command(
    simulator: Simulator, listed: Account, warehouse: Warehouse, command: Command
) -> None:
    ended = command("load", env={"SOURCES__CF_INVOICE_SOURCE__WRITE_DISPOSITION": "scd2"})

    assert ended.exit_code == 1
    assert f"{ONE_MESSAGE}scd2." in ended.stderr
    assert "invoice_changes" in ended.stderr
    assert warehouse.tables() == set()


WAYS: dict[str, tuple[Any, Callable[[Any], object]]] = {
    "an argument of run": ("drop_data", lambda mode: pipeline().run(cf_invoice_source(), refresh=mode)),
    "an argument of the pipeline": ("drop_resources", lambda mode: refreshing(mode).run(cf_invoice_source())),
    "a pipeline that is loaded": ("drop_sources", lambda mode: load_into(refreshing(mode))),
    "the environment": ("drop_data", lambda _mode: load_into(pipeline())),
}


@pytest.mark.quick("an argument of run")
@pytest.mark.parametrize("way", WAYS)
def test_dlts_refresh_is_refused_and_changes_nothing(
    load: Load, listed: Account, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    mode, refresh = WAYS[way]
    load()
    before = warehouse.rows("invoices"), warehouse.rows("invoice_changes")
    if way == "the environment":
        monkeypatch.setenv("PIPELINES__CLOUDFLARE_INVOICES__REFRESH", mode)

    with pytest.raises((PipelineStepFailed, SettingsError), match="dlt's refresh would drop all tables"):
        refresh(mode)

    monkeypatch.delenv("PIPELINES__CLOUDFLARE_INVOICES__REFRESH", raising=False)
    assert (warehouse.rows("invoices"), warehouse.rows("invoice_changes")) == before
    assert load().accounts[0].sync_mode == "incremental"


def refreshing(mode: Any) -> dlt.Pipeline:
    return dlt.pipeline("cloudflare_invoices", destination="duckdb", dataset_name="cf_invoices", refresh=mode)
