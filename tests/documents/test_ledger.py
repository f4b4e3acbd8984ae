"""An invoice needs a document if it has a link, is no draft, and has none since its last change."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from cf_invoice_source.documents.ledger import LedgerRow, Wanted
from cf_invoice_source.invoices.tables import DICTIONARY, DOCUMENTS

CREATED = datetime(2026, 1, 1, tzinfo=timezone.utc)
THERE = "a/2026/2026-01-01_in_1_0123456789abcdef.pdf"


def row(**values: Any) -> dict[str, Any]:
    return {
        "id": "in_1",
        "created": CREATED,
        "status": "paid",
        "row_hash": "h",
        "has_link": True,
        "path": None,
    } | values


NEEDED: dict[str, tuple[dict[str, Any], bool]] = {
    "paid, and not archived": ({}, True),
    "archived": ({"path": THERE}, False),
    "archived, and the file is gone": ({"path": "a/2026/2026-01-01_in_1_ffffffffffffffff.pdf"}, True),
    "a draft": ({"status": "draft"}, False),
    "an unknown status": ({"status": None}, True),
    "no link": ({"has_link": False}, False),
}


@pytest.mark.parametrize(("values", "needed"), NEEDED.values(), ids=NEEDED)
def test_an_invoice_that_needs_a_document(values: dict[str, Any], needed: bool) -> None:
    wanted = Wanted()
    wanted.add("a", [row(id="in_other", path=THERE), row(**values)], {THERE}, drafts=False)

    assert [each.id for each in wanted.invoices["a"]] == (["in_1"] if needed else [])
    assert (wanted.held, wanted.total) == ({"a": 2}, needed)


def test_drafts_on_request() -> None:
    wanted = Wanted()
    wanted.add("a", [row(status="draft")], set(), drafts=True)

    assert wanted.total == 1


def test_without_any_link_the_column_is_left_out_and_says_nothing() -> None:
    wanted = Wanted()
    wanted.add(
        "a", [row(has_link=False), row(id="in_2", has_link=False, status="draft")], set(), drafts=False
    )

    assert [each.id for each in wanted.invoices["a"]] == ["in_1"]


def test_a_position_counts_the_invoices_that_have_a_time() -> None:
    wanted = Wanted()
    wanted.add(
        "a",
        [row(id="x", created=None), row(), row(id="in_2", path=THERE), row(id="in_3")],
        {THERE},
        drafts=False,
    )

    assert [(each.id, each.position) for each in wanted.invoices["a"]] == [
        ("x", None),
        ("in_1", 0),
        ("in_3", 2),
    ]


def test_a_row_has_the_columns_of_the_table() -> None:
    made = LedgerRow(account_id="a", id="b", fetched_at=CREATED, status=None, row_hash="", attempts=1)

    assert made.row().keys() == DICTIONARY[DOCUMENTS].columns.keys()
