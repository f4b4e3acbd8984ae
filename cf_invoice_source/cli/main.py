"""Words to arguments to one run to an exit code; no rules of its own.

dlt is imported late: help, usage errors and the version answer at once.
"""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

import click

from cf_invoice_source.cli.signals import end_on_signals
from cf_invoice_source.settings import (
    DATASET_NAME,
    DEMO_PIPELINE_NAME,
    INVOICE_TYPES,
    LOCK_WAIT_S,
    PIPELINE_NAME,
    VERSION,
)

if TYPE_CHECKING:
    import dlt
    from rich.console import Console

    from cf_invoice_source.cli.status import Status
    from cf_invoice_source.loading.report import Report

OK, FAILED, BAD_USAGE, NOT_VERIFIED = 0, 1, 2, 3
"""Exit codes. 130 and 143 are for signals."""

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="cf-invoices")
def cli() -> None:
    """Load Cloudflare's AI Gateway invoices into your warehouse."""


def _options(*options: _Decorator) -> _Decorator:
    """Join options, in the order in which the help lists them."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_account = click.option(
    "--account", "accounts", metavar="ID", multiple=True, help="Cloudflare account ID; repeatable."
)
_place = _options(
    click.option("--destination", default="duckdb", show_default=True, help="Any dlt destination."),
    click.option(
        "--dataset", default=DATASET_NAME, show_default=True, help="Dataset (schema) for the tables."
    ),
    click.option(
        "--pipeline-name", metavar="NAME", help=f"Name of the dlt pipeline.  [default: {PIPELINE_NAME}]"
    ),
)
_output = _options(
    click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout."),
    click.option("--debug", is_flag=True, help="Show the traceback of an error."),
)


@cli.command()
@_account
@click.option(
    "--type",
    "invoice_type",
    type=click.Choice(INVOICE_TYPES),
    help="Which invoices.  [default: as set, else all]",
)
@click.option("--full", is_flag=True, help="Read every page and compare every value, even if not due.")
@_place
@click.option(
    "--wait",
    "wait_s",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=LOCK_WAIT_S,
    help="How long to wait for another load of the same pipeline or DuckDB file.  [default: 600]",
)
@click.option("--demo", is_flag=True, help="Load made-up invoices from a simulator; needs no account.")
@_output
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
    """Load what is new and what has changed, and verify the copy.

    Credentials come from dlt's settings (.dlt/secrets.toml), else from CLOUDFLARE_API_TOKEN, or
    CLOUDFLARE_EMAIL with CLOUDFLARE_API_KEY; accounts from --account, else from dlt's settings
    (.dlt/config.toml), else from CLOUDFLARE_ACCOUNT_ID, else they are all that can be seen.
    """
    if demo and accounts:
        raise click.UsageError("--demo brings its own accounts: leave --account out.")
    with _errors_explained(as_json=as_json, debug=debug) as console:
        from cf_invoice_source.cli.progress import Spinner
        from cf_invoice_source.runner import load as run
        from cf_invoice_source.warehouse.dataset_ref import DatasetRef
        from cf_invoice_source.warehouse.locks import pipeline_lock

        name = pipeline_name or (DEMO_PIPELINE_NAME if demo else PIPELINE_NAME)
        settings: dict[str, Any] = {
            "account_id": accounts,
            "type": invoice_type,
            "full": full,
        }
        given = {"wait_s": wait_s} | {setting: value for setting, value in settings.items() if value}
        ref = DatasetRef.of(name, destination, dataset)
        with pipeline_lock(name, wait_s=wait_s):
            pipeline = ref.pipeline(Spinner(console))
            report = _load_demo(pipeline, console, given) if demo else run(pipeline, **given)
    _print(report, console, as_json=as_json)
    sys.exit(_exit_code(report))


@cli.command()
@_account
@_place
@_output
def status(  # noqa: PLR0913, PLR0917 - one parameter for each option
    accounts: tuple[str, ...],
    destination: str,
    dataset: str,
    pipeline_name: str | None,
    as_json: bool,
    debug: bool,
) -> None:
    """Tell what is loaded, and whether it is verified.

    It reads the destination only: it needs no credentials, asks Cloudflare nothing, and creates nothing.
    """
    with _errors_explained(as_json=as_json, debug=debug) as console:
        from cf_invoice_source.cli.screen import show_problems, show_status, status_document
        from cf_invoice_source.cli.status import read_status
        from cf_invoice_source.warehouse.dataset_ref import DatasetRef

        found = read_status(DatasetRef.of(pipeline_name or PIPELINE_NAME, destination, dataset), accounts)
    if as_json:
        click.echo(status_document(found))
    else:
        show_status(_stdout(), found)
    show_problems(console, found)
    sys.exit(_exit_code(found))


@cli.command()
@_account
@_place
@_output
def check(  # noqa: PLR0913, PLR0917 - one parameter for each option
    accounts: tuple[str, ...],
    destination: str,
    dataset: str,
    pipeline_name: str | None,
    as_json: bool,
    debug: bool,
) -> None:
    """Look whether a load could work, and leave nothing behind.

    A tick or a cross for credentials, settings, token, accounts, the permission on each, and the destination.
    """
    with _errors_explained(as_json=as_json, debug=debug, verdict="passed"):
        from cf_invoice_source.cli.check import check as run
        from cf_invoice_source.cli.screen import check_document, show_check

        done = run(pipeline_name or PIPELINE_NAME, destination, dataset, accounts)
    if as_json:
        click.echo(check_document(done))
    else:
        show_check(_stdout(), done)
    sys.exit(FAILED if done.has_failed else OK)


def main() -> None:
    """Run the command; the entry point of `cf-invoices`."""
    # What is imported is no garbage, and a process that ends frees all: to look takes a fifth of a short run.
    gc.disable()
    atexit.register(gc.freeze)
    end_on_signals()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # better a question mark than no answer
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)


def _exit_code(result: Report | Status) -> int:
    if result.has_failed:
        return FAILED
    return OK if result.is_verified else NOT_VERIFIED


def _load_demo(pipeline: dlt.Pipeline, console: Console, settings: dict[str, Any]) -> Report:
    """Load the demo's world; each run finds it a step further on, with invoices paid since."""
    from cf_invoice_source.runner import load as run
    from cf_invoice_source.simulator import Simulator, demo_world
    from cf_invoice_source.warehouse.dlt_errors import translated_errors
    from cf_invoice_source.warehouse.stored import StoredRows

    with translated_errors():
        earlier_runs = StoredRows(pipeline).runs(next(iter(demo_world().accounts)))
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
def _errors_explained(*, as_json: bool, debug: bool, verdict: str = "verified") -> Iterator[Console]:
    """Give the console for stderr, and show an error there: one screen, or one line of dlt's JSON log."""
    from rich.console import Console

    from cf_invoice_source.cli.screen import error_document, log_error, show_error, show_notice
    from cf_invoice_source.errors import InvoiceSourceError, MixedTypesError
    from cf_invoice_source.notices import shown_by
    from cf_invoice_source.warehouse.dlt_errors import translated_errors

    console = Console(stderr=True)
    try:
        with translated_errors():
            _keep_dlt_quiet()
            console.quiet = _logs_are_json()
            gc.freeze()
            gc.enable()
            with nullcontext() if console.quiet else shown_by(partial(show_notice, console)):
                yield console
    except InvoiceSourceError as error:
        if console.quiet:
            log_error(error, debug=debug)
        if debug:
            console.print_exception()
        show_error(console, error)
        if as_json:
            click.echo(error_document(error, verdict))
        sys.exit(BAD_USAGE if isinstance(error, MixedTypesError) else FAILED)


