"""Every number as it was sent, however long and in whatever encoding."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cf_invoice_source.exact_json import DuplicateKeys, HugeNumber, TooManyValuesError, decode, encode


@given(
    st.lists(st.tuples(st.sampled_from(["", "-"]), st.integers(1, 5_000)), min_size=1, max_size=3),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-16-le", "utf-32", "utf-32-be"]),
)
def test_a_whole_number_is_an_int_up_to_99_digits_whatever_stands_beside_it(
    numbers: list[tuple[str, int]], encoding: str
) -> None:
    texts = [f"{sign}{'7' * digits}" for sign, digits in numbers]
    read = decode(f"[{', '.join(texts)}]".encode(encoding))

    assert [type(number) for number in read] == [int if digits < 100 else Decimal for _, digits in numbers]
    assert [str(number) for number in read] == texts


@pytest.mark.parametrize("text", ["19.99", "1e2", "0.10", "-0.0", "1E+400", "NaN", "Infinity"])
def test_any_other_number_is_a_decimal_with_the_digits_that_were_sent(text: str) -> None:
    [read] = decode(f"[{text}]".encode())

    assert isinstance(read, Decimal)
    assert str(read) == str(Decimal(text))


@pytest.mark.parametrize(
    ("digits", "kind"), [(1, int), (99, int), (100, Decimal), (101, Decimal), (5_000, Decimal)]
)
@pytest.mark.parametrize("sign", ["", "-"])
def test_a_whole_number_of_100_digits_is_a_decimal(digits: int, kind: type, sign: str) -> None:
    text = sign + "7" * digits
    [read] = decode(f"[{text}]".encode())

    assert type(read) is kind
    assert str(read) == text


def test_a_long_text_of_digits_is_a_text() -> None:
    assert decode(b'["' + b"7" * 100 + b'", 7]') == ["7" * 100, 7]


def test_a_number_that_even_a_decimal_cannot_hold_is_kept_as_it_was_written() -> None:
    text = f"1e{'9' * 30}"

    assert decode(text.encode()) == HugeNumber(text)


def test_an_object_that_names_a_field_twice_keeps_both() -> None:
    read = decode(b'{"a": 1, "b": 2, "c": 3, "b": null, "a": 1}')

    assert read == DuplicateKeys((("a", 1), ("b", 2), ("c", 3), ("b", None), ("a", 1)))
    assert read.name == "b"


def test_an_object_that_names_each_field_once_is_a_dict() -> None:
    assert decode(b'{"a": 1, "A": {}}') == {"a": 1, "A": {}}


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1.50, "b": [null, true, false, "\\u00dc", 0.1000000000000000055511151231257827]}',
        '{"a": 1, "b": {"c": 1, "c": [2.0]}, "a": "\\""}',
        f"[1E+400, 1e{'9' * 30}, -0.0, {'7' * 200}]",
        "[NaN, Infinity, -Infinity]",
    ],
)
def test_what_was_decoded_is_encoded_as_it_was_sent(text: str) -> None:
    assert encode(decode(text.encode())) == text


@pytest.mark.parametrize("content", [b"", b"{", b"[1] 2", b"<html>", b'"\xff"', b"{1: 2}"])
def test_what_is_no_json_is_an_error(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever Python says of it
        decode(content)


@pytest.mark.parametrize(
    ("opening", "closing"),
    [('{"a": ', "}"), ("[", "]"), ("[0, ", "]"), ('{"a": 1, "a": ', "}")],
    ids=["objects", "lists", "lists beside numbers", "objects with a field twice"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_a_document_has_at_most_200_levels(opening: str, closing: str, encoding: str) -> None:
    def nested(levels: int) -> bytes:
        return f"{opening * levels}1{closing * levels}".encode(encoding)

    decode(nested(200))
    for levels in (201, 300):
        with pytest.raises(ValueError, match="nested too deeply"):
            decode(nested(levels))


def test_a_document_deeper_than_python_can_read_is_an_error() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        decode(b"[" * 90_000 + b"]" * 90_000)


def test_a_long_document_is_not_a_deep_one() -> None:
    assert decode(b"[" + b"[], " * 1_000 + b"{}]") == [*([[]] * 1_000), {}]


def test_brackets_in_a_text_are_no_levels() -> None:
    assert decode(b'"' + b"[{" * 1_000 + b'"') == "[{" * 1_000


def test_a_document_may_have_100_000_values() -> None:
    """Counted by brackets and commas."""
    most = b"[0" + b",0" * 99_999 + b"]"

    assert len(decode(most)) == 100_000
    with pytest.raises(TooManyValuesError, match="more than 100,000 values"):
        decode(most[:-1] + b",0]")
