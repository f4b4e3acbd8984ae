"""A refresh writes `invoices` anew, row by row, and keeps what cannot be had again."""

from __future__ import annotations

import os
import random
import signal
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest

from cf_invoice_source import ApiChangedError, SettingsError, cf_invoice_source
from cf_invoice_source import load as load_into
from cf_invoice_source.errors import MixedTypesError
from cf_invoice_source.simulator import Account, Fault, Simulator, World
from cf_invoice_source.simulator.faults import body, edit
from tests.conftest import Command, Load, Warehouse, run_warm
from tests.exact import assert_exact
from tests.make import CREATED_S, make_invoice, make_invoices

SEED = 20_260_201

GHOST = "SELECT DISTINCT account_id, 'in_x' AS id, 'y' AS _dlt_id, 'z' AS _dlt_load_id FROM invoices"

SPOILT = [
    "UPDATE invoices SET tax = 0.5, status = 'void' WHERE id IN ('in_2', 'in_6', 'in_12')",
    "UPDATE invoices SET tax = 0.25 WHERE id IN ('in_1', 'in_11')",
    "UPDATE invoices__lines SET net = 99",
    "UPDATE invoices SET row_hash = NULL WHERE id = 'in_3'",
    "DELETE FROM invoices WHERE id = 'in_5'",
    "INSERT INTO invoices BY NAME (SELECT * REPLACE ('x' AS _dlt_id) FROM invoices WHERE id = 'in_4')",
    f"INSERT INTO invoices BY NAME ({GHOST})",
    "ALTER TABLE invoices ADD COLUMN by_hand VARCHAR",
    "UPDATE invoices SET by_hand = 'x'",
]
"""What somebody did to the table: most of it no count and no hash shows."""


@pytest.fixture
def listed(simulator: Simulator, account: Account) -> Account:
    """An account with three pages of invoices, which have a field and a list that nobody knew of."""
    simulator.max_per_page = 5
    account.records += make_invoices(12, tax=1, lines=[{"net": 1}])
    account.find("in_3").update(status="open", amount_paid=0, amount_remaining=2178)
    account.find("in_7").update(status="draft")
    return account


def spoil(database: duckdb.DuckDBPyConnection) -> None:
    database.execute("USE cf_invoices")
    for deed in SPOILT:
        database.execute(deed)


def pipeline(name: str = "cloudflare_invoices") -> dlt.Pipeline:
    return dlt.pipeline(name, destination="duckdb", dataset_name="cf_invoices")


def assert_is_new(warehouse: Warehouse, *accounts: Account) -> None:
    """The table equals the list, with what no other test looks at."""
    assert_exact(warehouse.query, *accounts)
    expected = sorted((account.id, record["id"], 1) for account in accounts for record in account.records)
    assert warehouse.query("SELECT account_id, id, tax FROM cf_invoices.invoices ORDER BY ALL") == expected
    lines = (
        "SELECT account_id, id, net FROM cf_invoices.invoices i "
        "JOIN cf_invoices.invoices__lines l ON l._dlt_parent_id = i._dlt_id ORDER BY ALL"
    )
    assert warehouse.query(lines) == expected


def kept(warehouse: Warehouse) -> list[Any]:
    return [
        warehouse.query(f"SELECT * EXCLUDE (_dlt_id, _dlt_load_id) FROM cf_invoices.{table} ORDER BY ALL")  # noqa: S608
        for table in ("invoice_changes", "invoice_rejects")
    ]


def test_a_refresh_puts_every_value_right_and_notes_no_change(
    load: Load, listed: Account, warehouse: Warehouse, held: duckdb.DuckDBPyConnection
) -> None:
    load()
    spoil(held)
    before = kept(warehouse)

    report = load(refresh=True)

    assert_is_new(warehouse, listed)
    assert kept(warehouse) == before
    assert warehouse.query("SELECT DISTINCT by_hand FROM cf_invoices.invoices") == [(None,)]
    assert warehouse.query("SELECT kind, why FROM cf_invoices.invoice_walks ORDER BY started_at") == [
        ("full", "first run"),
        ("full", "a refresh was asked for"),
    ]
    assert report.is_proven
    assert [account.kind for account in load().accounts] == ["incremental"]


