"""The options of the commands."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import click
from click import Context, Option, Parameter

from cf_invoice_source.settings import (
    DATASET_NAME,
    INVOICE_TYPES,
    LOCK_WAIT_S,
    MONTHS,
    MOST_MONTHS,
    PIPELINE_NAME,
)


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


ACCOUNTS = Option(
    ["--account", "account_id"],
    metavar="ID",
    callback=_not_empty,
    multiple=True,
    help="Cloudflare account ID; repeatable.",
)
TYPE = Option(
    ["--type"],
    type=click.Choice(INVOICE_TYPES),
    help="Which invoices.  [default: as set, else all]",
)
FULL = Option(["--full"], is_flag=True, help="Read every page and compare every value, even if not due.")
LEAVE_OUT = Option(
    ["--leave-out"],
    metavar="FIELD",
    callback=_not_empty,
    multiple=True,
    help="Keep this field out of the tables, such as invoice_pdf; repeatable.",
)
NAMES = (
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
ACCEPT_DELETIONS = Option(
    ["--accept-deletions"],
    is_flag=True,
    help="Delete invoices that are no longer listed, although Stripe deletes only drafts.",
)
MAX_AGE = Option(
    ["--max-age", "max_age_h"],
    metavar="HOURS",
    type=_hours,
    help="How old the last verified sync of an account may be, such as 26h or 2d; for monitoring.",
)
WAIT = Option(
    ["--wait", "wait_s"],
    metavar="SECONDS",
    type=_seconds,
    default=int(LOCK_WAIT_S),
    help="How long to wait for another load of the same pipeline or into the same DuckDB file.",
)
DEMO = Option(["--demo"], is_flag=True, help="Load made-up invoices from a simulator; needs no account.")
OF_DEMO = Option(["--demo"], is_flag=True, help="Look at the made-up invoices of load --demo.")
PAGE = Option(
    ["--output", "page"],
    metavar="FILE",
    callback=_not_empty,
    help="The page to write; it replaces a file of that name.  [default: invoices.html, none with --json]",
)
SHOWN_MONTHS = Option(
    ["--months"], type=click.IntRange(1, MOST_MONTHS), default=MONTHS, help="How many months to show."
)
AS_OF = Option(
    ["--as-of"],
    metavar="DATE",
    type=click.DateTime(["%Y-%m-%d"]),
    callback=_not_future,
    help="Show what was known at the end of that day (UTC), such as 2026-03-31.",
)
QUIET = Option(["--quiet"], is_flag=True, help="Print nothing but what went wrong.")
OUTPUT = (
    Option(["--json", "as_json"], is_flag=True, help="Print one JSON document on stdout."),
    Option(["--debug"], is_flag=True, help="Show the traceback of an error."),
)
SETTINGS = (ACCOUNTS, TYPE, FULL, ACCEPT_DELETIONS, LEAVE_OUT)
ARCHIVE = (
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
)
