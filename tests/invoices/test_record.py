"""One record to one row: exact money, exact time, and nothing dropped that does not fit."""

from datetime import datetime, timedelta, timezone
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cf_invoice_source.exact_json import DuplicateKeys, HugeNumber
from cf_invoice_source.invoices.record import Invoice, Reject, read_record
from cf_invoice_source.invoices.row_hash import row_hash_of
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
NAN = Decimal("NaN")
"""One object: it equals no other."""

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
        for number in numbers_in(in_columns(read)):
            assert number == number.quantize(Decimal("1E-9"), context=WIDE)
            assert abs(number) < 10**29


@given(fields=CHANGED_FIELDS)
def test_every_text_of_a_row_can_be_stored(fields: dict[str, Any]) -> None:
    read = read_record(make_invoice() | fields)

    if isinstance(read, Invoice):
        for text in texts_in(in_columns(read)):
            assert "\x00" not in text
            assert text.encode().decode() == text


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
        ("", "is not a number"),
        ("broken", "is not a number"),
        ("1e3", "is not a number"),
        (" 1", "is not a number"),
        ("1_000", "is not a number"),
        ("1,000", "is not a number"),
        ("\u0661", "is not a number"),
        ("NaN", "is not a number"),
        ("0.0000000001", "has more than 9 digits after the point"),
        ("1" + "0" * 29, "has more than 29 digits before the point"),
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
    ("currency", "reason"),
    [
        (MISSING, "currency is missing"),
        (None, "currency is missing"),
        ("", "currency is missing"),
        (840, "currency is not a text"),
        (["usd"], "currency is not a text"),
        ("us\x00", "currency has a character that databases cannot store (NUL, or half of a pair)"),
        ("\uf026d", "currency begins with a character by which dlt marks a type (U+F026 to U+F02E)"),
    ],
    ids=repr,
)
def test_a_record_whose_currency_cannot_be_read_is_rejected(currency: Any, reason: str) -> None:
    assert reject(make_invoice(currency=currency)).reason == reason


TOLERATED: list[tuple[str, Any, Any, Any]] = [
    *(
        each
        for name in ("amount_due", "amount_paid", "amount_remaining")
        for each in (
            (name, "1999", 1999, Decimal(1999)),
            (name, "+1999", 1999, Decimal(1999)),
            (name, "-19.99", Decimal("-19.99"), Decimal("-19.99")),
            (name, "19.990", Decimal("19.99"), Decimal("19.99")),
            (name, "007", 7, Decimal(7)),
            (name, "-0", 0, Decimal(0)),
        )
    ),
    *(
        (name, sent, usual, usual)
        for name in ("attempted", "auto_advance")
        for usual, forms in (
            (True, ("true", "True", "TRUE", "1", 1, Decimal(1))),
            (False, ("false", "False", "0", 0, Decimal(0))),
        )
        for sent in forms
    ),
    ("attempt_count", "3", 3, 3),
    ("attempt_count", "3.0", 3, 3),
    ("attempt_count", str(2**63 - 1), 2**63 - 1, 2**63 - 1),
    *((name, 7, "7", "7") for name in ("status", "created_by", "invoice_origin", "description")),
    ("description", 0, "0", "0"),
    ("description", -(10**40), f"-1{'0' * 40}", f"-1{'0' * 40}"),
]
"""A field, what is sent, how it is usually sent, and what the column holds in both cases."""


@pytest.mark.parametrize(("name", "sent", "usual", "held"), TOLERATED, ids=repr)
def test_what_says_the_same_in_another_json_type_is_read_and_is_no_change(
    name: str, sent: Any, usual: Any, held: Any
) -> None:
    read, as_usual = invoice(make_invoice(**{name: sent})), invoice(make_invoice(**{name: usual}))

    assert read.values[name] == held
    assert type(read.values[name]) is type(held)
    assert read == as_usual


