"""One record of the list to one row of the warehouse: exact money, time, and a key when the id is missing.

A record that cannot be stored exactly is not rounded, cut or skipped: it comes back as a `Reject`, which
keeps what the API sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, cast

from cf_invoice_source.cloudflare.answers import Page
from cf_invoice_source.exact_json import Doubled, Immense
from cf_invoice_source.invoices import values as fit
from cf_invoice_source.invoices.row_hash import fingerprint
from cf_invoice_source.invoices.settle import is_settled
from cf_invoice_source.invoices.values import UnfitError

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
        return None if created is None else (created - fit.EPOCH) // fit.MICROSECOND


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
    def is_settled(self) -> bool:
        """Never: it may be corrected."""
        return False


Item = Invoice | Reject


def read_items(page: Page[Any], digits: int | None = None) -> Page[Item]:
    """Turn each record of a page into an invoice, or into what says why it is none.

    Args:
        page: As the server described it.
        digits: How many significant digits of a number the destination keeps; None for all.
    """
    items = tuple(read_record(record, digits) for record in page.records)
    return cast("Page[Item]", replace(page, records=items))


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
        values = {name: read(name, record.get(name)) for name, read in _FIELDS.items()}
        del values["id"]
        if not record.keys() <= _FIELDS.keys():
            values |= _unknown_fields(record)
        if digits is not None:
            fit.keep(digits, values)
    except UnfitError as unfit:
        return Reject(fit.storable(invoice_id), record, fingerprint(record), str(unfit))
    return Invoice(
        id=invoice_id,
        identity=invoice_id or _anonymous(record),
        values=values,
        row_hash=fingerprint(record),
        is_settled=is_settled(values["status"]),
    )


def _id_of(record: Any) -> str | None:
    if isinstance(record, dict):
        ids = [record.get("id")]
    else:
        ids = [value for name, value in getattr(record, "pairs", ()) if name == "id"]
    return ids[0] if len(ids) == 1 and isinstance(ids[0], str) and ids[0] else None


def _not_an_object(value: Any) -> UnfitError:
    if isinstance(value, Doubled):
        return UnfitError(f"the record has the field {fit.shown(value.name)} twice")
    return UnfitError("the record is not an object")


_FIELDS: Mapping[str, Callable[[str, Any], Any]] = {
    "id": fit.text,
    "amount_due": fit.money,
    "amount_paid": fit.money,
    "amount_remaining": fit.money,
    "currency": fit.currency,
    "status": fit.text,
    "created": fit.moment,
    "created_by": fit.text,
    "invoice_origin": fit.text,
    "description": fit.text,
    "attempt_count": fit.integer,
    "attempted": fit.flag,
    "auto_advance": fit.flag,
    "invoice_pdf": fit.text,
}
"""The fields of Cloudflare's published schema, each with the parser that checks it."""

MORE_FIELDS = "more_fields"
"""The column for fields that cannot have one of their own, as a JSON object."""

_RESERVED = (
    "account_id",
    "row_hash",
    "deleted",
    "version",
    "change",
    "observed_at",
    "row_version",
    MORE_FIELDS,
)
"""Columns of ours: a field of the API by one of these names is kept under another."""


def _unknown_fields(record: Mapping[str, Any]) -> dict[str, Any]:
    """Take over what the schema does not know: numbers as Decimal, no field over another's column."""
    unknown = record.keys() - _FIELDS.keys()
    taken = {_letters(name) for name in (*_FIELDS, *_RESERVED)}
    fields = {}
    for name in sorted(unknown):
        column = fit.text("a field's name", name) or "unnamed"
        while _letters(column) in taken or _is_dlts(column):
            column = f"api_{column}"
        taken.add(_letters(column))
        fields[column] = _checked(fit.shown(name), record[name], MAX_DEPTH)
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
        return fit.text(name, value)
    if isinstance(value, int | Decimal | Immense):
        return fit.number(name, value)
    if isinstance(value, Doubled):
        raise UnfitError(f"{name} has the field {fit.shown(value.name)} twice")
    if depth == 0:
        raise UnfitError(f"{name} is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        return {
            _inner(name, key): _checked(f"{name}.{fit.shown(key)}", item, depth - 1)
            for key, item in value.items()
        }
    return [_checked(name, item, depth - 1) for item in value]


def _inner(name: str, key: str) -> str:
    fit.text(name, key)
    return f"api_{key}" if _is_dlts(key) else key


def _anonymous(record: Mapping[str, Any]) -> str:
    return "anonymous:" + fingerprint([record.get(name) for name in _NEVER_CHANGES])


_NEVER_CHANGES = ("created", "currency", "created_by", "invoice_origin")
"""What tells one invoice from another where the id is missing."""
