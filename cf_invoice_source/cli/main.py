"""The commands and their options. dlt is imported late, so that --help and --version answer at once."""

from __future__ import annotations

import atexit
import gc
import os
import sys
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
    PIPELINE_NAME,
    VERSION,
)
from cf_invoice_source.warehouse.umask import private_umask

if TYPE_CHECKING:
    import dlt

    from cf_invoice_source.cli.output import Output
    from cf_invoice_source.loading.report import Report


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
_QUIET = Option(["--quiet"], is_flag=True, help="Print nothing but what went wrong.")
_OUTPUT = (
    Option(["--json", "as_json"], is_flag=True, help="Print one JSON document on stdout."),
    Option(["--debug"], is_flag=True, help="Show the traceback of an error."),
)


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
    if demo and settings["account_id"]:
        raise click.UsageError("--demo has its own accounts: leave out --account.")
    from cf_invoice_source.cli.output import output

    with output(as_json=as_json, debug=debug, is_quiet=quiet) as out:
        from cf_invoice_source.cli.progress import Progress
        from cf_invoice_source.cli.screen import show_report
        from cf_invoice_source.loading.job import prepare
        from cf_invoice_source.runner import load as run
        from cf_invoice_source.warehouse.dataset_ref import DatasetRef
        from cf_invoice_source.warehouse.locks import Waits, pipeline_lock

        given = {setting: value for setting, value in settings.items() if value}
        if demo and pipeline_name == PIPELINE_NAME:  # keeps made-up and real invoices apart
            pipeline_name = DEMO_PIPELINE_NAME
        ref = DatasetRef.of(pipeline_name, destination, dataset_name)
        if not demo:  # before the pipeline is made: a load that cannot begin leaves none behind
            prepare(given, pipeline_name)
        ref.client()
        waits = Waits(wait_s)
        with pipeline_lock(ref.pipeline_name, wait_s=wait_s):
            progress = Progress(out.stderr, is_shown=not quiet)
            pipeline = ref.pipeline(progress=progress)
            given["wait_s"] = waits.left_s
            report = _load_demo(pipeline, out, given) if demo else run(pipeline, **given)
        if as_json and not quiet:
            show_report(out.stderr, report)
        exit_code = out.end(report, show_report, verified=report.is_verified)
    sys.exit(exit_code)


@cli.command(
    params=[
        Option(
            ["--to"],
            metavar="DIRECTORY_OR_URL",
            callback=_not_empty,
            required=True,
            help="Where the PDFs are kept: a directory, or an address such as s3://bucket/folder.",
        ),
        Option(["--drafts"], is_flag=True, help="Archive drafts, too."),
        Option(
            ["--verify", "is_verification"],
            is_flag=True,
            help="Fetch nothing: hash what is there, and say what is missing, changed or unknown.",
        ),
        Option(
            ["--manifest"],
            metavar="FILE",
            callback=_not_empty,
            help="Also write a CSV file that says which document belongs to which invoice.",
        ),
        _ACCOUNTS,
        *_NAMES,
        _WAIT,
        Option(["--demo"], is_flag=True, help="Archive the documents of the demo's made-up invoices."),
        _QUIET,
        *_OUTPUT,
    ]
)
def documents(  # noqa: PLR0913, PLR0917 - as above
    destination: str,
    dataset_name: str,
    pipeline_name: str,
    quiet: bool,
    as_json: bool,
    debug: bool,
    demo: bool,
    **asked: Any,
) -> None:
    """Archive the PDF of each invoice that is loaded, and prove that they are there.

    Fetches the PDFs of invoices that have none since their last change, and notes them in the table
    invoice_documents. It needs the credentials of load, and may run beside it.
    """
    if demo and asked["account_id"]:
        raise click.UsageError("--demo has its own accounts: leave out --account.")
    from cf_invoice_source.cli.output import output

    verdict = "verified" if asked["is_verification"] else "complete"
    with output(as_json=as_json, debug=debug, is_quiet=quiet, verdict=verdict) as out:
        from cf_invoice_source.cli.documents import Asked, run
        from cf_invoice_source.warehouse.dataset_ref import DatasetRef

        if demo and pipeline_name == PIPELINE_NAME:
            pipeline_name = DEMO_PIPELINE_NAME
        ref = DatasetRef.of(pipeline_name, destination, dataset_name)
        exit_code = run(out, ref, Asked(**asked, is_demo=demo))
    sys.exit(exit_code)


@cli.command(params=[_ACCOUNTS, _MAX_AGE, *_NAMES, *_OUTPUT])
def status(
    account_id: tuple[str, ...], max_age_h: float | None, as_json: bool, debug: bool, **names: str
) -> None:
    """Show what is loaded, and whether it is verified.

    This only reads the destination: it needs no credentials, sends Cloudflare no request, and creates
    nothing.
    """
    from cf_invoice_source.cli.output import output

    with output(as_json=as_json, debug=debug) as out:
        from cf_invoice_source.cli.screen import show_status
        from cf_invoice_source.loading.status import status_of
        from cf_invoice_source.warehouse.dataset_ref import DatasetRef

        found = status_of(DatasetRef.of(**names), account_id, max_age_h=max_age_h)
        verified = found.is_verified if found.accounts else None
        exit_code = out.end(found, show_status, verified=verified, loaded=bool(found.accounts))
    sys.exit(exit_code)


@cli.command(params=[_ACCOUNTS, *_NAMES, *_OUTPUT])
def check(account_id: tuple[str, ...], as_json: bool, debug: bool, **names: str) -> None:
    """Check whether a load would work, and leave nothing behind.

    Prints a tick or a cross for credentials, settings, token, accounts, the permission on each, and the
    destination.
    """
    from cf_invoice_source.cli.output import FAILED, OK, output

    with output(as_json=as_json, debug=debug, verdict="passed") as out:
        from cf_invoice_source.cli.check import check as run
        from cf_invoice_source.cli.screen import show_check

        done = run(**names, account_ids=account_id)
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


def _load_demo(pipeline: dlt.Pipeline, out: Output, settings: dict[str, Any]) -> Report:
    """Load the demo's invoices; in each run some more are new and some more are paid."""
    from cf_invoice_source.cli.screen import show_line
    from cf_invoice_source.runner import load as run
    from cf_invoice_source.simulator import Simulator, demo_world
    from cf_invoice_source.warehouse.stored import StoredRows

    earlier_runs = max(StoredRows(pipeline).sync_numbers().values(), default=0)
    world = demo_world(earlier_runs)
    if not out.is_quiet:
        made_up = "Made-up data: a simulator on this machine plays Cloudflare."
        show_line(out.stderr, made_up, style="yellow")
    with Simulator(world) as simulator:
        return run(
            pipeline,
            account_id=list(world.accounts),
            base_url=simulator.base_url,
            credentials={"api_token": simulator.token},
            **settings,
        )
