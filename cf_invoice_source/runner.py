"""One whole load, from the first request to a report."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import dlt
from dlt.common.pipeline import LoadInfo
from dlt.extract import DltSource

from cf_invoice_source.invoices.tables import INVOICES
from cf_invoice_source.loading.account import Outcome
from cf_invoice_source.loading.accounts import Accounts
from cf_invoice_source.loading.delivery import incomplete_tables
from cf_invoice_source.loading.packages import check_settings, finish_pending, load_package
from cf_invoice_source.settings import LOCK_WAIT_S, PACKAGE_ROWS, SECTION
from cf_invoice_source.source import cf_invoice_source, empty_tables
from cf_invoice_source.warehouse.dlt_errors import dlt_errors_explained
from cf_invoice_source.warehouse.duckdb_file import open_database
from cf_invoice_source.warehouse.locks import database_lock, pipeline_lock
from cf_invoice_source.warehouse.staging import separate_staging
from cf_invoice_source.warehouse.stored import Warehouse


@dataclass(frozen=True, slots=True)
class Report:
    """What a load did.

    Attributes:
        pipeline_name: Name of the dlt pipeline.
        dataset_name: Dataset (schema) that holds the tables.
        destination: Where it lies, without secrets.
        accounts: What came of each account, in the order of the settings, or of Cloudflare's list.
        unlisted: Accounts that were loaded once and that Cloudflare does not list any more. Their rows stay.
    """

    pipeline_name: str
    dataset_name: str
    destination: str
    accounts: tuple[Outcome, ...]
    unlisted: tuple[str, ...] = ()

    @property
    def has_failed(self) -> bool:
        """Whether some account could not be read."""
        return any(account.error for account in self.accounts)

    @property
    def is_proven(self) -> bool:
        """Whether the tables equal every account's list, and hold every record of it."""
        return not any(account.doubt or account.rejected for account in self.accounts)


def load(
    pipeline: dlt.Pipeline,
    *,
    package_rows: int = PACKAGE_ROWS,
    wait_s: float = LOCK_WAIT_S,
    **settings: Any,
) -> Report:
    """Load the invoices of every account, prove the tables right, and repair them where they are not.

    An account that cannot be read does not stop the others: its `Outcome` has the error.
    Each package is loaded before the next one is asked for, so memory stays bounded, and an interrupted load
    goes on where its last package ended.

    Args:
        pipeline: Any dlt pipeline.
        package_rows: Rows in one load package, at least.
        wait_s: How many seconds to wait for another load of this pipeline, or into this DuckDB file.
        settings: Arguments of `cf_invoice_source`. What is not given comes from dlt's configuration.

    Raises:
        SettingsError: A setting is missing or wrong, or Cloudflare refused every account.
        TryLaterError: Cloudflare or the network did not answer, for any account; or another load did not end.
        ApiChangedError: Cloudflare answered in an unknown shape, for every account.
        DestinationError: The destination could not be read or written.
    """
    with (
        dlt_errors_explained(),
        pipeline_lock(pipeline.pipeline_name, wait_s=wait_s, pipelines_dir=pipeline.pipelines_dir),
        database_lock(client := pipeline.destination_client(), wait_s=wait_s),
        open_database(client) as close_database,
    ):
        source = cf_invoice_source(**settings)
        accounts = _accounts(source)
        accounts.package_rows, accounts.is_forgiving, accounts.is_untouched = package_rows, True, True
        check_settings(pipeline.pipeline_name)
        separate_staging(pipeline)
        accounts.doubt = finish_pending(pipeline, close_database)
        _upgrade(pipeline)
        load_all = partial(_load_all, pipeline, source, accounts, close_database)
        info = load_all()
        wrong = accounts.prove()
        if wrong:
            accounts.repair(wrong)
            info = load_all()
            if accounts.prove():
                accounts.note(wrong)
                info = load_all()
    errors = [account.error for account in accounts.accounts if account.error]
    if len(errors) == len(accounts.accounts):
        raise errors[0]
    return Report(
        pipeline_name=pipeline.pipeline_name,
        dataset_name=pipeline.dataset_name,
        destination=info.destination_displayable_credentials or info.destination_name,
        accounts=tuple(account.outcome for account in accounts.accounts),
        unlisted=accounts.unlisted,
    )


def create_tables(pipeline: dlt.Pipeline, *, wait_s: float = LOCK_WAIT_S) -> None:
    """Create the tables, or what is missing of them, and load nothing; no account and no sign-in is needed.

    For jobs side by side on one server database: once before them, so that they do not all try at once.

    Args:
        pipeline: A dlt pipeline with their destination and dataset, and a name of its own.
        wait_s: How many seconds to wait for another load of this pipeline, or into this DuckDB file.

    Raises:
        TryLaterError: Another load did not end.
        DestinationError: The destination could not be written.
    """
    with (
        dlt_errors_explained(),
        pipeline_lock(pipeline.pipeline_name, wait_s=wait_s, pipelines_dir=pipeline.pipelines_dir),
        database_lock(pipeline.destination_client(), wait_s=wait_s),
    ):
        check_settings(pipeline.pipeline_name)
        separate_staging(pipeline)
        finish_pending(pipeline)
        load_package(pipeline, empty_tables(Warehouse(pipeline).loaded_as() or "merge"))
        warehouse = Warehouse(pipeline)
        if warehouse.damage():
            warehouse.restore()


def list_accounts(**settings: Any) -> list[str]:
    """Name the accounts that `load` with these settings would load, for schedulers that map over them.

    Args:
        settings: Arguments of `cf_invoice_source`. What is not given comes from dlt's configuration.

    Returns:
        The account IDs that the settings name, without a request; where they name none, those that the
        credentials can see (`GET /accounts`).

    Raises:
        SettingsError: A setting is missing or wrong, or Cloudflare refused the credentials.
        TryLaterError: Cloudflare or the network did not answer.
        ApiChangedError: Cloudflare answered in an unknown shape.
    """
    with dlt_errors_explained():
        return list(_accounts(cf_invoice_source(**settings)).order.find())


def _accounts(source: DltSource) -> Accounts:
    accounts: Accounts = source.resources[INVOICES].explicit_args["accounts"]
    return accounts


def _upgrade(pipeline: dlt.Pipeline) -> None:
    """Create the columns that an earlier version of this package did not have, before one is read."""
    if SECTION in pipeline.schemas and incomplete_tables(pipeline.schemas[SECTION]):
        load_package(pipeline, empty_tables(Warehouse(pipeline).loaded_as() or "merge"))


def _load_all(
    pipeline: dlt.Pipeline, source: DltSource, accounts: Accounts, before_retry: Callable[[], None]
) -> LoadInfo:
    with closing(accounts):
        while True:
            info = load_package(pipeline, source, before_retry)
            if accounts.is_done:
                return info