def test_a_refresh_notes_what_has_really_changed(load: Load, listed: Account, warehouse: Warehouse) -> None:
    load()
    listed.pay("in_3")
    listed.delete("in_7")
    listed.records.insert(0, "no invoice")

    load(refresh=True)

    listed.records.remove("no invoice")
    assert_is_new(warehouse, listed)
    changes = "SELECT id, change FROM cf_invoices.invoice_changes WHERE version = 2 ORDER BY id"
    assert warehouse.query(changes) == [("in_3", "updated"), ("in_7", "deleted")]
    assert warehouse.query("SELECT raw FROM cf_invoices.invoice_rejects WHERE resolved_at IS NULL") == [
        ('"no invoice"',)
    ]


def test_who_reads_during_a_refresh_finds_every_invoice(
    load: Load, listed: Account, simulator: Simulator, held: duckdb.DuckDBPyConnection
) -> None:
    load()
    seen = []
    with held.cursor() as reader:
        count = "SELECT count(DISTINCT id) FROM cf_invoices.invoices"
        simulator.before_answer = lambda _request: seen.append(reader.execute(count).fetchone())
        load(refresh=True, package_rows=1)

    assert seen == [(12,)] * 3


def test_a_refresh_of_one_account_leaves_the_others_alone(
    load: Load, world: World, listed: Account, warehouse: Warehouse, held: duckdb.DuckDBPyConnection
) -> None:
    other = world.add_account("Other")
    other.records += make_invoices(2, tax=1, lines=[{"net": 1}])
    load(account_id=[listed.id, other.id])
    held.execute("UPDATE cf_invoices.invoices SET tax = 7")
    rows = "SELECT * FROM cf_invoices.invoices WHERE account_id = ? ORDER BY ALL"
    before = warehouse.query(rows, other.id)

    load(account_id=listed.id, refresh=True)

    assert warehouse.query(rows, other.id) == before
    taxes = "SELECT DISTINCT tax FROM cf_invoices.invoices WHERE account_id = ?"
    assert warehouse.query(taxes, listed.id) == [(1,)]
    load(account_id=[listed.id, other.id], refresh=True)
    assert_is_new(warehouse, listed, other)


def test_a_refresh_by_another_pipeline_leaves_the_first_one_its_bookmark(
    dlt_here: None, simulator: Simulator, listed: Account, warehouse: Warehouse, held: object
) -> None:
    load_into(pipeline("first"))
    load_into(pipeline("second"), refresh=True)

    report = load_into(pipeline("first"))

    assert [account.kind for account in report.accounts] == ["incremental"]
    assert report.is_proven
    assert_is_new(warehouse, listed)


def test_a_refresh_does_not_mix_types(load: Load, listed: Account) -> None:
    load()

    with pytest.raises(MixedTypesError, match="--dataset"):
        load(type="auto", refresh=True)


def test_a_range_cannot_be_refreshed(load: Load, listed: Account) -> None:
    start = datetime.fromtimestamp(CREATED_S, tz=timezone.utc)
    year = dlt.sources.incremental("created", initial_value=start, end_value=start.replace(year=2027))

    with pytest.raises(SettingsError, match="whole list"):
        load(created=year, refresh=True)


def test_the_command_refreshes_and_says_so(
    load: Load, command: Command, listed: Account, warehouse: Warehouse, held: duckdb.DuckDBPyConnection
) -> None:
    load()
    spoil(held)

    ended = command("load", "--refresh", "--json")

    assert ended.exit_code == 0
    assert "a refresh was asked for" in ended.stdout
    assert_is_new(warehouse, listed)


# Interrupted


