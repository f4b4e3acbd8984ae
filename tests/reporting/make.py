"""Rows of our tables, valid by default."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from cf_invoice_source.reporting.accounts import SyncMark
from cf_invoice_source.reporting.history import Invoice, Version

DAY_0 = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)

_INVOICE = Invoice(
    account_id="a",
    id="in_1",
    currency="usd",
    status="open",
    created=DAY_0,
    amount_due=Decimal(2178),
    amount_paid=Decimal(0),
    amount_remaining=Decimal(2178),
    invoice_origin="auto_topup",
)


def day(number: float) -> datetime:
    """So many days after 1 March 2026, at noon."""
    return DAY_0 + timedelta(days=number)


def invoice(**fields: Any) -> Invoice:
    amounts = {name: Decimal(value) for name, value in fields.items() if name.startswith("amount_")}
    return replace(_INVOICE, **{**fields, **amounts})


def version(number: int, observed_at: datetime | None, change: str = "updated", **fields: Any) -> Version:
    return Version(invoice(**fields), number, "new" if number == 1 else change, observed_at)


def sync(number: int, finished_at: datetime | None, **fields: Any) -> SyncMark:
    values: dict[str, Any] = {
        "account_id": "a",
        "sync_number": number,
        "started_at": finished_at,
        "finished_at": finished_at,
        "sync_mode": "incremental",
        "new": 0,
        "updated": 0,
        "deleted": 0,
        "rejected": 0,
        "verified": True,
        "unverified_reason": "",
        "error": "",
    }
    return SyncMark(**values | fields)
