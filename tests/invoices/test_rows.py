"""What a walk saw and what the destination holds become the rows of each table."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from cf_invoice_source.exact_json import DuplicateKeys
from cf_invoice_source.invoices.changes import NOTHING_STORED, Stored
from cf_invoice_source.invoices.record import Invoice, Reject, read_record
from cf_invoice_source.invoices.rows import Rows, is_same
from tests.support.make import make_invoice

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)


def rows() -> Rows:
    return Rows("account", NOW)


def invoice(**fields: Any) -> Invoice:
    read = read_record(make_invoice(**fields))
    assert isinstance(read, Invoice)
    return read


def row_of(key: str, given: Invoice) -> dict[str, Any]:
    return {"account_id": "account", "id": key, **given.values, "row_hash": given.row_hash}


def test_a_new_invoice_is_written_and_noted() -> None:
    noted, given = rows(), invoice()
    noted.listed("in_1", given, NOTHING_STORED)

    row = row_of("in_1", given)
    change = {**row, "version": 1, "change": "new", "observed_at": NOW}
    assert noted.tables == {"invoices": [row], "invoice_changes": [change]}
    assert noted.changes == {"new": 1}


def test_an_invoice_without_id_is_written_under_the_key_that_it_gets() -> None:
    noted = rows()
    noted.listed("anonymous:1", invoice(id=None), NOTHING_STORED)

    assert [row["id"] for table in noted.tables.values() for row in table] == ["anonymous:1"] * 2


def test_an_invoice_that_is_held_as_it_is_adds_nothing() -> None:
    noted, given = rows(), invoice()
    noted.listed("in_1", given, Stored(given.row_hash, 1, given.row_hash))

    assert noted.tables == {}
    assert noted.changes == {}


def test_the_tables_are_healed_each_on_its_own() -> None:
    noted, given = rows(), invoice()
    noted.listed("in_1", given, Stored(None, 1, given.row_hash))
    noted.listed("in_2", given, Stored(given.row_hash, 1, "before"))

    assert [row["id"] for row in noted.tables["invoices"]] == ["in_1"]
    assert [(row["id"], row["version"], row["change"]) for row in noted.tables["invoice_changes"]] == [
        ("in_2", 2, "updated")
    ]


def test_an_invoice_that_is_gone_is_marked_for_deletion_and_noted_as_it_was() -> None:
    noted, before = rows(), row_of("in_1", invoice())
    noted.gone("in_1", Stored("hash", 2, "hash"), {**before, "deleted": None})

    assert noted.tables == {
        "invoices": [{"account_id": "account", "id": "in_1", "deleted": True}],
        "invoice_changes": [{**before, "version": 3, "change": "deleted", "observed_at": NOW}],
    }
    assert noted.changes == {"deleted": 1}


def test_an_invoice_whose_row_was_lost_is_noted_as_gone_by_its_key() -> None:
    noted = rows()
    noted.gone("in_1", Stored(None, 2, "hash"), None)

    change = {"account_id": "account", "id": "in_1", "version": 3, "change": "deleted", "observed_at": NOW}
    assert noted.tables == {"invoice_changes": [change]}


def test_an_invoice_that_was_never_held_is_not_noted_as_gone() -> None:
    noted = rows()
    noted.gone("in_1", NOTHING_STORED, None)

    assert noted.tables == {}


def test_a_rejected_record_is_kept_as_it_was_sent() -> None:
    noted = rows()
    record = DuplicateKeys((("id", "in_1"), ("tax", Decimal("1.50")), ("tax", 2)))
    noted.rejected("hash:2", Reject("in_1", record, "hash", "for a reason"))

    assert noted.tables == {
        "invoice_rejects": [
            {
                "account_id": "account",
                "record_hash": "hash",
                "occurrence": 2,
                "id": "in_1",
                "reason": "for a reason",
                "raw": '{"id": "in_1", "tax": 1.50, "tax": 2}',
                "observed_at": NOW,
            }
        ]
    }


def test_rejected_records_that_are_listed_no_more_are_resolved() -> None:
    noted = rows()
    noted.resolved([{"record_hash": "one"}, {"record_hash": "two"}])

    assert noted.tables == {
        "invoice_rejects": [
            {"record_hash": "one", "resolved_at": NOW},
            {"record_hash": "two", "resolved_at": NOW},
        ]
    }


def test_a_time_that_cannot_be_read_is_null_when_its_row_is_written_again() -> None:
    noted = rows()
    noted.resolved([{"record_hash": "one", "observed_at": "2026-01-01T00:00:00Z", "reason": "10"}])
    noted.resolved([{"record_hash": "two", "observed_at": "in the year 99999", "reason": "10"}])

    times = [row["observed_at"] for row in noted.tables["invoice_rejects"]]
    assert times == [datetime(2026, 1, 1, tzinfo=timezone.utc), None]
    assert [row["reason"] for row in noted.tables["invoice_rejects"]] == ["10", "10"]


def test_rows_are_handed_over_once_while_their_counts_go_on() -> None:
    noted = rows()
    noted.listed("in_1", invoice(), NOTHING_STORED)
    first = noted.take()
    noted.listed("in_2", invoice(), NOTHING_STORED)
    second = noted.take()

    assert [[row["id"] for row in tables["invoices"]] for tables in (first, second)] == [["in_1"], ["in_2"]]
    assert noted.take() == {}
    assert noted.changes == {"new": 2}


HELD = dict(invoice().values)
"""What a database gives back for an invoice, if it has the types that we have."""


def test_a_row_is_the_same_as_the_invoice_of_which_it_was_made() -> None:
    assert is_same(invoice(), {**HELD, "id": "another id"})
    linked = {"invoice_pdf": "https://pay.stripe.com/a"}
    assert is_same(invoice(**linked), {**HELD, "invoice_pdf": "another link"})
    unread = {"description": ["a"]}
    assert is_same(
        invoice(**unread), {**HELD, "description": None, "more_fields": '{"description": ["a"], "x": 1}'}
    )


@pytest.mark.parametrize(
    ("fields", "held"),
    [
        ({}, {"amount_due": Decimal("2178.000000000")}),
        ({}, {"amount_due": 2178}),
        ({}, {"amount_due": "2178.0"}),
        ({"amount_due": Decimal("0.1")}, {"amount_due": 0.1}),
        ({}, {"created": datetime(2026, 1, 1)}),  # noqa: DTZ001 - as some databases give it
        ({}, {"created": datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))}),
        ({}, {"attempted": 1}),
        ({"created": None, "status": None}, {"created": None, "status": None}),
        ({"created": None}, {"created": None, "amount_due": "2178.0"}),
    ],
    ids=repr,
)
def test_a_value_is_the_same_in_whatever_type_a_database_gives_it_back(
    fields: dict[str, Any], held: dict[str, Any]
) -> None:
    # A row in which one value is the same in another type, and the row in which two are.
    assert is_same(invoice(**fields), HELD | held)
    assert is_same(invoice(**fields), HELD | held | {"auto_advance": 0, "amount_paid": 2178})


@pytest.mark.parametrize(
    ("fields", "held"),
    [
        *(({}, {name: None}) for name in HELD if HELD[name] is not None),
        ({"status": None}, {}),
        ({"created": None}, {}),
        ({}, {"amount_due": Decimal("2178.000000001")}),
        ({}, {"amount_due": "no amount"}),
        ({"amount_due": Decimal("0.1")}, {"amount_due": 0.10000000000000002}),
        ({}, {"created": datetime(2026, 1, 1, 0, 0, 1)}),  # noqa: DTZ001 - as some databases give it
        ({}, {"created": datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2)))}),
        ({}, {"created": "2026-01-01"}),
        ({}, {"status": "open"}),
        ({}, {"status": datetime(2026, 1, 1, tzinfo=timezone.utc)}),
        ({}, {"attempted": 0}),
        ({}, {"attempt_count": 2}),
        ({}, {"invoice_pdf": "https://pay.stripe.com/a"}),
        ({"invoice_pdf": "https://pay.stripe.com/a"}, {}),
        ({}, {"more_fields": '{"description": ["a"]}'}),
        (
            {"created_by": ["a"]},
            {"created_by": None, "more_fields": '{"description": 1, "created_by": ["a"]}'},
        ),
        ({}, {"more_fields": "no json"}),
        ({}, {"more_fields": "[]"}),
    ],
    ids=repr,
)
def test_a_value_that_is_another_is_found(fields: dict[str, Any], held: dict[str, Any]) -> None:
    assert not is_same(invoice(**fields), HELD | held)