MOMENT = datetime(2026, 1, 1, tzinfo=timezone.utc)
LATER = datetime(2026, 1, 1, 0, 0, 0, 123_000, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("sent", "usual", "time"),
    [
        *(
            (sent, 1_767_225_600, MOMENT)
            for sent in (
                1_767_225_600_000,
                Decimal("1767225600.000"),
                Decimal("1767225600000.0"),
                "1767225600",
                "1767225600.0",
                "1767225600000",
                "2026-01-01T00:00:00Z",
                "2026-01-01T00:00:00+00:00",
                "2026-01-01T00:00:00.000000000Z",
                "2026-01-01T01:30:00+01:30",
                "2025-12-31T19:00:00-0500",
                "2026-01-01 00:00:00",
                "2026-01-01T00:00",
                "2026-01-01t00:00z",
                "2026-01-01",
            )
        ),
        *(
            (sent, Decimal("1767225600.123"), LATER)
            for sent in (
                1_767_225_600_123,
                "1767225600.123",
                "1767225600123",
                "2026-01-01T00:00:00.123Z",
                "2026-01-01T00:00:00,123000Z",
            )
        ),
        ("-1", -1, datetime(1969, 12, 31, 23, 59, 59, tzinfo=timezone.utc)),
    ],
    ids=repr,
)
@pytest.mark.parametrize("has_id", [True, False])
def test_the_same_moment_is_no_change_however_it_is_written(
    sent: Any, usual: Any, time: datetime, has_id: bool
) -> None:
    invoice_id = "in_1" if has_id else None
    read = invoice(make_invoice(id=invoice_id, created=sent))

    assert read.values["created"] == time
    assert read == invoice(make_invoice(id=invoice_id, created=usual))


@pytest.mark.parametrize(("milliseconds", "seconds"), [(10**11, 10**8), (10**11 + 1_000, 10**8 + 1)])
def test_milliseconds_have_the_hash_of_the_same_time_in_seconds(milliseconds: int, seconds: int) -> None:
    sent, meant = (invoice(make_invoice(created=created)) for created in (milliseconds, seconds))

    assert sent.values["created"] == meant.values["created"]
    assert sent.row_hash == meant.row_hash


def test_seconds_have_the_hash_that_they_always_had() -> None:
    assert hash_of(make_invoice()) == row_hash_of(make_invoice())


@pytest.mark.parametrize(("sent", "key"), [(7, "7"), (0, "0"), ("7", "7")])
def test_an_id_may_be_a_number(sent: Any, key: str) -> None:
    read = invoice(make_invoice(id=sent))

    assert (read.id, read.identity) == (key, key)
    assert read == invoice(make_invoice(id=key))


UNREAD: list[dict[str, Any]] = [
    {"id": ["in_1"]},
    {"id": True},
    {"id": "in_\x00"},
    {"status": ["paid"]},
    {"status": Decimal("1.5")},
    {"created_by": {"name": "Ada"}},
    {"invoice_origin": False},
    {"description": "a\x00b"},
    {"description": "\ud800"},
    {"description": "\uf0261.5"},
    {"invoice_pdf": []},
    {"attempted": 2},
    {"attempted": "yes"},
    {"attempted": Decimal("0.5")},
    {"auto_advance": ""},
    {"auto_advance": []},
    {"attempt_count": Decimal("1.5")},
    {"attempt_count": 2**63},
    {"attempt_count": "three"},
    {"attempt_count": True},
    {"created": True},
    {"created": ""},
    {"created": "yesterday"},
    {"created": "2026-02-30"},
    {"created": "2026-01-01T25:00"},
    {"created": "2026-01-01T00:00:00.1234567Z"},
    {"created": "0001-01-01T00:00:00+01:00"},
    {"created": "2026-W01-1"},
    {"created": "2026-01-01T00:00:00+24:00"},
    {"created": 10**18},
    {"created": -(10**18)},
    {"created": Decimal("0.0000001")},
    {"created": Decimal("NaN")},
    {"created": HugeNumber("1e9999")},
    {"status": twice(("a", 1), ("a", 1))},
]
"""Optional fields that no column can hold, as they are sent."""


