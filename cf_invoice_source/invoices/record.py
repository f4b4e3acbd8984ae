"""Turns one record of the list into one row: exact amounts and times, and a key where the id is missing.

Nothing is rounded, cut or skipped. A field that no column can hold is kept in `more_fields` as it was sent. A
record whose amounts or currency cannot be read becomes a `Reject`, which keeps what the API sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

from cf_invoice_source.exact_json import DuplicateKeys, HugeNumber
from cf_invoice_source.invoices import values
from cf_invoice_source.invoices.columns import FIELDS
from cf_invoice_source.invoices.row_hash import row_hash_of
from cf_invoice_source.invoices.tables import CHANGES, INVOICES, MORE_FIELDS, TABLES
from cf_invoice_source.invoices.values import UnstorableValue

FINAL_STATUSES = frozenset({"paid", "void"})
"""Stripe's final states. An uncollectible invoice can still become either; an unknown or missing status may
still change."""

KEPT_STATUSES = frozenset({*FINAL_STATUSES, "open", "uncollectible"})
"""Invoices with these statuses stay in the list, because Stripe deletes only drafts. An unknown status is
not one of them: we do not know what it allows."""

MAX_DEPTH = 20
"""How many levels of objects and lists a record may have."""

MAX_FIELDS = 1_000
"""How many unknown fields of one record may get columns; the rest is kept in `more_fields`."""

MAX_NAME = 255
"""How long the name of a field with a column may be, in characters. No database has longer names, and
dlt's time to normalize a name grows with the square of its length."""

_NEVER_CHANGES = ("created", "currency", "created_by", "invoice_origin")
"""What tells one invoice from another where the id is missing."""


