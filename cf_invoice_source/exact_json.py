"""Reads and writes JSON without losing a digit, or a field that an object names twice."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import simplejson

MAX_DOCUMENT_DEPTH = 200
"""How many levels of objects and lists an answer may have; Python reads and writes at least as many."""

MAX_VALUES = 100_000
"""How many values one answer may have, counted by its commas and brackets; 50 invoices have 700. In Python
each takes up to 200 bytes, however short it is in JSON."""

_MANY_DIGITS = 100
"""Whole numbers with this many digits are read as Decimal: int() refuses more than 4,300 digits. No column
holds so many."""

_DIGITS_AS_ZEROS = bytes.maketrans(b"123456789", b"000000000")


@dataclass(frozen=True, slots=True)
class DuplicateKeys:
    """An object that names a field twice; JSON does not say which of the two is valid."""

    pairs: tuple[tuple[str, Any], ...]

    @property
    def name(self) -> str:
        """The first field that is named a second time."""
        seen = set[str]()
        for name, _ in self.pairs:
            if name in seen:
                return name
            seen.add(name)
        raise ValueError("no field comes twice")


@dataclass(frozen=True, slots=True)
class HugeNumber:
    """A number with an exponent that is too large even for Decimal, as it was written."""

    text: str


class TooManyValuesError(ValueError):
    """A document has more values than `MAX_VALUES`."""


def decode(content: bytes) -> Any:
    """Decode JSON: whole numbers as int, others as Decimal, never as float; NaN and Infinity as Decimal.

    Raises:
        TooManyValuesError: It has more than `MAX_VALUES` values.
        ValueError: It is not one JSON document in UTF-8, UTF-16 or UTF-32, or it is nested too deeply.
    """
    if len(content) > MAX_VALUES and sum(map(content.count, b",[{")) > MAX_VALUES:  # some are within texts
        raise TooManyValuesError(f"it has more than {MAX_VALUES:,} values")
    # `parse_int` for each whole number would take a third of the time. UTF-16 has NULs between digits.
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
    opened = content.count(b"{") + content.count(b"[")  # also right in UTF-16 and UTF-32
    if opened > MAX_DOCUMENT_DEPTH:
        level = [document]
        for _ in range(MAX_DOCUMENT_DEPTH):
            level = [inner for each in level for inner in _inside(each)]
        if any(isinstance(each, dict | list | DuplicateKeys) for each in level):
            raise ValueError("nested too deeply")
    return document


def encode(value: Any) -> str:
    """Write JSON with the digits and the repeated fields that were sent."""
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