@pytest.mark.parametrize("fields", UNREAD, ids=repr)
def test_an_optional_field_that_cannot_be_read_is_null_and_kept_as_it_was_sent(
    fields: dict[str, Any],
) -> None:
    (name,) = fields
    read = invoice(make_invoice(**fields))

    assert read.values["more_fields"] == fields
    assert read.values["more_fields"][name] is fields[name]
    if name == "id":
        assert read.id is None
        assert read.identity.startswith("anonymous:")
    else:
        assert read.values[name] is None


def nested(kind: type, levels: int) -> Any:
    deep: Any = 1
    for _ in range(levels):
        deep = [deep] if kind is list else {"a": deep}
    return deep


@pytest.mark.parametrize(
    "fields",
    [
        {"tax": Decimal("NaN")},
        {"tax": Decimal("-Infinity")},
        {"tax": [Decimal("NaN")]},
        {"tax": Decimal("0.0000000001")},
        {"tax": {"rate": 10**40}},
        {"tax": HugeNumber("1e9999")},
        {"note": {"a": "\x00"}},
        {"note": {"\x00": 1}},
        {"note": twice(("a", 1), ("a", 1))},
        {"note": [{"b": twice(("\x1b", 1), ("\x1b", 1))}]},
        {"\x00": 1},
        {"\ud800": 1, "\uf026\x1b": [2]},
        {"deep": nested(list, 21)},
        {"deep": nested(dict, 21)},
        {"deep": nested(list, 199)},
        {"deep": nested(dict, 199)},
    ],
    ids=lambda fields: repr(fields)[:40],
)
def test_an_unknown_field_that_cannot_be_read_is_kept_as_it_was_sent(fields: dict[str, Any]) -> None:
    read = invoice(make_invoice(**fields))

    assert read.values["more_fields"] == fields
    assert read.values.keys() == {*DOCUMENTED, "more_fields"} - {"id"}
    assert all(read.values["more_fields"][name] is value for name, value in fields.items())


def test_fields_that_cannot_be_read_are_kept_side_by_side() -> None:
    read = invoice(make_invoice(description="\x00", attempted=[], tax=NAN, net=1))

    assert read.values["more_fields"] == {"description": "\x00", "attempted": [], "tax": NAN}
    assert read.values["net"] == 1


def test_a_field_that_cannot_be_read_takes_its_name_from_no_other() -> None:
    unreadable = [10**40]
    read = invoice(make_invoice(accountId="x", api_accountId=unreadable, version=unreadable, api_version=1))

    assert read.values["api_version"] == 1
    assert read.values["more_fields"] == {
        "accountId": "x",
        "api_accountId": unreadable,
        "version": unreadable,
    }


def test_a_change_of_what_cannot_be_read_is_a_change() -> None:
    one, other = make_invoice(description="a\x00"), make_invoice(description="b\x00")

    assert hash_of(one) != hash_of(other)
    assert hash_of(one) != hash_of(make_invoice(description=None))


OPTIONAL = sorted(set(DOCUMENTED) - {"amount_due", "amount_paid", "amount_remaining", "currency"})
ODD = JSON | st.sampled_from(
    [
        *("true", "FALSE", "0", "1", "7", "-1", "1.0", "2026-01-01", "2026-01-01T00:00:00.1234567Z"),
        *(HugeNumber("1e9999"), twice(("a", 1), ("a", 2)), Decimal(f"1{'0' * 99}"), 10**11, "null", ""),
    ]
)


