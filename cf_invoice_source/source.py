"""dlt glue: reads the bookmarks, yields the rows of every table, stores the bookmarks beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any, cast

import dlt
from dlt.common.schema.typing import TSchemaContractDict, TWriteDisposition
from dlt.extract import DltResource

from cf_invoice_source.cloudflare.accounts import named_accounts
from cf_invoice_source.cloudflare.base_url import chosen_base_url
from cf_invoice_source.cloudflare.client import Client
from cf_invoice_source.cloudflare.credentials import CloudflareCredentials
from cf_invoice_source.errors import SettingsError
from cf_invoice_source.invoices.tables import INVOICES, table_hints
from cf_invoice_source.loading.accounts import Accounts, Order
from cf_invoice_source.loading.delivery import Delivery, missing_tables
from cf_invoice_source.loading.write_disposition import Keeping, read_keeping
from cf_invoice_source.schema.capabilities import TABLE_FORMATS, TableFormat
from cf_invoice_source.schema.contract import check_contract, read_contract
from cf_invoice_source.settings import FULL_WALK_EVERY_DAYS, INVOICE_TYPES, SECTION, InvoiceType
from cf_invoice_source.walk.bookmark import to_dict
from cf_invoice_source.warehouse.staging import separate_staging, separate_staging_of_the_active_pipeline
from cf_invoice_source.warehouse.stored import Warehouse

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
    refresh: bool = False,
    write_disposition: Keeping = "merge",
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
        refresh: Whether to write every row of these accounts in `invoices` anew, and to delete what is not
            listed. The other tables are kept, unlike with dlt's own `refresh`.
        write_disposition: How `invoices` is kept: merge, a mirror; scd2, with every version of a row; append,
            with a row for every change. `source.invoices.apply_hints(write_disposition=...)` does the same.

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
    account_ids = named_accounts(account_id)
    if type not in INVOICE_TYPES:
        raise SettingsError("There is no such type.", remedy=f"use one of {', '.join(INVOICE_TYPES)}")
    if not 0 <= full_walk_every_days <= _LONGEST_DAYS:
        raise SettingsError(
            "full_walk_every_days makes no sense.", remedy=f"use a number from 0 to {_LONGEST_DAYS:,}"
        )
    if table_format not in {None, *TABLE_FORMATS}:
        raise SettingsError("There is no such table_format.", remedy=f"use one of {', '.join(TABLE_FORMATS)}")
    client = Client(auth, chosen_base_url(base_url))
    order = Order(
        find=lambda: account_ids or [account.id for account in client.accounts()],
        is_discovered=not account_ids,
        ask=lambda account_id, page, tally: client.invoice_page(account_id, type, page, tally),
        invoice_type=type,
        is_full=full,
        is_refresh=refresh,
        full_walk_every_s=int(full_walk_every_days * 24 * 3600),
        table_format=table_format,
    )
    given = {} if created is None else {"created": _including_undated(created)}
    resource = _invoices(Accounts(order), contract=contract, **given)
    if read_keeping(write_disposition) == "scd2":
        return resource.apply_hints(write_disposition={"disposition": "merge", "strategy": "scd2"})
    return resource.apply_hints(write_disposition=cast("TWriteDisposition", write_disposition))


@dlt.source(name=SECTION, section=SECTION)
def empty_tables(keeping: Keeping = "merge", table_format: TableFormat | None = None) -> DltResource:
    """Give the tables, or columns of them, that a pipeline does not know yet, without a row.

    Args:
        keeping: How `invoices` is kept in the dataset, if it is there.
        table_format: In which format a destination of files is to keep the tables; None for its own.
    """
    tables = dlt.resource(_empty_tables, name=INVOICES, section=SECTION, write_disposition="merge")
    return tables(keeping, table_format)


def _empty_tables(keeping: Keeping, table_format: TableFormat | None) -> Iterator[Any]:
    pipeline = dlt.current.pipeline()
    warehouse = Warehouse(pipeline, table_format)
    yield from missing_tables(_hints(keeping, warehouse), warehouse.abilities)


def _hints(keeping: Keeping, warehouse: Warehouse) -> dict[str, dict[str, Any]]:
    dialect = warehouse.capabilities.sqlglot_dialect
    return table_hints(keeping, dialect, warehouse.abilities, warehouse.table_format)


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
    keeping = read_keeping(dlt.current.source().resources[INVOICES].write_disposition)
    if accounts.order.is_refresh:
        _check_refresh(keeping, is_range=is_range)
    bookmarks = dlt.current.resource_state().setdefault("bookmarks", {})
    pipeline = dlt.current.pipeline()
    separate_staging(pipeline)
    schema = dlt.current.source_schema()
    if contract:
        schema.set_schema_contract(contract)  # dlt sets the one of the decorator when the source is made
    check_contract(schema)
    warehouse = Warehouse(pipeline, accounts.order.table_format)
    warehouse.check()
    hints = _hints(keeping, warehouse)
    yield from missing_tables(hints, warehouse.abilities)
    # With versions dlt has to look at some rows, and counts the columns of the others as left out.
    is_direct = accounts.is_untouched and not is_range and keeping == "merge"
    delivery = Delivery(pipeline, schema, hints, warehouse.abilities, is_direct=is_direct)
    proven: dict[str, Any] = {}
    with closing(delivery), warehouse.connected():
        warehouse.check_keeping(keeping)
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


def _check_refresh(keeping: Keeping, *, is_range: bool) -> None:
    if is_range:
        raise SettingsError(
            "A refresh needs the whole list, not a range of created.", remedy="leave out one of them"
        )
    if keeping != "merge":
        raise SettingsError(
            f"A refresh would write over the history that {keeping} keeps.",
            remedy="use --full: it compares every row, and adds what is not right",
        )


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