@dataclass(frozen=True, slots=True)
class Invoice:
    """A record that is an invoice.

    Attributes:
        identity: The id. Without one, "anonymous:<hash>", a hash of the fields that never change; two
            invoices without an id may share it.
        values: The row by column name, without `account_id`, `id` and `row_hash`.
        row_hash: Changes exactly when a field of the record changes, `invoice_pdf` excepted.
        is_final: Whether it can no longer change.
        is_deletable: Whether it may vanish from the list.
    """

    id: str | None
    identity: str
    values: Mapping[str, Any]
    row_hash: str
    is_final: bool
    is_deletable: bool
    is_reject: ClassVar[bool] = False

    @property
    def created_us(self) -> int | None:
        """The time of `created` in unix microseconds."""
        created = self.values["created"]
        return None if created is None else (created - values.EPOCH) // values.MICROSECOND


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that is not an invoice, or whose amounts no column can hold; `reason` says why."""

    id: str | None
    record: Any
    row_hash: str
    reason: str
    created_us: ClassVar[None] = None  # its `created` is not trusted
    is_final: ClassVar[bool] = False  # Cloudflare may correct it, or take it off the list
    is_deletable: ClassVar[bool] = True
    is_reject: ClassVar[bool] = True

    @property
    def identity(self) -> str:
        """What identifies this record: its id, or else its hash."""
        return self.id or f"rejected:{self.row_hash}"


Item = Invoice | Reject


def read_record(record: Any, digits: int | None = None) -> Item:
    """Turn one record of the list into an invoice, or into a reject that says why it is not one.

    `digits` is how many significant digits of a number the destination keeps; None for no limit.
    """
    try:
        row, said = _row_of(record, digits)
    except UnstorableValue as reason:
        return Reject(_id_of(record), record, row_hash_of(record), str(reason))
    invoice_id = row.pop("id") or None
    identity = invoice_id or "anonymous:" + row_hash_of([said.get(name) for name in _NEVER_CHANGES])
    return Invoice(
        invoice_id,
        identity,
        row,
        row_hash_of(said),
        is_final=row["status"] in FINAL_STATUSES,
        is_deletable=row["status"] not in KEPT_STATUSES,
    )


def _id_of(record: Any) -> str | None:
    if isinstance(record, dict):
        ids = [record.get("id")]
    else:
        ids = [value for name, value in getattr(record, "pairs", ()) if name == "id"]
    try:
        return (values.text("id", ids[0]) or None) if len(ids) == 1 else None
    except UnstorableValue:
        return None


def _row_of(record: Any, digits: int | None) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """Read the documented fields, and add the unknown ones. Give the row, and what the record says.

    What it says has each field in its usual JSON type, so that "1999" for 1999 is not a change. A field that
    cannot be read is kept in `more_fields` as it was sent. If it is an amount or the currency, the record is
    refused with `UnstorableValue`.
    """
    if isinstance(record, DuplicateKeys):
        raise UnstorableValue(f"the record has the field {values.printable(record.name)} twice")
    if not isinstance(record, dict):
        raise UnstorableValue("the record is not an object")
    row, unread, said = _read_fields(record, digits)
    unknown = record.keys() - FIELDS.keys()
    if unknown:
        _take_over({name: record[name] for name in sorted(unknown)}, digits, row, unread)
    if unread:
        row[MORE_FIELDS] = unread
    return row, {**record, **said} if said else record


def _read_fields(
    record: Mapping[str, Any], digits: int | None
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Read the documented fields: give the values, what cannot be read, and what is said in another type."""
    row: dict[str, Any] = {}
    unread: dict[str, Any] = {}
    said: dict[str, Any] = {}
    for name, read, usual in _READERS:
        given = record.get(name)
        try:
            row[name] = value = _fitting(name, read(name, given), digits)
        except UnstorableValue:
            if name in _REQUIRED:
                raise
            row[name], unread[name] = None, given
        else:
            if value is not given and type(given) not in usual:
                said[name] = value
    sent, created = record.get("created"), row["created"]
    if created and not (type(sent) is int and sent < values.MILLISECONDS_FROM):
        said["created"] = Decimal((created - values.EPOCH) // values.MICROSECOND) / 1_000_000
    return row, unread, said


def _take_over(
    fields: Mapping[str, Any], digits: int | None, row: dict[str, Any], unread: dict[str, Any]
) -> None:
    """Add the fields that the schema does not know to the row, each under a unique name.

    If its name is taken, a field is called `api_<name>`. If that is taken, too, it is kept as it was sent.
    """
    taken = set(_TAKEN)
    for number, (name, given) in enumerate(fields.items()):
        unread[name] = given
        if number >= MAX_FIELDS or len(name) > MAX_NAME or not values.is_storable(name):
            continue
        column = name or "unnamed"
        if _letters(column) in taken or _is_dlts(column):
            column = f"api_{column}"
        letters = _letters(column)
        if letters in taken or (column != name and column in fields):
            continue
        taken.add(letters)
        with suppress(UnstorableValue):
            row[column] = _fitting(name, _checked(values.printable(name), given, MAX_DEPTH), digits)
            del unread[name]


_REQUIRED = {"amount_due", "amount_paid", "amount_remaining", "currency"}
"""A record is an invoice only if all of these can be read exactly."""


def _fitting(name: str, value: Any, digits: int | None) -> Any:
    if digits is not None:
        values.check_digits(digits, {name: value})
    return value


_JSON_TYPES: Mapping[str, tuple[type, ...]] = {
    "text": (str,),
    "decimal": (int, Decimal),
    "bigint": (int, Decimal),
    "bool": (bool,),
    "timestamp": (int, Decimal, str),  # seconds are usual, to which `_read_fields` sees
}
_READERS = tuple((name, field.read, _JSON_TYPES[field.type]) for name, field in FIELDS.items())
"""By field: what reads it, and the JSON types in which it is usually sent."""


def _checked(name: str, value: Any, depth: int) -> Any:
    """Check a value of any shape, and turn each number in it into a Decimal."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return values.text(name, value)
    if isinstance(value, int | Decimal | HugeNumber):
        return values.number(name, value)
    if isinstance(value, DuplicateKeys):
        raise UnstorableValue(f"{name} has the field {values.printable(value.name)} twice")
    if depth == 0:
        raise UnstorableValue(f"{name} is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, list):
        return [_checked(name, item, depth - 1) for item in value]
    inner: dict[str, Any] = {}
    for key, item in value.items():
        values.text(name, key)
        if len(key) > MAX_NAME:
            raise UnstorableValue(f"{name} has a field whose name is longer than {MAX_NAME} characters")
        column = key
        while column in inner or _is_dlts(column):
            column = f"api_{column}"
        inner[column] = _checked(f"{name}.{values.printable(key)}", item, depth - 1)
    return inner


def _is_dlts(name: str) -> bool:
    """Say whether dlt could take a field for one of its own: `_dlt_id`, or "-DLT-id" after normalizing."""
    return _letters(name).startswith("dlt")


def _letters(name: str) -> str:
    """Reduce a name to letters and digits; names that differ in them differ in every naming convention."""
    return "".join(filter(str.isalnum, name)).lower()


_TAKEN = frozenset(map(_letters, (*TABLES[INVOICES].columns, *TABLES[CHANGES].columns, MORE_FIELDS)))
"""Our own columns, reduced. An unknown field with one of these names gets another name."""
