"""The commands and their options. dlt is imported late, so that --help and --version answer at once."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime, timezone
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

import click
from click import Context, Option, Parameter

from cf_invoice_source.cli.signals import end_on_signals
from cf_invoice_source.cli.streams import give_stdout_up
from cf_invoice_source.settings import (
    DATASET_NAME,
    DEMO_PIPELINE_NAME,
    INVOICE_TYPES,
    LOCK_WAIT_S,
    MONTHS,
    MOST_MONTHS,
    PIPELINE_NAME,
    VERSION,
)
from cf_invoice_source.warehouse.umask import private_umask

if TYPE_CHECKING:
    from cf_invoice_source.warehouse.dataset_ref import DatasetRef


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(VERSION, prog_name="cf-invoices")
def cli() -> None:
    """Load Cloudflare's AI Gateway invoices into your warehouse."""


def _hours(text: str) -> float:
    """Read a number of hours, such as 26h, or of days, such as 2d."""
    number, unit = text.rstrip("hd"), text[-1:]
    return _seconds(number) * (24 if unit == "d" else 1)


def _seconds(text: str) -> float:
    """Read a number that is not below 0; refuse nan."""
    if (number := float(text)) >= 0:
        return number
    raise ValueError(text)


def _not_empty(context: Context, option: Parameter, given: Any) -> Any:
    """Refuse an empty text, such as a shell variable that is not set."""
    if any(not text.strip() for text in ([given] if isinstance(given, str) else given or ())):
        raise click.BadParameter("it is empty: is a variable not set?", context, option)
    return given


def _not_future(context: Context, option: Parameter, given: datetime | None) -> datetime | None:
    """Refuse a day that has not begun, in UTC."""
    if given and given.date() > datetime.now(timezone.utc).date():
        raise click.BadParameter("it is in the future", context, option)
    return given


_ACCOUNTS = Option(
    ["--account", "account_id"],
    metavar="ID",
    callback=_not_empty,
    multiple=True,
    help="Cloudflare account ID; repeatable.",
)
_TYPE = Option(
    ["--type"],
    type=click.Choice(INVOICE_TYPES),
    help="Which invoices.  [default: as set, else all]",
)
_FULL = Option(["--full"], is_flag=True, help="Read every page and compare every value, even if not due.")
_LEAVE_OUT = Option(
    ["--leave-out"],
    metavar="FIELD",
    callback=_not_empty,
    multiple=True,
    help="Keep this field out of the tables, such as invoice_pdf; repeatable.",
)
_NAMES = (
    Option(["--destination"], callback=_not_empty, default="duckdb", help="Any dlt destination."),
    Option(
        ["--dataset", "dataset_name"],
        callback=_not_empty,
        default=DATASET_NAME,
        help="Dataset (schema) for the tables.",
    ),
    Option(
        ["--pipeline-name"],
        metavar="NAME",
        callback=_not_empty,
        default=PIPELINE_NAME,
        help="Name of the dlt pipeline.",
    ),
)
_ACCEPT_DELETIONS = Option(
    ["--accept-deletions"],
    is_flag=True,
    help="Delete invoices that are no longer listed, although Stripe deletes only drafts.",
)
_MAX_AGE = Option(
    ["--max-age", "max_age_h"],
    metavar="HOURS",
    type=_hours,
    help="How old the last verified sync of an account may be, such as 26h or 2d; for monitoring.",
)
_WAIT = Option(
    ["--wait", "wait_s"],
    metavar="SECONDS",
    type=_seconds,
    default=int(LOCK_WAIT_S),
    help="How long to wait for another load of the same pipeline or into the same DuckDB file.",
)
_DEMO = Option(["--demo"], is_flag=True, help="Load made-up invoices from a simulator; needs no account.")
_OF_DEMO = Option(["--demo"], is_flag=True, help="Look at the made-up invoices of load --demo.")
_PAGE = Option(
    ["--output", "page"],
    metavar="FILE",
    callback=_not_empty,
    help="The page to write; it replaces a file of that name.  [default: invoices.html, none with --json]",
)
_MONTHS = Option(
    ["--months"], type=click.IntRange(1, MOST_MONTHS), default=MONTHS, help="How many months to show."
)
_AS_OF = Option(
    ["--as-of"],
    metavar="DATE",
    type=click.DateTime(["%Y-%m-%d"]),
    callback=_not_future,
    help="Show what was known at the end of that day (UTC), such as 2026-03-31.",
)
_QUIET = Option(["--quiet"], is_flag=True, help="Print nothing but what went wrong.")
_OUTPUT = (
    Option(["--json", "as_json"], is_flag=True, help="Print one JSON document on stdout."),
    Option(["--debug"], is_flag=True, help="Show the traceback of an error."),
)


