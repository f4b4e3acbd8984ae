"""PURE: the lines of a manifest, a CSV file that says which document belongs to which invoice."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

from cf_invoice_source.invoices.money import total

COLUMNS = (
    "account_id",
    "id",
    "date",
    "amount",
    "currency",
    "amount_minor",
    "status",
    "document",
    "file",
    "sha256",
    "bytes",
    "fetched",
)

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""

Row = Mapping[str, Any]


class Money(Protocol):
    """An exact amount, in major units unless it `is_minor`."""

    @property
    def amount(self) -> Decimal:
        """The amount."""

    @property
    def is_minor(self) -> bool:
        """Whether nobody knows the currency's major unit."""


def manifest_of(
    invoices: Iterable[Row], documents: Iterable[Row], money: Callable[[str, Decimal], Money]
) -> Iterator[str]:
    """Give the lines of a manifest, its head first.

    Each invoice but a draft without a document has one line, with its amount and the document of its last
    change; `document` says "current", or "missing". Documents of earlier versions, and of invoices that are
    gone, follow as "earlier", without an amount: so a sum over the column counts each invoice once.
    """
    out = csv.writer(_Lines(), lineterminator="\r\n")
    yield out.writerow(COLUMNS)
    earlier = {(row["account_id"], row["id"], row["path"]): row for row in documents}
    for invoice in invoices:
        document = earlier.pop((invoice["account_id"], invoice["id"], invoice["path"]), None)
        if document or invoice["status"] != "draft":
            yield out.writerow(_line(invoice, document, money))
    for document in sorted(earlier.values(), key=lambda row: (row["account_id"], row["path"] or "")):
        line = dict.fromkeys(COLUMNS) | _named(document) | _filed(document) | {"document": "earlier"}
        yield out.writerow(line.values())


class _Lines:
    def write(self, line: str) -> str:
        return line


def _line(invoice: Row, document: Row | None, money: Callable[[str, Decimal], Money]) -> Iterable[Any]:
    created = invoice["created"]
    line = dict.fromkeys(COLUMNS) | _named(invoice)
    line |= {"date": created.date().isoformat() if created else None, "currency": _text(invoice["currency"])}
    line |= _amounts(invoice, money)
    line |= {"document": "missing"} if document is None else {"document": "current", **_filed(document)}
    return line.values()


def _amounts(invoice: Row, money: Callable[[str, Decimal], Money]) -> dict[str, Any]:
    try:
        minor = Decimal(str(invoice["amount_due"]))  # SQLite gives floats
    except InvalidOperation:  # what is no amount
        return {}
    found = money(str(invoice["currency"]), minor)
    return {
        "amount": None if found.is_minor else f"{found.amount:f}",
        "amount_minor": f"{total([minor]):f}",
    }


def _named(row: Row) -> dict[str, Any]:
    return {name: _text(row[name]) for name in ("account_id", "id", "status")}


def _filed(document: Row) -> dict[str, Any]:
    fetched = document["fetched_at"]
    return {
        "file": _text(document["path"]),
        "sha256": _text(document["sha256"]),
        "bytes": document["bytes"],
        "fetched": fetched.strftime("%Y-%m-%dT%H:%M:%SZ") if fetched else None,
    }


def _text(value: Any) -> str | None:
    """Write a text so that no spreadsheet takes it for a formula."""
    text = None if value is None else str(value)
    return f"'{text}" if text and text.startswith(_FORMULAS) else text
