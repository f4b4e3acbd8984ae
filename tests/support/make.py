"""Things that tests are made of: valid by default, so that a test says only what matters to it."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any

from cf_invoice_source.invoices.record import Item, read_record
from cf_invoice_source.simulator import Record
from cf_invoice_source.walk.page import Page

CREATED_S = 1_767_225_600
"""2026-01-01T00:00:00Z"""


class _Missing(Enum):
    MISSING = "missing"


MISSING = _Missing.MISSING
"""As a field's value: leave the field out."""


def make_invoice(**fields: Any) -> Record:
    """One invoice as the API sends it, without the link to its PDF."""
    record = {
        "id": "in_1",
        "amount_due": 2178,
        "amount_paid": 2178,
        "amount_remaining": 0,
        "attempt_count": 1,
        "attempted": True,
        "auto_advance": False,
        "created": CREATED_S,
        "created_by": "ada@example.com",
        "currency": "usd",
        "description": "AI Gateway credits",
        "invoice_origin": "auto_topup",
        "status": "paid",
    } | fields
    return {name: value for name, value in record.items() if value is not MISSING}


def make_invoices(count: int, **fields: Any) -> list[Record]:
    """That many invoices as a list shows them, newest first: in_1 is the oldest, an hour before in_2."""
    return [
        make_invoice(id=f"in_{number}", created=CREATED_S + number * 3600, **fields)
        for number in range(count, 0, -1)
    ]


def make_page(
    *records: Any,
    asked: int = 1,
    has_more: bool = False,
    per_page: int = 50,
    total_count: int | None = None,
) -> Page[Item]:
    """One page; it says that there is nothing else."""
    return Page(
        asked=asked,
        records=tuple(map(read_record, records)),
        has_more=has_more,
        page=asked,
        per_page=per_page,
        total_count=len(records) if total_count is None else total_count,
    )


def read_page_of(page: Page[Any]) -> Page[Item]:
    """Read each record of a page, as a load does."""
    return replace(page, records=tuple(map(read_record, page.records)))


def make_document(*invoices: Any, **pagination: Any) -> Any:
    """One decoded answer; it says that there is nothing else."""
    facts = {"has_more": False, "page": 1, "per_page": 50, "total_count": len(invoices)} | pagination
    facts = {name: value for name, value in facts.items() if value is not MISSING}
    return {
        "success": True,
        "errors": [],
        "messages": [],
        "result": {"invoices": list(invoices), "pagination": facts},
        "result_info": facts,
    }


def expected_row(account_id: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """What the warehouse has to hold of an invoice, by the documented columns that a test can foresee.

    Written once more, in the plainest way, so that it does not repeat a mistake of the package.
    """
    return {
        "account_id": account_id,
        "id": _text(record["id"]),
        "amount_due": Decimal(record["amount_due"]),
        "amount_paid": Decimal(record["amount_paid"]),
        "amount_remaining": Decimal(record["amount_remaining"]),
        "currency": record["currency"],
        "status": _text(record.get("status")),
        "created": _time(record.get("created")),
        "created_by": _text(record.get("created_by")),
        "invoice_origin": _text(record.get("invoice_origin")),
        "description": _text(record.get("description")),
        "attempt_count": _count(record.get("attempt_count")),
        "attempted": _flag(record.get("attempted")),
        "auto_advance": _flag(record.get("auto_advance")),
        "deleted": None,
    }


def _text(sent: Any) -> str | None:
    """Whole numbers count; what no database can store, or dlt would change, does not."""
    if type(sent) is int:
        return str(sent)
    if not isinstance(sent, str) or re.search("[\x00\ud800-\udfff]|^[\uf026-\uf02e](?s:.)", sent):
        return None
    return sent


def _number(sent: Any) -> Decimal | None:
    is_number = isinstance(sent, int | Decimal) and not isinstance(sent, bool)
    if is_number or (isinstance(sent, str) and re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", sent)):
        return Decimal(sent) if Decimal(sent).is_finite() else None
    return None


def _count(sent: Any) -> int | None:
    count = _number(sent)
    if count is None or abs(count) > 2**64 or count != int(count) or not -(2**63) <= count < 2**63:
        return None
    return int(count)


def _flag(sent: Any) -> bool | None:
    if isinstance(sent, list | dict):
        return None
    return {"true": True, "1": True, "false": False, "0": False}.get(str(sent).lower())


def _time(sent: Any) -> datetime | None:
    """Exact to the microsecond: what is finer, or outside the years 1 to 9999, is null."""
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    if isinstance(sent, str) and re.match("[0-9]{4}-[0-9]{2}-[0-9]{2}", sent):
        time = datetime.fromisoformat(sent.replace("Z", "+00:00"))
        return time if time.tzinfo else time.replace(tzinfo=timezone.utc)
    number = _number(sent)
    if number is None or abs(number) > 10**16 or (number and number.adjusted() < -9):
        return None
    microseconds = number * (1_000 if number >= 100_000_000_000 else 1_000_000)
    if microseconds != int(microseconds):
        return None
    try:
        return epoch + timedelta(microseconds=int(microseconds))
    except OverflowError:
        return None