def _keep_dlt_quiet() -> None:
    import dlt

    from cf_invoice_source.errors import SettingsError

    try:
        is_level_set = dlt.config.get("runtime.log_level") is not None
    except ValueError:  # dlt starts its log when its settings are first looked at
        levels = "DEBUG, INFO, WARNING, ERROR, CRITICAL"
        raise SettingsError("The setting log_level is no level of a log.", remedy=f"use {levels}") from None
    if not is_level_set:
        # dlt logs a failing job with its traceback; here the error itself is shown, on one screen.
        dlt.config["runtime.log_level"] = "CRITICAL"
        dlt.current.run_context().initialize_runtime()
    dlt.config["runtime.intercept_signals"] = False  # dlt would wait for its jobs, and say so


def _logs_are_json() -> bool:
    """Whether a machine reads stderr: then each line is a JSON document, and nothing is drawn for people."""
    import dlt
    from dlt.common import logger

    return logger.is_logging() and logger.is_json_logging(dlt.config.get("runtime.log_format"))


def _stdout() -> Console:
    from rich.console import Console

    return Console()


def _print(report: Report, console: Console, *, as_json: bool) -> None:
    from cf_invoice_source.cli.screen import report_document, show_problems, show_report

    show_report(console if as_json else _stdout(), report)
    show_problems(console, report)
    if as_json:
        click.echo(report_document(report))