@given(
    fields=st.dictionaries(st.sampled_from(OPTIONAL), ODD, max_size=4),
    unknown=st.dictionaries(st.text(max_size=6), ODD, max_size=4),
    digits=st.none() | st.just(15),
)
def test_whatever_the_optional_fields_are_it_is_an_invoice_and_nothing_is_lost(
    fields: dict[str, Any], unknown: dict[str, Any], digits: int | None
) -> None:
    record = {**unknown, **make_invoice(), **fields}

    read = read_record(record, digits)

    assert isinstance(read, Invoice)
    row = {**read.values, "id": read.id}
    unread = dict(row.pop("more_fields", {}))
    for name in OPTIONAL:
        if name in unread:
            assert row[name] is None
            assert unread.pop(name) is record[name]
        else:
            assert says(row[name], record.get(name)), name
    others = [value for name, value in row.items() if name not in DOCUMENTED] + list(unread.values())
    assert len(others) == len(record.keys() - DOCUMENTED)
    assert sorted(map(leaves_of, others)) == sorted(
        leaves_of(value) for name, value in record.items() if name not in DOCUMENTED
    )


def says(held: Any, sent: Any) -> bool:
    """Whether a column says what was sent, in whatever JSON type that was."""
    if isinstance(held, bool):
        return str(sent).lower() in (("true", "1") if held else ("false", "0"))
    if isinstance(held, datetime):
        return (isinstance(sent, str) and sent.startswith("2026")) or held == invoice_time(sent)
    if isinstance(held, int) and isinstance(sent, str):
        return held == Decimal(sent)
    if isinstance(held, str) and type(sent) is int:
        return held == str(sent)
    return same(held, sent) or (held is None and sent == "")


def invoice_time(sent: Any) -> datetime:
    seconds = Decimal(sent) / (1000 if Decimal(sent) >= 10**11 else 1)
    return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=int(seconds * 10**6))


def leaves_of(value: Any) -> list[str]:
    """The single values in a value; a name inside may become another."""
    return sorted(
        str(Decimal(leaf).normalize(WIDE)) if type(leaf) is int or isinstance(leaf, Decimal) else repr(leaf)
        for leaf in inner_values(value)
    )


def inner_values(value: Any) -> list[Any]:
    if isinstance(value, dict | list):
        items = value.values() if isinstance(value, dict) else value
        return [leaf for item in items for leaf in inner_values(item)]
    return [value]


@pytest.mark.parametrize("record", [None, True, 3, Decimal("1.5"), "in_1", [], [make_invoice()]], ids=repr)
def test_what_is_not_an_object_is_rejected(record: Any) -> None:
    assert reject(record).reason == "the record is not an object"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (twice(("id", 1), ("tax", 1), ("tax", 1)), "the record has the field tax twice"),
        (twice(("\x1b", 1), ("\x1b", 1)), r"the record has the field \x1b twice"),
    ],
    ids=repr,
)
def test_a_record_that_names_a_field_twice_is_rejected(record: Any, reason: str) -> None:
    assert reject(record).reason == reason


