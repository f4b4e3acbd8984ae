"""dlt glue: reads the bookmarks, yields the rows of every table, stores the bookmarks beside them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import dlt
from dlt.common.schema.typing import TSchemaContractDict
from dlt.extract import DltResource

from cf_invoice_source.accounts import Accounts, Order
from cf_invoice_source.auth import CloudflareCredentials
from cf_invoice_source.client import Client
from cf_invoice_source.contract import check_contract, read_contract
from cf_invoice_source.decide.bookmark import to_dict
from cf_invoice_source.decide.place import TABLE_FORMATS, TableFormat
from cf_invoice_source.delivery import Delivery, missing_tables
from cf_invoice_source.discovery import read_account_ids
from cf_invoice_source.errors import SettingsError
from cf_invoice_source.hints import INVOICES
from cf_invoice_source.settings import BASE_URL, FULL_WALK_EVERY_DAYS, INVOICE_TYPES, SECTION, InvoiceType
from cf_invoice_source.staging import separate_staging, separate_staging_of_the_active_pipeline
from cf_invoice_source.warehouse import Warehouse

__source_name__ = SECTION

_LONGEST_DAYS = 36_500


@dlt.source(name=SECTION, section=SECTION)
def cf_invoice_source(  # noqa: PLR0913, PLR0917 - each is a setting of dlt's configuration
    account_id: str | Sequence[str] | None = None,
    type: InvoiceType = "all",  # noqa: A002 - Cloudflare's name for it
    full: bool = False,
    full_walk_every_days: float = FULL_WALK_EVERY_DAYS,
    base_url: str | None = None,
    credentials: CloudflareCredentials = dlt.secrets.value,
    created: dlt.sources.incremental[datetime] | None = None,
    schema_contract: dict[str, Any] | None = None,
    table_format: TableFormat | None = None,
) -> DltResource:
    """Load Cloudflare's AI Gateway invoices.

    Each argument can come from dlt's configuration, `[sources.cf_invoice_source]`.

    Args:
        account_id: Cloudflare account ID, or several: a list, or one text with commas. Without it
            `CLOUDFLARE_ACCOUNT_ID` counts; without that, all accounts that the credentials can see.
        type: Which invoices: all, auto (automatic top-ups) or manual.
        full: Whether to read every page and to compare every row, even where that is not due.
        full_walk_every_days: After how many days a run does so by itself.
        base_url: Cloudflare's API; else `CLOUDFLARE_BASE_URL`, else the real one.
        credentials: An API token, or an e-mail with a global API key. See `CloudflareCredentials`.
        created: A range of `created`: `dlt.sources.incremental("created", initial_value=..., end_value=...)`
            with times in UTC. It is loaded without regard to earlier runs, and proves nothing. Invoices
            that have no `created` come along.
        schema_contract: What dlt may do with new fields, such as `{"columns": "freeze"}`. To set it as
            `source.schema_contract` is the same.
        table_format: In which format dlt's `filesystem` keeps the tables: delta or iceberg. By default it
            writes plain files, which hold old rows among the new.

    Returns:
        A source with the resource `invoices`, which fills the tables `invoices`, `invoice_changes`,
        `invoice_walks` and `invoice_rejects`.

    Raises:
        SettingsError: A setting is missing or makes no sense.
    """
    separate_staging_of_the_active_pipeline()
    # A text stays the text that was sent; dlt would turn what looks like a time into one.
    dlt.current.source_schema().remove_type_detection("iso_timestamp")
    contract = read_contract(schema_contract)
    auth = credentials.to_auth()
    account_ids = read_account_ids(account_id or os.environ.get("CLOUDFLARE_ACCOUNT_ID"))
    if type not in INVOICE_TYPES:
        raise SettingsError("There is no such type.", remedy=f"use one of {', '.join(INVOICE_TYPES)}")
    if not 0 <= full_walk_every_days <= _LONGEST_DAYS:
        raise SettingsError(
            "full_walk_every_days makes no sense.", remedy=f"use a number from 0 to {_LONGEST_DAYS:,}"
        )
    if table_format not in {None, *TABLE_FORMATS}:
        raise SettingsError("There is no such table_format.", remedy=f"use one of {', '.join(TABLE_FORMATS)}")
    client = Client(auth, base_url or os.environ.get("CLOUDFLARE_BASE_URL") or BASE_URL)
    order = Order(
        find=lambda: account_ids or [account.id for account in client.accounts()],
        is_discovered=not account_ids,
        ask=lambda account_id, page, tally: client.invoice_page(account_id, type, page, tally),
        invoice_type=type,
        is_full=full,
        full_walk_every_s=int(full_walk_every_days * 24 * 3600),
        table_format=table_format,
    )
    given = {} if created is None else {"created": _including_undated(created)}
    return _invoices(Accounts(order), contract=contract, **given)


@dlt.source(name=SECTION, section=SECTION)
def empty_tables(table_format: TableFormat | None = None) -> DltResource:
    """Give the tables that a pipeline does not know yet, without a row."""
    tables = missing_tables(Warehouse(dlt.current.pipeline(), table_format))
    return dlt.resource(tables, name=INVOICES, section=SECTION, write_disposition="merge")


@dlt.resource(name=INVOICES, section=SECTION, write_disposition="merge")
def _invoices(
    accounts: Accounts,
    created: dlt.sources.incremental[datetime] = dlt.sources.incremental(  # noqa: B008 - dlt's way
        "created", on_cursor_value_missing="include", allow_external_schedulers=False
    ),
    contract: TSchemaContractDict | None = None,
) -> Iterator[Any]:
    """Yield the rows of every table, so that they and the bookmarks are one load package."""
    is_range = created.end_value is not None
    bookmarks = dlt.current.resource_state().setdefault("bookmarks", {})
    pipeline = dlt.current.pipeline()
    separate_staging(pipeline)
    schema = dlt.current.source_schema()
    if contract:
        schema.set_schema_contract(contract)  # dlt sets the one of the decorator when the source is made
    check_contract(schema)
    warehouse = Warehouse(pipeline, accounts.order.table_format)
    warehouse.check()
    yield from missing_tables(warehouse)
    delivery = Delivery(pipeline, schema, warehouse, is_direct=accounts.is_untouched and not is_range)
    proven: dict[str, Any] = {}
    with warehouse.connected():
        for package in accounts.packages(warehouse, bookmarks, is_range=is_range):
            if not is_range:
                newest = _newest(created.last_value, package.tables.get(INVOICES, ()))
                if newest is not None:
                    created.advance(newest)
                if package.bookmark:
                    proven[package.account_id] = to_dict(package.bookmark)
            yield from delivery.add(package.tables)
    yield from delivery.rest()
    bookmarks.update(proven)  # only now: whoever takes no more rows than that gets no bookmark either


def _newest(last: datetime | None, rows: Sequence[dict[str, Any]]) -> datetime | None:
    """The newest `created` so far. The accounts share this cursor: it informs, the bookmarks decide."""
    return max(
        [row["created"] for row in rows if row.get("created")] + ([last] if last else []), default=None
    )


def _including_undated(created: dlt.sources.incremental[datetime]) -> dlt.sources.incremental[datetime]:
    """Let rows without `created` pass: those of the other tables have none."""
    created = created.copy()
    created.on_cursor_value_missing = "include"
    return created
