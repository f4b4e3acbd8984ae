"""Cloudflare's AI Gateway invoices, every day: a task for each account, and a verdict on all of them.

For Airflow 3. Install `cf-invoice-source` where your tasks run, copy this file into the folder of your DAGs,
and look at the settings below. Secrets come from the Variable `dlt_secrets_toml`, which has the form of dlt's
secrets.toml, or from the environment of the workers: CLOUDFLARE_API_TOKEN,
DESTINATION__POSTGRES__CREDENTIALS.

A load can be repeated at any time and nothing is loaded twice, so retries, clearing a task and a run by hand
are safe. Nothing here looks at the data interval: an invoice changes after it was created.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import dag, get_current_context, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

if TYPE_CHECKING:
    import dlt

# dlt, and with it cf_invoice_source, is imported inside the tasks: this file is parsed again and again.

DESTINATION = os.environ.get("CF_INVOICES_DESTINATION", "duckdb")
"""Any destination of dlt: postgres, bigquery, snowflake, ..."""

DUCKDB_FILE = Path(os.environ.get("CF_INVOICES_DUCKDB_FILE", "cloudflare_invoices.duckdb")).absolute()
"""Where DuckDB is the destination: one file for all pipelines. dlt would give each one of its own."""

PARALLEL = 1 if DESTINATION == "duckdb" else 8
"""Accounts loaded at once. One process at a time can write to a DuckDB file; a server takes many."""


def _pipeline(name: str) -> dlt.Pipeline:
    """Make a pipeline. Each account has its own, and with it its own state and working directory."""
    import dlt

    destination = dlt.destinations.duckdb(str(DUCKDB_FILE)) if DESTINATION == "duckdb" else DESTINATION
    return dlt.pipeline(f"cloudflare_invoices_{name}", destination=destination, dataset_name="cf_invoices")


@contextmanager
def _no_retry_of_settings(what: str) -> Iterator[None]:
    """Fail at once where a permission or a setting is wrong: it does not mend itself."""
    from cf_invoice_source import SettingsError

    try:
        yield
    except SettingsError as error:
        raise AirflowFailException(f"{what}: {error}") from error


@task
def find_accounts() -> list[str]:
    """Name the accounts of the settings or, where they name none, those that the credentials can list."""
    from cf_invoice_source import list_accounts

    with _no_retry_of_settings("Accounts"):
        return list_accounts()


@task
def create_tables() -> None:
    """Create the tables once, before many tasks at once find that they are missing."""
    from cf_invoice_source import create_tables

    with _no_retry_of_settings("Tables"):
        create_tables(_pipeline("tables"))


@task(max_active_tis_per_dag=PARALLEL, map_index_template="{{ task.op_kwargs['account_id'] }}")
def load_account(account_id: str) -> None:
    """Load one account. What came of it is in the XCom `outcome`, also when the task fails."""
    from cf_invoice_source import InvoiceSourceError, load

    ti = get_current_context()["ti"]
    with _no_retry_of_settings(f"Account {account_id}"):
        try:
            [outcome] = load(_pipeline(account_id), account_id=account_id).accounts
        except InvoiceSourceError as error:
            ti.xcom_push("outcome", {"problem": f"failed: {error}"})
            raise
    ti.xcom_push("outcome", {**asdict(outcome), "problem": outcome.problem})
    if not outcome.verified:
        raise AirflowException(f"Account {account_id}: {outcome.problem}")


@task(trigger_rule="all_done", multiple_outputs=False)
def summarise(account_ids: list[str] | None) -> dict[str, Any]:
    """Sum up what became of the accounts. It succeeds even if all failed, so it must not be the last task."""
    if account_ids is None:
        raise AirflowFailException("There is no list of accounts: see the task find_accounts.")
    outcomes = get_current_context()["ti"].xcom_pull(
        task_ids="load_account", key="outcome", map_indexes=range(len(account_ids))
    )
    missing = {"problem": "its task ended without a result: see its log"}
    found: dict[str, Any] = dict(zip(account_ids, (outcome or missing for outcome in outcomes), strict=True))
    problems = {account_id: each["problem"] for account_id, each in found.items() if each["problem"]}
    figures = ("invoices", "new", "updated", "deleted", "rejected", "requests")
    totals = {name: sum(each.get(name) or 0 for each in found.values()) for name in figures}
    return {"accounts": len(account_ids), **totals, "problems": problems}


@task(retries=0)
def require_verified(summary: dict[str, Any]) -> None:
    """Fail, and the run with it, when an account failed, is not verified, or has rejected records."""
    problems = summary["problems"]
    if problems:
        lines = (f"{account_id}: {problem}" for account_id, problem in problems.items())
        raise AirflowFailException(f"{len(problems)} of {summary['accounts']} accounts\n" + "\n".join(lines))


@dag(
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,  # a run loads all there is: there is nothing to catch up on
    max_active_runs=1,
    default_args={
        "retries": 2,
        "retry_delay": timedelta(minutes=5),  # Cloudflare counts requests in windows of five minutes
        "execution_timeout": timedelta(hours=2),  # an interrupted load goes on where it stopped
    },
    tags=["cloudflare", "invoices"],
    doc_md=__doc__,
)
def cloudflare_invoices() -> None:
    """Load the invoices of every account."""
    account_ids = find_accounts()
    loaded = load_account.expand(account_id=account_ids)
    create_tables() >> loaded
    summary = summarise(account_ids)
    loaded >> summary
    require_verified(summary)


cloudflare_invoices()
