"""What dbt refuses to build, what it warns of, and that the project works as a package of another one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlglot

from cf_invoice_source.simulator import Account, World
from tests.dbt.conftest import Store
from tests.support.dbt import SCHEMA, Dbt, copy_project
from tests.support.make import make_invoice, make_invoices
from tests.support.pages import blocks

MODELS = {
    "failed_payments",
    "focus_invoices",
    "invoice_history",
    "invoice_payments",
    "invoices",
    "invoices_as_of",
    "purchases_monthly",
    "receivables_aging",
}


@pytest.fixture
def loaded(in_duckdb: Store, world: World, account: Account, serve: Callable[[World], None]) -> Store:
    """Three invoices of one account and one of another, loaded."""
    account.records += make_invoices(3)
    world.add_account().records += make_invoices(1)
    serve(world)
    in_duckdb.load(world)
    return in_duckdb


def tables_of(store: Store, schema: str) -> set[str]:
    sql = f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{schema}'"  # noqa: S608
    return {name for (name,) in store.query(sql)}


def test_nothing_is_built_from_what_is_not_verified(loaded: Store, account: Account) -> None:
    loaded.query("UPDATE cf_invoices.invoice_syncs SET verified = false WHERE account_id = ?", account.id)

    built = loaded.build()

    assert built.exit_code == 1
    assert built.having("fail") == {"last_sync_is_verified"}
    assert built.having("skipped") >= MODELS
    assert not tables_of(loaded, SCHEMA) & MODELS

    # The highest number is the last sync, whatever the clocks say.
    loaded.query(
        "INSERT INTO cf_invoices.invoice_syncs BY NAME SELECT * REPLACE (true AS verified, "
        "2 AS sync_number, started_at - INTERVAL 1 DAY AS started_at, _dlt_id || 'x' AS _dlt_id) "
        "FROM cf_invoices.invoice_syncs WHERE account_id = ?",
        account.id,
    )

    built = loaded.build("--select", "last_sync_is_verified")

    assert built.having("pass") == {"last_sync_is_verified"}


def test_an_amount_beyond_the_bound_is_null_and_stops_what_adds_it_up(
    in_duckdb: Store, world: World, account: Account, serve: Callable[[World], None]
) -> None:
    account.records += [make_invoice(amount_due="1" + "0" * 24), make_invoice(id="in_2", amount_due=5)]
    serve(world)
    in_duckdb.load(world)

    built = in_duckdb.build()

    assert built.exit_code == 1
    assert built.having("fail") == {"exact_amounts_invoices_", "exact_amounts_invoice_history_"}
    assert MODELS - {"invoices", "invoice_history"} <= built.having("skipped")
    assert sorted(in_duckdb.query(f"SELECT id, amount_due::TEXT FROM {SCHEMA}.invoices")) == [  # noqa: S608
        ("in_1", None),
        ("in_2", "0.0500000000000"),
    ]


def test_the_models_do_not_go_into_the_schema_of_the_loader(loaded: Store) -> None:
    before = loaded.query("SELECT * FROM cf_invoices.invoices ORDER BY ALL")

    built = loaded.dbt.run("build", **loaded.settings, CF_INVOICES_DBT_SCHEMA="CF_invoices")

    assert built.exit_code == 1
    assert "where `cf-invoices load` keeps its tables" in built.output
    assert loaded.query("SELECT * FROM cf_invoices.invoices ORDER BY ALL") == before


def test_a_day_that_is_none_is_refused(loaded: Store) -> None:
    built = loaded.build("--vars", "{as_of: June}")

    assert built.exit_code == 2
    assert "A day is given as a date such as 2026-06-01, not as June" in built.output


def test_rejected_records_are_warned_of(
    in_duckdb: Store, world: World, account: Account, serve: Callable[[World], None]
) -> None:
    account.records += ["no invoice", *make_invoices(1)]
    serve(world)
    in_duckdb.load(world)

    built = in_duckdb.build("--select", "nothing_is_rejected")

    assert (built.exit_code, built.having("warn")) == (0, {"nothing_is_rejected"})


def test_freshness_is_that_of_the_account_whose_last_verified_sync_is_the_oldest(
    loaded: Store, account: Account
) -> None:
    loaded.query(  # a sync that is not verified is none
        "INSERT INTO cf_invoices.invoice_syncs BY NAME SELECT * REPLACE (false AS verified, "
        "2 AS sync_number, started_at + INTERVAL 1 DAY AS started_at, now() AS finished_at, "
        "_dlt_id || 'x' AS _dlt_id) FROM cf_invoices.invoice_syncs WHERE account_id = ?",
        account.id,
    )
    told: list[str] = []
    for hours in (25, 27, 51):
        loaded.query(
            f"UPDATE cf_invoices.invoice_syncs SET finished_at = now() - INTERVAL {hours} HOUR "  # noqa: S608
            "WHERE sync_number = 1 AND account_id = ?",
            account.id,
        )
        told += loaded.dbt.run("source", "freshness", **loaded.settings).results.values()

    assert told == ["pass", "warn", "error"]


OURS = """
name: finance
version: "1.0"
profile: cf_invoices
flags: {send_anonymous_usage_stats: false}
"""


def test_the_project_works_as_a_package(loaded: Store, tmp_path: Path) -> None:
    loaded.query("CREATE SCHEMA billing")
    for table in ("invoices", "invoice_changes", "invoice_syncs", "invoice_rejects"):
        loaded.query(f"CREATE TABLE billing.{table} AS FROM cf_invoices.{table}")
    loaded.query("DELETE FROM billing.invoices WHERE id = 'in_3'")
    loaded.query("DELETE FROM billing.invoice_changes WHERE id = 'in_3'")
    finance = Dbt(tmp_path / "finance")
    packages, settings = blocks("yaml", "pipelines/dbt/README.md")
    files = {
        "dbt_project.yml": OURS + settings.text,
        "models/believed.sql": "{{ cf_invoices.invoices_as_of('2999-01-01') }}",
        # A model that is called like one of ours.
        "models/invoices.sql": "select * from {{ ref('cf_invoices', 'invoices') }} where status = 'paid'",
        "packages.yml": packages.text,
        "profiles.yml": (loaded.dbt.project / "profiles.yml").read_text(),
    }
    for name, text in files.items():
        (finance.project / name).parent.mkdir(parents=True, exist_ok=True)
        (finance.project / name).write_text(text)

    assert finance.run("deps", **loaded.settings).exit_code == 0
    built = finance.run("build", **loaded.settings)

    assert built.exit_code == 0, built.output
    assert tables_of(loaded, f"{SCHEMA}_invoices") == MODELS
    assert loaded.query(f"SELECT count(*) FROM {SCHEMA}.invoices") == [(3,)]  # noqa: S608
    assert loaded.query(f"SELECT count(*) FROM {SCHEMA}.believed") == [(3,)]  # noqa: S608


CLOUDS = """
cf_invoices:
  target: bigquery
  outputs:
    bigquery: {type: bigquery, method: oauth-secrets, token: made-up, project: made-up, dataset: models}
    snowflake:
      {type: snowflake, account: made-up, user: made-up, password: made-up, database: made_up, schema: models}
"""


@pytest.mark.parametrize("target", ["bigquery", "snowflake"])
def test_every_statement_compiles_for_a_warehouse_that_cannot_run_here(target: str, tmp_path: Path) -> None:
    dbt = copy_project(tmp_path / "dbt")
    (dbt.project / "profiles.yml").write_text(CLOUDS)

    compiled = dbt.run("compile", "--no-populate-cache", "--no-introspect", "--target", target)

    assert compiled.exit_code == 0, compiled.output
    statements = {
        path.stem: path.read_text()
        for path in (dbt.project / "target" / "compiled").rglob("*.sql")
        if path.parent.name != "unit_tests.yml"
    }
    assert statements.keys() > MODELS
    for statement in statements.values():
        sqlglot.parse_one(statement, read=target)
