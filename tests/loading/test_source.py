"""Loads into DuckDB, over real HTTP: rows, types, keys, and nothing lost."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dlt
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from cf_invoice_source import ApiChangedError, InvoiceSourceError, SettingsError, cf_invoice_source
from cf_invoice_source.simulator import Account, Fault, Simulator, World
from cf_invoice_source.simulator.faults import (
    body,
    drop_connection,
    html,
    status,
)
from tests.conftest import Extract, Load, Warehouse
from tests.support.make import CREATED_S, make_invoice, make_invoices

pytestmark = pytest.mark.usefixtures("simulator")


# Exactness


@pytest.mark.quick("6f0c*")
@pytest.mark.parametrize(
    "text",
    ["6f0c1d7b-e5a9-4c2a-b3d8-e9017f4426aa", "6F0C1D7B-E5A9-4C2A-B3D8-E9017F4426AA", "2026-01-01T00:00:00Z"],
)
def test_a_text_that_looks_like_something_else_stays_as_it_was_sent(
    load: Load, account: Account, warehouse: Warehouse, text: str
) -> None:
    account.records += make_invoices(3, created_by=text)

    load()

    assert [row["created_by"] for row in warehouse.rows()] == [text] * 3


# Types and keys


def test_an_account_without_invoices_has_all_tables_with_their_types_and_only_the_keys_required(
    load: Load, warehouse: Warehouse
) -> None:
    report = load()

    columns = {name: kind for name, kind in warehouse.columns().items() if not name.startswith("_dlt")}
    rejects = warehouse.columns("invoice_rejects")
    assert report.is_verified
    assert warehouse.tables() >= {"invoices", "invoice_changes", "invoice_syncs", "invoice_rejects"}
    assert warehouse.rows() == []
    assert {name for name, (_, nullable) in rejects.items() if not nullable and name[0] != "_"} == {
        "account_id",
        "record_hash",
        "occurrence",
    }
    assert columns == {
        "account_id": ("VARCHAR", False),
        "id": ("VARCHAR", False),
        "amount_due": ("DECIMAL(38,9)", True),
        "amount_paid": ("DECIMAL(38,9)", True),
        "amount_remaining": ("DECIMAL(38,9)", True),
        "currency": ("VARCHAR", True),
        "status": ("VARCHAR", True),
        "created": ("TIMESTAMP WITH TIME ZONE", True),
        "created_by": ("VARCHAR", True),
        "invoice_origin": ("VARCHAR", True),
        "description": ("VARCHAR", True),
        "attempt_count": ("BIGINT", True),
        "attempted": ("BOOLEAN", True),
        "auto_advance": ("BOOLEAN", True),
        "invoice_pdf": ("VARCHAR", True),
        "row_hash": ("VARCHAR", True),
        "deleted": ("BOOLEAN", True),
    }


# Paging


@pytest.mark.slow
def test_a_first_load_asks_for_the_pages_of_fifty_there_are_and_for_page_1_again(
    load: Load, simulator: Simulator, world: World
) -> None:
    accounts = {count: world.add_account() for count in (0, 1, 50, 51, 100)}
    for count, account in accounts.items():
        account.records += make_invoices(count)

    report = load(account_id=[account.id for account in accounts.values()])

    pages = Counter(request.path.split("/")[4] for request in simulator.requests)
    assert [pages[account.id] for account in accounts.values()] == [1, 1, 1, 3, 3]
    assert {(request.query["type"], request.query["per_page"]) for request in simulator.requests} == {
        ("all", "50")
    }
    assert [outcome.invoices for outcome in report.accounts] == list(accounts)
    assert report.is_verified


# Which accounts, which invoices


def asked_for(simulator: Simulator) -> list[str]:
    return [request.path.split("/")[4] for request in simulator.requests]


@pytest.mark.quick("a list", "text with commas")
@pytest.mark.parametrize(
    "given",
    [
        pytest.param(lambda one, two: [one, two], id="a list"),
        pytest.param(lambda one, two: (one, two), id="a tuple"),
        pytest.param(lambda one, two: f"{one}, {two}", id="text with commas"),
        pytest.param(lambda one, two: f'["{one}", "{two}"]', id="JSON"),
    ],
)
def test_several_accounts_by_argument(
    extract: Extract, simulator: Simulator, world: World, given: Callable[[str, str], Any]
) -> None:
    one, two = world.add_account().id, world.add_account().id

    extract(account_id=given(one, two))

    assert sorted(asked_for(simulator)) == sorted([one, two])


@pytest.mark.quick("with commas-CLOUDFLARE*", "JSON-SOURCES*")
@pytest.mark.parametrize("name", ["CLOUDFLARE_ACCOUNT_ID", "SOURCES__CF_INVOICE_SOURCE__ACCOUNT_ID"])
@pytest.mark.parametrize("form", ["{0},{1}", '["{0}", "{1}"]'], ids=["with commas", "JSON"])
def test_several_accounts_by_environment(
    extract: Extract,
    simulator: Simulator,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    form: str,
) -> None:
    one, two = world.add_account().id, world.add_account().id
    monkeypatch.setenv(name, form.format(one, two))

    extract()

    assert sorted(asked_for(simulator)) == sorted([one, two])


def test_several_accounts_from_config_toml(
    place: Path, simulator: Simulator, world: World, request: pytest.FixtureRequest
) -> None:
    one, two = world.add_account().id, world.add_account().id
    (place / ".dlt").mkdir()
    settings = f'[sources.cf_invoice_source]\naccount_id = ["{one}", "{two}"]\n'
    (place / ".dlt" / "config.toml").write_text(settings)
    extract: Extract = request.getfixturevalue("extract")

    extract()

    assert sorted(asked_for(simulator)) == sorted([one, two])


def test_an_account_named_twice_is_walked_once(
    extract: Extract, simulator: Simulator, account: Account
) -> None:
    extract(account_id=[account.id, account.id])

    assert len(simulator.requests) == 1


@pytest.mark.quick("'a b'", "'a/b'", "'[[]1'")
@pytest.mark.parametrize(
    "account_id", ["../../user/tokens", "a b", "a/b", "a?b", "ä", "a,,b", ["ok", ""], "[1"], ids=repr
)
def test_a_bad_account_id_is_refused_before_any_request(
    load: Load, simulator: Simulator, account_id: Any
) -> None:
    with pytest.raises(SettingsError, match="account"):
        load(account_id=account_id)

    assert simulator.requests == []


@pytest.mark.quick("manual-*")
@pytest.mark.parametrize(
    ("kind", "ids"), [("all", ["in_1", "in_2"]), ("auto", ["in_1"]), ("manual", ["in_2"])]
)
def test_the_type_selects_the_invoices(
    load: Load, account: Account, warehouse: Warehouse, kind: str, ids: list[str]
) -> None:
    account.records += [
        make_invoice(id="in_2", invoice_origin="manual_topup"),
        make_invoice(id="in_1", invoice_origin="auto_topup"),
    ]

    load(type=kind)

    assert warehouse.ids() == ids


def test_the_base_url_may_come_from_dlts_settings(
    extract: Extract, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDFLARE_BASE_URL", "https://127.0.0.1:9")
    monkeypatch.setenv("SOURCES__CF_INVOICE_SOURCE__BASE_URL", simulator.base_url)

    extract()

    assert len(simulator.requests) == 1


def test_the_type_may_come_from_the_environment(
    extract: Extract, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__CF_INVOICE_SOURCE__TYPE", "manual")

    extract()

    assert simulator.requests[0].query["type"] == "manual"


def test_a_type_that_does_not_exist_is_refused(load: Load) -> None:
    with pytest.raises(SettingsError) as caught:
        load(type="automatic")

    assert "all, auto, manual" in caught.value.remedy
    assert "automatic" not in str(caught.value).replace(caught.value.remedy, "")


# Plain dlt


def test_a_bare_pipeline_run_loads_the_same(account: Account, warehouse: Warehouse, dlt_here: None) -> None:
    account.records += make_invoices(3)
    pipeline = dlt.pipeline("bare", destination="duckdb", dataset_name="cf_invoices")

    pipeline.run(cf_invoice_source())

    assert warehouse.ids() == ["in_1", "in_2", "in_3"]


def test_a_bare_pipeline_run_raises_when_an_account_fails(
    simulator: Simulator, account: Account, warehouse: Warehouse, dlt_here: None
) -> None:
    simulator.denied.add(account.id)
    pipeline = dlt.pipeline("bare", destination="duckdb", dataset_name="cf_invoices")

    with pytest.raises(PipelineStepFailed, match="AI Gateway Read"):
        pipeline.run(cf_invoice_source())


def test_the_source_offers_the_one_resource(dlt_here: None) -> None:
    assert list(cf_invoice_source().resources) == ["invoices"]


@pytest.mark.quick("no connection")
@pytest.mark.parametrize(
    "fault", [status(401), drop_connection(), html()], ids=["a refusal", "no connection", "no JSON"]
)
def test_an_error_of_a_request_has_nothing_below_it(load: Load, simulator: Simulator, fault: Fault) -> None:
    """Least of all itself: printers of tracebacks that do not look out for circles would never end."""
    simulator.faults.append(fault)

    with pytest.raises(InvoiceSourceError) as caught:
        load()

    assert caught.value.__cause__ is None


# Nothing half-written


def test_a_first_load_that_fails_on_page_two_leaves_nothing_and_the_next_is_exact(
    load: Load, simulator: Simulator, account: Account, warehouse: Warehouse
) -> None:
    account.records += make_invoices(120)
    fault = body(b'{"success": true}').only(pages={2})
    simulator.faults.append(fault)
    with pytest.raises(ApiChangedError):
        load()
    left = warehouse.rows() if "invoices" in warehouse.tables() else []
    simulator.faults.clear()

    load()

    assert left == []
    assert len(warehouse.rows()) == 120


@pytest.mark.slow
def test_a_later_load_that_fails_leaves_the_table_as_it_was(
    load: Load, simulator: Simulator, account: Account, warehouse: Warehouse
) -> None:
    account.records += make_invoices(60)
    load()
    before = warehouse.rows()
    account.records[:0] = [make_invoice(id=f"new_{n}", created=CREATED_S + 10**6 + n) for n in range(60)]
    simulator.faults.append(body(b'{"success": true}').only(pages={2}))

    with pytest.raises(ApiChangedError):
        load()

    assert warehouse.rows() == before
