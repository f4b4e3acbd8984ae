"""`read_status(pipeline)`: what is loaded, for schedulers and monitors."""

from pathlib import Path

import dlt
import duckdb

from cf_invoice_source import load, read_status
from cf_invoice_source.simulator import Account, Simulator
from tests.support.make import make_invoice, make_invoices


def test_it_reads_what_is_loaded_and_the_pipeline_can_load_afterwards(
    simulator: Simulator, account: Account, dlt_here: None, tmp_path: Path
) -> None:
    owed = {"status": "open", "amount_due": 10}
    account.records += [
        make_invoice(id="in_wrong", **owed, amount_paid=3, amount_remaining=3),
        make_invoice(id="in_void", **{**owed, "status": "void"}, amount_paid=3, amount_remaining=3),
        make_invoice(id="in_unknown", **{**owed, "status": None}, amount_paid=0, amount_remaining=9),
        make_invoice(id="in_partly_paid", **owed, amount_paid=3, amount_remaining=7),
        make_invoice(id="in_open", **owed, amount_paid=0, amount_remaining=10),
        make_invoice(id="in_paid", amount_due=10, amount_paid=10, amount_remaining=0),
    ]
    file = dlt.destinations.duckdb(str(tmp_path / "invoices.duckdb"))
    pipeline = dlt.pipeline("one", destination=file, dataset_name="cf_invoices")

    before = read_status(pipeline)
    load(pipeline)
    [found] = (status := read_status(pipeline)).accounts
    again = load(pipeline)

    assert before.accounts == ()
    assert status.is_verified
    assert (found.account_id, found.invoices, found.unbalanced) == (account.id, 6, 2)
    assert found.last_sync
    assert found.last_verified_sync_at == found.last_sync.finished_at
    assert again.is_verified


def test_a_table_that_is_missing_hides_nothing_of_the_others(
    simulator: Simulator, account: Account, dlt_here: None, tmp_path: Path
) -> None:
    account.records += make_invoices(3)
    file = tmp_path / "invoices.duckdb"
    pipeline = dlt.pipeline("one", destination=dlt.destinations.duckdb(str(file)), dataset_name="cf_invoices")
    load(pipeline)
    with duckdb.connect(str(file)) as connection:
        connection.execute("DROP TABLE cf_invoices.invoice_rejects")

    [found] = read_status(pipeline).accounts

    assert (found.invoices, found.rejected) == (3, 0)
