"""Cloudflare's AI Gateway invoices as Dagster assets: each account is a partition, checked after each load.

Install `cf-invoice-source` and `dagster-dlt`, copy this file into your project, and look at the settings
below. Secrets come from the environment (CLOUDFLARE_API_TOKEN, DESTINATION__POSTGRES__CREDENTIALS) or from
.dlt/secrets.toml. Nothing is signed in to while this file is imported.

A load can be repeated at any time and nothing is loaded twice. What it must know of earlier ones comes back
from the destination, so any worker will do, and none needs a disk that lasts.
"""

import os
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import dlt
from dagster_dlt import DagsterDltTranslator, dlt_assets
from dagster_dlt.translator import DltResourceTranslatorData

from cf_invoice_source import InvoiceSourceError, SettingsError, list_accounts, load
from cf_invoice_source.invoices.syncs import problem_of
from cf_invoice_source.invoices.tables import TABLES as OURS

DESTINATION = os.environ.get("CF_INVOICES_DESTINATION", "duckdb")
"""Any destination of dlt: postgres, bigquery, snowflake, ..."""

DUCKDB_FILE = Path(os.environ.get("CF_INVOICES_DUCKDB_FILE", "cloudflare_invoices.duckdb")).absolute()
"""Where DuckDB is the destination: one file for all pipelines. dlt would give each one of its own."""

DATASET = "cf_invoices"

POOL = "cf_invoices"
"""Its limit says how many accounts are loaded at once: 1 for a DuckDB file, perhaps 8 for a server."""

RETRY_AFTER_S = 300
"""Cloudflare counts requests in windows of five minutes."""

FRESH_FOR = timedelta(hours=26)
"""How old the last verified load of an account may be: a day, and time to load."""

TABLES = {name: table.description for name, table in OURS.items()}

ACCOUNTS = "cloudflare_accounts"
"""The partitions. The schedule adds those that it finds; an account that is gone is deleted in Dagster."""

accounts = dg.DynamicPartitionsDefinition(name=ACCOUNTS)


def _pipeline(name: str) -> dlt.Pipeline:
    """Make a pipeline. Each account has its own, and with it its own state and working directory."""
    destination = dlt.destinations.duckdb(str(DUCKDB_FILE)) if DESTINATION == "duckdb" else DESTINATION
    return dlt.pipeline(f"cloudflare_invoices_{name}", destination=destination, dataset_name=DATASET)


@dlt.source(name="cf_invoice_source")
def _shape() -> Iterator[Any]:
    """Name the tables for Dagster. It is never loaded: the real source wants credentials."""
    for table in TABLES:
        yield dlt.resource([], name=table)


class Translator(DagsterDltTranslator):
    """Says how a table looks in Dagster."""

    def get_asset_spec(self, data: DltResourceTranslatorData) -> dg.AssetSpec:
        """Describe one table; nothing in Dagster lies upstream of Cloudflare."""
        table = data.resource.name
        return (
            super()
            .get_asset_spec(data)
            .replace_attributes(
                key=[DATASET, table],
                deps=[],
                description=TABLES[table],
                group_name="cloudflare",
                owners=["team:finance"],
            )
        )


