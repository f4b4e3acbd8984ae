"""One record to one row: exact money, exact time, and nothing dropped that does not fit."""

from datetime import datetime, timezone
from decimal import Context, Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cf_invoice_source.exact_json import DuplicateKeys, HugeNumber
from cf_invoice_source.invoices.record import Invoice, Reject, read_record
from tests.support.make import MISSING, make_invoice

DOCUMENTED = tuple(make_invoice(invoice_pdf="https://example.com/pdf"))

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**28, max_value=10**40)
    | st.decimals(allow_nan=False)
    | st.just(Decimal("NaN"))
    | st.text()
    | st.characters(categories=["Cs"])
    | st.just("\x00")
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
CHANGED_FIELDS = st.dictionaries(st.sampled_from(DOCUMENTED) | st.text(max_size=12), JSON, max_size=4)

FITTING = st.integers(-(10**29) + 1, 10**29 - 1) | st.builds(
    lambda digits, exponent: Decimal(digits).scaleb(exponent),
    st.integers(-(10**20) + 1, 10**20 - 1),
    st.integers(-9, 0),
)
"""Numbers that DECIMAL(38, 9) holds."""


def invoice(record: Any) -> Invoice:
    read = read_record(record)
    assert isinstance(read, Invoice), read
    return read


def reject(record: Any) -> Reject:
    read = read_record(record)
    assert isinstance(read, Reject), read
    return read


def twice(*pairs: tuple[str, Any]) -> DuplicateKeys:
    return DuplicateKeys(pairs)


def test_an_invoice_becomes_a_row_by_the_apis_own_names() -> None:
    row = invoice(make_invoice(id="in_7", invoice_pdf="https://example.com/pdf"))

    assert row.id == "in_7"
    assert row.values == {
        "amount_due": 2178,
        "amount_paid": 2178,
        "amount_remaining": 0,
        "attempt_count": 1,
        "attempted": True,
        "auto_advance": False,
        "created": datetime(2026, 1, 1, tzinfo=timezone.utc),
        "created_by": "ada@example.com",
        "currency": "usd",
        "description": "AI Gateway credits",
        "invoice_origin": "auto_topup",
        "invoice_pdf": "https://example.com/pdf",
        "status": "paid",
    }


def test_only_amounts_and_currency_are_needed() -> None:
    row = invoice({"amount_due": 1, "amount_paid": 2, "amount_remaining": 3, "currency": "usd"})

    assert {name: value for name, value in row.values.items() if value is not None} == {
        "amount_due": 1,
        "amount_paid": 2,
        "amount_remaining": 3,
        "currency": "usd",
    }


@given(fields=CHANGED_FIELDS)
def test_every_invoice_with_any_fields_changed_is_an_invoice_or_a_reject(fields: dict[str, Any]) -> None:
    read = read_record(make_invoice() | fields)

    assert isinstance(read, Invoice | Reject)


@given(record=JSON)
def test_any_json_value_at_all_is_an_invoice_or_a_reject(record: Any) -> None:
    read = read_record(record)

    assert isinstance(read, Invoice | Reject)


@given(fields=CHANGED_FIELDS)
def test_a_reject_keeps_what_the_api_sent(fields: dict[str, Any]) -> None:
    record = make_invoice() | fields

    read = read_record(record)

    if isinstance(read, Reject):
        assert read.record is record
        assert read.reason


@given(fields=CHANGED_FIELDS)
def test_every_number_of_a_row_fits_its_column_exactly(fields: dict[str, Any]) -> None:
    read = read_record(make_invoice() | fields)

    if isinstance(read, Invoice):
        for number in numbers_in(dict(read.values)):
            assert number == number.quantize(Decimal("1E-9"), context=WIDE)
            assert abs(number) < 10**29


@given(fields=CHANGED_FIELDS)
def test_every_text_of_a_row_can_be_stored(fields: dict[str, Any]) -> None:
    read = read_record(make_invoice() | fields)

    if isinstance(read, Invoice):
        for text in texts_in(dict(read.values)):
            assert "\x00" not in text
            assert text.encode().decode() == text


@given(fields=CHANGED_FIELDS)
def test_no_field_is_lost_on_the_way_to_a_row(fields: dict[str, Any]) -> None:
    record = make_invoice() | fields

    read = read_record(record)

    if isinstance(read, Invoice):
        assert len(read.values) == len(record.keys() | {"invoice_pdf"}) - 1


