"""Cloudflare's AI Gateway invoices as Dagster assets: each account is a partition, loaded once a day.

Install `cf-invoice-source` and `dagster`, copy this file into your project, and look at the settings below.
Secrets come from the environment (CLOUDFLARE_API_TOKEN, DESTINATION__POSTGRES__CREDENTIALS) or from
.dlt/secrets.toml. Nothing is signed in to, and nothing written, while this file is imported.

A load can be repeated at any time and nothing is loaded twice. What it must know of earlier ones comes back
from the destination, so any worker will do, and none needs a disk that lasts.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import dlt

from cf_invoice_source import (
    InvoiceSourceError,
    Outcome,
    SettingsError,
    list_accounts,
    load,
    pipeline_lock,
    read_status,
)
from cf_invoice_source.invoices.tables import TABLES

DESTINATION = os.environ.get("CF_INVOICES_DESTINATION", "duckdb")
"""Any destination of dlt: postgres, bigquery, snowflake, ..."""

DUCKDB_FILE = Path(os.environ.get("CF_INVOICES_DUCKDB_FILE", "cloudflare_invoices.duckdb")).absolute()
"""Where DuckDB is the destination: one file for all pipelines. dlt would give each one of its own."""

DATASET = "cf_invoices"

DBT_PROJECT = os.environ.get("CF_INVOICES_DBT_PROJECT", "")
"""A copy of the directory `dbt` beside this file, after `dbt parse`. Without it there are no models."""

POOL = "cf_invoices"
"""Its limit says how many accounts are loaded at once: 1 for a DuckDB file, perhaps 8 for a server."""

RETRIES = 2
RETRY_AFTER_S = 300
"""Cloudflare counts requests in windows of five minutes."""

FRESH_FOR = timedelta(hours=26)
"""How old the last verified load of an account may be: a day, and time to load."""

accounts = dg.DynamicPartitionsDefinition(name="cloudflare_accounts")
"""The sensor adds those that it finds; an account that is gone is deleted in Dagster."""


@contextmanager
def _pipeline(name: str) -> Iterator[dlt.Pipeline]:
    """Make a pipeline. Each account has its own, and with it its own state and working directory."""
    destination = dlt.destinations.duckdb(str(DUCKDB_FILE)) if DESTINATION == "duckdb" else DESTINATION
    name = f"cloudflare_invoices_{name}"
    with pipeline_lock(name):  # backfills and runs by hand overlap
        yield dlt.pipeline(name, destination=destination, dataset_name=DATASET)


def _asset(table: str) -> dg.AssetSpec:
    """Describe one table. Nothing in Dagster lies upstream of Cloudflare."""
    key, columns = TABLES[table].key, TABLES[table].columns.items()
    schema = [
        dg.TableColumn(
            name,
            type=column.type,
            description=column.description,
            constraints=dg.TableColumnConstraints(nullable=name not in key),
        )
        for name, column in columns
    ]
    return dg.AssetSpec(
        [DATASET, table],
        description=TABLES[table].description,
        group_name="cloudflare",
        kinds={"dlt", DESTINATION},
        metadata={
            "dagster/table_name": f"{DATASET}.{table}",
            "dagster/column_schema": dg.TableSchema(schema),
        },
    )


@dg.multi_asset(
    name="cloudflare_invoices",
    specs=[_asset(table) for table in TABLES],
    partitions_def=accounts,
    pool=POOL,
)
def cloudflare_invoices(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
    """Load one account: as many packages as it takes, verified and repaired."""
    account_id = context.partition_key
    try:
        with _pipeline(account_id) as pipeline:
            [outcome] = load(pipeline, account_id=account_id).accounts
    except InvoiceSourceError as error:
        # A permission or a setting does not mend itself.
        if context.retry_number < RETRIES and not isinstance(error, SettingsError):
            raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_AFTER_S) from error
        raise dg.Failure(f"Account {account_id}: {error}", allow_retries=False) from error
    context.log.info("Account %s: %s", account_id, outcome.problem or "verified")
    for table, figures in _figures(outcome).items():
        yield dg.MaterializeResult(asset_key=[DATASET, table], metadata=figures)


def _figures(outcome: Outcome) -> Mapping[str, Mapping[str, Any]]:
    """What the load did to each table, and for the account."""
    changes = {"new": outcome.new, "updated": outcome.updated, "deleted": outcome.deleted}
    held = {} if outcome.invoices is None else {"dagster/partition_row_count": outcome.invoices}
    requests = {"requests": outcome.requests, "retries": outcome.retries, "waited_s": outcome.waited_s}
    return {
        "invoices": {**held, **changes, "verified": outcome.verified, "problem": outcome.problem},
        "invoice_changes": {"rows_added": sum(changes.values())},
        "invoice_syncs": {
            "sync_number": outcome.sync_number,
            "sync_mode": outcome.sync_mode,
            "full_reason": outcome.full_reason,
            **requests,
        },
        "invoice_rejects": {"rejected": outcome.rejected},
    }


# The checks look at all accounts, for Dagster shows one result for a table. They are a job of their own:
# Dagster would not run them after a load that failed.

INVOICES = dg.AssetKey([DATASET, "invoices"])


@dg.multi_asset_check(
    name="invoice_checks",
    specs=[
        dg.AssetCheckSpec(
            "complete",
            asset=INVOICES,
            description="Each account's last load is verified, and holds every record that Cloudflare lists.",
            blocking=True,  # the models are built from nothing else
        ),
        dg.AssetCheckSpec(
            "fresh",
            asset=INVOICES,
            description="Each account has a verified load of late, also one whose runs fail or do not start.",
        ),
        dg.AssetCheckSpec(
            "amounts_add_up",
            asset=INVOICES,
            description="What is due is what is paid and what remains, but for void invoices. A warning: the "
            "tables hold what Cloudflare sent.",
        ),
    ],
    pool=POOL,
)
def invoice_checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
    """Read what is loaded, and name each account that somebody has to look at, with the reason."""
    with _pipeline("checks") as pipeline:
        found = {account.account_id: account for account in read_status(pipeline).accounts}
    problems = {name: account.problem for name, account in found.items() if account.problem}
    yield _result("complete", problems, f"{len(found) - len(problems)} of {len(found)} accounts are complete")

    known = context.instance.get_dynamic_partitions("cloudflare_accounts")
    oldest = datetime.now(timezone.utc) - FRESH_FOR
    verified = {name: found[name].last_verified_sync_at if name in found else None for name in known}
    stale = {
        name: f"last verified load: {at or 'never'}"
        for name, at in verified.items()
        if at is None or at < oldest
    }
    yield _result("fresh", stale, f"{len(known) - len(stale)} of {len(known)} accounts are fresh")

    wrong = {name: f"{account.unbalanced} invoices" for name, account in found.items() if account.unbalanced}
    yield _result("amounts_add_up", wrong, f"{len(wrong)} accounts have invoices that do not add up")


def _result(name: str, problems: Mapping[str, str], description: str) -> dg.AssetCheckResult:
    is_error = name != "amounts_add_up"
    return dg.AssetCheckResult(
        check_name=name,
        asset_key=INVOICES,
        passed=not problems,
        severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
        description=description,
        metadata=problems,
    )


def _models() -> list[dg.AssetsDefinition]:
    """Give the models of dbt, with the project's descriptions and tests; none without a project."""
    if not DBT_PROJECT:
        return []
    from dagster_dbt import DbtCliResource, DbtProject, dbt_assets

    project = DbtProject(DBT_PROJECT)
    program = str(Path(sys.executable).with_name("dbt"))

    @dbt_assets(manifest=project.manifest_path, project=project, name="dbt_models", pool=POOL)
    def dbt_models(context: dg.AssetExecutionContext) -> Iterator[Any]:
        os.environ.update(CF_INVOICES_DBT_TARGET=DESTINATION, CF_INVOICES_DUCKDB_FILE=str(DUCKDB_FILE))
        dbt = DbtCliResource(project_dir=project, dbt_executable=program)
        yield from dbt.cli(["build"], context=context).stream()

    return [dbt_models]


