"""One value of a record, read exactly for its column, or refused with the reason."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest

from cf_invoice_source.exact_json import HugeNumber
from cf_invoice_source.invoices import values
from cf_invoice_source.invoices.values import UnstorableValue


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (0, "0"),
        (2**63, str(2**63)),
        (-(2**63), str(-(2**63))),
        (10**28, f"1{'0' * 28}"),
        (10**29 - 1, "9" * 29),
        (-(10**29) + 1, f"-{'9' * 29}"),
        (Decimal(7), "7"),
        (Decimal("0E+400"), "0"),
        (Decimal("-0.00"), "0"),
        (Decimal("1.50"), "1.50"),
        (Decimal("1E+1"), "10.000000000"),
        (Decimal("1E+28"), f"1{'0' * 28}.000000000"),
        (Decimal("0.123456789"), "0.123456789"),
        (Decimal("0.1234567890"), "0.123456789"),
        ("19.99", "19.99"),
        ("+007", "7"),
        ("-0.0", "0"),
        ("0.1234567890", "0.123456789"),
        (Decimal(f"{'9' * 29}.999999999"), f"{'9' * 29}.999999999"),
    ],
    ids=str,
)
def test_a_number_is_written_without_an_exponent(number: Any, written: str) -> None:
    assert format(values.number("tax", number), "f") == written


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (True, "is not a number"),
        (False, "is not a number"),
        (1.5, "is not a number"),
        (None, "is not a number"),
        (10**29, "has more than 29 digits before the point"),
        (-(10**29), "has more than 29 digits before the point"),
        (Decimal("1E+29"), "has more than 29 digits before the point"),
        (Decimal("0.0000000001"), "has more than 9 digits after the point"),
        (Decimal("1.0000000001"), "has more than 9 digits after the point"),
        (Decimal("-Infinity"), "is not a finite number"),
        ("", "is not a number"),
        (" 1", "is not a number"),
        ("1e3", "is not a number"),
        ("1.", "is not a number"),
        (".5", "is not a number"),
        ("1_0", "is not a number"),
        ("\u0661", "is not a number"),
        ("9" * 100, "is not a number"),
        ("1" + "0" * 29, "has more than 29 digits before the point"),
        ("0.0000000001", "has more than 9 digits after the point"),
        (HugeNumber(f"1e{'9' * 30}"), "has an exponent that no column holds"),
    ],
    ids=str,
)
def test_a_number_that_does_not_fit_is_refused(number: Any, reason: str) -> None:
    with pytest.raises(UnstorableValue, match=f"^tax {reason}$"):
        values.number("tax", number)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (None, None),
        (0, 0),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (Decimal("3.0"), 3),
        (Decimal("3E+2"), 300),
        ("3", 3),
        ("-3.0", -3),
    ],
)
def test_a_whole_number_of_64_bits_is_read(given: Any, read: int | None) -> None:
    found = values.integer("attempt_count", given)

    assert found == read
    assert type(found) is type(read)


@pytest.mark.parametrize("given", [2**63, -(2**63) - 1, Decimal("0.5"), Decimal("1E+28")], ids=str)
def test_any_other_number_is_refused_as_a_whole_one(given: Any) -> None:
    with pytest.raises(UnstorableValue, match=r"^attempt_count is not a whole number of 64 bits$"):
        values.integer("attempt_count", given)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        *((each, each) for each in (True, False, None)),
        *((each, True) for each in ("true", "True", "TRUE", "1", 1, Decimal(1))),
        *((each, False) for each in ("false", "False", "FALSE", "0", 0, Decimal(0))),
    ],
    ids=repr,
)
def test_true_and_false_are_read(given: Any, read: bool | None) -> None:
    assert values.flag("attempted", given) is read


@pytest.mark.parametrize(
    "given",
    [2, -1, "yes", "", " true", "null", Decimal("1.5"), [], ["true"], {}, HugeNumber("1e9999")],
    ids=repr,
)
def test_what_is_neither_true_nor_false_is_refused(given: Any) -> None:
    with pytest.raises(UnstorableValue, match=r"^attempted is not true or false$"):
        values.flag("attempted", given)


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "a",
        "\x01",
        "\x7f",
        "é",
        "🙂",
        "\ue000",
        "\uf026",
        "\uf025a",
        "\uf02fa",
        "a\uf026a",
        "\ufffe",
    ],
    ids=ascii,
)
def test_a_text_that_everybody_can_store_is_read_as_it_is(given: str | None) -> None:
    assert values.text("note", given) == given


@pytest.mark.parametrize("given", ["\x00", "a\x00", "é\x00", "é\ud800", "\udfff", "\ud83d\ude42"], ids=ascii)
def test_a_text_with_a_character_that_databases_cannot_store_is_refused(given: str) -> None:
    assert not values.is_storable(given)
    with pytest.raises(UnstorableValue, match=r"^note has a character that databases cannot store"):
        values.text("note", given)


@pytest.mark.parametrize("given", ["\uf0261.5", "\uf02ea", "\uf02a\n"], ids=ascii)
def test_a_text_that_dlt_would_take_for_another_type_is_refused(given: str) -> None:
    assert not values.is_storable(given)
    with pytest.raises(UnstorableValue, match=r"^note begins with a character by which dlt marks a type"):
        values.text("note", given)


@pytest.mark.parametrize(("given", "read"), [(0, "0"), (-7, "-7"), (10**40, f"1{'0' * 40}")])
def test_a_whole_number_is_read_as_a_text(given: int, read: str) -> None:
    assert values.text("note", given) == read


@pytest.mark.parametrize("given", [True, False, Decimal("1.5"), HugeNumber("1e9999"), [], {}], ids=repr)
def test_what_is_no_text_is_refused(given: Any) -> None:
    with pytest.raises(UnstorableValue, match=r"^note is not a text$"):
        values.text("note", given)


@pytest.mark.parametrize(
    ("given", "time"),
    [
        (1, datetime(1970, 1, 1, 0, 0, 1, tzinfo=timezone.utc)),
        (Decimal("0.000001"), datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=timezone.utc)),
        (Decimal("-0.5"), datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=timezone.utc)),
        (Decimal("100000000000.001"), datetime(1973, 3, 3, 9, 46, 40, 1, tzinfo=timezone.utc)),
        (-62_135_596_800, datetime(1, 1, 1, tzinfo=timezone.utc)),
        (253_402_300_799_999, datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=timezone.utc)),
        ("-0.5", datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=timezone.utc)),
        ("1970-01-01T00:00:00.000001Z", datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=timezone.utc)),
        ("1970-01-01T00:00:00.00000100Z", datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=timezone.utc)),
        ("1970-01-01 02:00:00.5+02:00", datetime(1970, 1, 1, 0, 0, 0, 500_000, tzinfo=timezone.utc)),
        ("9999-12-31T23:59:59.999999Z", datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone.utc)),
    ],
    ids=str,
)
def test_a_time_is_exact_to_the_microsecond(given: Any, time: datetime) -> None:
    assert values.timestamp("created", given) == time


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (True, "is not a number"),
        (Decimal("0.0000001"), "is finer than a microsecond"),
        (Decimal("100000000000.0001"), "is finer than a microsecond"),
        (-62_135_596_801, "lies outside the years 1 to 9999"),
        (253_402_300_800_000, "lies outside the years 1 to 9999"),
        (10**28, "lies outside the years 1 to 9999"),
        ("253402300800000", "lies outside the years 1 to 9999"),
        ("1970-01-01T00:00:00.0000001Z", "is finer than a microsecond"),
        ("0001-01-01T00:00:00+01:00", "is no time"),
        ("9999-12-31T23:59:59-01:00", "is no time"),
        ("2026-02-30", "is no time"),
        ("2026-01-01T00:00:00Z ", "is no time"),
        ("2026-01-01\n", "is no time"),
        ("2026-W01-1", "is no time"),
        ("\u0662\u0660\u0662\u0666-01-01", "is no time"),
        ("", "is no time"),
        ([], "is not a number"),
    ],
    ids=str,
)
def test_a_time_that_a_column_cannot_hold_is_refused(given: Any, reason: str) -> None:
    with pytest.raises(UnstorableValue, match=f"^created {reason}$"):
        values.timestamp("created", given)


def test_a_name_is_written_without_what_could_harm_a_screen_or_a_column() -> None:
    assert values.printable("é\x1b[0m\x00\ud800") == r"\xe9\x1b[0m\x00\ud800"


@pytest.mark.parametrize(("length", "shown"), [(99, 99), (100, 100), (101, 100), (5_000, 100)])
def test_a_name_is_written_up_to_100_characters(length: int, shown: int) -> None:
    assert values.printable("a" * length) == "a" * shown


@pytest.mark.parametrize(
    "number",
    [15, Decimal(123456789012345), Decimal("0.000012345"), Decimal("1.5000000000000000"), Decimal("1E+20")],
    ids=str,
)
def test_a_number_with_few_enough_digits_passes(number: Any) -> None:
    values.check_digits(15, {"a": number, "b": {"c": [number, {"d": [number]}]}, "e": "text", "f": None})


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"a": Decimal(1234567890123456)}, "a"),
        ({"a": Decimal("1.234567890123456")}, "a"),
        ({"a": {"b": Decimal(1234567890123456)}}, "b"),
        ({"a": [1, Decimal(1234567890123456)]}, r"a\[1\]"),
        ({"a": [{"b": [Decimal(1234567890123456)]}]}, r"b\[0\]"),
        ({"a": 1, "\x1b": Decimal(1234567890123456)}, r"\\x1b"),
    ],
)
def test_a_number_with_more_digits_than_the_destination_keeps_is_refused(row: Any, name: str) -> None:
    with pytest.raises(UnstorableValue, match=f"^{name} has more than 15 digits, the most that"):
        values.check_digits(15, row)