@given(amount=FITTING)
def test_an_amount_that_fits_is_kept_to_the_last_digit(amount: int | Decimal) -> None:
    row = invoice(make_invoice(amount_due=amount))

    assert row.values["amount_due"] == amount


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        (Decimal("19.99"), "19.99"),
        (Decimal("0.1"), "0.1"),
        (Decimal("-0.000000001"), "-1E-9"),
        (Decimal("1E+3"), "1000.000000000"),
        (Decimal("1.50000000000000000000"), "1.500000000"),
        (Decimal("-0.0"), "0"),
        (10**29 - 1, "9" * 29),
    ],
    ids=str,
)
def test_an_amount_is_written_so_that_a_column_takes_it(amount: Any, written: str) -> None:
    row = invoice(make_invoice(amount_due=amount))

    assert str(row.values["amount_due"]) == written


@pytest.mark.parametrize("name", ["amount_due", "amount_paid", "amount_remaining"])
@pytest.mark.parametrize(
    ("amount", "reason"),
    [
        (MISSING, "is missing"),
        (None, "is missing"),
        ("19.99", "is not a number"),
        (True, "is not a number"),
        ([1], "is not a number"),
        ({}, "is not a number"),
        (Decimal("NaN"), "is not a finite number"),
        (Decimal("-Infinity"), "is not a finite number"),
        (Decimal("0.0000000001"), "has more than 9 digits after the point"),
        (10**29, "has more than 29 digits before the point"),
        (Decimal("1E+40"), "has more than 29 digits before the point"),
        (Decimal("1E+999999999"), "has more than 29 digits before the point"),
        (Decimal("1E-999999999"), "has more than 9 digits after the point"),
    ],
    ids=str,
)
def test_an_amount_that_cannot_be_stored_exactly_is_rejected(name: str, amount: Any, reason: str) -> None:
    assert reject(make_invoice(**{name: amount})).reason == f"{name} {reason}"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"currency": MISSING}, "currency is missing"),
        ({"currency": None}, "currency is missing"),
        ({"currency": ""}, "currency is missing"),
        ({"currency": 840}, "currency is not a text"),
        ({"id": 7}, "id is not a text"),
        ({"status": ["paid"]}, "status is not a text"),
        ({"attempted": 1}, "attempted is not true or false"),
        ({"auto_advance": "no"}, "auto_advance is not true or false"),
        ({"attempt_count": Decimal("1.5")}, "attempt_count is not a whole number of 64 bits"),
        ({"attempt_count": 2**63}, "attempt_count is not a whole number of 64 bits"),
        ({"attempt_count": "3"}, "attempt_count is not a number"),
        ({"created": "2026-01-01"}, "created is not a number"),
        ({"created": 10**18}, "created lies outside the years 1 to 9999"),
        ({"created": -(10**18)}, "created lies outside the years 1 to 9999"),
        ({"created": Decimal("0.0000001")}, "created is finer than a microsecond"),
        ({"description": "a\x00b"}, "description has a character that databases cannot store"),
        ({"description": "\ud800"}, "description has a character that databases cannot store"),
        ({"tax": Decimal("0.0000000001")}, "tax has more than 9 digits after the point"),
        ({"tax": {"rate": 10**40}}, "tax.rate has more than 29 digits before the point"),
        ({"tax": [Decimal("NaN")]}, "tax is not a finite number"),
        ({"note": {"a": "\x00"}}, "note.a has a character that databases cannot store"),
        ({"note": {"\x00": 1}}, "note has a character that databases cannot store"),
        ({"\ud800": 1}, "a field's name has a character that databases cannot store"),
    ],
    ids=repr,
)
def test_a_record_that_no_column_holds_is_rejected_with_its_reason(
    fields: dict[str, Any], reason: str
) -> None:
    assert reject(make_invoice(**fields)).reason.startswith(reason)


@pytest.mark.parametrize("record", [None, True, 3, Decimal("1.5"), "in_1", [], [make_invoice()]], ids=repr)
def test_what_is_not_an_object_is_rejected(record: Any) -> None:
    assert reject(record).reason == "the record is not an object"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (twice(("id", 1), ("tax", 1), ("tax", 1)), "the record has the field tax twice"),
        (twice(("\x1b", 1), ("\x1b", 1)), r"the record has the field \x1b twice"),
        (make_invoice(tax=twice(("a", 1), ("a", 1))), "tax has the field a twice"),
        (make_invoice(tax=[{"b": twice(("\x1b", 1), ("\x1b", 1))}]), r"tax.b has the field \x1b twice"),
        (make_invoice(**{"\x1b": {"\x1b": 10**30}}), r"\x1b.\x1b has more than 29 digits before the point"),
        (make_invoice(tax=HugeNumber("1e9999")), "tax has an exponent that no column holds"),
    ],
    ids=repr,
)
def test_what_no_column_can_say_is_rejected(record: Any, reason: str) -> None:
    assert reject(record).reason == reason


