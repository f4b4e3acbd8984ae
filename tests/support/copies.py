"""The copy of a list in the warehouse, and what it must be, in the columns that a test can foresee."""

from __future__ import annotations

from typing import Any

from cf_invoice_source.simulator import Account
from tests.conftest import Warehouse
from tests.support.make import CREATED_S, expected_row, make_invoice

LATER_S = CREATED_S + 10**7
"""Newer than every invoice of `make_invoices`."""


def documented(row: dict[str, Any]) -> dict[str, Any]:
    """A row without the link, which is new in each answer, and without its hash."""
    return {name: value for name, value in row.items() if name not in {"invoice_pdf", "row_hash"}}


def copy_of(warehouse: Warehouse) -> list[dict[str, Any]]:
    return [documented(row) for row in warehouse.rows()]


def truth_of(*accounts: Account) -> list[dict[str, Any]]:
    rows = [expected_row(account.id, record) for account in accounts for record in account.records]
    return sorted(rows, key=lambda row: (row["account_id"], str(row["id"])))


def arrive(account: Account, invoice_id: str = "in_new") -> None:
    account.records.insert(0, make_invoice(id=invoice_id, created=LATER_S))
