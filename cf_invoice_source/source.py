"""dlt glue: walks each account's list and yields its rows, each table with its own hints."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import dlt
import simplejson
from dlt.extract import DltResource

from cf_invoice_source.auth import CloudflareCredentials
from cf_invoice_source.client import Client
from cf_invoice_source.decide.envelope import Page
from cf_invoice_source.decide.listing import Listing
from cf_invoice_source.decide.paging import Ask, Refuse, next_step
from cf_invoice_source.decide.row import Invoice, Reject
from cf_invoice_source.errors import ApiChangedError, SettingsError
from cf_invoice_source.hints import INVOICES, REJECTS, TABLES
from cf_invoice_source.settings import BASE_URL, INVOICE_TYPES, MAX_PAGES, SECTION, InvoiceType

__source_name__ = SECTION


@dataclass(frozen=True, slots=True)
class Walk:
    """What one walk over an account's list saw.

    Attributes:
        account_id: Cloudflare account ID.
        invoices: Invoices listed, each counted once.
        rejected: Records that are no invoice, or that no column holds exactly.
        requests: Pages asked for.
        doubt: Why it is not proven that nothing was missed; empty when it is.
    """

    account_id: str
    invoices: int
    rejected: int
    requests: int
    doubt: str


@dlt.source(name=SECTION, section=SECTION)
def cf_invoice_source(
    account_id: str | Sequence[str] | None = None,
    type: InvoiceType = "all",  # noqa: A002 - Cloudflare's name for it
    base_url: str | None = None,
    credentials: CloudflareCredentials = dlt.secrets.value,
) -> DltResource:
    """Load Cloudflare's AI Gateway invoices.

    Each argument can come from dlt's configuration, `[sources.cf_invoice_source]`.

    Args:
        account_id: Cloudflare account ID, or several: a list, or one text with commas. Without it
            `CLOUDFLARE_ACCOUNT_ID` counts.
        type: Which invoices: all, auto (automatic top-ups) or manual.
        base_url: Cloudflare's API; else `CLOUDFLARE_BASE_URL`, else the real one.
        credentials: An API token, or an e-mail with a global API key. See `CloudflareCredentials`.

    Returns:
        A source with the resource `invoices`, which fills the tables `invoices` and `invoice_rejects`.

    Raises:
        SettingsError: A setting is missing or makes no sense.
    """
    auth = credentials.to_auth()
    accounts = _read_accounts(account_id or os.environ.get("CLOUDFLARE_ACCOUNT_ID"))
    if type not in INVOICE_TYPES:
        raise SettingsError(
            f"The type {type!r} does not exist.", remedy=f"use one of {', '.join(INVOICE_TYPES)}"
        )
    client = Client(auth, base_url or os.environ.get("CLOUDFLARE_BASE_URL") or BASE_URL)
    return _invoices(client, accounts, type)


def _invoices(client: Client, accounts: Sequence[str], invoice_type: InvoiceType) -> DltResource:
    @dlt.resource(name=INVOICES, section=SECTION, write_disposition="merge")
    def invoices() -> Iterator[Any]:
        yield from _missing_tables()
        for account_id in accounts:
            yield from _walk(client, account_id, invoice_type)

    return invoices()


def _missing_tables() -> Iterator[Any]:
    """Create what an account without invoices would not: the tables are there after the first load."""
    known = dlt.current.source_schema().tables
    for table in TABLES.keys() - known.keys():
        # Without a file format: DuckDB cannot read the empty file that jsonl makes of this.
        hints = dlt.mark.make_hints(table_name=table, **TABLES[table])
        yield dlt.mark.with_hints(dlt.mark.materialize_table_schema(), hints, create_table_variant=True)


def _rows(table: str, rows: Sequence[dict[str, Any]]) -> Iterator[Any]:
    """Mark rows with the hints of their table; jsonl is by far the fastest format without Arrow."""
    if rows:
        hints = dlt.mark.make_hints(table_name=table, file_format="jsonl", **TABLES[table])
        yield dlt.mark.with_hints(rows, hints, create_table_variant=True)


def _walk(client: Client, account_id: str, invoice_type: InvoiceType) -> Iterator[Any]:
    """Walk one account's list page by page, and yield each record once."""
    listing = Listing()
    invoices = rejected = requests = 0
    step: Any = Ask(1)
    first: Page | None = None
    while isinstance(step, Ask):
        page = client.invoice_page(account_id, invoice_type=invoice_type, page=step.page)
        requests += 1
        first = first or page
        taken = listing.take(page)
        invoices, rejected = invoices + len(taken.invoices), rejected + len(taken.rejects)
        yield from _rows(INVOICES, [_invoice_row(account_id, invoice) for invoice in taken.invoices])
        yield from _rows(REJECTS, [_reject_row(account_id, reject, n) for reject, n in taken.rejects])
        step = next_step(first, page, seen=listing.seen, new=taken.new, max_pages=MAX_PAGES)
    if isinstance(step, Refuse):
        raise ApiChangedError(
            f"The paging of account {account_id} makes no sense: {step.why}.",
            remedy="run again; if it stays so, report it",
            account_id=account_id,
        )
    anonymous = listing.anonymous()
    yield from _rows(INVOICES, [_invoice_row(account_id, invoice) for invoice in anonymous])
    walk = Walk(account_id, invoices + len(anonymous), rejected, requests, step.doubt)
    dlt.current.resource_metrics()[account_id] = asdict(walk)


def _invoice_row(account_id: str, invoice: Invoice) -> dict[str, Any]:
    return {"account_id": account_id, "id": invoice.id, **invoice.values, "row_hash": invoice.row_hash}


def _reject_row(account_id: str, reject: Reject, number: int) -> dict[str, Any]:
    return {
        "account_id": account_id,
        "record_hash": reject.record_hash,
        "n": number,
        "id": reject.id,
        "reason": reject.reason,
        "raw": simplejson.dumps(reject.record, use_decimal=True, allow_nan=True),
    }


def _read_accounts(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """Read account IDs from a list, or from a text of the environment: with commas, or in JSON."""
    if isinstance(given, str):
        given = _split(given)
    accounts = tuple(dict.fromkeys(str(account).strip() for account in given or ()))
    if not accounts:
        raise SettingsError(
            "There is no Cloudflare account to load.",
            remedy="name it: --account ID, CLOUDFLARE_ACCOUNT_ID, or account_id in .dlt/config.toml",
        )
    for account in accounts:
        if not re.fullmatch(r"[0-9A-Za-z_-]+", account):
            raise SettingsError(
                f"{account!r} is not a Cloudflare account ID.",
                remedy="an account ID has 32 hexadecimal characters; several are separated by commas",
            )
    return accounts


def _split(text: str) -> Sequence[str]:
    try:
        listed = json.loads(text)
    except ValueError:
        listed = None
    return listed if isinstance(listed, list) else text.split(",")
