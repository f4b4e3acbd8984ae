"""One whole load, from the first request to a report."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

import dlt

from cf_invoice_source.loading.accounts import Accounts
from cf_invoice_source.loading.counters import Counters
from cf_invoice_source.loading.job import account_ids_of, check_loader_settings, prepare
from cf_invoice_source.loading.packages import finish_pending, load_package
from cf_invoice_source.loading.report import Report
from cf_invoice_source.loading.status import Status, status_of
from cf_invoice_source.schema.hints import incomplete_tables
from cf_invoice_source.settings import LOCK_WAIT_S, PACKAGE_ROWS, SECTION
from cf_invoice_source.source import empty_tables, source_of
from cf_invoice_source.warehouse.dataset_ref import DatasetRef, client_of, location_of
from cf_invoice_source.warehouse.dlt_errors import translated_errors
from cf_invoice_source.warehouse.duckdb_file import check_file, open_database
from cf_invoice_source.warehouse.locks import Waits, database_lock, pipeline_lock
from cf_invoice_source.warehouse.rights import missing_rights_named
from cf_invoice_source.warehouse.staging import dataset_name_in, separate_staging
from cf_invoice_source.warehouse.stored import StoredRows
from cf_invoice_source.warehouse.working_dir import delete_rows_once_loaded, make_private


def load(
    pipeline: dlt.Pipeline,
    *,
    package_rows: int = PACKAGE_ROWS,
    wait_s: float = LOCK_WAIT_S,
    **settings: Any,
) -> Report:
    """Load the invoices of every account, verify the tables, and repair them if they differ from the list.

    An account that cannot be read does not stop the others; its `Outcome` has the error. Each package is
    loaded before the next one is read, so memory stays bounded, and after an interruption the next load goes
    on where the last package ended.

    Args:
        pipeline: Any dlt pipeline.
        package_rows: How many rows a load package has at least, unless it is the last.
        wait_s: How many seconds to wait in total for other loads of this pipeline or into this DuckDB file.
        settings: Arguments of `cf_invoice_source`. What is not given comes from dlt's configuration.

    Raises:
        SettingsError: A setting is missing or wrong, or Cloudflare refused every account.
        TryLaterError: Cloudflare or the network did not answer for any account, or another load did not end.
        ApiChangedError: Cloudflare answered in an unknown shape for every account.
        DestinationError: The destination could not be read or written.
    """
    job, client = prepare(settings, pipeline.pipeline_name)
    settings.clear()  # so that a report of local variables after an error has no credentials
    job.access.announce()
    make_private(pipeline)
    delete_rows_once_loaded(pipeline.pipeline_name)
    waits = Waits(wait_s)
    with translated_errors():
        check_file(destination := client_of(pipeline))
    with (
        missing_rights_named(partial(client_of, pipeline)),
        translated_errors(),
        warnings.catch_warnings(),
        pipeline_lock(pipeline.pipeline_name, wait_s=wait_s, pipelines_dir=pipeline.pipelines_dir),
        database_lock(destination, wait_s=waits.left_s),
        StoredRows(pipeline, job.table_format).one_load_at_a_time(destination, waits.left_s),
        open_database(destination) as close_database,
    ):
        # About the merge that dlt writes: nobody who loads can do anything about it.
        warnings.filterwarnings("ignore", module=r"dlt\.destinations\.impl\.sqlalchemy")
        separate_staging(pipeline, destination)
        full_reason = finish_pending(pipeline, close_database)
        _upgrade(pipeline)
        accounts = Accounts(
            job,
            client,
            StoredRows(pipeline, job.table_format),
            Counters(pipeline),
            package_rows=package_rows,
            isolate_accounts=True,
            bypass_normalizer=True,
            full_reason=full_reason,
        )
        _load_and_verify(pipeline, accounts, close_database)
        outcomes = [account.outcome for account in accounts.accounts]
        reasons = accounts.stored.reject_reasons() if any(each.rejected for each in outcomes) else {}
    errors = [account.error for account in accounts.accounts if account.error]
    if len(errors) == len(accounts.accounts):
        raise errors[0]
    return Report(
        pipeline_name=pipeline.pipeline_name,
        dataset_name=dataset_name_in(destination, pipeline.dataset_name),
        destination=location_of(destination),
        accounts=tuple(replace(each, reject_reasons=reasons.get(each.account_id, ())) for each in outcomes),
        unlisted=accounts.unlisted,
    )


def create_tables(pipeline: dlt.Pipeline, *, wait_s: float = LOCK_WAIT_S) -> None:
    """Create the tables and columns that are missing, and load nothing; no credentials are needed.

    Call it once before several jobs that load into one database server at the same time, so that they do not
    all create the same tables.

    Args:
        pipeline: A dlt pipeline with the jobs' destination and dataset, and a name of its own.
        wait_s: How many seconds to wait for other loads of this pipeline or into this DuckDB file.

    Raises:
        TryLaterError: Another load did not end.
        DestinationError: The destination could not be written.
    """
    make_private(pipeline)
    waits = Waits(wait_s)
    with (
        missing_rights_named(partial(client_of, pipeline)),
        translated_errors(),
        pipeline_lock(pipeline.pipeline_name, wait_s=wait_s, pipelines_dir=pipeline.pipelines_dir),
        database_lock(destination := client_of(pipeline), wait_s=waits.left_s),
        StoredRows(pipeline).one_load_at_a_time(destination, waits.left_s),
        open_database(destination),
    ):
        check_loader_settings(pipeline.pipeline_name)
        separate_staging(pipeline, destination)
        finish_pending(pipeline)
        load_package(pipeline, empty_tables())
        stored = StoredRows(pipeline)
        if stored.missing_schema():
            stored.recreate_tables()


def list_accounts(**settings: Any) -> list[str]:
    """List the accounts that `load` would load with these settings, for schedulers with a task for each.

    Args:
        settings: Arguments of `cf_invoice_source`. What is not given comes from dlt's configuration.

    Returns:
        The account IDs that the settings name, without a request. If they name none, those that the
        credentials can see (`GET /accounts`).

    Raises:
        SettingsError: A setting is missing or wrong, or Cloudflare refused the credentials.
        TryLaterError: Cloudflare or the network did not answer.
        ApiChangedError: Cloudflare answered in an unknown shape.
    """
    with translated_errors():
        job, client = prepare(settings)
        job.access.announce()
        return list(account_ids_of(job, client))


def read_status(
    pipeline: dlt.Pipeline, account_ids: Sequence[str] = (), *, max_age_h: float | None = None
) -> Status:
    """Tell what is loaded, and whether it is verified, whoever loaded it: what `cf-invoices status` does.

    It reads the destination only, on which nothing is written or created.

    Args:
        pipeline: Any dlt pipeline with the destination and the dataset.
        account_ids: Only these accounts; all that are there if empty.
        max_age_h: No account counts as verified whose last verified sync ended more hours ago than this.

    Raises:
        DestinationError: The destination could not be read.
    """
    return status_of(DatasetRef.of_pipeline(pipeline), account_ids, max_age_h=max_age_h)


def _upgrade(pipeline: dlt.Pipeline) -> None:
    """Create the columns that an earlier version of this package did not have, before they are read."""
    if SECTION in pipeline.schemas and incomplete_tables(pipeline.schemas[SECTION].tables):
        load_package(pipeline, empty_tables())


def _load_and_verify(pipeline: dlt.Pipeline, accounts: Accounts, close_database: Callable[[], None]) -> None:
    """Load every package and verify. If tables differ, walk once more; if they still do, record that."""
    _load_packages(pipeline, accounts, close_database)
    if wrong := accounts.verify():
        accounts.repair(wrong)
        _load_packages(pipeline, accounts, close_database)
        if accounts.verify():
            accounts.note(wrong)
            _load_packages(pipeline, accounts, close_database)


def _load_packages(pipeline: dlt.Pipeline, accounts: Accounts, close_database: Callable[[], None]) -> None:
    source = source_of(accounts)
    with closing(accounts):
        while True:
            load_package(pipeline, source, close_database)
            if accounts.is_done:
                return
