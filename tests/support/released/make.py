"""Writes as SQL the warehouse that a release leaves behind; `loading/test_upgrade.py` goes on from there.

To make one anew, with the package of the release installed or checked out:

    cd tests/support/released
    PYTHONPATH=<checkout of the release> python make.py > <version>.sql
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import dlt
import duckdb

from cf_invoice_source import cf_invoice_source
from cf_invoice_source.simulator import Account, Simulator, World

CREATED_S = 1_767_225_600


def main() -> None:
    """Load twice, with time passing in between, and print the dataset."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    world = World(seed=1)
    account = world.add_account("Test")
    list_invoices(account)
    with TemporaryDirectory() as place, Simulator(world, max_per_page=3) as simulator:
        file = Path(place, "released.duckdb")
        pipeline = dlt.pipeline(
            "cloudflare_invoices",
            pipelines_dir=place,
            destination=dlt.destinations.duckdb(str(file)),
            dataset_name="cf_invoices",
        )

        def load() -> None:
            source = cf_invoice_source(
                account_id=account.id,
                base_url=simulator.base_url,
                credentials=cast("Any", {"api_token": simulator.token}),
            )
            pipeline.run(source)

        load()
        let_time_pass(account)
        load()
        with duckdb.connect(str(file)) as database:
            for statement in statements(database):
                print(f"{statement};")  # noqa: T201 - the file that is made


def list_invoices(account: Account) -> None:
    """Give an account invoices: paid, open, a draft, one without id, one with unknown fields, a reject."""
    account.records += [make(number) for number in range(7, 0, -1)]
    account.find("in_2").update(status="open", amount_due=0.1)
    account.find("in_3")["status"] = "draft"
    account.find("in_4")["id"] = None
    account.find("in_5").update(tax=19, lines=[{"net": 7.5, "tags": ["a"]}])
    account.find("in_6")["amount_due"] = "broken"


def let_time_pass(account: Account) -> None:
    """Delete one, change one, and add two."""
    account.find("in_1")["status"] = "void"
    account.delete("in_3")
    account.records[:0] = [make(9) | {"status": "draft"}, make(8) | {"status": "open"}]


def make(number: int) -> dict[str, Any]:
    """One invoice as the API sends it."""
    return {
        "id": f"in_{number}",
        "amount_due": 2178,
        "amount_paid": 0,
        "amount_remaining": 2178,
        "attempted": True,
        "auto_advance": None,
        "created": CREATED_S + number * 3600,
        "currency": "usd",
        "description": "It's 5 €",
        "status": "paid",
    }


def statements(database: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Write the dataset as SQL, only its newest schema and state."""
    yield "CREATE SCHEMA cf_invoices"
    tables = "SELECT table_name, sql FROM duckdb_tables() WHERE schema_name = 'cf_invoices' ORDER BY ALL"
    for table, created in database.execute(tables).fetchall():
        yield created.rstrip(";")
        newest = "QUALIFY row_number() OVER (ORDER BY version DESC) = 1" if _is_versioned(table) else ""
        rows = f"SELECT COLUMNS(*)::VARCHAR FROM cf_invoices.{table} {newest} ORDER BY ALL"  # noqa: S608
        for row in database.execute(rows).fetchall():
            values = ", ".join(map(_literal, row))
            yield f"INSERT INTO cf_invoices.{table} VALUES ({values})"  # noqa: S608 - from our own test data


def _is_versioned(table: str) -> bool:
    return table in {"_dlt_version", "_dlt_pipeline_state"}


def _literal(value: str | None) -> str:
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"


if __name__ == "__main__":
    main()
