"""Cloudflare's AI Gateway invoices, every day: a task for each account, and a verdict on all of them.

For Airflow 3. Install `cf-invoice-source` where your tasks run, copy this file into the folder of your DAGs,
and look at the settings below. Secrets come from the Variable `dlt_secrets_toml`, which has the form of dlt's
secrets.toml, or from the environment of the workers: CLOUDFLARE_API_TOKEN,
DESTINATION__POSTGRES__CREDENTIALS.

A load can be repeated at any time and nothing is loaded twice, so retries, clearing a task, backfills and a
run by hand are safe. Nothing here looks at the data interval: an invoice changes after it was created.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, Variable, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

if TYPE_CHECKING:
    import dlt

# dlt, and with it cf_invoice_source, is imported inside the tasks: this file is parsed again and again.

DESTINATION = os.environ.get("CF_INVOICES_DESTINATION", "duckdb")
"""Any destination of dlt: postgres, bigquery, snowflake, ..."""

DATASET = "cf_invoices"

AIRFLOW_HOME = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
DUCKDB_FILE = Path(os.environ.get("CF_INVOICES_DUCKDB_FILE", AIRFLOW_HOME / "cloudflare_invoices.duckdb"))
"""Where DuckDB is the destination: one file for all tasks, so workers on several machines want a server."""

PARALLEL = {"postgres": 8}.get(DESTINATION, 1)
"""Accounts loaded at once. A DuckDB file takes one, PostgreSQL takes eight. Add another destination when
you have seen it take several pipelines at a time."""

POOL = os.environ.get("CF_INVOICES_POOL", "default_pool")
"""The pool of the tasks that ask Cloudflare: one for all DAGs that share a token, and so its quota."""

VERIFIED = Asset("cf_invoices_verified")
"""Updated when every account is verified. What reads the tables is scheduled on it: `schedule=[VERIFIED]`."""

DBT_PROJECT = os.environ.get("CF_INVOICES_DBT_PROJECT", "")
"""A copy of the directory `dbt` beside this file. Without it, dbt does not run."""

DBT = os.environ.get("CF_INVOICES_DBT", "dbt")
"""The program dbt, as it is called where the tasks run: it may have an environment of its own."""

log = logging.getLogger(__name__)


def tell_somebody(context: Mapping[str, Any]) -> None:
    """Fill this in: a mail, a chat, a pager. It is called once for a run that fails, and knows why."""
    log.error("Nobody is told yet, see tell_somebody in %s: %s", __file__, context["exception"])


class _AirflowLog(logging.Handler):
    """Hands what dlt logs to Airflow, which takes all that a task writes to stderr for an error."""

    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger().handle(record)


@contextmanager
def _dlt_for(what: str) -> Iterator[None]:
    """Prepare dlt, and fail at once where a permission or a setting is wrong: it does not mend itself.

    It has to be imported in here: it looks at these settings only once.
    """
    if Variable.get("dlt_secrets_toml", default=None) is None:
        os.environ.setdefault("PROVIDERS__ENABLE_AIRFLOW_SECRETS", "false")
    # Else dlt asks Airflow's API for a Variable of each setting's name, hundreds of times in one load.
    os.environ.setdefault("PROVIDERS__AIRFLOW_SECRETS__ONLY_TOML_FRAGMENTS", "true")
    logging.getLogger("dlt").handlers = [_AirflowLog()]
    from cf_invoice_source import SettingsError

    try:
        yield
    except SettingsError as error:
        raise AirflowFailException(f"{what}: {error}") from error


@contextmanager
def _pipeline(name: str) -> Iterator[dlt.Pipeline]:
    """Make a pipeline. Each account has its own, and with it its own state and working directory."""
    import dlt

    from cf_invoice_source import pipeline_lock

    destination = dlt.destinations.duckdb(str(DUCKDB_FILE)) if DESTINATION == "duckdb" else DESTINATION
    name = f"cloudflare_invoices_{name}"
    with pipeline_lock(name):  # runs by hand and backfills overlap
        yield dlt.pipeline(name, destination=destination, dataset_name=DATASET)


@task(pool=POOL)
def find_accounts() -> list[str]:
    """Name the accounts of the settings or, where they name none, those that the credentials can list."""
    with _dlt_for("Accounts"):
        from cf_invoice_source import list_accounts

        return list_accounts()


@task
def create_tables() -> str:
    """Create the tables once, before many tasks at once find that they are missing; name their dataset."""
    with _dlt_for("Tables"), _pipeline("tables") as pipeline:
        from cf_invoice_source import create_tables

        create_tables(pipeline)
    return DATASET


@task(
    max_active_tis_per_dag=PARALLEL,
    pool=POOL,
    map_index_template="{{ task.op_kwargs['account_id'] }}",
    multiple_outputs=False,
)
def load_account(account_id: str) -> dict[str, Any]:
    """Load one account, and return what came of it. It is in the XCom of a task that fails, too."""
    ti = get_current_context()["ti"]
    with _dlt_for(f"Account {account_id}"):
        from cf_invoice_source import InvoiceSourceError, load

        try:
            with _pipeline(account_id) as pipeline:
                [loaded] = load(pipeline, account_id=account_id).accounts
        except InvoiceSourceError as error:
            ti.xcom_push("return_value", {"problem": f"failed: {error}"})
            raise
    outcome = {**asdict(loaded), "problem": loaded.problem}
    figures = ", ".join(f"{outcome[name]} {name}" for name in FIGURES)
    log.info("Account %s: %s; %s", account_id, figures, loaded.problem or "verified")
    if not loaded.verified:
        ti.xcom_push("return_value", outcome)
        raise AirflowException(f"Account {account_id}: {loaded.problem}")
    return outcome


FIGURES = ("invoices", "new", "updated", "deleted", "rejected", "requests")


@task(trigger_rule="all_done", multiple_outputs=False)
def summarise(account_ids: list[str] | None, dataset: str | None) -> dict[str, Any]:
    """Sum up what became of the accounts. It succeeds even if all failed, so it must not be the last task."""
    if account_ids is None:
        raise AirflowFailException("There is no list of accounts: see the task find_accounts.")
    outcomes = get_current_context()["ti"].xcom_pull(
        task_ids="load_account", map_indexes=range(len(account_ids))
    )
    why = "its task ended without a result: see its log" if dataset else "did not start: see create_tables"
    found: dict[str, Any] = dict(
        zip(account_ids, (outcome or {"problem": why} for outcome in outcomes), strict=True)
    )
    problems = {account_id: each["problem"] for account_id, each in found.items() if each["problem"]}
    totals = {name: sum(each.get(name) or 0 for each in found.values()) for name in FIGURES}
    return {"dataset": DATASET, "accounts": len(account_ids), **totals, "problems": problems}


@task(trigger_rule="all_done", retries=0, outlets=[VERIFIED], on_failure_callback=tell_somebody)
def require_verified(summary: dict[str, Any] | None) -> None:
    """Fail, and the run with it, when an account failed, is not verified, or has rejected records."""
    if summary is None:
        raise AirflowFailException("There is no summary: see the tasks find_accounts and summarise.")
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
        # 1, 2, 4 and 8 minutes: two workers may be killed, and Cloudflare's window of 5 minutes run out.
        "retries": 4,
        "retry_delay": timedelta(minutes=1),
        "retry_exponential_backoff": 2,
        "execution_timeout": timedelta(hours=2),  # an interrupted load goes on where it stopped
    },
    tags=["cloudflare", "invoices"],
    doc_md=__doc__,
)
def cloudflare_invoices() -> None:
    """Load the invoices of every account."""
    account_ids, dataset = find_accounts(), create_tables()
    loaded = load_account.expand(account_id=account_ids)
    dataset >> loaded
    summary = summarise(account_ids, dataset)
    loaded >> summary
    require_verified(summary)


cloudflare_invoices()


@dag(
    schedule=[VERIFIED],  # so dbt never builds from what is not verified
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1), "on_failure_callback": tell_somebody},
    tags=["cloudflare", "invoices"],
)
def cloudflare_invoices_dbt() -> None:
    """Build and test the models of dbt, whenever all accounts have been loaded and are verified."""
    profile = {"CF_INVOICES_DBT_TARGET": DESTINATION, "CF_INVOICES_DUCKDB_FILE": str(DUCKDB_FILE)}

    @task.bash(cwd=DBT_PROJECT, env=profile, append_env=True)
    def build() -> str:
        return f"{quote(DBT)} build"

    build()


if DBT_PROJECT:
    cloudflare_invoices_dbt()