models = _models()

load_account = dg.define_asset_job(
    "load_account", selection=dg.AssetSelection.assets(cloudflare_invoices).without_checks()
)
check_invoices = dg.define_asset_job(
    "check_invoices", selection=dg.AssetSelection.checks(invoice_checks) | dg.AssetSelection.assets(*models)
)


@dg.sensor(job=load_account, minimum_interval_seconds=3600)
def every_day() -> dg.SensorResult:
    """Look which accounts there are, once an hour, and load each one once a day (UTC)."""
    found = list_accounts()
    today = datetime.now(timezone.utc).date()
    return dg.SensorResult(
        dynamic_partitions_requests=[accounts.build_add_request(found)],
        # Dagster starts one run for each key, however often it is asked for.
        run_requests=[dg.RunRequest(run_key=f"{each} {today}", partition_key=each) for each in found],
    )


defs = dg.Definitions(
    assets=[cloudflare_invoices, *models],
    asset_checks=[invoice_checks],
    jobs=[load_account, check_invoices],
    sensors=[every_day],
    # After the loads of the day, and whatever became of them.
    schedules=[dg.ScheduleDefinition(name="every_morning", job=check_invoices, cron_schedule="0 6 * * *")],
    executor=dg.in_process_executor,  # a run is one load: another process for it takes longer than the load
)
