"""The files of the dbt project that say what stands elsewhere: sources, seed, descriptions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from iso4217 import Currency

from cf_invoice_source.invoices.money import STRIPE_EXPONENTS
from cf_invoice_source.invoices.tables import CHANGES, INVOICES, SYNCS, TABLES
from tests.support.dbt import PROJECT

pytestmark = pytest.mark.quick

STATUSES = ["draft", "open", "paid", "uncollectible", "void"]

WRITTEN = "# Written by tests/dbt/test_project.py from the descriptions of the tables, with WRITE_PAGES=1.\n"

STALEST = """\
select min(newest) from (
    select account_id, coalesce(max(case when verified then finished_at end), min(started_at)) as newest
    from {{ this }}
    group by account_id
) as accounts
"""


def _tests_of(table: str) -> Iterator[dict[str, Any]]:
    yield {"unique_together": {"arguments": {"columns": list(TABLES[table].key)}}}
    if table == INVOICES:
        yield {"amounts_add_up": {"config": {"severity": "warn"}}}


def _column(table: str, name: str) -> dict[str, Any]:
    column = {"name": name, "description": TABLES[table].columns[name].description}
    if name in TABLES[table].key:
        return {**column, "data_tests": ["not_null"]}
    if name == "status" and table == INVOICES:
        accepted = {"arguments": {"values": STATUSES}, "config": {"severity": "warn"}}
        return {**column, "data_tests": [{"accepted_values": accepted}]}
    return column


def _table(name: str) -> dict[str, Any]:
    table: dict[str, Any] = {"name": name, "description": TABLES[name].description}
    if name == SYNCS:
        after = {
            "warn_after": {"count": 26, "period": "hour"},
            "error_after": {"count": 50, "period": "hour"},
        }
        table["config"] = {"loaded_at_query": STALEST, "freshness": after}
    table["data_tests"] = list(_tests_of(name))
    table["columns"] = [_column(name, column) for column in TABLES[name].columns]
    return table


def _sources() -> str:
    source = {
        "name": "cf_invoices",
        "description": "Cloudflare's AI Gateway invoices, as `cf-invoices load` has loaded them.",
        "schema": '{{ var("cf_invoices_schema") }}',
        "database": '{{ var("cf_invoices_database") or target.database }}',
        "tables": [_table(name) for name in TABLES],
    }
    document = {"version": 2, "sources": [source]}
    return f"{WRITTEN}{yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)}"


def _seed() -> str:
    exponents = {each.code: STRIPE_EXPONENTS.get(each.code, each.exponent) for each in Currency}
    rows = [f"{code},{exponent}" for code, exponent in sorted(exponents.items()) if exponent is not None]
    return "\n".join(["code,exponent", *rows, ""])


def _docs() -> str:
    columns = {**TABLES[INVOICES].columns, **TABLES[CHANGES].columns}
    blocks = (f"{{% docs {name} %}}{column.description}{{% enddocs %}}" for name, column in columns.items())
    return "\n".join([f"{{# {WRITTEN[2:].strip()} #}}", *blocks, ""])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("models/staging/sources.yml", _sources),
        ("models/docs.md", _docs),
        ("seeds/currency_exponents.csv", _seed),
    ],
    ids=["sources", "docs", "seed"],
)
def test_a_file_of_the_dbt_project_says_what_the_package_says(name: str, content: Any) -> None:
    """To write it anew: WRITE_PAGES=1."""
    path = PROJECT / name
    if os.environ.get("WRITE_PAGES"):
        path.write_text(content(), encoding="utf-8")

    assert path.read_text(encoding="utf-8") == content()