@pytest.mark.parametrize(
    ("record", "kept"),
    [
        (make_invoice(id="in_7", currency=None), "in_7"),
        (make_invoice(id="in_\x00"), None),
        (make_invoice(id="", currency=None), None),
        (make_invoice(id=7), None),
        (make_invoice(id=None, currency=None), None),
        (make_invoice(id=MISSING, currency=None), None),
        (twice(("a", 1), ("id", "in_7"), ("a", 2)), "in_7"),
        (twice(("a", 1), ("id", 7), ("a", 2)), None),
        (twice(("a", 1), ("id", ""), ("a", 2)), None),
        (twice(("id", "in_7"), ("id", "in_7")), None),
        (twice(("a", "in_7"), ("a", "in_7")), None),
        (["id"], None),
    ],
    ids=repr,
)
def test_a_reject_keeps_the_id_where_there_is_one_that_can_be_stored(record: Any, kept: str | None) -> None:
    assert reject(record).id == kept


def test_a_reject_is_told_from_others_by_its_id_else_by_its_hash() -> None:
    without = reject({"a": 1})

    assert reject({"id": "in_7"}).identity == "in_7"
    assert without.identity == f"rejected:{without.row_hash}"
    assert without.identity != reject({"a": 2}).identity


def test_a_reject_can_still_change_and_says_nothing_of_its_time() -> None:
    read = reject(make_invoice(status="paid", currency=None))

    assert (read.is_reject, read.is_final, read.created_us) == (True, False, None)


@pytest.mark.parametrize(
    ("number", "digits"), [(12345, 5), (10**20, 1), (Decimal("1.2300"), 3), (123456, None)]
)
def test_a_number_that_the_destination_keeps_is_no_reason_to_reject(number: Any, digits: int | None) -> None:
    record = make_invoice(amount_due=number, amount_paid=1, amount_remaining=1)

    assert isinstance(read_record(record, digits), Invoice)


def test_a_number_with_more_digits_than_the_destination_keeps_is_rejected() -> None:
    read = read_record(make_invoice(tax=[{"rate": Decimal("1.23456")}]), 5)

    assert isinstance(read, Reject)
    assert read.reason == "rate has more than 5 digits, the most that this destination keeps"


@pytest.mark.parametrize("kind", [list, dict])
def test_a_field_has_at_most_20_levels(kind: type) -> None:
    def nested(levels: int) -> Any:
        deep: Any = 1
        for _ in range(levels):
            deep = [deep] if kind is list else {"a": deep}
        return make_invoice(deep=deep)

    assert invoice(nested(20)).values["deep"] == nested(20)["deep"]
    assert reject(nested(21)).reason.endswith(" is nested deeper than 20 levels")


@pytest.mark.parametrize("kind", [list, dict])
def test_a_record_nested_hundreds_of_levels_deep_is_rejected(kind: type) -> None:
    deep: Any = 1
    for _ in range(500):
        deep = [deep] if kind is list else {"a": deep}

    assert isinstance(read_record(make_invoice(deep=deep)), Reject)


@pytest.mark.parametrize(
    ("created", "time"),
    [
        (None, None),
        (MISSING, None),
        (0, datetime(1970, 1, 1, tzinfo=timezone.utc)),
        (-1, datetime(1969, 12, 31, 23, 59, 59, tzinfo=timezone.utc)),
        (1_767_225_599, datetime(2025, 12, 31, 23, 59, 59, tzinfo=timezone.utc)),
        (Decimal("1767225600.0"), datetime(2026, 1, 1, tzinfo=timezone.utc)),
        (Decimal("1767225600.25"), datetime(2026, 1, 1, 0, 0, 0, 250_000, tzinfo=timezone.utc)),
        (10**11 - 1, datetime(5138, 11, 16, 9, 46, 39, tzinfo=timezone.utc)),
        (10**11, datetime(1973, 3, 3, 9, 46, 40, tzinfo=timezone.utc)),
        (1_767_225_600_123, datetime(2026, 1, 1, 0, 0, 0, 123_000, tzinfo=timezone.utc)),
    ],
    ids=str,
)
def test_created_is_read_as_seconds_or_milliseconds_in_utc(created: Any, time: datetime | None) -> None:
    assert invoice(make_invoice(created=created)).values["created"] == time


