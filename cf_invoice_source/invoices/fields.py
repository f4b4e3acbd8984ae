"""The fields of an invoice: how each is read, stored and described. One table for all uses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cf_invoice_source.invoices import values
from cf_invoice_source.invoices.columns import ColumnType


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an invoice, and its column.

    Attributes:
        name: The API's name, and the column's.
        read: Reads a value exactly, or raises `UnstorableValue`.
        column_type: dlt's name of the column's type.
        description: What it means, with its unit.
        is_compared: Whether a full walk compares its value with the destination's.
    """

    name: str
    read: Callable[[str, Any], Any]
    column_type: ColumnType
    description: str
    is_compared: bool = True


FIELDS = (
    Field(
        "id",
        values.text,
        "text",
        "Stripe's invoice ID, in_...; an invoice without one gets a stable key, anonymous:...",
        is_compared=False,
    ),
    Field(
        "amount_due",
        values.money,
        "decimal",
        "What is to be paid, in the currency's minor unit (cents), exactly as sent.",
    ),
    Field("amount_paid", values.money, "decimal", "What was paid, in the currency's minor unit."),
    Field("amount_remaining", values.money, "decimal", "What is still to be paid, in the minor unit."),
    Field("currency", values.currency, "text", "ISO 4217 code, in lower case as Stripe writes it."),
    Field("status", values.text, "text", "draft, open, paid, uncollectible or void."),
    Field("created", values.timestamp, "timestamp", "When the invoice was made, in UTC."),
    Field("created_by", values.text, "text", "Who asked for it."),
    Field("invoice_origin", values.text, "text", "Where it came from, for example an automatic top-up."),
    Field("description", values.text, "text", "What the invoice says of itself."),
    Field("attempt_count", values.integer, "bigint", "How often payment was tried."),
    Field("attempted", values.flag, "bool", "Whether payment was tried."),
    Field("auto_advance", values.flag, "bool", "Whether Stripe goes on collecting by itself."),
    Field(
        "invoice_pdf",
        values.text,
        "text",
        "Link to the PDF. It opens without signing in: treat it as confidential.",
        is_compared=False,  # each answer has a new one
    ),
)
