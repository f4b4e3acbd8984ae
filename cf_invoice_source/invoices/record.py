"""One record of the list to one row of the warehouse: exact money, time, and a key when the id is missing.

A record that cannot be stored exactly is not rounded, cut or skipped: it comes back as a `Reject`, which
keeps what the API sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cf_invoice_source.exact_json import DuplicateKeys, HugeNumber
from cf_invoice_source.invoices import values
from cf_invoice_source.invoices.fields import FIELDS
from cf_invoice_source.invoices.row_hash import row_hash_of
from cf_invoice_source.invoices.tables import MORE_FIELDS
from cf_invoice_source.invoices.values import UnstorableValue

FINAL_STATUSES = frozenset({"paid", "void"})
"""Stripe's final states. An uncollectible invoice can still become either; an unknown or missing status may
still change."""

KEPT_STATUSES = frozenset({*FINAL_STATUSES, "open", "uncollectible"})
"""Invoices of these stay in the list: only drafts can be deleted. Of an unknown status one cannot say."""

MAX_DEPTH = 20
"""Objects and lists inside one another that a record may have."""


@dataclass(frozen=True, slots=True)
class Invoice:
    """A record that is an invoice.

    Attributes:
        id: The API's id; None when it gave none.
        identity: The id, or "anonymous:<hash>" by what never changes about an invoice. Two invoices without
            an id may share it.
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

    @property
    def is_reject(self) -> bool:
        """It is none."""
        return False

    @property
    def created_us(self) -> int | None:
        """The time of `created` in unix microseconds."""
        created = self.values["created"]
        return None if created is None else (created - values.EPOCH) // values.MICROSECOND


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

    @property
    def created_us(self) -> None:
        """No time: what it says of `created` is not trusted."""
        return None

    @property
    def is_final(self) -> bool:
        """Never: it may be corrected."""
        return False

    @property
    def is_deletable(self) -> bool:
        """It may be: what it says of its status is not trusted."""
        return True

    @property
    def is_reject(self) -> bool:
        """It is one."""
        return True


Item = Invoice | Reject


def read_record(record: Any, digits: int | None = None) -> Item:
    """Turn one record of the list into an invoice, or say why it is none.

    Args:
        record: What the API sent.
        digits: How many significant digits of a number the destination keeps; None for all.
    """
    invoice_id = _id_of(record)
    try:
        if not isinstance(record, dict):
            raise _not_an_object(record)
        row = {name: read(name, record.get(name)) for name, read in _READERS.items()}
        del row["id"]
        if not record.keys() <= _READERS.keys():
            row |= _unknown_fields(record)
        if digits is not None:
            values.check_digits(digits, row)
    except UnstorableValue as reason:
        storable_id = invoice_id if invoice_id and values.is_storable(invoice_id) else None
        return Reject(storable_id, record, row_hash_of(record), str(reason))
    return Invoice(
        id=invoice_id,
        identity=invoice_id or _anonymous(record),
        values=row,
        row_hash=row_hash_of(record),
        is_final=row["status"] in FINAL_STATUSES,
        is_deletable=row["status"] not in KEPT_STATUSES,
    )


def _id_of(record: Any) -> str | None:
    if isinstance(record, dict):
        ids = [record.get("id")]
    else:
        ids = [value for name, value in getattr(record, "pairs", ()) if name == "id"]
    return ids[0] if len(ids) == 1 and isinstance(ids[0], str) and ids[0] else None


def _not_an_object(value: Any) -> UnstorableValue:
    if isinstance(value, DuplicateKeys):
        return UnstorableValue(f"the record has the field {values.printable(value.name)} twice")
    return UnstorableValue("the record is not an object")


_READERS = {field.name: field.read for field in FIELDS}

_RESERVED = (
    "account_id",
    "row_hash",
    "deleted",
    "version",
    "change",
    "observed_at",
    MORE_FIELDS,
)
"""Columns of ours: a field of the API by one of these names is kept under another."""


def _unknown_fields(record: Mapping[str, Any]) -> dict[str, Any]:
    """Take over what the schema does not know: numbers as Decimal, no field over another's column."""
    unknown = record.keys() - _READERS.keys()
    taken = {_letters(name) for name in (*_READERS, *_RESERVED)}
    fields = {}
    for name in sorted(unknown):
        column = values.text("a field's name", name) or "unnamed"
        while _letters(column) in taken or _is_dlts(column):
            column = f"api_{column}"
        taken.add(_letters(column))
        fields[column] = _checked(values.printable(name), record[name], MAX_DEPTH)
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
        return values.text(name, value)
    if isinstance(value, int | Decimal | HugeNumber):
        return values.number(name, value)
    if isinstance(value, DuplicateKeys):
        raise UnstorableValue(f"{name} has the field {values.printable(value.name)} twice")
    if depth == 0:
        raise UnstorableValue(f"{name} is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        return {
            _inner(name, key): _checked(f"{name}.{values.printable(key)}", item, depth - 1)
            for key, item in value.items()
        }
    return [_checked(name, item, depth - 1) for item in value]


def _inner(name: str, key: str) -> str:
    values.text(name, key)
    return f"api_{key}" if _is_dlts(key) else key


def _anonymous(record: Mapping[str, Any]) -> str:
    return "anonymous:" + row_hash_of([record.get(name) for name in _NEVER_CHANGES])


_NEVER_CHANGES = ("created", "currency", "created_by", "invoice_origin")
"""What tells one invoice from another where the id is missing."""