@pytest.mark.parametrize(
    ("created", "created_us"),
    [
        (None, None),
        (MISSING, None),
        (0, 0),
        (1_767_225_600, 1_767_225_600_000_000),
        (Decimal("0.000001"), 1),
        (-1, -1_000_000),
        (1_767_225_600_123, 1_767_225_600_123_000),
    ],
)
def test_the_time_of_an_invoice_is_known_in_microseconds(created: Any, created_us: int | None) -> None:
    read = invoice(make_invoice(created=created))

    assert read.created_us == created_us
    assert not read.is_reject


def test_unknown_fields_are_kept_with_their_numbers_as_decimals() -> None:
    values = invoice(make_invoice(tax=1, lines=[{"net": 2}], paid_by=None)).values

    assert values["lines"] == [{"net": Decimal(2)}]
    assert type(values["tax"]) is Decimal
    assert values["paid_by"] is None


@pytest.mark.parametrize(
    "value", [None, True, False, "", "a", [], {}, [None, [True]], {"a": {"b": []}}], ids=repr
)
def test_an_unknown_field_is_kept_as_it_is(value: Any) -> None:
    kept = invoice(make_invoice(extra=value)).values["extra"]

    assert kept == value
    assert type(kept) is type(value)


@pytest.mark.parametrize(
    ("record", "columns"),
    [
        ({"": 1}, {"unnamed": 1}),
        ({"": 1, "unnamed": 2}, {"unnamed": 1, "api_unnamed": 2}),
        ({"account_id": 1, "api_account_id": 2}, {"api_account_id": 1, "api_api_account_id": 2}),
        ({"aB": 1, "a_b": 2, "ab": 3}, {"aB": 1, "api_a_b": 2, "api_api_ab": 3}),
        ({"lines": {"_dlt_id": 1, "dlt": 2}}, {"lines": {"api__dlt_id": 1, "api_dlt": 2}}),
        ({"lines": {"_dlt_id": 1, "api__dlt_id": 2}}, {"lines": {"api__dlt_id": 1, "api_api__dlt_id": 2}}),
        ({"lines": {"api__dlt_id": 2, "_dlt_id": 1}}, {"lines": {"api__dlt_id": 2, "api_api__dlt_id": 1}}),
        ({"lines": {"account_id": 1, "ID": 2}}, {"lines": {"account_id": 1, "ID": 2}}),
        ({"adlt": 1}, {"adlt": 1}),
    ],
    ids=repr,
)
def test_every_unknown_field_gets_a_name_of_its_own(record: dict[str, Any], columns: dict[str, Any]) -> None:
    values = invoice(make_invoice(**record)).values

    assert {name: value for name, value in values.items() if name not in DOCUMENTED} == columns


@pytest.mark.parametrize(
    "name",
    [
        "account_id",
        "accountId",
        "AccountID",
        "row_hash",
        "rowHash",
        "deleted",
        "version",
        "change",
        "observed_at",
        "more_fields",
        "Amount-Due",
        "ID",
        "_dlt_id",
        "_dlt_load_id",
        "_DLT_ID",
        "-dlt-id",
    ],
)
def test_a_field_with_a_name_of_ours_is_kept_under_another(name: str) -> None:
    values = invoice(make_invoice(**{name: "theirs"})).values

    assert values[f"api_{name}"] == "theirs"
    assert name not in values


def test_a_nested_field_with_a_name_of_dlts_is_kept_under_another() -> None:
    values = invoice(make_invoice(lines=[{"_dlt_id": "theirs", "net": 1}])).values

    assert values["lines"] == [{"api__dlt_id": "theirs", "net": 1}]


def test_two_fields_whose_names_could_become_one_column_are_kept_apart() -> None:
    values = invoice(make_invoice(taxRate=1, tax_rate=2)).values

    assert sorted(value for name, value in values.items() if "tax" in name.lower()) == [1, 2]


@pytest.mark.parametrize("missing", [MISSING, None, ""], ids=repr)
def test_an_invoice_without_id_is_identified_by_what_never_changes(missing: Any) -> None:
    before = invoice(make_invoice(id=missing, status="open", amount_paid=0))
    after = invoice(make_invoice(id=missing, status="paid", amount_paid=2178))

    assert before.id is None
    assert before.identity == after.identity
    assert before.identity.startswith("anonymous:")