@pytest.mark.parametrize(
    ("record", "kept"),
    [
        (make_invoice(id="in_7", currency=None), "in_7"),
        (make_invoice(id="in_\x00", currency=None), None),
        (make_invoice(id="", currency=None), None),
        (make_invoice(id=7, currency=None), "7"),
        (make_invoice(id=None, currency=None), None),
        (make_invoice(id=MISSING, currency=None), None),
        (twice(("a", 1), ("id", "in_7"), ("a", 2)), "in_7"),
        (twice(("a", 1), ("id", 7), ("a", 2)), "7"),
        (twice(("a", 1), ("id", [7]), ("a", 2)), None),
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


def test_a_reject_can_still_change_or_vanish_and_says_nothing_of_its_time() -> None:
    read = reject(make_invoice(status="paid", currency=None))

    assert (read.is_reject, read.is_final, read.is_deletable, read.created_us) == (True, False, True, None)


def test_so_many_unknown_fields_have_names_of_their_own() -> None:
    read = invoice(make_invoice(**{f"f{number}": number for number in range(1_001)}))

    assert [name for name in read.values if name.startswith("f")] == sorted(
        f"f{number}" for number in range(1_001)
    )[:1_000]
    assert len(read.values["more_fields"]) == 1


def test_a_name_may_have_255_characters() -> None:
    read = invoice(make_invoice(**{"a" * 255: 1, "b" * 256: 2}))

    assert read.values["a" * 255] == 1
    assert read.values["more_fields"] == {"b" * 256: 2}


@pytest.mark.parametrize(
    ("number", "digits"), [(12345, 5), (10**20, 1), (Decimal("1.2300"), 3), (123456, None)]
)
def test_a_number_that_the_destination_keeps_is_no_reason_to_reject(number: Any, digits: int | None) -> None:
    record = make_invoice(amount_due=number, amount_paid=1, amount_remaining=1)

    assert isinstance(read_record(record, digits), Invoice)


def test_an_amount_with_more_digits_than_the_destination_keeps_is_rejected() -> None:
    read = read_record(make_invoice(amount_due="1.23456"), 5)

    assert isinstance(read, Reject)
    assert read.reason == "amount_due has more than 5 digits, the most that this destination keeps"


def test_another_number_with_more_digits_than_the_destination_keeps_stays_as_it_was_sent() -> None:
    sent = [{"rate": Decimal("1.23456")}]

    read = read_record(make_invoice(tax=sent, net=Decimal("1.2345")), 5)

    assert isinstance(read, Invoice)
    assert read.values["more_fields"] == {"tax": sent}
    assert read.values["net"] == Decimal("1.2345")


def test_a_name_inside_a_field_has_at_most_255_characters() -> None:
    fits, too_long = {"n" * 255: 1}, {"n" * 256: 1}

    read = invoice(make_invoice(fits=fits, too_long=too_long))

    assert read.values["fits"] == fits
    assert read.values["more_fields"] == {"too_long": too_long}


@pytest.mark.parametrize("kind", [list, dict])
def test_a_field_has_at_most_20_levels(kind: type) -> None:
    deep = nested(kind, 20)

    assert invoice(make_invoice(deep=deep)).values["deep"] == deep
    assert "deep" not in invoice(make_invoice(deep=nested(kind, 21))).values


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
        ({"": 1, "unnamed": 2}, {"unnamed": 2, "more_fields": {"": 1}}),
        ({"account_id": 1, "api_account_id": 2}, {"api_account_id": 2, "more_fields": {"account_id": 1}}),
        ({"aB": 1, "a_b": 2, "ab": 3}, {"aB": 1, "api_a_b": 2, "more_fields": {"ab": 3}}),
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
    ("status", "is_final", "is_deletable"),
    [
        ("paid", True, False),
        ("void", True, False),
        ("uncollectible", False, False),
        ("open", False, False),
        ("draft", False, True),
        ("Paid", False, True),
        ("", False, True),
        (None, False, True),
        (MISSING, False, True),
    ],
)
def test_an_invoice_knows_whether_it_can_still_change_and_whether_it_can_vanish(
    status: str | None, is_final: bool, is_deletable: bool
) -> None:
    read = invoice(make_invoice(status=status))

    assert (read.is_final, read.is_deletable) == (is_final, is_deletable)


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
    assume(name not in {"attempted", "auto_advance"} or str(value) not in {"0", "1"})
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

    assert hash_of(record) == "980bf5d52786e7fdd36a8011d3f328df"
    # Those that the usual way to write JSON cannot write:
    assert hash_of(make_invoice(extra=10**25)) == "9c9ca27a9350a057d6d5f505951deec4"
    assert row_hash_of({"id": "\ud800"}) == "959de2b22575effc10f6af91c0c8d82e"


WIDE = Context(prec=10_000, Emax=MAX_EMAX, Emin=MIN_EMIN)


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


def in_columns(read: Invoice) -> dict[str, Any]:
    return {name: value for name, value in read.values.items() if name != "more_fields"}


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
