"""JSON to and from Python without losing a digit, or a field that is named twice."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import simplejson

MAX_DOCUMENT_DEPTH = 200
"""Objects and lists inside one another that an answer may have: so many Python surely reads and writes."""

MAX_VALUES = 100_000
"""Values in one answer, as the commas and brackets count them: 50 invoices have 700. In Python each takes up
to 200 bytes, however short it is written."""

_MANY_DIGITS = 100
"""From here on a whole number is read as Decimal: int() refuses 4,300 digits, and no column holds so many."""

_DIGITS_AS_ZEROS = bytes.maketrans(b"123456789", b"000000000")


@dataclass(frozen=True, slots=True)
class DuplicateKeys:
    """An object that names a field twice: JSON does not say which of the two counts."""

    pairs: tuple[tuple[str, Any], ...]

    @property
    def name(self) -> str:
        """The first field that comes again."""
        seen = set[str]()
        for name, _ in self.pairs:
            if name in seen:
                return name
            seen.add(name)
        raise ValueError("no field comes twice")


@dataclass(frozen=True, slots=True)
class HugeNumber:
    """A number with an exponent beyond what even Decimal knows, as it was written."""

    text: str


class TooManyValuesError(ValueError):
    """A document has more values than are read, in however few bytes."""


def decode(content: bytes) -> Any:
    """Decode JSON: whole numbers as int, others as Decimal, never as float; NaN and Infinity as Decimal.

    Raises:
        TooManyValuesError: It has more than `MAX_VALUES`.
        ValueError: It is not one JSON document in UTF-8, -16 or -32, or nested too deeply.
    """
    if len(content) > MAX_VALUES and sum(map(content.count, b",[{")) > MAX_VALUES:  # also in texts
        raise TooManyValuesError(f"it has more than {MAX_VALUES:,} values")
    # A call for each whole number takes a third of the decoding. UTF-16 has NULs in between.
    has_many_digits = b"0" * _MANY_DIGITS in content.translate(_DIGITS_AS_ZEROS, b"\x00")
    try:
        document = json.loads(
            content,
            parse_float=_decimal,
            parse_constant=Decimal,
            parse_int=_integer if has_many_digits else None,
            object_pairs_hook=_object,
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    opened = content.count(b"{") + content.count(b"[")  # in each of these encodings; rarely enough to look
    if opened > MAX_DOCUMENT_DEPTH:
        level = [document]
        for _ in range(MAX_DOCUMENT_DEPTH):
            level = [inner for each in level for inner in _inside(each)]
        if any(isinstance(each, dict | list | DuplicateKeys) for each in level):
            raise ValueError("nested too deeply")
    return document


def encode(value: Any) -> str:
    """Write JSON digit by digit as it was sent, and fields that are named twice twice."""
    return simplejson.dumps(value, use_decimal=True, allow_nan=True, default=_raw)


def _raw(value: DuplicateKeys | HugeNumber) -> simplejson.RawJSON:
    if isinstance(value, HugeNumber):
        return simplejson.RawJSON(value.text)
    fields = (f"{simplejson.dumps(name)}: {encode(item)}" for name, item in value.pairs)
    return simplejson.RawJSON(f"{{{', '.join(fields)}}}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | DuplicateKeys:
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) else DuplicateKeys(tuple(pairs))


def _decimal(text: str) -> Decimal | HugeNumber:
    try:
        return Decimal(text)
    except InvalidOperation:
        return HugeNumber(text)


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text.lstrip("-")) < _MANY_DIGITS else Decimal(text)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, DuplicateKeys):
        return (item for _, item in value.pairs)
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
