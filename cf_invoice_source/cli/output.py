"""A command's output: the result on stdout, what is wrong on stderr, and the exit code."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
import dlt
from rich.console import Console

from cf_invoice_source.cli.screen import document, show_error, show_line, show_problem
from cf_invoice_source.cli.streams import give_stdout_up
from cf_invoice_source.errors import InvoiceSourceError, MixedTypesError, SettingsError, UnexpectedError
from cf_invoice_source.notices import shown_by
from cf_invoice_source.warehouse.dlt_errors import translated_errors
from cf_invoice_source.warehouse.dlt_names import ConfigurationException, logger

if TYPE_CHECKING:
    from cf_invoice_source.cli.check import Check
    from cf_invoice_source.documents.report import DocumentReport, Verification
    from cf_invoice_source.loading.report import Report
    from cf_invoice_source.loading.status import Status
    from cf_invoice_source.reporting.figures import Figures

OK, FAILED, BAD_USAGE, NOT_VERIFIED = 0, 1, 2, 3
"""Exit codes. 130 and 143 are for signals."""

Result = TypeVar("Result", "Report", "Status", "Figures", "Check", "DocumentReport", "Verification")
Loaded = TypeVar("Loaded", "Report", "Status", "Figures", "DocumentReport", "Verification")


@dataclass(frozen=True, slots=True)
class Output:
    """Prints a result for people or as JSON; if quiet, only what is wrong, and the JSON document."""

    stderr: Console
    as_json: bool
    is_quiet: bool

    def tell(self, result: Result, show: Callable[[Console, Result], None], **verdict: bool | None) -> None:
        """Print a result."""
        if self.as_json:
            _write(document(verdict, result) + "\n")
        elif not self.is_quiet:
            stdout = Console()
            with stdout.capture() as shown:
                show(stdout, result)
            _write(shown.get())

    def end(self, result: Loaded, show: Callable[[Console, Loaded], None], **verdict: bool | None) -> int:
        """Print a result and each problem with what to do about it; return the exit code."""
        try:
            self.tell(result, show, **verdict)
        finally:
            with suppress(OSError):  # stderr is closed: the result is printed all the same
                for problem in result.problems:
                    show_problem(self.stderr, problem)
        if result.has_failed:
            return FAILED
        return OK if result.is_verified else NOT_VERIFIED


@contextmanager
def output(
    *, as_json: bool, debug: bool, is_quiet: bool = False, verdict: str = "verified"
) -> Iterator[Output]:
    """Yield a command's output. Show an error on stderr, with `as_json` also as JSON, and exit."""
    stderr = Console(stderr=True)
    try:
        _check_working_directory()
        with translated_errors():
            stderr.quiet = _configure_log()
            gc.freeze()
            gc.enable()
            show = partial(show_line, stderr, style="yellow")
            with nullcontext() if stderr.quiet else shown_by(show, is_quiet=is_quiet):
                yield Output(stderr, as_json, is_quiet)
    except Exception as error:  # noqa: BLE001 - any error gets one screen
        known = error if isinstance(error, InvoiceSourceError) else UnexpectedError.of(error)
        with suppress(OSError):
            show_error(stderr, known, debug=debug)
        if as_json and not isinstance(known, OutputError):
            with suppress(OutputError):
                _write(document({verdict: False}, None, known) + "\n")
        sys.exit(BAD_USAGE if isinstance(known, MixedTypesError) else FAILED)


class OutputError(InvoiceSourceError):
    """Stdout cannot be written to: the disk is full, or the program that reads it has ended."""


def _write(text: str) -> None:
    """Print on stdout; raise OutputError if that fails."""
    try:
        click.echo(text, nl=False, color=True)  # rich has already decided on colors
        if sys.stdout:
            sys.stdout.flush()
    except OSError as error:
        give_stdout_up()
        raise OutputError(
            f"The result cannot be written to stdout: {error.strerror}.",
            remedy="the command has done its work all the same: cf-invoices status shows what is loaded",
        ) from error


def _check_working_directory() -> None:
    try:
        Path.cwd()
    except OSError as error:
        cause = f"The working directory cannot be used: {error.strerror}."
        raise SettingsError(cause, remedy="change into a directory that exists") from error


def _configure_log() -> bool:
    """Keep dlt quiet unless a log level is set. Return whether it logs JSON, for a program."""
    try:
        is_level_set = dlt.config.get("runtime.log_level") is not None
    except ConfigurationException:
        raise  # it names the setting
    except ValueError:  # dlt starts its log when a setting is first read
        cause = "The setting log_level is not a log level, or log_format is not a format."
        raise SettingsError(
            cause, remedy="use DEBUG, INFO, WARNING, ERROR or CRITICAL; JSON or one of Python's formats"
        ) from None
    if not is_level_set:
        # dlt logs a failed job with a traceback; we show the error on one screen.
        dlt.config["runtime.log_level"] = "CRITICAL"
        dlt.current.run_context().initialize_runtime()
    dlt.config["runtime.intercept_signals"] = False  # dlt would wait for its jobs
    return logger.is_logging() and logger.is_json_logging(dlt.config.get("runtime.log_format"))
