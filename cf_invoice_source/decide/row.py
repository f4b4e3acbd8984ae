"""One record of the list to one row of the warehouse: exact money, time, and a key when the id is missing.

A record that cannot be stored exactly is not rounded, cut or skipped: it comes back as a `Reject`, which
keeps what the API sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from cf_invoice_source.decide.document import Doubled, Immense
from cf_invoice_source.decide.fingerprint import INTEGER_DIGITS, WIDE, fingerprint
from cf_invoice_source.decide.settle import is_settled

FRACTION_DIGITS = 9
"""What DECIMAL(38, 9), dlt's default for decimals, holds after the point."""

MILLISECONDS_FROM = 10**11
"""From here on `created` is milliseconds, as in sibling endpoints: in seconds it would be the year 5138."""

MAX_DEPTH = 20
"""Objects and lists inside one another that a record may have."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_SMALLEST = Decimal(1).scaleb(-FRACTION_DIGITS)


@dataclass(frozen=True, slots=True)
class Invoice:
    """A record that is an invoice.

    Attributes:
        id: The API's id; None when it gave none.
        identity: The id, or "anonymous:<hash>" by what never changes about an invoice. Two invoices without
            an id may share it.
        values: The row by column name, without `account_id`, `id` and `row_hash`.
        row_hash: Changes exactly when a field of the record changes, `invoice_pdf` excepted.
        is_settled: Whether it can no longer change.
    """

    id: str | None
    identity: str
    values: Mapping[str, Any]
    row_hash: str
    is_settled: bool

    @property
    def created_us(self) -> int | None:
        """The time of `created` in unix microseconds."""
        created = self.values["created"]
        return None if created is None else (created - _EPOCH) // _MICROSECOND


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that is no invoice, or one that no column holds exactly.

    Attributes:
        id: The record's id, where it has one.
        record: What the API sent.
        row_hash: Changes exactly when the record changes, `invoice_pdf` excepted.
        reason: Why it is no row, in words for people.
    """

    id: str | None
    record: Any
    row_hash: str
    reason: str

    @property
    def identity(self) -> str:
        """What tells this record from others: its id, else its hash."""
        return self.id or f"rejected:{self.row_hash}"


def read_record(record: Any) -> Invoice | Reject:
    """Turn one record of the list into an invoice, or say why it is none."""
    invoice_id = _id_of(record)
    try:
        if not isinstance(record, Mapping):
            raise _not_an_object(record)
        values = {name: _FIELDS[name](name, record.get(name)) for name in _FIELDS}
        values |= _unknown_fields(record)
    except UnfitError as unfit:
        return Reject(_storable(invoice_id), record, fingerprint(record), str(unfit))
    return Invoice(
        id=invoice_id,
        identity=invoice_id or _anonymous(record),
        values={name: value for name, value in values.items() if name != "id"},
        row_hash=fingerprint(record),
        is_settled=is_settled(values["status"]),
    )


def _id_of(record: Any) -> str | None:
    pairs = record.items() if isinstance(record, Mapping) else getattr(record, "pairs", ())
    ids = [value for name, value in pairs if name == "id"]
    return ids[0] if len(ids) == 1 and isinstance(ids[0], str) and ids[0] else None


class UnfitError(ValueError):
    """Says why a value does not fit its column."""


def _not_an_object(value: Any) -> UnfitError:
    if isinstance(value, Doubled):
        return UnfitError(f"the record has the field {_shown(value.name)} twice")
    return UnfitError("the record is not an object")


def _money(name: str, value: Any) -> Decimal:
    if value is None:
        raise UnfitError(f"{name} is missing")
    return _number(name, value)


def _number(name: str, value: Any) -> Decimal:
    """Check that DECIMAL(38, 9) holds a number exactly, and write it without an exponent."""
    if isinstance(value, Immense):
        raise UnfitError(f"{name} has an exponent that no column holds")
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise UnfitError(f"{name} is not a number")
    number = Decimal(value)
    if not number.is_finite():
        raise UnfitError(f"{name} is not a finite number")
    if not number:
        return Decimal(0)
    if number.adjusted() >= INTEGER_DIGITS:
        raise UnfitError(f"{name} has more than {INTEGER_DIGITS} digits before the point")
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and -FRACTION_DIGITS <= exponent <= 0:
        return number
    exact = number.quantize(_SMALLEST, context=WIDE)
    if exact != number:
        raise UnfitError(f"{name} has more than {FRACTION_DIGITS} digits after the point")
    return exact


def _integer(name: str, value: Any) -> int | None:
    if value is None:
        return None
    number = _number(name, value)
    if number != int(number) or not -(2**63) <= number < 2**63:
        raise UnfitError(f"{name} is not a whole number of 64 bits")
    return int(number)


