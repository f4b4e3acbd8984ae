"""What an auditor gets: each invoice once with its amount, and every document."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import datetime, timezone
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cf_invoice_source.documents.manifest import COLUMNS, manifest_of
from cf_invoice_source.invoices.money import money_of

DAY = datetime(2026, 1, 31, 23, 0, tzinfo=timezone.utc)


def invoice(**values: Any) -> dict[str, Any]:
    return {
        "account_id": "a",
        "id": "in_1",
        "created": DAY,
        "status": "paid",
        "amount_due": Decimal("1999.000000000"),
        "currency": "usd",
        "path": "a/2026/x.pdf",
    } | values


def document(**values: Any) -> dict[str, Any]:
    return {
        "account_id": "a",
        "id": "in_1",
        "status": "paid",
        "path": "a/2026/x.pdf",
        "sha256": "0f",
        "bytes": 959,
        "fetched_at": DAY,
    } | values


def read(invoices: Iterable[Any], documents: Iterable[Any]) -> list[dict[str, str]]:
    text = "".join(manifest_of(invoices, documents, lambda currency, minor: money_of(currency, [minor])))
    return list(csv.DictReader(StringIO(text, newline="")))


def test_a_line_has_the_invoice_and_its_document() -> None:
    assert read([invoice()], [document()]) == [
        {
            "account_id": "a",
            "id": "in_1",
            "date": "2026-01-31",
            "amount": "19.99",
            "currency": "usd",
            "amount_minor": "1999",
            "status": "paid",
            "document": "current",
            "file": "a/2026/x.pdf",
            "sha256": "0f",
            "bytes": "959",
            "fetched": "2026-01-31T23:00:00Z",
        }
    ]


def test_an_earlier_document_has_no_amount_so_that_each_invoice_counts_once() -> None:
    earlier = document(path="a/2026/earlier.pdf", status="open")
    gone = document(id="in_gone", path="a/2026/gone.pdf", status="draft")

    lines = read([invoice()], [earlier, document(), gone])

    assert [(each["document"], each["file"], each["amount"]) for each in lines] == [
        ("current", "a/2026/x.pdf", "19.99"),
        ("earlier", "a/2026/earlier.pdf", ""),
        ("earlier", "a/2026/gone.pdf", ""),
    ]
    assert lines[1]["status"] == "open"


def test_a_document_that_is_missing_is_said_and_a_draft_needs_none() -> None:
    lines = read([invoice(path=None), invoice(id="in_2", path=None, status="draft")], [])

    assert [(each["id"], each["document"], each["file"]) for each in lines] == [("in_1", "missing", "")]


@pytest.mark.parametrize(
    ("currency", "minor", "amount"),
    [
        ("usd", "1999", "19.99"),
        ("usd", "-500", "-5.00"),
        ("jpy", "500", "500"),
        ("kwd", "1999", "1.999"),
        ("usd", "0.5", "0.005"),
        ("usd", "99999999999999999999999999999", "999999999999999999999999999.99"),
        ("xyz", "500", ""),
    ],
)
def test_amounts_are_exact_in_major_units(currency: str, minor: str, amount: str) -> None:
    [line] = read([invoice(currency=currency, amount_due=Decimal(minor))], [document()])

    assert (line["amount"], line["amount_minor"]) == (amount, minor)


@pytest.mark.parametrize("text", ["=HYPERLINK()", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_no_text_is_a_formula(text: str) -> None:
    [line] = read([invoice(id=text, status=text)], [document(id=text)])

    assert (line["id"], line["status"]) == (f"'{text}", f"'{text}")
    assert line["document"] == "current"


@given(st.text(), st.none() | st.text())
def test_any_text_is_one_field_of_one_line(invoice_id: str, status: str | None) -> None:
    lines = read([invoice(id=invoice_id, status=status, path=None)], [])

    assert [list(line) for line in lines] == ([] if status == "draft" else [list(COLUMNS)])
    assert all(line["id"].lstrip("'") == invoice_id.lstrip("'") for line in lines)
