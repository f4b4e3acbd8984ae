"""Fields that are left out reach no table, and the copy is verified all the same."""

from __future__ import annotations

from typing import Any

import dlt
import pytest

from cf_invoice_source import SettingsError, cf_invoice_source
from cf_invoice_source.invoices.tables import TABLES
from cf_invoice_source.loading.job import Job
from cf_invoice_source.simulator import Account, Simulator
from tests.conftest import Command, Load, Warehouse
from tests.support.make import make_invoice, make_invoices

PRIVATE = "private"
FIELDS = ("description", "created_by")


@pytest.fixture
def listed(account: Account) -> Account:
    """Private texts: in an invoice, in a value that has no column, and in a record that is no invoice."""
    private = {"description": f"{PRIVATE} 1", "created_by": f"{PRIVATE} 2"}
    account.records += [
        make_invoice(id="in_3", currency=7, **private),
        make_invoice(id="in_2", description=[PRIVATE], created_by=f"{PRIVATE} 3"),
        make_invoice(id="in_1", status="open", **private),
    ]
    return account


def found_in(warehouse: Warehouse) -> set[str]:
    """Name the tables with a private text."""
    return {table for table in TABLES if PRIVATE in str(warehouse.rows(table))}


def test_a_field_that_is_left_out_reaches_no_table_in_any_run(
    load: Load, listed: Account, warehouse: Warehouse
) -> None:
    first = load(leave_out=FIELDS)
    listed.records[2] |= {"status": "paid", "description": f"{PRIVATE} 4"}
    listed.records[0]["description"] = f"{PRIVATE} 5"
    second = load(leave_out="description, created_by")
    third = load(leave_out=FIELDS, full=True)

    assert found_in(warehouse) == set()
    assert [report.accounts[0].unverified_reason for report in (first, second, third)] == ["", "", ""]
    assert [(each.accounts[0].new, each.accounts[0].updated) for each in (first, second, third)] == [
        (2, 0),
        (0, 1),
        (0, 0),
    ]
    assert [row["raw"] for row in warehouse.rows("invoice_rejects") if "null" not in row["raw"]] == []


@pytest.mark.slow
def test_a_change_of_a_field_that_is_left_out_is_a_change(
    load: Load, listed: Account, warehouse: Warehouse
) -> None:
    load(leave_out=FIELDS)
    listed.records[2]["description"] = f"{PRIVATE} 4"
    report = load(leave_out=FIELDS)

    assert report.accounts[0].updated == 1
    hashes = [row["row_hash"] for row in warehouse.rows("invoice_changes") if row["id"] == "in_1"]
    assert len(set(hashes)) == 2


@pytest.mark.slow
def test_what_was_loaded_before_is_nulled_by_a_full_walk_but_not_in_the_audit_trail(
    load: Load, listed: Account, warehouse: Warehouse
) -> None:
    load()
    load(leave_out=FIELDS)  # nothing has changed, so nothing is written
    before = found_in(warehouse)
    report = load(leave_out=FIELDS, full=True)

    assert before == {"invoices", "invoice_changes", "invoice_rejects"}
    assert found_in(warehouse) == {"invoice_changes"}
    assert report.accounts[0].unverified_reason == ""
    assert len(warehouse.rows("invoice_changes")) == 2


@pytest.mark.slow
def test_a_deletion_is_noted_without_it_although_the_row_had_it(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    account.records += [make_invoice(id="in_1", status="draft", description=PRIVATE)]
    load()
    account.records.clear()
    load(leave_out=FIELDS)

    deleted = [row for row in warehouse.rows("invoice_changes") if row["change"] == "deleted"]
    assert [row["description"] for row in deleted] == [None]


@pytest.mark.slow
def test_the_link_to_the_pdf_can_be_left_out_and_comes_back_with_a_full_walk(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    account.records += make_invoices(3)
    load()
    with_links = [row["invoice_pdf"] for row in warehouse.rows()]
    load(leave_out="invoice_pdf", full=True)
    without = [row["invoice_pdf"] for row in warehouse.rows()]
    load(full=True)

    assert all(with_links)
    assert without == [None] * 3
    assert all(row["invoice_pdf"] for row in warehouse.rows())
    assert len(warehouse.rows("invoice_changes")) == 3


@pytest.mark.slow
def test_a_plain_run_of_dlt_and_the_command_leave_it_out_too(
    dlt_here: None, simulator: Simulator, listed: Account, warehouse: Warehouse, command: Command
) -> None:
    pipeline = dlt.pipeline("cloudflare_invoices", destination="duckdb", dataset_name="cf_invoices")
    pipeline.run(cf_invoice_source(account_id=listed.id, leave_out=FIELDS))
    plain = found_in(warehouse)
    pipeline.deactivate()
    done = command("load", "--leave-out", "description", "--leave-out", "created_by", "--full")

    assert (plain, found_in(warehouse)) == (set(), set())
    assert done.exit_code == 3  # for the record that is no invoice


def test_the_command_refuses_what_the_copy_needs(command: Command) -> None:
    done = command("load", "--leave-out", "amount_due")

    assert (done.exit_code, done.stdout) == (1, "")
    assert "The copy needs amount_due: it cannot be left out." in done.stderr
    assert "leave_out takes created_by," in done.stderr


@pytest.mark.parametrize(
    "name",
    ["id", "amount_due", "amount_paid", "amount_remaining", "currency", "status", "created"],
)
def test_what_the_copy_needs_is_refused_by_name(name: str) -> None:
    with pytest.raises(SettingsError, match=f"The copy needs {name}") as caught:
        _ = Job(leave_out=["invoice_pdf", name]).left_out

    assert "invoice_pdf" in caught.value.remedy


@pytest.mark.parametrize("name", ["invoice_pfd", "Invoice_PDF", "account_id", "row_hash", "version", "", "*"])
def test_a_name_that_is_no_field_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="There is no field"):
        _ = Job(leave_out=[name]).left_out


@pytest.mark.parametrize(
    "given", ["invoice_pdf,description", '["invoice_pdf", "description"]', ("description", " invoice_pdf ")]
)
def test_several_are_a_list_or_one_text(given: Any) -> None:
    assert Job(leave_out=given).left_out.names == {"invoice_pdf", "description"}


@pytest.mark.parametrize("given", [None, "", [], "[]"])
def test_none_is_left_out_where_none_is_named(given: Any) -> None:
    assert Job(leave_out=given).left_out.names == frozenset()
