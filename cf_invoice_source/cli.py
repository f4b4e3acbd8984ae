"""Words to arguments to one run to an exit code; no rules of its own.

dlt is imported late: help, usage errors and the version answer at once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cf_invoice_source.settings import (
    DATASET_NAME,
    DEMO_PIPELINE_NAME,
    INVOICE_TYPES,
    LOCK_WAIT_S,
    PIPELINE_NAME,
    VERSION,
)
from cf_invoice_source.signals import end_on_signals

if TYPE_CHECKING:
    import dlt
    from rich.console import Console

    from cf_invoice_source.runner import Report

OK, FAILED, NOT_PROVEN = 0, 1, 3
"""Exit codes. 2 is click's, for bad usage; 130 and 143 are for signals."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="cf-invoices")
def cli() -> None:
    """Load Cloudflare's AI Gateway invoices into your warehouse."""


@cli.command()
@click.option("--account", "accounts", metavar="ID", multiple=True, help="Cloudflare account ID; repeatable.")
@click.option(
    "--type", "invoice_type", type=click.Choice(INVOICE_TYPES), help="Which invoices.  [default: all]"
)
@click.option("--full", is_flag=True, help="Read every page and compare every row, even if not due.")
@click.option("--destination", default="duckdb", show_default=True, help="Any dlt destination.")
@click.option("--dataset", default=DATASET_NAME, show_default=True, help="Dataset (schema) for the tables.")
@click.option(
    "--pipeline-name", metavar="NAME", help=f"Name of the dlt pipeline.  [default: {PIPELINE_NAME}]"
)
@click.option(
    "--wait",
    "wait_s",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=LOCK_WAIT_S,
    help="How long to wait for another load of the same pipeline or DuckDB file.  [default: 600]",
)
@click.option("--demo", is_flag=True, help="Load made-up invoices from a simulator; needs no account.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def load(  # noqa: PLR0913, PLR0917 - one parameter for each option
    accounts: tuple[str, ...],
    invoice_type: str | None,
    full: bool,
    destination: str,
    dataset: str,
    pipeline_name: str | None,
    wait_s: float,
    demo: bool,
    as_json: bool,
    debug: bool,
) -> None:
    """Load what is new and what has changed, and prove the copy right.

    Credentials come from CLOUDFLARE_API_TOKEN, or CLOUDFLARE_EMAIL with CLOUDFLARE_API_KEY, or from
    .dlt/secrets.toml; accounts from --account, CLOUDFLARE_ACCOUNT_ID or .dlt/config.toml.
    """
    if demo and accounts:
        raise click.UsageError("--demo brings its own accounts: leave --account out.")
    from rich.console import Console

    console = Console(stderr=True)
    with _errors_explained(console, as_json=as_json, debug=debug):
        from cf_invoice_source.locks import pipeline_lock
        from cf_invoice_source.runner import load as run

        name = pipeline_name or (DEMO_PIPELINE_NAME if demo else PIPELINE_NAME)
        settings: dict[str, Any] = {"account_id": accounts, "type": invoice_type, "full": full}
        given = {"wait_s": wait_s} | {setting: value for setting, value in settings.items() if value}
        with pipeline_lock(name, wait_s=wait_s):
            pipeline = _pipeline(name, destination, dataset, console)
            report = _load_demo(pipeline, console, given) if demo else run(pipeline, **given)
    _print(report, console, as_json=as_json)
    if report.has_failed:
        sys.exit(FAILED)
    sys.exit(OK if report.is_proven else NOT_PROVEN)


def main() -> None:
    """Run the command; the entry point of `cf-invoices`."""
    end_on_signals()
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)


def _pipeline(name: str, destination: str, dataset: str, console: Console) -> dlt.Pipeline:
    import dlt
    from dlt.common.destination import Destination
    from dlt.common.exceptions import DltException
    from dlt.common.storages.configuration import WithLocalFiles

    from cf_invoice_source.errors import SettingsError
    from cf_invoice_source.progress import Spinner

    if dlt.config.get("runtime.log_level") is None:
        # dlt logs a failing job with its traceback; here the error itself is shown, on one screen.
        dlt.config["runtime.log_level"] = "CRITICAL"
        dlt.current.run_context().initialize_runtime()
    dlt.config["runtime.intercept_signals"] = False  # dlt would wait for its jobs, and say so
    try:
        into = Destination.from_reference(destination)
        if into and issubclass(into.spec, WithLocalFiles):
            # dlt remembers where a pipeline ran first; for a command, relative paths begin where it runs now.
            into.config_params["local_dir"] = str(Path.cwd())
        return dlt.pipeline(name, destination=into, dataset_name=dataset, progress=Spinner(console))
    except DltException as error:
        raise SettingsError(
            f"dlt cannot make the pipeline {name!r} into {destination!r} ({type(error).__name__}).",
            remedy="--destination takes duckdb, postgres, bigquery, snowflake or another destination of dlt",
        ) from error


def _load_demo(pipeline: dlt.Pipeline, console: Console, settings: dict[str, Any]) -> Report:
    """Load the demo's world; each run finds it a step further on, with invoices paid since."""
    from cf_invoice_source.runner import dlt_errors_explained
    from cf_invoice_source.runner import load as run
    from cf_invoice_source.simulator import Simulator, demo_world
    from cf_invoice_source.warehouse import Warehouse

    with dlt_errors_explained():
        earlier_runs = Warehouse(pipeline).runs(next(iter(demo_world().accounts)))
    world = demo_world(earlier_runs)
    console.print("Made-up data: a simulator on this machine plays Cloudflare.", style="yellow")
    with Simulator(world) as simulator:
        return run(
            pipeline,
            account_id=list(world.accounts),
            base_url=simulator.base_url,
            credentials={"api_token": simulator.token},
            **settings,
        )


@contextmanager
def _errors_explained(console: Console, *, as_json: bool, debug: bool) -> Iterator[None]:
    from cf_invoice_source.errors import InvoiceSourceError, MixedTypesError
    from cf_invoice_source.screen import error_document, show_error

    try:
        yield
    except MixedTypesError as error:
        raise click.UsageError(str(error)) from error
    except InvoiceSourceError as error:
        if debug:
            console.print_exception()
        show_error(console, error)
        if as_json:
            click.echo(error_document(error))
        sys.exit(FAILED)


def _print(report: Report, console: Console, *, as_json: bool) -> None:
    from rich.console import Console as Screen

    from cf_invoice_source.screen import report_document, show_report

    show_report(console if as_json else Screen(), report)
    if as_json:
        click.echo(report_document(report))
