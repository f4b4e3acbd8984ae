"""Loads into DuckDB, over real HTTP: rows, types, keys, and nothing lost."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import dlt
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed
from requests import RequestException

from cf_invoice_source import ApiChangedError, InvoiceSourceError, SettingsError, cf_invoice_source
from cf_invoice_source.simulator import Account, Fault, Simulator, World
from cf_invoice_source.simulator.faults import (
    body,
    docs_example,
    drop_connection,
    edit,
    html,
    ignore_page,
    status,
)
from tests.conftest import Extract, Load, Warehouse
from tests.support.copies import documented
from tests.support.make import CREATED_S, MISSING, expected_row, make_invoice, make_invoices

pytestmark = pytest.mark.usefixtures("simulator")


def rows_of(warehouse: Warehouse) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["account_id"], row["id"]): row for row in warehouse.rows()}


# Exactness


@pytest.mark.parametrize(
    "text",
    ["6f0c1d7b-e5a9-4c2a-b3d8-e9017f4426aa", "6F0C1D7B-E5A9-4C2A-B3D8-E9017F4426AA", "2026-01-01T00:00:00Z"],
)
def test_a_text_that_looks_like_something_else_stays_as_it_wencode(
    load: Load, account: Account, warehouse: Warehouse, text: str
) -> None:
    account.records += make_invoices(3, created_by=text)

    load()

    assert [row["created_by"] for row in warehouse.rows()] == [text] * 3


def test_a_made_up_world_arrives_exactly(
    load: Load, world: World, account: Account, warehouse: Warehouse
) -> None:
    for _ in range(130):
        world.new_invoice(account)
    world.live(60)

    load()

    rows = {key: documented(row) for key, row in rows_of(warehouse).items()}
    assert rows == {
        (account.id, record["id"]): expected_row(account.id, record) for record in account.records
    }


def test_the_link_to_the_pdf_is_kept_and_null_where_there_is_none(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    account.records += [make_invoice(id="in_2"), make_invoice(id="in_1", invoice_pdf=None)]

    load()

    links = {row["id"]: row["invoice_pdf"] for row in warehouse.rows()}
    assert links["in_1"] is None
    assert links["in_2"].startswith("https://pay.stripe.com/")


@pytest.mark.slow
def test_a_second_run_changes_nothing_but_links(load: Load, account: Account, warehouse: Warehouse) -> None:
    account.records += make_invoices(60) + [make_invoice(id=None, extra={"net": 5}) for _ in range(2)]
    load()
    before = warehouse.rows()

    load()

    for row in before + (after := warehouse.rows()):
        del row["invoice_pdf"]
    assert after == before


def test_a_second_run_brings_what_has_changed(load: Load, account: Account, warehouse: Warehouse) -> None:
    account.records += make_invoices(3, status="open", amount_paid=0, amount_remaining=2178)
    load()
    account.pay("in_2")
    account.records.insert(0, make_invoice(id="in_4", created=CREATED_S + 40_000))

    load()

    rows = {key: documented(row) for key, row in rows_of(warehouse).items()}
    assert rows == {
        (account.id, record["id"]): expected_row(account.id, record) for record in account.records
    }


@pytest.mark.slow
def test_row_hashes_are_equal_only_where_invoices_are(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    account.records += [make_invoice(id="in_2"), make_invoice(id="in_1")]
    load()
    before = {row["id"]: row["row_hash"] for row in warehouse.rows()}
    account.records[0]["description"] = "other"

    load()

    after = {row["id"]: row["row_hash"] for row in warehouse.rows()}
    assert after["in_1"] == before["in_1"]
    assert len({*before.values(), *after.values()}) == 3


# Types and keys


def test_the_documented_columns_have_their_types_and_only_the_key_is_required(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    account.records += make_invoices(1)

    load()

    columns = {name: kind for name, kind in warehouse.columns().items() if not name.startswith("_dlt")}
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


def test_the_tables_are_there_when_the_account_has_no_invoices(load: Load, warehouse: Warehouse) -> None:
    report = load()

    assert warehouse.tables() >= {"invoices", "invoice_rejects"}
    assert warehouse.columns()["amount_due"] == ("DECIMAL(38,9)", True)
    assert warehouse.rows() == []
    assert report.is_verified


@pytest.mark.slow
def test_an_account_that_was_empty_loads_later(load: Load, account: Account, warehouse: Warehouse) -> None:
    load()
    account.records += make_invoices(2)

    load()

    assert warehouse.ids() == ["in_1", "in_2"]


def test_the_rejects_have_a_key_and_the_account(load: Load, account: Account, warehouse: Warehouse) -> None:
    account.records += ["garbage", "garbage"]

    load()

    columns = warehouse.columns("invoice_rejects")
    required = {
        name for name, (_, nullable) in columns.items() if not nullable and not name.startswith("_dlt")
    }
    assert required == {"account_id", "record_hash", "occurrence"}
    assert {row["account_id"] for row in warehouse.rows("invoice_rejects")} == {account.id}


# Fields that this version does not know


def test_unknown_fields_become_columns(load: Load, account: Account, warehouse: Warehouse) -> None:
    account.records += [
        make_invoice(id="in_1", tax=Decimal("1.5"), note="🙂", is_final=True),
        make_invoice(id="in_2"),
    ]

    load()

    rows = {row["id"]: (row["tax"], row["note"], row["is_final"]) for row in warehouse.rows()}
    assert rows == {"in_1": (Decimal("1.5"), "🙂", True), "in_2": (None, None, None)}


@pytest.mark.slow
def test_the_numbers_of_unknown_fields_stay_exact_over_runs(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    """Inference from a first whole number must not round what comes later."""
    first = {"tax": 1, "rate": Decimal("1.5"), "tip": 0, "count": 1}
    later = {"tax": Decimal("1.5"), "rate": 2**70, "tip": Decimal("0.000000001"), "count": 10**28 + 1}
    account.records += [make_invoice(id="in_1", **first)]
    load()
    account.records.insert(0, make_invoice(id="in_2", **later))

    load()

    assert [{name: row[name] for name in first} for row in warehouse.rows()] == [first, later]
    assert {warehouse.columns()[name][0] for name in first} == {"DECIMAL(38,9)"}


def test_a_nested_object_becomes_columns_of_the_same_row(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    account.records += [make_invoice(tax={"rate": Decimal("8.875"), "place": {"state": "NY"}})]

    load()

    [row] = warehouse.rows()
    assert (row["tax__rate"], row["tax__place__state"]) == (Decimal("8.875"), "NY")


def test_a_nested_list_becomes_a_child_table(load: Load, account: Account, warehouse: Warehouse) -> None:
    account.records += [make_invoice(id="in_1", lines=[{"net": 1}, {"net": Decimal("2.5")}])]

    load()

    found = warehouse.query(
        "SELECT i.id, l.net FROM cf_invoices.invoices i "
        "JOIN cf_invoices.invoices__lines l ON l._dlt_parent_id = i._dlt_id ORDER BY l._dlt_list_idx"
    )
    assert found == [("in_1", Decimal(1)), ("in_1", Decimal("2.5"))]


def test_a_nested_list_with_names_of_dlts_does_not_block_the_load(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    account.records += [
        make_invoice(lines=[{"_dlt_id": "x", "_dlt_parent_id": "x", "_dlt_root_id": "x"}] * 2)
    ]

    load()

    found = warehouse.query(
        "SELECT count(DISTINCT l._dlt_id) FROM cf_invoices.invoices i "
        "JOIN cf_invoices.invoices__lines l ON l._dlt_parent_id = i._dlt_id"
    )
    assert found == [(2,)]


@pytest.mark.slow
def test_a_child_table_follows_its_invoice_and_does_not_grow(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    account.records += [make_invoice(status="open", lines=[{"net": 1}, {"net": 2}])]
    load()
    account.records[0] |= {"status": "paid", "lines": [{"net": 3}]}

    load()

    assert warehouse.query("SELECT net FROM cf_invoices.invoices__lines") == [(Decimal(3),)]


def test_fields_of_the_api_do_not_overwrite_columns_of_ours(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    ours = "SELECT account_id, deleted, length(row_hash), _dlt_id = 'theirs' FROM cf_invoices.invoices"
    names = ["account_id", "accountId", "row_hash", "rowHash", "deleted", "_dlt_id", "_dlt_load_id"]
    account.records += [make_invoice(id="in_1")]
    load()
    before = warehouse.query(ours)
    account.records[0] |= dict.fromkeys(names, "theirs")

    load()

    [row] = warehouse.rows()
    assert warehouse.query(ours) == before
    kept = [*row.values(), *json.loads(row["more_fields"]).values()]  # there what comes to a name twice
    assert kept.count("theirs") == len(names)


# Invoices without an id


@pytest.mark.slow
def test_invoices_without_id_are_kept_once_over_runs(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    account.records += [make_invoice(id=None, description=text) for text in ("new", "mid", "old")]
    load()
    before = {row["description"]: row["id"] for row in warehouse.rows()}

    load()

    assert {row["description"]: row["id"] for row in warehouse.rows()} == before
    assert len(set(before.values())) == 3


@pytest.mark.slow
def test_equal_invoices_without_id_are_numbered_from_the_oldest(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    account.records += [make_invoice(id=MISSING, description=text) for text in ("mid", "old")]
    load()
    account.records.insert(0, make_invoice(id=MISSING, description="new"))

    load()

    keys = {row["description"]: row["id"] for row in warehouse.rows()}
    assert all(key.startswith("anonymous:") for key in keys.values())
    assert {text: key.rpartition(":")[2] for text, key in keys.items()} == {
        "old": "1",
        "mid": "2",
        "new": "3",
    }


def test_an_invoice_without_id_keeps_its_key_when_it_is_paid(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    account.records += [make_invoice(id=None, status="open")]
    load()
    [before] = warehouse.rows()
    account.records[0]["status"] = "paid"

    load()

    [after] = warehouse.rows()
    assert (before["status"], after["status"]) == ("open", "paid")
    assert after["id"] == before["id"]


# Records that are no invoices


def test_a_single_reject_does_not_block_the_load(load: Load, account: Account, warehouse: Warehouse) -> None:
    account.records += [make_invoice(id="in_2"), make_invoice(id="in_1", amount_due=Decimal("1E+40"))]

    load()

    assert warehouse.ids() == ["in_2"]


def test_a_reject_is_kept_raw_with_its_exact_numbers(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    account.records += [make_invoice(id="in_1", currency=None, amount_due=Decimal("0.12345678912345678901"))]

    load()

    [rejected] = warehouse.rows("invoice_rejects")
    assert rejected["id"] == "in_1"
    assert '"amount_due": 0.12345678912345678901' in rejected["raw"]
    assert '"description": "AI Gateway credits"' in rejected["raw"]


@pytest.mark.slow
def test_equal_rejects_are_all_kept_and_not_doubled_by_the_next_run(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    account.records += ["garbage", "garbage", 7]
    load()

    load()

    assert sorted(row["raw"] for row in warehouse.rows("invoice_rejects")) == ['"garbage"', '"garbage"', "7"]


# Paging


def test_each_request_asks_for_one_page_of_fifty(load: Load, simulator: Simulator, account: Account) -> None:
    account.records += make_invoices(60)

    load(type="all")

    assert [request.query for request in simulator.requests] == [
        {"type": "all", "page": "1", "per_page": "50"},
        {"type": "all", "page": "2", "per_page": "50"},
        {"type": "all", "page": "1", "per_page": "50"},
    ]


@pytest.mark.quick("0-1", "51-3")
@pytest.mark.parametrize(("count", "pages"), [(0, 1), (1, 1), (50, 1), (51, 3), (100, 3)])
def test_a_first_load_asks_for_exactly_the_pages_there_are_and_for_page_1_again(
    load: Load, simulator: Simulator, account: Account, warehouse: Warehouse, count: int, pages: int
) -> None:
    account.records += make_invoices(count)

    report = load()

    assert len(warehouse.rows()) == count
    assert len(simulator.requests) == pages
    assert report.is_verified


def test_the_size_of_pages_is_the_one_that_the_server_applies(
    load: Load, simulator: Simulator, account: Account, warehouse: Warehouse
) -> None:
    simulator.max_per_page = 7
    account.records += make_invoices(30)

    report = load()

    assert len(warehouse.rows()) == 30
    assert len(simulator.requests) == 5 + 1
    assert report.is_verified


def test_an_invoice_that_arrives_during_the_walk_leaves_each_key_there_once(
    load: Load, simulator: Simulator, account: Account, warehouse: Warehouse
) -> None:
    simulator.max_per_page = 5
    account.records += make_invoices(23)
    at_first = {record["id"] for record in account.records}

    def arrive(request: Any) -> None:
        account.records.insert(
            0, make_invoice(id=f"new_{request.number}", created=CREATED_S + 10**6 + request.number)
        )

    simulator.before_answer = arrive

    load()

    ids = warehouse.ids()
    assert len(ids) == len(set(ids))
    assert set(ids) >= at_first


def test_a_draft_that_is_deleted_during_the_walk_lets_no_other_invoice_slip_through(
    load: Load, simulator: Simulator, account: Account, warehouse: Warehouse
) -> None:
    """The rest moves up one place, and one would slip between two pages: the walk begins again."""
    simulator.max_per_page = 5
    account.records += make_invoices(15)
    account.records[1]["status"] = "draft"

    def delete_once(request: Any) -> None:
        if request.page == 2 and account.having("draft"):
            account.delete("in_14")

    simulator.before_answer = delete_once

    report = load()

    assert report.is_verified
    assert sorted(warehouse.ids()) == sorted(record["id"] for record in account.records)
    assert [request.page for request in simulator.requests] == [1, 3, 2, 1, 3, 2, 1]


def test_the_example_of_the_documentation_ends_with_a_clear_error(load: Load, simulator: Simulator) -> None:
    simulator.faults.append(docs_example())

    with pytest.raises(ApiChangedError, match="ignore the page number"):
        load()

    assert len(simulator.requests) <= 3


def test_a_server_that_ignores_the_page_number_is_a_clear_error(
    load: Load, simulator: Simulator, account: Account, warehouse: Warehouse
) -> None:
    account.records += make_invoices(120)
    simulator.faults.append(ignore_page())

    with pytest.raises(ApiChangedError, match="ignore the page number"):
        load()

    assert len(simulator.requests) <= 3
    assert warehouse.tables() == set() or warehouse.rows() == []


def test_a_list_that_always_says_that_more_follow_is_not_verified_but_loaded(
    load: Load, simulator: Simulator, account: Account, warehouse: Warehouse
) -> None:
    account.records += make_invoices(60)
    simulator.faults.append(edit(lambda document: document["result"]["pagination"].update(has_more=True)))

    report = load()

    assert report.accounts[0].sync_mode == "sequential"
    assert report.accounts[0].unverified_reason == "page 3 is empty, but says that more follow"
    assert report.accounts[0].invoices is None
    assert len(warehouse.rows()) == 60


@pytest.mark.quick("total_count is zero")
@pytest.mark.parametrize(
    "lie",
    [
        pytest.param({"total_count": 0}, id="total_count is zero"),
        pytest.param({"total_count": 59}, id="total_count is too small by one"),
        pytest.param({"total_count": 61}, id="total_count is too large by one"),
        pytest.param({"total_count": 10_000}, id="total_count is too large"),
        pytest.param({"per_page": 0}, id="per_page is zero"),
        pytest.param({"page": 99}, id="page is another"),
    ],
)
def test_a_lie_about_the_counting_is_seen_through_and_the_list_is_verified_by_has_more(
    load: Load, simulator: Simulator, account: Account, lie: dict[str, Any]
) -> None:
    account.records += make_invoices(60)
    simulator.faults.append(edit(lambda document: document["result"]["pagination"].update(lie)))

    report = load()

    assert report.is_verified
    assert report.accounts[0].sync_mode == "sequential"
    assert report.accounts[0].invoices == 60


# Which accounts, which invoices


def asked_for(simulator: Simulator) -> list[str]:
    return [request.path.split("/")[4] for request in simulator.requests]


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


def test_several_accounts_fill_one_table(
    load: Load, world: World, account: Account, warehouse: Warehouse
) -> None:
    other = world.add_account("Other", invoices=2)
    account.records += make_invoices(3)

    load(account_id=[account.id, other.id])

    counts = warehouse.query("SELECT account_id, count(*) FROM cf_invoices.invoices GROUP BY ALL")
    assert dict(counts) == {account.id: 3, other.id: 2}


def test_an_account_named_twice_is_walked_once(
    extract: Extract, simulator: Simulator, account: Account
) -> None:
    extract(account_id=[account.id, account.id])

    assert len(simulator.requests) == 1


def test_the_same_invoice_in_two_accounts_is_two_rows(
    load: Load, world: World, account: Account, warehouse: Warehouse
) -> None:
    other = world.add_account("Other")
    account.records.append(make_invoice(id="in_1", amount_due=1))
    other.records.append(make_invoice(id="in_1", amount_due=2))

    load(account_id=[account.id, other.id])

    amounts = {row["account_id"]: row["amount_due"] for row in warehouse.rows()}
    assert amounts == {account.id: 1, other.id: 2}


@pytest.mark.parametrize(
    "account_id", ["../../user/tokens", "a b", "a/b", "a?b", "ä", "a,,b", ["ok", ""], "[1"], ids=repr
)
def test_a_bad_account_id_is_refused_before_any_request(
    load: Load, simulator: Simulator, account_id: Any
) -> None:
    with pytest.raises(SettingsError, match="account"):
        load(account_id=account_id)

    assert simulator.requests == []


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


@pytest.mark.parametrize(
    ("fault", "cause"),
    [(status(401), None), (drop_connection(), RequestException), (html(), ValueError)],
    ids=["a refusal", "no connection", "no JSON"],
)
def test_an_error_keeps_its_own_cause_and_is_not_the_cause_of_itself(
    load: Load, simulator: Simulator, fault: Fault, cause: type[Exception] | None
) -> None:
    """Printers of tracebacks that do not look out for circles would never end."""
    simulator.faults.append(fault)

    with pytest.raises(InvoiceSourceError) as caught:
        load()

    chain: list[BaseException] = []
    error: BaseException | None = caught.value
    while error and error not in chain:
        chain.append(error)
        error = error.__cause__
    assert error is None
    assert [isinstance(below, cause or ()) for below in chain[1:2]] == [True] * bool(cause)


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
