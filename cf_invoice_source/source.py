"""The dlt source: reads the bookmarks, yields the rows of every table, stores the bookmarks beside them."""

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
from cf_invoice_source.walk.bookmark import to_dict
from cf_invoice_source.warehouse.dlt_names import logger
from cf_invoice_source.warehouse.staging import separate_staging, separate_staging_of_the_active_pipeline
from cf_invoice_source.warehouse.stored import StoredRows

__source_name__ = SECTION


@dlt.source(name=SECTION, section=SECTION, spec=BaseConfiguration)  # dlt looks nothing up: `read_job` does
def cf_invoice_source(  # noqa: PLR0913, PLR0917 - each is a setting
    account_id: str | Sequence[str] | None = None,
    type: InvoiceType | None = None,  # noqa: A002 - Cloudflare's name for it
    full: bool | None = None,
    accept_deletions: bool | None = None,
    full_sync_every_days: float | None = None,
    base_url: str | None = None,
    credentials: CloudflareCredentials | Mapping[str, str] | str | None = None,
    created: dlt.sources.incremental[datetime] | None = None,
    schema_contract: dict[str, Any] | None = None,
    table_format: TableFormat | None = None,
    file_format: FileFormat | None = None,
    write_disposition: Any = None,
) -> DltResource:
    """Load Cloudflare's AI Gateway invoices.

    What is not given is looked up in dlt's configuration, under `[sources.cf_invoice_source]` and nowhere
    else; only `created` is an argument and nothing more.

    Args:
        account_id: Cloudflare account ID, or several: a list, or one text with commas. Without it
            `CLOUDFLARE_ACCOUNT_ID` counts; without that, all accounts that the credentials can see.
        type: Which invoices: all (the default), auto (automatic top-ups) or manual.
        full: Whether to read every page and to compare every value, even where that is not due.
        accept_deletions: Whether invoices that are not listed any more, though they could not have been
            deleted (all but drafts), are deleted here, too. Else they stay, and nothing is verified.
        full_sync_every_days: After how many days a run does so by itself; 7 by default.
        base_url: Cloudflare's API; else `CLOUDFLARE_BASE_URL`, else that of a file, else the real one. To one
            of a file that is not Cloudflare's go only the credentials of the files beside it.
        credentials: An API token, or an e-mail with a global API key. See `CloudflareCredentials`.
        created: A range of `created`: `dlt.sources.incremental("created", initial_value=..., end_value=...)`
            with times in UTC. It is loaded without regard to earlier runs, and verifies nothing. Invoices
            that have no `created` come along.
        schema_contract: What dlt may do with new fields, such as `{"columns": "freeze"}`. To set it as
            `source.schema_contract` is the same.
        table_format: In which format dlt's `filesystem` keeps the tables: delta or iceberg. By default it
            writes plain files, which hold old rows among the new.
        file_format: In which format the rows travel, and lie in plain files: jsonl, parquet, csv or
            insert_values. By default that of the destination. dlt's `loader_file_format` counts before it.
        write_disposition: Only merge: `invoices` is a mirror, and `invoice_changes` its history.

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
    """Give the source for a load of many packages, which knows its accounts and what is stored."""
    return _resource_of(accounts.job, accounts)


@dlt.source(name=SECTION, section=SECTION)
def empty_tables() -> DltResource:
    """Give the tables, or columns of them, that a pipeline does not know yet, without a row."""

    def tables() -> Iterator[Any]:
        pipeline = dlt.current.pipeline()
        capabilities = StoredRows(pipeline).capabilities
        yield from missing_tables(pipeline, table_hints(capabilities), capabilities)

    return dlt.resource(tables, name=INVOICES, section=SECTION, write_disposition="merge")


def _resource_of(job: Job, asked: Client | Accounts) -> DltResource:
    # A text stays the text that was sent; dlt would turn what looks like a time into one.
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
    """Yield the rows of every table, so that they and the bookmarks are one load package."""
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
        schema.set_schema_contract(contract)  # dlt sets the one of the decorator when the source is made
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
            if not is_range:  # within one, dlt itself drops what lies outside
                _advance(created, batch.tables.get(INVOICES, ()))
            if batch.bookmark:
                verified[batch.account_id] = to_dict(batch.bookmark)
            yield from writer.add(batch.tables)
        yield from writer.rest()
    if isinstance(asked, Client):
        _log_problems(accounts)  # what `load` gives back in its report
    bookmarks.update(verified)  # only now: whoever takes no more rows than that gets no bookmark either


def _log_problems(accounts: Accounts) -> None:
    """Tell in dlt's log what a plain run would hide: what is not verified, and rejected records."""
    for account in accounts.accounts:
        if problem := account.outcome.problem:
            remedy = account.outcome.remedy
            logger.warning(shown(f"Account {account.account_id}: {problem}. What to do: {remedy}"))


def _refuse_refresh(pipeline: dlt.Pipeline) -> None:
    """Refuse dlt's refresh: it drops tables behind the back of a source that has looked at them already."""
    if pipeline.refresh or load_package_state()["state"].get("refresh"):
        raise SettingsError(
            "dlt's refresh would drop all tables of the invoices, the audit trail among them.",
            remedy="leave refresh out; load(pipeline, full=True) compares every value, and a table that you "
            "drop by hand is made and filled again",
        )


def _advance(cursor: dlt.sources.incremental[datetime], rows: Sequence[dict[str, Any]]) -> None:
    """Move the cursor to the newest `created`. The accounts share it: it informs, the bookmarks decide."""
    times = [time for time in (cursor.last_value, *(row.get("created") for row in rows)) if time]
    if times:
        cursor.advance(max(times))
