"""The dlt source: reads the bookmarks, yields the rows of every table, and stores the new bookmarks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any

import dlt
from dlt.common.configuration.specs import BaseConfiguration
from dlt.common.storages.load_package import load_package_state
from dlt.extract import DltResource

from cf_invoice_source.cloudflare.client import Client
from cf_invoice_source.cloudflare.credentials import CloudflareCredentials
from cf_invoice_source.errors import SettingsError
from cf_invoice_source.invoices.tables import INVOICES
from cf_invoice_source.loading.accounts import Accounts
from cf_invoice_source.loading.counters import Counters
from cf_invoice_source.loading.delivery import PackageWriter, missing_tables
from cf_invoice_source.loading.job import Job, prepare
from cf_invoice_source.redaction import shown
from cf_invoice_source.schema.capabilities import FileFormat, TableFormat
from cf_invoice_source.schema.contract import check_contract, check_write_disposition
from cf_invoice_source.schema.hints import table_hints
from cf_invoice_source.settings import SECTION, InvoiceType
from cf_invoice_source.walk.bookmark import to_text
from cf_invoice_source.warehouse.dlt_names import logger
from cf_invoice_source.warehouse.staging import separate_staging, separate_staging_of_the_active_pipeline
from cf_invoice_source.warehouse.stored import StoredRows

__source_name__ = SECTION


@dlt.source(name=SECTION, section=SECTION, spec=BaseConfiguration)  # `read_job` looks settings up, not dlt
def cf_invoice_source(  # noqa: PLR0913, PLR0917 - each is a setting
    account_id: str | Sequence[str] | None = None,
    type: InvoiceType | None = None,  # noqa: A002 - Cloudflare's name for it
    full: bool | None = None,
    accept_deletions: bool | None = None,
    full_sync_every_days: float | None = None,
    leave_out: str | Sequence[str] | None = None,
    base_url: str | None = None,
    credentials: CloudflareCredentials | Mapping[str, str] | str | None = None,
    created: dlt.sources.incremental[datetime] | None = None,
    schema_contract: dict[str, Any] | None = None,
    table_format: TableFormat | None = None,
    file_format: FileFormat | None = None,
    write_disposition: Any = None,
) -> DltResource:
    """Load Cloudflare's AI Gateway invoices.

    Arguments that are not given are looked up in dlt's configuration, under `[sources.cf_invoice_source]` and
    nowhere else. `created` is not looked up.

    Args:
        account_id: Cloudflare account ID, or several: a list, or one text with commas. If it is not set,
            `CLOUDFLARE_ACCOUNT_ID` is used; without that, all accounts that the credentials can see.
        type: Which invoices: all (the default), auto (automatic top-ups) or manual.
        full: Whether to read every page and compare every value, even if that is not due.
        accept_deletions: Whether to delete invoices that are no longer listed although Stripe deletes only
            drafts. If not, they stay, and nothing is verified.
        full_sync_every_days: After how many days a run is a full one by itself; 7 by default.
        leave_out: Fields that are null in every table, such as `["invoice_pdf", "created_by"]`: a list, or
            one text with commas. What was loaded before is nulled by a full walk; the audit trail keeps it.
        base_url: Address of the API. If it is not given, `CLOUDFLARE_BASE_URL` is used, then a setting in a
            file, then Cloudflare's own. An address from a file that is not Cloudflare's gets only credentials
            from the files beside it.
        credentials: An API token, or an e-mail with a global API key. See `CloudflareCredentials`.
        created: A range of `created`: `dlt.sources.incremental("created", initial_value=..., end_value=...)`
            with times in UTC. It is loaded whatever earlier runs have loaded, and verifies nothing. Invoices
            without `created` are loaded, too.
        schema_contract: What dlt may do with new fields, such as `{"columns": "freeze"}`; the same as setting
            `source.schema_contract`.
        table_format: The table format for dlt's `filesystem`: delta or iceberg. By default it writes plain
            files, which hold old rows, too.
        file_format: The format of the rows on their way, and of plain files: jsonl, parquet, csv or
            insert_values. By default that of the destination. dlt's `loader_file_format` counts before it.
        write_disposition: Only merge is allowed: `invoices` is a mirror, and `invoice_changes` its history.

    Returns:
        A source with the resource `invoices`, which fills the tables `invoices`, `invoice_changes`,
        `invoice_syncs` and `invoice_rejects`.

    Raises:
        SettingsError: A setting is missing or makes no sense.
    """
    job, client = prepare(locals())
    job.access.announce()
    separate_staging_of_the_active_pipeline()
    return _resource_of(job, client)


@dlt.source(name=SECTION, section=SECTION)
def source_of(accounts: Accounts) -> DltResource:
    """Give the source for a load of several packages; `accounts` keeps its progress between them."""
    return _resource_of(accounts.job, accounts)


@dlt.source(name=SECTION, section=SECTION)
def empty_tables() -> DltResource:
    """Give the tables and columns that a pipeline does not have yet, without rows."""

    def tables() -> Iterator[Any]:
        pipeline = dlt.current.pipeline()
        capabilities = StoredRows(pipeline).capabilities
        yield from missing_tables(pipeline, table_hints(capabilities), capabilities)

    return dlt.resource(tables, name=INVOICES, section=SECTION, write_disposition="merge")


def _resource_of(job: Job, asked: Client | Accounts) -> DltResource:
    # Texts stay as they were sent: dlt would turn a text that looks like a time into a time.
    dlt.current.source_schema().remove_type_detection("iso_timestamp")
    if job.created is None:
        resource = _invoices(job, asked)
    else:
        created = job.created.copy()
        created.on_cursor_value_missing = "include"  # rows of the other tables have no `created`
        resource = _invoices(job, asked, created)
    # Where dlt's own choice for a run comes, too, so that it counts before this one.
    return resource.apply_hints(file_format=job.file_format)


@dlt.resource(name=INVOICES, section=SECTION, write_disposition="merge", spec=BaseConfiguration)
def _invoices(
    job: Job,
    asked: Client | Accounts,
    created: dlt.sources.incremental[datetime] = dlt.sources.incremental(  # noqa: B008 - dlt's way
        "created", on_cursor_value_missing="include", allow_external_schedulers=False
    ),
) -> Iterator[Any]:
    """Yield the rows of every table, so that they and the bookmarks are in one load package."""
    is_range = created.end_value is not None
    resource = dlt.current.source().resources[INVOICES]
    check_write_disposition(resource.write_disposition)
    file_format = resource.compute_table_schema().get("file_format")
    pipeline = dlt.current.pipeline()
    _refuse_refresh(pipeline)
    state = dlt.current.resource_state()
    if not isinstance(state.get("bookmarks"), dict):
        state["bookmarks"] = {}
    bookmarks = state["bookmarks"]
    separate_staging(pipeline)
    schema = dlt.current.source_schema()
    if contract := job.contract:
        schema.set_schema_contract(contract)  # when the source was made, dlt set the decorator's
    check_contract(schema)
    if isinstance(asked, Accounts):
        accounts = asked
    else:
        accounts = Accounts(job, asked, StoredRows(pipeline, job.table_format), Counters(pipeline))
    stored = accounts.stored
    stored.check_tables(file_format)
    hints = table_hints(stored.capabilities, job.table_format)
    yield from missing_tables(pipeline, hints, stored.capabilities)
    is_direct = accounts.bypass_normalizer and not is_range
    writer = PackageWriter(pipeline, hints, stored.capabilities, file_format=file_format, is_direct=is_direct)
    verified: dict[str, Any] = {}
    with closing(writer), stored.connected():
        for batch in accounts.row_batches(bookmarks, is_range=is_range):
            if not is_range:  # dlt drops the rows outside a range itself
                _advance(created, batch.tables.get(INVOICES, ()))
            if batch.bookmark:
                verified[batch.account_id] = to_text(batch.bookmark)
            yield from writer.add(batch.tables)
        yield from writer.rest()
    if isinstance(asked, Client):
        _log_problems(accounts)  # `load` has them in its report
    stored.check_state({**bookmarks, **verified})
    bookmarks.update(verified)  # last: a run that stops taking rows before the end stores no bookmark


def _log_problems(accounts: Accounts) -> None:
    """Log what a plain dlt run would not show: what is not verified, and rejected records."""
    for account in accounts.accounts:
        if problem := account.outcome.problem:
            remedy = account.outcome.remedy
            logger.warning(shown(f"Account {account.account_id}: {problem}. What to do: {remedy}"))


def _refuse_refresh(pipeline: dlt.Pipeline) -> None:
    """Refuse dlt's refresh: it drops tables after the source has read them."""
    if pipeline.refresh or load_package_state()["state"].get("refresh"):
        raise SettingsError(
            "dlt's refresh would drop all tables of the invoices, including the audit trail.",
            remedy="leave refresh out; load(pipeline, full=True) compares every value. If you drop a table "
            "by hand, the next load creates and fills it again",
        )


def _advance(cursor: dlt.sources.incremental[datetime], rows: Sequence[dict[str, Any]]) -> None:
    """Move dlt's cursor to the newest `created` of all accounts. It only informs: the bookmarks decide."""
    times = [time for time in (cursor.last_value, *(row.get("created") for row in rows)) if time]
    if times:
        cursor.advance(max(times))