def _check_accounts_of_demo(account_ids: Sequence[str]) -> None:
    if account_ids:
        raise click.UsageError("--demo has its own accounts: leave out --account.")


def _name_of(pipeline_name: str, *, demo: bool) -> str:
    """Name the pipeline: the demo's own keeps made-up and real invoices apart."""
    return DEMO_PIPELINE_NAME if demo and pipeline_name == PIPELINE_NAME else pipeline_name


def _ref_of(*, pipeline_name: str, demo: bool, **names: str) -> DatasetRef:
    from cf_invoice_source.warehouse.dataset_ref import DatasetRef

    return DatasetRef.of(_name_of(pipeline_name, demo=demo), **names)


_SETTINGS = (_ACCOUNTS, _TYPE, _FULL, _ACCEPT_DELETIONS, _LEAVE_OUT)


@cli.command(params=[*_SETTINGS, *_NAMES, _WAIT, _DEMO, _QUIET, *_OUTPUT])
def load(  # noqa: PLR0913, PLR0917 - one parameter for each option
    destination: str,
    dataset_name: str,
    pipeline_name: str,
    wait_s: float,
    demo: bool,
    quiet: bool,
    as_json: bool,
    debug: bool,
    **settings: Any,
) -> None:
    """Load what is new and what has changed, and verify the copy.

    Credentials come from dlt's settings (.dlt/secrets.toml), else from CLOUDFLARE_API_TOKEN, or
    CLOUDFLARE_EMAIL with CLOUDFLARE_API_KEY. Accounts come from --account, else from dlt's settings
    (.dlt/config.toml), else from CLOUDFLARE_ACCOUNT_ID; else all that the credentials can see are loaded.
    """
    _check_accounts_of_demo(settings["account_id"] if demo else ())
    from cf_invoice_source.cli.output import output

    with output(as_json=as_json, debug=debug, is_quiet=quiet) as out:
        from cf_invoice_source.cli.demo import load_demo
        from cf_invoice_source.cli.progress import Progress
        from cf_invoice_source.cli.screen import show_report
        from cf_invoice_source.loading.job import prepare
        from cf_invoice_source.runner import load as run
        from cf_invoice_source.warehouse.dataset_ref import DatasetRef
        from cf_invoice_source.warehouse.locks import Waits, pipeline_lock

        given = {setting: value for setting, value in settings.items() if value}
        pipeline_name = _name_of(pipeline_name, demo=demo)
        ref = DatasetRef.of(pipeline_name, destination, dataset_name)
        if not demo:  # before the pipeline is made: a load that cannot begin leaves none behind
            prepare(given, pipeline_name)
        ref.client()
        waits = Waits(wait_s)
        with pipeline_lock(ref.pipeline_name, wait_s=wait_s):
            progress = Progress(out.stderr, is_shown=not quiet)
            pipeline = ref.pipeline(progress=progress)
            given["wait_s"] = waits.left_s
            report = load_demo(pipeline, out, given) if demo else run(pipeline, **given)
        if as_json and not quiet:
            show_report(out.stderr, report)
        exit_code = out.end(report, show_report, verified=report.is_verified)
    sys.exit(exit_code)


