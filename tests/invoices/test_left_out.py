"""Fields that are left out stand in no row, and change nothing that is compared."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from cf_invoice_source.exact_json import decode, encode
from cf_invoice_source.invoices.changes import Stored
from cf_invoice_source.invoices.left_out import OPTIONAL_FIELDS, LeftOut
from cf_invoice_source.invoices.record import Invoice, Reject, read_record
from cf_invoice_source.invoices.rows import Rows
from tests.support.make import make_invoice

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)
SECRET = "private"


def test_these_fields_can_be_left_out() -> None:
    assert (
        *("created_by", "invoice_origin", "description"),
        *("attempt_count", "attempted", "auto_advance", "invoice_pdf"),
    ) == OPTIONAL_FIELDS


@pytest.mark.parametrize("name", OPTIONAL_FIELDS)
def test_a_field_is_null_in_the_row_and_everything_else_is_as_before(name: str) -> None:
    record = make_invoice(description="a", created_by="b", invoice_pdf="https://pay.stripe.com/a", tax=3)
    whole = read_record(record)
    assert isinstance(whole, Invoice)
    assert whole.values[name] is not None

    part = LeftOut(frozenset([name])).of_item(whole)

    assert isinstance(part, Invoice)
    assert part.values == {**whole.values, name: None}
    assert (part.id, part.identity, part.row_hash) == (whole.id, whole.identity, whole.row_hash)


def test_an_invoice_without_id_keeps_the_key_that_is_made_of_what_is_left_out() -> None:
    whole = read_record(make_invoice(id=None, created_by=SECRET))
    part = LeftOut(frozenset(["created_by", "invoice_origin"])).of_item(whole)

    assert part.identity == whole.identity


def test_a_value_that_no_column_holds_is_left_out_of_the_column_for_the_rest() -> None:
    whole = read_record(make_invoice(description=[SECRET], created_by={"name": SECRET}, id_2="\x00"))
    assert isinstance(whole, Invoice)

    of_one = LeftOut(frozenset(["description"])).of_item(whole)
    of_both = LeftOut(frozenset(["description", "created_by"])).of_item(whole)

    assert isinstance(of_one, Invoice)
    assert isinstance(of_both, Invoice)
    assert of_one.values["more_fields"] == {"created_by": {"name": SECRET}, "id_2": "\x00"}
    assert of_both.values["more_fields"] == {"id_2": "\x00"}
    alone = LeftOut(frozenset(["description"])).of_item(read_record(make_invoice(description=[SECRET])))
    assert isinstance(alone, Invoice)
    assert "more_fields" not in alone.values


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ('{"id": "in_1", "description": "private"}', '{"id": "in_1", "description": null}'),
        (
            '{"lines": [{"description": "private", "n": 1.50}]}',
            '{"lines": [{"description": null, "n": 1.50}]}',
        ),
        ('[{"description": {"a": "private"}}]', '[{"description": null}]'),
        (
            '{"id": 1, "description": "private", "id": 2, "description": "private"}',
            '{"id": 1, "description": null, "id": 2, "description": null}',
        ),
        ('{"a": {"b": 1, "b": {"description": "private"}}}', '{"a": {"b": 1, "b": {"description": null}}}'),
        ('"description"', '"description"'),
        (
            '{"amount_due": 1e99999999999999999999, "description": "private"}',
            '{"amount_due": 1e99999999999999999999, "description": null}',
        ),
    ],
)
def test_a_rejected_record_is_kept_without_the_field_however_deep(sent: str, kept: str) -> None:
    reject = read_record(decode(sent.encode()))
    assert isinstance(reject, Reject)

    part = LeftOut(frozenset(["description"])).of_item(reject)

    assert isinstance(part, Reject)
    assert encode(part.record) == kept
    assert (part.row_hash, part.reason, part.identity) == (reject.row_hash, reject.reason, reject.identity)


def test_what_was_written_before_is_not_written_again_with_the_field() -> None:
    rows = Rows("a", NOW, LeftOut(frozenset(["description"])))
    row = {"account_id": "a", "id": "in_1", "status": "draft", "description": SECRET, "row_hash": "h"}
    reject = {"record_hash": "r", "occurrence": 1, "raw": json.dumps({"description": SECRET})}

    rows.gone("in_1", Stored("h", 1, "h"), row)
    rows.resolved([reject])
    rows.still_rejected(
        [{**reject, "occurrence": 2}, {**reject, "occurrence": 3, "raw": '{"description": null}'}]
    )

    assert SECRET not in str(rows.tables)
    assert [each["change"] for each in rows.tables["invoice_changes"]] == ["deleted"]
    assert [(each["occurrence"], each.get("resolved_at")) for each in rows.tables["invoice_rejects"]] == [
        (1, NOW),
        (2, None),
    ]


@pytest.mark.parametrize("raw", [None, "no json", 7, "[" * 300])
def test_a_raw_record_that_somebody_has_edited_does_not_stop_a_load(raw: Any) -> None:
    assert LeftOut(frozenset(["description"])).of_row({"raw": raw}) == {"raw": raw}


def test_without_the_setting_nothing_is_touched() -> None:
    item = read_record(make_invoice(description=SECRET))

    assert LeftOut().of_item(item) is item
    assert LeftOut().of_row({"description": SECRET, "raw": " {}"}) == {"description": SECRET, "raw": " {}"}