@dlt_assets(
    name="cloudflare_invoices",
    dlt_source=_shape(),
    dlt_pipeline=_pipeline("shape"),
    dagster_dlt_translator=Translator(),
    partitions_def=accounts,
    pool=POOL,
)
def cloudflare_invoices(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
    """Load one account: as many packages as it takes, verified and repaired: more than one dlt run."""
    account_id = context.partition_key
    try:
        [outcome] = load(_pipeline(account_id), account_id=account_id).accounts
    except SettingsError as error:  # a permission or a setting does not mend itself
        raise dg.Failure(f"Account {account_id}: {error}", allow_retries=False) from error
    except InvoiceSourceError as error:
        raise dg.RetryRequested(max_retries=2, seconds_to_wait=RETRY_AFTER_S) from error
    metadata = {
        "verified": outcome.verified,
        **{figure: getattr(outcome, figure) for figure in FIGURES},
    }
    for key in context.selected_asset_keys:
        rows = {"dagster/partition_row_count": outcome.invoices} if key.path[-1] == "invoices" else {}
        yield dg.MaterializeResult(asset_key=key, metadata={**metadata, **rows})


FIGURES = (
    "new",
    "updated",
    "deleted",
    "rejected",
    "requests",
    "waited_s",
    "sync_mode",
    "full_reason",
    "unverified_reason",
)


def _query(sql: str) -> list[Any]:
    with _pipeline("checks").sql_client() as client:
        names = {table: client.make_qualified_table_name(table) for table in TABLES}
        return list(client.execute_sql(sql.format_map(names)) or ())


INVOICES = dg.AssetKey([DATASET, "invoices"])


# The checks look at all accounts: Dagster shows one result for a table, the one of the latest run.


@dg.asset_check(asset=INVOICES, pool=POOL)
def complete() -> dg.AssetCheckResult:
    """Each account's last load is verified, and holds every record that Cloudflare lists."""
    syncs = _query(
        "SELECT sync.account_id, error, unverified_reason, rejected FROM {invoice_syncs} sync JOIN "
        "(SELECT account_id, max(started_at) AS started_at FROM {invoice_syncs} GROUP BY account_id) latest "
        "ON sync.account_id = latest.account_id AND sync.started_at = latest.started_at"
    )
    found = {account_id: problem_of(*rest) for account_id, *rest in syncs}
    problems = {account_id: problem for account_id, problem in found.items() if problem}
    return dg.AssetCheckResult(
        passed=not problems,
        description=f"{len(syncs) - len(problems)} of {len(syncs)} accounts are complete",
        metadata=problems,
    )


@dg.asset_check(asset=INVOICES, pool=POOL)
def fresh(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Each account has a verified load of late, also one whose own runs fail or no longer start."""
    verified = dict(
        _query("SELECT account_id, max(started_at) FROM {invoice_syncs} WHERE verified GROUP BY account_id")
    )
    known = context.instance.get_dynamic_partitions(ACCOUNTS)
    oldest = datetime.now(timezone.utc) - FRESH_FOR
    stale = {
        account_id: f"last verified load: {verified.get(account_id, 'never')}"
        for account_id in known
        if account_id not in verified or verified[account_id] < oldest
    }
    return dg.AssetCheckResult(
        passed=not stale,
        description=f"{len(known) - len(stale)} of {len(known)} accounts are fresh",
        metadata=stale,
    )


@dg.asset_check(asset=INVOICES, pool=POOL)
def amounts_add_up() -> dg.AssetCheckResult:
    """What is due equals what is paid and what remains. A warning: the tables hold what Cloudflare sent."""
    wrong = _query(
        "SELECT account_id, count(*), min(id) FROM {invoices} "
        "WHERE amount_due <> amount_paid + amount_remaining GROUP BY account_id"
    )
    return dg.AssetCheckResult(
        passed=not wrong,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{sum(count for _, count, _ in wrong)} invoices do not add up",
        metadata={account_id: f"{count}, for example {example}" for account_id, count, example in wrong},
    )


load_account = dg.define_asset_job(
    "load_account",
    selection=[cloudflare_invoices],
    executor_def=dg.in_process_executor,  # a run is one load and three queries: one process is enough
)


@dg.schedule(job=load_account, cron_schedule="0 5 * * *", execution_timezone="UTC")
def every_morning(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest]:
    """Look which accounts there are, and load each one."""
    found = list_accounts()
    context.instance.add_dynamic_partitions(ACCOUNTS, found)
    tick = context.scheduled_execution_time.isoformat()
    return [dg.RunRequest(run_key=f"{account_id} {tick}", partition_key=account_id) for account_id in found]


defs = dg.Definitions(
    assets=[cloudflare_invoices],
    asset_checks=[complete, fresh, amounts_add_up],
    jobs=[load_account],
    schedules=[every_morning],
)
