"""The two ways of the rows into DuckDB: as a file that dlt takes as it is, and through dlt's normalizer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dlt
import pytest

from cf_invoice_source import cf_invoice_source
from cf_invoice_source.invoices.tables import TABLES
from cf_invoice_source.simulator import Account, Simulator, World
from tests.conftest import Load, Warehouse
from tests.support.exact import assert_exact
from tests.support.make import CREATED_S, make_invoices

MORE_THAN_DUCKDB_LOOKS_AT = 20_480 + 120
"""DuckDB takes the columns of a JSON file from its first 20,480 rows."""

Run = Callable[[Path], Warehouse]


@pytest.fixture
def loaded(load: Load, warehouse: Warehouse) -> Run:
    def run(_file: Path) -> Warehouse:
        load()
        return warehouse

    return run


@pytest.fixture
def bare(dlt_here: None, simulator: Simulator) -> Run:
    """Through a plain `pipeline.run`, into a file of its own."""

    def run(file: Path) -> Warehouse:
        pipeline = dlt.pipeline(
            "bare", destination=dlt.destinations.duckdb(str(file)), dataset_name="cf_invoices"
        )
        pipeline.run(cf_invoice_source())
        return Warehouse(file)

    return run


def without_times(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    passing = {"observed_at", "started_at", "finished_at", "invoice_pdf", "raw"}
    return [{name: value for name, value in row.items() if name not in passing} for row in rows]


@pytest.mark.slow
def test_both_ways_lead_to_the_same_tables(
    loaded: Run, bare: Run, world: World, account: Account, tmp_path: Path
) -> None:
    for _ in range(60):
        world.new_invoice(account)
    world.live(30)
    account.records[3] |= {"status": None, "created": None, "description": 'a \\ "b"\n ü', "id": None}
    account.records.insert(0, {"id": "in_broken"})

    as_file, through_dlt = loaded(tmp_path), bare(tmp_path / "bare.duckdb")

    for table in TABLES:
        assert as_file.columns(table) == through_dlt.columns(table)
        assert without_times(as_file.rows(table)) == without_times(through_dlt.rows(table))
        ids = as_file.query(f"SELECT DISTINCT _dlt_id FROM cf_invoices.{table}")  # noqa: S608
        assert len(ids) == len(as_file.rows(table))
    loads = "SELECT DISTINCT _dlt_load_id FROM cf_invoices.invoices"
    assert as_file.query(loads) == as_file.query(
        "SELECT load_id FROM cf_invoices._dlt_loads WHERE status = 0"
    )


def test_a_load_leaves_no_file_of_rows_behind(load: Load, account: Account) -> None:
    account.records += make_invoices(3)

    load()

    working_dir = Path(dlt.current.pipeline().working_dir)
    assert [file.name for file in working_dir.iterdir() if file.suffix == ".jsonl"] == []


@pytest.mark.slow
def test_what_a_user_does_to_the_rows_by_dlts_means_is_done(
    dlt_here: None, simulator: Simulator, warehouse: Warehouse, account: Account
) -> None:
    account.records += make_invoices(3, description="personal")
    source = cf_invoice_source()
    source.invoices.add_map(lambda row: row | {"description": "***"} if "description" in row else row)

    dlt.pipeline("bare", destination="duckdb", dataset_name="cf_invoices").run(source)

    assert [row["description"] for row in warehouse.rows()] == ["***"] * 3


@pytest.mark.slow
def test_rows_that_nobody_took_have_no_bookmark(
    dlt_here: None, warehouse: Warehouse, account: Account, load: Load
) -> None:
    account.records += make_invoices(3)
    cut = cf_invoice_source()
    cut.invoices.add_limit(5)  # the four tables, and then the first rows
    pipeline = dlt.pipeline("cloudflare_invoices", destination="duckdb", dataset_name="cf_invoices")
    pipeline.run(cut)
    assert pipeline.state["sources"]["cf_invoice_source"]["resources"]["invoices"].get("bookmarks", {}) == {}

    load()

    assert_exact(warehouse.query, account)


@pytest.mark.slow
@pytest.mark.parametrize("field", ["description", "purchase_order"])
def test_a_field_that_only_the_newest_of_very_many_invoices_have_arrives(
    dlt_here: None, warehouse: Warehouse, account: Account, load: Load, field: str
) -> None:
    """One documented, one not: it is neither dropped nor does it block the package."""
    account.records += make_invoices(MORE_THAN_DUCKDB_LOOKS_AT, description=None, invoice_pdf=None)
    for record in account.records[:50]:
        record[field] = "the newest ones"
    assert account.records[0]["created"] > CREATED_S

    report = load(package_rows=10**6)

    assert report.is_verified
    count = f"SELECT count(*), count({field}) FROM cf_invoices.invoices"  # noqa: S608
    assert warehouse.query(count) == [(MORE_THAN_DUCKDB_LOOKS_AT, 50)]


@pytest.mark.quick("in every row")
@pytest.mark.parametrize("others", [0, 2], ids=["in every row", "beside rows without"])
def test_a_text_that_looks_like_a_time_stays_the_text_that_was_sent(
    warehouse: Warehouse, account: Account, load: Load, others: int
) -> None:
    """DuckDB would rewrite a column in which every text looks so: such a file goes another way."""
    account.records += make_invoices(3 + others, description=None)
    for record in account.records[:3]:
        record["description"] = "2026-01-01T00:00:00Z"

    load()

    texts = [row["description"] for row in warehouse.rows()]
    assert sorted(filter(None, texts)) == ["2026-01-01T00:00:00Z"] * 3
    changes = [row["description"] for row in warehouse.rows("invoice_changes")]
    assert sorted(filter(None, changes)) == ["2026-01-01T00:00:00Z"] * 3
    assert_exact(warehouse.query, account)


@pytest.mark.slow
def test_one_plain_text_anywhere_keeps_duckdb_from_rewriting_the_others(
    warehouse: Warehouse, account: Account, load: Load
) -> None:
    account.records += make_invoices(5_000, description="2026-01-01T00:00:00Z")
    account.records[2_500]["description"] = "credits"

    load()

    count = "SELECT count(*) FROM cf_invoices.invoices WHERE description = '2026-01-01T00:00:00Z'"
    assert warehouse.query(count) == [(4_999,)]


@pytest.mark.slow
def test_a_full_walk_over_thousands_finds_each_change_wherever_it_is(
    warehouse: Warehouse, account: Account, load: Load
) -> None:
    """The rows of a package are compared a thousand at a time."""
    account.records += make_invoices(2_500, status="open")
    account.records[1_234]["status"] = "draft"
    load()
    for place in (2, 1_400, 2_490):
        account.records[place]["status"] = "paid"
    del account.records[1_234]

    [outcome] = load(full=True).accounts

    assert (outcome.new, outcome.updated, outcome.deleted) == (0, 3, 1)
    assert_exact(warehouse.query, account)


@pytest.mark.slow
def test_ids_are_looked_up_to_the_letter(warehouse: Warehouse, account: Account, load: Load) -> None:
    """Whole packages of them go into one question."""
    ids = ['in_"1"', "in_'2'", "in_3,in_4", "in_\\5", "in_\n6", "in_\u00fc\U0001f9fe7", "[]", " "]
    account.records += make_invoices(len(ids))
    for record, invoice_id in zip(account.records, ids, strict=True):
        record["id"] = invoice_id
    load()
    account.records[3]["description"] = "corrected"

    [outcome] = load(full=True).accounts

    assert (outcome.new, outcome.updated, outcome.deleted) == (0, 1, 0)
    assert_exact(warehouse.query, account)
