"""The commands and their options. dlt is imported late, so that --help and --version answer at once."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

import click

from cf_invoice_source.cli import options
from cf_invoice_source.cli.signals import end_on_signals
from cf_invoice_source.cli.streams import give_stdout_up
from cf_invoice_source.settings import (
    DEMO_PIPELINE_NAME,
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


def _check_accounts_of_demo(account_ids: Sequence[str]) -> None:
    if account_ids:
        raise click.UsageError("--demo has its own accounts: leave out --account.")


def _name_of(pipeline_name: str, *, demo: bool) -> str:
    """Name the pipeline: the demo's own keeps made-up and real invoices apart."""
    return DEMO_PIPELINE_NAME if demo and pipeline_name == PIPELINE_NAME else pipeline_name


def _ref_of(*, pipeline_name: str, demo: bool, **names: str) -> DatasetRef:
    from cf_invoice_source.warehouse.dataset_ref import DatasetRef

    return DatasetRef.of(_name_of(pipeline_name, demo=demo), **names)


@cli.command(
    params=[*options.SETTINGS, *options.NAMES, options.WAIT, options.DEMO, options.QUIET, *options.OUTPUT]
)
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
            if demo:
                from cf_invoice_source.cli.demo import load_demo

                report = load_demo(pipeline, out, given)
            else:
                report = run(pipeline, **given)
        if as_json and not quiet:
            show_report(out.stderr, report)
        exit_code = out.end(report, show_report, verified=report.is_verified)
    sys.exit(exit_code)


@cli.command(
    params=[
        *options.ARCHIVE,
        options.ACCOUNTS,
        *options.NAMES,
        options.WAIT,
        options.OF_DEMO,
        options.QUIET,
        *options.OUTPUT,
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
    _check_accounts_of_demo(asked["account_id"] if demo else ())
    from cf_invoice_source.cli.output import output

    verdict = "verified" if asked["is_verification"] else "complete"
    with output(as_json=as_json, debug=debug, is_quiet=quiet, verdict=verdict) as out:
        from cf_invoice_source.cli.documents import Asked, run

        ref = _ref_of(
            pipeline_name=pipeline_name, demo=demo, destination=destination, dataset_name=dataset_name
        )
        exit_code = run(out, ref, Asked(**asked, is_demo=demo))
    sys.exit(exit_code)


@cli.command(params=[options.ACCOUNTS, options.MAX_AGE, *options.NAMES, options.OF_DEMO, *options.OUTPUT])
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


@cli.command(
    params=[
        options.PAGE,
        options.ACCOUNTS,
        options.SHOWN_MONTHS,
        options.AS_OF,
        *options.NAMES,
        options.OF_DEMO,
        *options.OUTPUT,
    ]
)
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


@cli.command(params=[options.ACCOUNTS, *options.NAMES, options.OF_DEMO, *options.OUTPUT])
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
