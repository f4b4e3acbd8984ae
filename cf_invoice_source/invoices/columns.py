"""Columns and tables, described without dlt, and every field of an invoice in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cf_invoice_source.invoices import values

ColumnType = Literal["text", "decimal", "timestamp", "bigint", "bool"]
"""dlt's names of the types that our columns have; a decimal is DECIMAL(38, 9)."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column, described with its unit.

    Attributes:
        is_deletion: Whether it is dlt's mark for rows to delete (`hard_delete`).
    """

    type: ColumnType
    description: str
    is_deletion: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Field(Column):
    """A field of an invoice: its column has the same name.

    Attributes:
        read: Reads a value exactly, or raises `UnstorableValue`.
    """

    read: Callable[[str, Any], Any]


@dataclass(frozen=True, slots=True)
class Table:
    """One table; its rows are merged by its key.

    Attributes:
        key: The columns of its primary key. Only they are NOT NULL, because a deletion sends no other value.
    """

    key: tuple[str, ...]
    columns: Mapping[str, Column]
    description: str


FIELDS: Mapping[str, Field] = {
    "id": Field(
        "text",
        "Stripe's invoice ID, in_...; an invoice without one gets a stable key, anonymous:...",
        read=values.text,
    ),
    "amount_due": Field(
        "decimal",
        "What was invoiced, in the currency's minor unit, exactly as sent: 1999 with usd is 19.99 dollars, "
        "500 with jpy is 500 yen.",
        read=values.money,
    ),
    "amount_paid": Field("decimal", "What has been paid of it, in the minor unit.", read=values.money),
    "amount_remaining": Field("decimal", "What remains to be paid, in the minor unit.", read=values.money),
    "currency": Field("text", "ISO 4217 code, in lower case as Stripe writes it.", read=values.currency),
    "status": Field("text", "draft, open, paid, uncollectible or void.", read=values.text),
    "created": Field("timestamp", "When the invoice was made, in UTC.", read=values.timestamp),
    "created_by": Field("text", "Who asked for it.", read=values.text),
    "invoice_origin": Field("text", "Where it came from, for example an automatic top-up.", read=values.text),
    "description": Field("text", "A free text on the invoice.", read=values.text),
    "attempt_count": Field("bigint", "How often payment was tried.", read=values.integer),
    "attempted": Field("bool", "Whether payment was tried.", read=values.flag),
    "auto_advance": Field("bool", "Whether Stripe goes on collecting by itself.", read=values.flag),
    "invoice_pdf": Field(
        "text",
        "Link to the PDF, as of the last change; links stop working after a while. It opens without signing "
        "in: treat it as confidential.",
        read=values.text,
    ),
}