@pytest.mark.parametrize("name", ["created", "currency", "created_by", "invoice_origin"])
def test_invoices_without_id_differ_by_each_field_that_never_changes(name: str) -> None:
    one = invoice(make_invoice(id=None))
    other = invoice(make_invoice(id=None, **{name: 5 if name == "created" else "other"}))

    assert one.identity != other.identity


def test_an_invoice_with_id_is_identified_by_it() -> None:
    assert invoice(make_invoice(id="in_7")).identity == "in_7"


@pytest.mark.parametrize(
    ("status", "is_final"),
    [
        ("paid", True),
        ("void", True),
        ("uncollectible", False),
        ("draft", False),
        ("open", False),
        ("Paid", False),
        ("", False),
        (None, False),
        (MISSING, False),
    ],
)
def test_an_invoice_knows_whether_it_can_still_change(status: str | None, is_final: bool) -> None:
    assert invoice(make_invoice(status=status)).is_final is is_final


@given(first=st.none() | st.text(), second=st.none() | st.text())
def test_the_hash_does_not_depend_on_the_link_to_the_pdf(first: str | None, second: str | None) -> None:
    one, other = make_invoice(invoice_pdf=first), make_invoice(invoice_pdf=second)

    assert hash_of(one) == hash_of(other)


@given(order=st.permutations(list(make_invoice(tax={"a": 1, "b": 2}).items())))
def test_the_hash_does_not_depend_on_the_order_of_fields(order: list[tuple[str, Any]]) -> None:
    assert hash_of(dict(order)) == hash_of(make_invoice(tax={"b": 2, "a": 1}))


@given(name=st.sampled_from(["id", "status", "created", "created_by", "description", "tax"]))
def test_null_and_missing_are_the_same_to_the_hash(name: str) -> None:
    assert hash_of(make_invoice(**{name: None})) == hash_of(make_invoice(**{name: MISSING}))


@given(number=st.integers(-(10**28), 10**28), zeros=st.integers(0, 9))
def test_the_same_number_written_otherwise_is_the_same_to_the_hash(number: int, zeros: int) -> None:
    rewritten = Decimal(f"{number}.{'0' * zeros}")

    assert hash_of(make_invoice(amount_due=number)) == hash_of(make_invoice(amount_due=rewritten))


@given(name=st.sampled_from(DOCUMENTED), value=JSON)
def test_any_other_change_changes_the_hash(name: str, value: Any) -> None:
    before = make_invoice()
    assume(name != "invoice_pdf")
    assume(not same(before[name], value))

    assert hash_of(before) != hash_of(before | {name: value})


@given(before=JSON, after=JSON)
def test_a_change_of_an_unknown_field_changes_the_hash(before: Any, after: Any) -> None:
    assume(not same(before, after))

    assert hash_of(make_invoice(extra=before)) != hash_of(make_invoice(extra=after))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (True, 1),
        (False, 0),
        ("1", 1),
        (None, ""),
        ([], None),
        ({}, []),
        (Decimal("0.1"), Decimal("0.10000000000000001")),
        (Decimal("1.5"), "1.5"),
        (Decimal("1.5"), {"number": "1.5"}),
    ],
    ids=repr,
)
def test_values_that_only_look_alike_have_different_hashes(one: Any, other: Any) -> None:
    assert hash_of(make_invoice(extra=one)) != hash_of(make_invoice(extra=other))


def test_the_hash_stays_the_same_between_versions_of_this_package() -> None:
    """A new way to hash would show every invoice of every user as changed: not without a migration."""
    record = make_invoice(amount_due=Decimal("19.99"), tax={"rate": Decimal("8.875")}, description="Ü 🙂")

    assert hash_of(record) == "5ea0d8fe3997289f9d7ce141dffc8a00"


WIDE = Context(prec=100)


def hash_of(record: Any) -> str:
    return read_record(record).row_hash


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same; Python takes True for 1, and JSON does not."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, Decimal) and isinstance(other, Decimal) and one.is_nan() and other.is_nan():
        return True
    kinds = {type(one), type(other)}
    return bool(one == other) and (len(kinds) == 1 or kinds == {int, Decimal})


def numbers_in(value: Any) -> list[Decimal]:
    return [Decimal(item) for item in leaves(value) if isinstance(item, int | Decimal)]


def texts_in(value: Any) -> list[str]:
    return [item for item in leaves(value) if isinstance(item, str)]


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *(leaf for item in value.values() for leaf in leaves(item))]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]