@cli.command(params=[_ACCOUNTS, _MAX_AGE, *_NAMES, _OF_DEMO, *_OUTPUT])
def status(
    account_id: tuple[str, ...], max_age_h: float | None, as_json: bool, debug: bool, **names: Any
) -> None:
    """Show what is loaded, and whether it is verified.

    This only reads the destination: it needs no credentials, sends Cloudflare no request, and creates
    nothing.
    """
    from cf_invoice_source.cli.output import output

    with output(as_json=as_json, debug=debug) as out:
        from cf_invoice_source.cli.screen import show_status
        from cf_invoice_source.loading.status import status_of

        found = status_of(_ref_of(**names), account_id, max_age_h=max_age_h)
        verified = found.is_verified if found.accounts else None
        exit_code = out.end(found, show_status, verified=verified, loaded=bool(found.accounts))
    sys.exit(exit_code)


@cli.command(params=[_PAGE, _ACCOUNTS, _MONTHS, _AS_OF, *_NAMES, _OF_DEMO, *_OUTPUT])
def report(  # noqa: PLR0913, PLR0917 - one parameter for each option
    page: str | None,
    account_id: tuple[str, ...],
    months: int,
    as_of: datetime | None,
    as_json: bool,
    debug: bool,
    **names: Any,
) -> None:
    """Write a page: what was bought, what is open, what failed, what changed, and whether it is verified.

    This only reads the destination: it needs no credentials, sends Cloudflare no request, and changes
    nothing there. The page is one file that loads nothing; it replaces an earlier one of that name.
    """
    from cf_invoice_source.cli.output import output

    with output(as_json=as_json, debug=debug) as out:
        from cf_invoice_source.cli.screen import show_figures
        from cf_invoice_source.reporting.reading import Question
        from cf_invoice_source.reporting.report import report_of

        question = Question(account_id, months, as_of.date() if as_of else None)
        page = page or (None if as_json else "invoices.html")
        found = report_of(_ref_of(**names), page, question, is_demo=names["demo"])
        verified = found.is_verified if found.accounts else None
        exit_code = out.end(found, show_figures, verified=verified, loaded=bool(found.accounts))
    sys.exit(exit_code)


@cli.command(params=[_ACCOUNTS, *_NAMES, _OF_DEMO, *_OUTPUT])
def check(account_id: tuple[str, ...], demo: bool, as_json: bool, debug: bool, **names: str) -> None:
    """Check whether a load would work, and leave nothing behind.

    Prints a tick or a cross for credentials, settings, token, accounts, the permission on each, and the
    destination.
    """
    _check_accounts_of_demo(account_id if demo else ())
    from cf_invoice_source.cli.output import FAILED, OK, output

    with output(as_json=as_json, debug=debug, verdict="passed") as out:
        from cf_invoice_source.cli.check import check as run
        from cf_invoice_source.cli.demo import simulated
        from cf_invoice_source.cli.screen import show_check
        from cf_invoice_source.simulator import demo_world

        names["pipeline_name"] = _name_of(names["pipeline_name"], demo=demo)
        with simulated(demo_world(), out) if demo else nullcontext() as settings:
            done = run(**names, account_ids=account_id, demo=settings)
        out.tell(done, show_check, passed=not done.has_failed)
    sys.exit(FAILED if done.has_failed else OK)


def main() -> None:
    """Run the command; the entry point of `cf-invoices`."""
    # Imports make no garbage, and a process that ends frees all: collecting would take a fifth of a short
    # run.
    gc.disable()
    atexit.register(gc.freeze)
    end_on_signals()
    os.umask(private_umask())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # prints "?" for what cannot be encoded
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OSError as error:  # stdout is closed or full while the help is printed
        give_stdout_up()
        click.echo(f"Error: stdout cannot be written to: {error.strerror}.", err=True)
        sys.exit(1)