@pytest.mark.parametrize("number", range(int(os.environ.get("KILLS", "3"))))
def test_a_refresh_that_was_killed_is_completed_by_the_next_load(
    number: int,
    dlt_here: None,
    listed: Account,
    warehouse: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chance = random.Random(SEED + number)  # noqa: S311 - a fixed seed, for the same moments each time
    listed.records[:0] = make_invoices_later(28)
    load_into(pipeline())
    with duckdb.connect(str(warehouse.path)) as database:
        spoil(database)
    with monkeypatch.context() as asked:
        asked.setenv("SOURCES__CF_INVOICE_SOURCE__REFRESH", "true")
        moment = ["load", "2", str(chance.randint(1, 150))] if number else ["extract", "2", "1"]
        ended = run_warm("-m", "tests.killed", "duckdb", *moment)
    listed.pay("in_3")

    report = load_into(pipeline())

    assert ended.exit_code == -signal.SIGKILL, ended.output
    assert report.is_proven
    assert_is_new(warehouse, listed)


def make_invoices_later(count: int) -> list[Any]:
    return [
        make_invoice(id=f"in_{number}", created=CREATED_S + number * 3600, tax=1, lines=[{"net": 1}])
        for number in range(12 + count, 12, -1)
    ]


def wrong_totals(document: Any) -> None:
    document["result"]["pagination"]["total_count"] -= 3


COUNTING = {"it can go on where it was": ([], 2), "it has to begin again": ([edit(wrong_totals)], 3)}
"""What the server says of its list, and the page that the refresh reads last."""


@pytest.mark.parametrize(("figures", "last_page"), COUNTING.values(), ids=COUNTING)
def test_a_refresh_that_failed_is_completed_by_the_next_load(
    load: Load,
    listed: Account,
    simulator: Simulator,
    warehouse: Warehouse,
    held: duckdb.DuckDBPyConnection,
    figures: list[Fault],
    last_page: int,
) -> None:
    load()
    spoil(held)
    simulator.faults = [*figures, body(b'{"success": true}').only(pages={last_page})]
    with pytest.raises(ApiChangedError):
        load(refresh=True, package_rows=2)
    spoilt = warehouse.query("SELECT count(*) FROM cf_invoices.invoices WHERE by_hand = 'x'")
    simulator.faults = figures

    report = load(package_rows=2)

    assert 0 < spoilt[0][0] < 12
    assert_is_new(warehouse, listed)
    assert report.is_proven


def test_a_refresh_that_failed_before_it_wrote_a_row_is_completed_by_the_next_load(
    load: Load,
    listed: Account,
    simulator: Simulator,
    warehouse: Warehouse,
    held: duckdb.DuckDBPyConnection,
) -> None:
    load()
    spoil(held)
    simulator.faults = [body(b'{"success": true}').only(pages={2})]
    with pytest.raises(ApiChangedError):
        load(refresh=True)
    simulator.faults = []

    report = load()

    assert [account.why for account in report.accounts] == ["an earlier refresh was interrupted"]
    assert_is_new(warehouse, listed)
    assert report.is_proven
    assert [account.kind for account in load().accounts] == ["incremental"]


def test_a_refresh_whose_package_was_dropped_is_completed_by_the_next_load(
    load: Load, listed: Account, simulator: Simulator, warehouse: Warehouse, held: duckdb.DuckDBPyConnection
) -> None:
    load()
    spoil(held)
    source = cf_invoice_source(refresh=True)
    source.resources["invoices"].explicit_args["accounts"].package_rows = 5
    begun = dlt.attach("cloudflare_invoices")
    begun.run(source)
    begun.extract(cf_invoice_source())
    for file in Path(begun.working_dir, "normalize").rglob("*.typed-jsonl*"):
        file.write_bytes(file.read_bytes()[:-9])

    report = load()

    assert_is_new(warehouse, listed)
    assert report.is_proven
    assert [account.why for account in report.accounts] == [
        "what an earlier run had left to load was dropped"
    ]


# What is remembered is of another version of this package

ANOTHER_VERSION = [
    ({"version": 0, "seen": ["in_1"]}, "the bookmark is of version 0, not 1"),
    ({"version": 2, "mark": {"ordinal": 12}}, "the bookmark is of version 2, not 1"),
    ("garbage", "the bookmark cannot be read"),
    ({"version": 1, "mark": 12}, "the bookmark cannot be read"),
]


@pytest.mark.parametrize(("bookmark", "why"), ANOTHER_VERSION)
def test_a_bookmark_of_another_version_leads_to_a_full_walk_with_a_message(
    load: Load,
    command: Command,
    listed: Account,
    warehouse: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
    bookmark: Any,
    why: str,
) -> None:
    with monkeypatch.context() as another_version:
        another_version.setattr("cf_invoice_source.source.to_dict", lambda _bookmark: bookmark)
        load()

    ended = command("load")
    later = command("load")

    assert (ended.exit_code, later.exit_code) == (0, 0)
    assert f"All invoices are read again: {why}." in ended.stderr
    assert later.stderr == ""
    assert warehouse.query("SELECT kind, why FROM cf_invoices.invoice_walks ORDER BY started_at") == [
        ("full", "first run"),
        ("full", why),
        ("incremental", ""),
    ]
    assert_is_new(warehouse, listed)