def _flag(name: str, value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise UnfitError(f"{name} is not true or false")


def _text(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise UnfitError(f"{name} is not a text")
    if _is_dlts_mark(value):
        raise UnfitError(f"{name} begins with a character by which dlt marks a type (U+F026 to U+F02E)")
    if _storable(value) is None:
        raise UnfitError(f"{name} has a character that databases cannot store (NUL, or half of a pair)")
    return value


def _currency(name: str, value: Any) -> str:
    text = _text(name, value)
    if not text:
        raise UnfitError(f"{name} is missing")
    return text


def _moment(name: str, value: Any) -> datetime | None:
    """Read unix seconds, or milliseconds, as a time in UTC, exact to the microsecond."""
    if value is None:
        return None
    number = _number(name, value)
    microseconds = number.scaleb(3 if number >= MILLISECONDS_FROM else 6, WIDE)
    if microseconds != microseconds.to_integral_value(context=WIDE):
        raise UnfitError(f"{name} is finer than a microsecond")
    try:
        return _EPOCH + timedelta(microseconds=int(microseconds))
    except OverflowError:
        raise UnfitError(f"{name} lies outside the years 1 to 9999") from None


_FIELDS: Mapping[str, Callable[[str, Any], Any]] = {
    "id": _text,
    "amount_due": _money,
    "amount_paid": _money,
    "amount_remaining": _money,
    "currency": _currency,
    "status": _text,
    "created": _moment,
    "created_by": _text,
    "invoice_origin": _text,
    "description": _text,
    "attempt_count": _integer,
    "attempted": _flag,
    "auto_advance": _flag,
    "invoice_pdf": _text,
}
"""The fields of Cloudflare's published schema, each with the parser that checks it."""

MORE_FIELDS = "more_fields"
"""The column for fields that cannot have one of their own, as a JSON object."""

_RESERVED = ("account_id", "row_hash", "deleted", "version", "change", "observed_at", MORE_FIELDS)
"""Columns of ours: a field of the API by one of these names is kept under another."""


def _unknown_fields(record: Mapping[str, Any]) -> dict[str, Any]:
    """Take over what the schema does not know: numbers as Decimal, no field over another's column."""
    unknown = record.keys() - _FIELDS.keys()
    if not unknown:
        return {}
    taken = {_letters(name) for name in (*_FIELDS, *_RESERVED)}
    fields = {}
    for name in sorted(unknown):
        column = _text("a field's name", name) or "unnamed"
        while _letters(column) in taken or _is_dlts(column):
            column = f"api_{column}"
        taken.add(_letters(column))
        fields[column] = _checked(_shown(name), record[name], MAX_DEPTH)
    return fields


def _is_dlts(name: str) -> bool:
    """Say whether dlt could take a field for one of its own: `_dlt_id`, "-DLT-id" once normalized."""
    return _letters(name).startswith("dlt")


def _letters(name: str) -> str:
    """Reduce a name to what surely remains different after any naming convention of dlt."""
    return "".join(filter(str.isalnum, name)).lower()


def _checked(name: str, value: Any, depth: int) -> Any:
    """Check a value of any shape, and turn each number in it into a Decimal."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(name, value)
    if isinstance(value, int | Decimal | Immense):
        return _number(name, value)
    if isinstance(value, Doubled):
        raise UnfitError(f"{name} has the field {_shown(value.name)} twice")
    if depth == 0:
        raise UnfitError(f"{name} is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        return {
            _inner(name, key): _checked(f"{name}.{_shown(key)}", item, depth - 1)
            for key, item in value.items()
        }
    return [_checked(name, item, depth - 1) for item in value]


def _inner(name: str, key: str) -> str:
    _text(name, key)
    return f"api_{key}" if _is_dlts(key) else key


def _shown(name: str) -> str:
    """Write a field's name into a reason: short, and without what could harm a column or a screen."""
    return name[:_SHOWN].encode("unicode_escape").decode()


_SHOWN = 100


def _is_dlts_mark(text: str) -> bool:
    """Say whether dlt would take the text for a marked decimal or time, and change it (`dlt.common.json`)."""
    return len(text) > 1 and "\uf026" <= text[0] <= "\uf02e"


def _storable(text: str | None) -> str | None:
    """Return the text, or None where dlt, some database or UTF-8 itself could not hold it."""
    if text is None or "\x00" in text or _is_dlts_mark(text):
        return None
    try:
        text.encode()
    except UnicodeEncodeError:
        return None
    return text


def _anonymous(record: Mapping[str, Any]) -> str:
    return "anonymous:" + fingerprint([record.get(name) for name in _NEVER_CHANGES])


_NEVER_CHANGES = ("created", "currency", "created_by", "invoice_origin")
"""What tells one invoice from another where the id is missing."""
