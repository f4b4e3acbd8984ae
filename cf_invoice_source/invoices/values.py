"""Converts one value of a record for its column, exactly, or says why it cannot be stored.

The same value in another JSON type is read, too: "1999" for 1999, "true" for true, a time in ISO 8601.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from typing import Any

from cf_invoice_source.exact_json import HugeNumber

INTEGER_DIGITS, FRACTION_DIGITS = 29, 9
"""What DECIMAL(38, 9), dlt's default for decimals, holds before and after the point."""

MILLISECONDS_FROM = 10**11
"""A `created` from here on is in milliseconds, as in sibling endpoints; in seconds this is the year 5138."""

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MICROSECOND = timedelta(microseconds=1)
MICROSECOND_DIGITS = 6
WIDE = Context(prec=100, Emax=MAX_EMAX, Emin=MIN_EMIN)
_SMALLEST = Decimal(1).scaleb(-FRACTION_DIGITS)

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

_DLTS_MARK = re.compile("[\uf026-\uf02e].", re.DOTALL)
"""A text that dlt (`dlt.common.json`) would take for a decimal or time of its own, and change."""

_NUMBER = re.compile(r"[+-]?[0-9]{1,99}(\.[0-9]{1,99})?")

_ISO_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?:[Zz]|([+-]\d\d):?(\d\d))?)?",
    re.ASCII,
)
"""ISO 8601 as APIs write it. We do not leave it to Python, which from 3.11 on reads more forms, and cuts
nanoseconds."""

_SURELY_FITS = 2**63
"""Whole numbers below this fit a BIGINT and a DECIMAL(38, 9). Most amounts are, and need no further check."""


class UnstorableValue(ValueError):  # noqa: N818 - named after the value
    """Says why a value does not fit its column."""


def money(name: str, value: Any) -> Decimal:
    """Read an amount; it must not be missing."""
    if value is None:
        raise UnstorableValue(f"{name} is missing")
    return number(name, value)


def number(name: str, value: Any) -> Decimal:
    """Read a number that DECIMAL(38, 9) holds exactly, and return it without an exponent."""
    if type(value) is int and abs(value) < _SURELY_FITS:
        return Decimal(value)
    if isinstance(value, HugeNumber):
        raise UnstorableValue(f"{name} has an exponent that no column holds")
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    if not is_number and not (isinstance(value, str) and _NUMBER.fullmatch(value)):
        raise UnstorableValue(f"{name} is not a number")
    given = Decimal(value)
    if not given.is_finite():
        raise UnstorableValue(f"{name} is not a finite number")
    if not given:
        return Decimal(0)
    if given.adjusted() >= INTEGER_DIGITS:
        raise UnstorableValue(f"{name} has more than {INTEGER_DIGITS} digits before the point")
    exponent = given.as_tuple().exponent
    if isinstance(exponent, int) and -FRACTION_DIGITS <= exponent <= 0:
        return given
    exact = given.quantize(_SMALLEST, context=WIDE)
    if exact != given:
        raise UnstorableValue(f"{name} has more than {FRACTION_DIGITS} digits after the point")
    return exact


def check_digits(digits: int, values: Mapping[str, Any]) -> None:
    """Check that no number in these values, however deep, has more than `digits` significant digits."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            check_digits(digits, value)
        elif isinstance(value, list):
            check_digits(digits, {f"{name}[{index}]": item for index, item in enumerate(value)})
        elif isinstance(value, Decimal) and len(value.normalize(WIDE).as_tuple().digits) > digits:
            raise UnstorableValue(
                f"{printable(name)} has more than {digits} digits, the most that this destination keeps"
            )


def integer(name: str, value: Any) -> int | None:
    """Read a whole number that a BIGINT holds."""
    if value is None:
        return None
    given = number(name, value)
    if given != int(given) or not -(2**63) <= given < 2**63:
        raise UnstorableValue(f"{name} is not a whole number of 64 bits")
    return int(given)


def flag(name: str, value: Any) -> bool | None:
    """Read true or false."""
    if value is None or isinstance(value, bool):
        return value
    said = {"true": True, "false": False, "1": True, "0": False}.get(str(value).lower())
    if said is None:
        raise UnstorableValue(f"{name} is not true or false")
    return said


def text(name: str, value: Any) -> str | None:
    """Read a text that every database can store."""
    if value is None or (isinstance(value, str) and is_storable(value)):
        return value
    if type(value) is int:
        return str(value)
    if not isinstance(value, str):
        raise UnstorableValue(f"{name} is not a text")
    if _DLTS_MARK.match(value):
        raise UnstorableValue(f"{name} begins with a character by which dlt marks a type (U+F026 to U+F02E)")
    raise UnstorableValue(f"{name} has a character that databases cannot store (NUL, or half of a pair)")


def is_storable(given: str) -> bool:
    """Whether dlt, every database and UTF-8 itself can hold a text."""
    if given.isascii():
        return "\x00" not in given
    return not (_UNSTORABLE.search(given) or _DLTS_MARK.match(given))


def currency(name: str, value: Any) -> str:
    """Read a currency; it must not be missing."""
    if not value:
        raise UnstorableValue(f"{name} is missing")
    if not isinstance(value, str):
        raise UnstorableValue(f"{name} is not a text")
    return text(name, value) or ""


def timestamp(name: str, value: Any) -> datetime | None:
    """Read a time in unix seconds, unix milliseconds or ISO 8601, in UTC and exact to the microsecond."""
    if value is None:
        return None
    if type(value) is int and 0 <= value < MILLISECONDS_FROM:
        return EPOCH + timedelta(seconds=value)
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return _iso(name, value)
    given = number(name, value)
    microseconds = given.scaleb(3 if given >= MILLISECONDS_FROM else 6, WIDE)
    if microseconds != microseconds.to_integral_value(context=WIDE):
        raise UnstorableValue(f"{name} is finer than a microsecond")
    try:
        return EPOCH + timedelta(microseconds=int(microseconds))
    except OverflowError:
        raise UnstorableValue(f"{name} lies outside the years 1 to 9999") from None


def _iso(name: str, value: str) -> datetime:
    """Read a time in ISO 8601; one without an offset is in UTC."""
    found = _ISO_TIME.fullmatch(value)
    if not found:
        raise UnstorableValue(f"{name} is no time")
    day, minute, second, fraction, hours, minutes = found.groups()
    finest = (fraction or "").rstrip("0")
    if len(finest) > MICROSECOND_DIGITS:
        raise UnstorableValue(f"{name} is finer than a microsecond")
    offset = f"{hours}:{minutes}" if hours else "+00:00"
    written = f"{day}T{minute or '00:00'}:{second or '00'}.{finest:0<{MICROSECOND_DIGITS}}{offset}"
    try:
        return datetime.fromisoformat(written).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise UnstorableValue(f"{name} is no time") from None


def printable(name: str) -> str:
    """Make a field's name fit for a message: at most 100 characters, and all of them printable ASCII."""
    return name[:100].encode("unicode_escape").decode()
