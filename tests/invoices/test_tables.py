"""The tables as data. Their types are a one-way door: each is written here once more."""

from __future__ import annotations

import pytest

from cf_invoice_source.invoices.tables import DICTIONARY, DOCUMENTS, TABLES

INVOICE = {
    "text": "account_id id currency status created_by invoice_origin description invoice_pdf row_hash",
    "decimal": "amount_due amount_paid amount_remaining",
    "timestamp": "created",
    "bigint": "attempt_count",
    "bool": "attempted auto_advance",
}

TYPES = {
    "invoices": {**INVOICE, "bool": "attempted auto_advance deleted"},
    "invoice_changes": {
        **INVOICE,
        "text": f"{INVOICE['text']} change",
        "timestamp": "created observed_at",
        "bigint": "attempt_count version",
    },
    "invoice_syncs": {
        "text": "account_id type sync_mode full_reason unverified_reason error",
        "timestamp": "started_at finished_at",
        "bigint": "sync_number requests retries rate_limited waited_s total_count records_read"
        " new updated deleted rejected",
        "bool": "verified",
    },
    "invoice_rejects": {
        "text": "account_id record_hash id reason raw",
        "bigint": "occurrence",
        "timestamp": "observed_at resolved_at",
    },
    "invoice_documents": {
        "text": "account_id id sha256 path content_type status row_hash error",
        "bigint": "bytes attempts",
        "timestamp": "fetched_at",
    },
}


def test_these_are_the_tables_with_the_columns_of_their_keys() -> None:
    assert {name: table.key for name, table in DICTIONARY.items()} == {
        "invoices": ("account_id", "id"),
        "invoice_changes": ("account_id", "id", "version"),
        "invoice_syncs": ("account_id", "started_at"),
        "invoice_rejects": ("account_id", "record_hash", "occurrence"),
        "invoice_documents": ("account_id", "id", "sha256"),
    }


def test_a_load_makes_all_of_them_but_that_of_the_documents() -> None:
    assert DICTIONARY.keys() - TABLES.keys() == {DOCUMENTS}


@pytest.mark.parametrize("name", DICTIONARY)
def test_every_column_keeps_its_type(name: str) -> None:
    types = {
        column: column_type for column_type, columns in TYPES[name].items() for column in columns.split()
    }

    assert {column: facts.type for column, facts in DICTIONARY[name].columns.items()} == types


def test_one_column_marks_rows_to_delete() -> None:
    marks = [
        (name, column)
        for name, table in DICTIONARY.items()
        for column, facts in table.columns.items()
        if facts.is_deletion
    ]

    assert marks == [("invoices", "deleted")]


@pytest.mark.parametrize("name", DICTIONARY)
def test_every_table_and_column_is_described_in_a_sentence(name: str) -> None:
    table = DICTIONARY[name]
    descriptions = [table.description, *(column.description for column in table.columns.values())]

    assert [text for text in descriptions if not text.endswith(".")] == []
