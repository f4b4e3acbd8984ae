"""What a person sees: a summary, or an error on one screen; and the same as one JSON document."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dlt.common import logger
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from cf_invoice_source.cli.check import Check
    from cf_invoice_source.cli.status import AccountStatus, Money, Status
    from cf_invoice_source.errors import InvoiceSourceError
    from cf_invoice_source.loading.report import Outcome, Report


def show_report(console: Console, report: Report) -> None:
    """Print the summary table of a load, what a person has to know, and where the rows are."""
    table = Table(
        title="AI Gateway invoices", title_justify="left", box=SIMPLE_HEAD, show_edge=False, pad_edge=False
    )
    table.add_column("account", overflow="ellipsis", min_width=12)
    columns = [name for name in _FIGURES if name in _ALWAYS or _has(report, name)]
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verified", no_wrap=True)
    for account in report.accounts:
        figures = (getattr(account, name) for name in columns)
        table.add_row(
            Text(account.account_id),
            *("" if figure is None else f"{figure:,}" for figure in figures),
            _verified(account),
        )
    console.print(table)
    if full_syncs := sorted(account.full_sync_at for account in report.accounts if account.full_sync_at):
        console.print(f"Every row was last compared on {_days(full_syncs[0], full_syncs[-1])} (full walk).")
    for account_id in report.unlisted:
        note = f"Account {account_id} is not listed by Cloudflare any more: its rows stay as they are."
        console.print(Text(note), soft_wrap=True)
    console.print(Text(f"Loaded into {report.destination}, dataset {report.dataset_name}."), soft_wrap=True)


_FIGURES = ("invoices", "new", "updated", "deleted", "rejected", "requests")
_ALWAYS = {"invoices", "new", "updated", "requests"}


def _verified(account: Outcome) -> Text:
    if not account.problem:
        return Text("yes")
    return Text(f"no ({account.rejected:,} rejected)" if account.verified else "no", style="bold red")


def show_problems(console: Console, result: Report | Status) -> None:
    """Print what a person has to know of each account: for stderr, so that cron mails it."""
    for account in result.accounts:
        if account.problem:
            console.print(Text(f"Account {account.account_id}: {account.problem}"), soft_wrap=True)


def _has(report: Report, figure: str) -> bool:
    return any(getattr(account, figure) for account in report.accounts)


def log_error(error: InvoiceSourceError, *, debug: bool) -> None:
    """Write an error as one line of dlt's log."""
    logger.critical(error.cause, exc_info=debug, extra=_error(error))


def show_notice(console: Console, text: str) -> None:
    """Print why something takes long."""
    console.print(Text(text, style="yellow"), soft_wrap=True)


def show_error(console: Console, error: InvoiceSourceError) -> None:
    """Print an error: the cause first, then what to do, then what support needs."""
    console.print(Text.assemble(("Error: ", "bold red"), error.cause), soft_wrap=True)
    for name, text in (("What to do", error.remedy), ("Request", error.request), ("cf-ray", error.ray)):
        if text:
            console.print(Text.assemble((f"{name}: ", "bold"), text), soft_wrap=True)


def show_status(console: Console, status: Status) -> None:
    """Print what is loaded of each account, what a person has to know, and where the rows are."""
    if not status.is_loaded:
        of_them = " of the accounts asked for" if status.absent else ""
        console.print(Text(f"Nothing is loaded yet{of_them}."), soft_wrap=True)
    else:
        console.print(_status_table(console, status))
        if any(money.is_minor for account in status.accounts for money in account.open):
            console.print("* in minor units: ISO 4217 does not know the currency.")
        if status.absent:
            console.print(f"Nothing is loaded yet of {status.absent} of the accounts asked for.")
    if status.pending_packages:
        console.print(
            f"A load was interrupted, or runs now: {_count(status.pending_packages, 'package')} pending. "
            "The next load finishes them.",
            soft_wrap=True,
        )
    console.print(Text(f"Looked into {status.destination}, dataset {status.dataset_name}."), soft_wrap=True)


def _status_table(console: Console, status: Status) -> Table:
    is_wide = console.width >= _WIDE
    table = Table(
        title="AI Gateway invoices",
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("", no_wrap=True)
    table.add_column("account", overflow="ellipsis", min_width=8)
    table.add_column("invoices", justify="right", no_wrap=True)
    table.add_column("newest", no_wrap=True)
    table.add_column("open", justify="right", overflow="fold")
    table.add_column("last sync", no_wrap=True)
    if is_wide:
        table.add_column("mode", no_wrap=True)
    table.add_column("full walk", no_wrap=True)
    for account in status.accounts:
        sync = account.last_sync
        table.add_row(
            _mark(console, _state(account)),
            Text(account.account_id),
            f"{account.invoices:,}",
            _date(account.newest),
            Text("\n".join(map(_amount, account.open))),
            f"{sync.finished_at:%Y-%m-%d %H:%M}" if sync else "",
            *([sync.sync_mode if sync else ""] if is_wide else []),
            _date(account.last_full_sync_at),
        )
    return table


_WIDE = 114
"""Columns of a terminal that take a whole account ID, and the mode of its last sync."""


def _state(account: AccountStatus) -> str:
    if account.last_sync and account.last_sync.error:
        return "failed"
    return "doubtful" if account.problem else "passed"


def _mark(console: Console, state: str) -> Text:
    """Draw a tick, a cross, or what lies between, with what the terminal can show."""
    sign, plain, style = _MARKS[state]
    try:
        sign.encode(console.encoding)
    except UnicodeEncodeError:
        sign = plain
    return Text(sign, style=style)


_MARKS = {
    "passed": ("✓", "+", "bold green"),
    "failed": ("✗", "x", "bold red"),
    "doubtful": ("!", "!", "bold yellow"),
    "skipped": ("-", "-", ""),
}
"""How a state is drawn, how where there is ASCII only, and in which style."""


def _amount(money: Money) -> str:
    return f"{money.amount:,f} {money.currency}{'*' if money.is_minor else ''}"


def _date(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d}" if time else ""


def _days(first: datetime, last: datetime) -> str:
    return _date(first) if first.date() == last.date() else f"{_date(first)} to {_date(last)}"


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def show_check(console: Console, check: Check) -> None:
    """Print a tick or a cross for everything that was looked at, and beside each cross what to do."""
    table = Table(box=None, show_header=False, pad_edge=False, collapse_padding=True, padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("", overflow="fold")
    for row in check.rows:
        said = Text.assemble(
            (f"{row.account_id}: " if row.account_id else "") + row.said,
            *(
                Text.assemble("\n", (f"{name}: ", "bold"), text)
                for name, text in (
                    ("What to do", row.remedy),
                    ("Request", row.request),
                    ("cf-ray", row.cf_ray),
                )
                if text
            ),
        )
        table.add_row(
            _mark(console, row.state), row.what, said, style="dim" if row.state == "skipped" else None
        )
    console.print(table)


def report_document(report: Report) -> str:
    """Write a report as JSON."""
    return _document(
        verified=report.is_verified,
        pipeline=report.pipeline_name,
        dataset=report.dataset_name,
        destination=report.destination,
        accounts=[_account(account) for account in report.accounts],
        unlisted=list(report.unlisted),
        error=None,
    )


def status_document(status: Status) -> str:
    """Write a status as JSON; amounts are texts, for a number would be rounded."""
    return _document(
        verified=status.is_verified,
        loaded=status.is_loaded,
        pipeline=status.pipeline_name,
        dataset=status.dataset_name,
        destination=status.destination,
        pending_packages=status.pending_packages,
        accounts=[_account(account) for account in status.accounts],
        absent=status.absent,
        error=None,
    )


def check_document(check: Check) -> str:
    """Write a check as JSON."""
    return _document(passed=not check.has_failed, rows=[asdict(row) for row in check.rows], error=None)


def error_document(error: InvoiceSourceError, verdict: str) -> str:
    """Write an error as JSON, with the word that the command's document has for what did not come about."""
    return _document(**{verdict: False}, error=_error(error))


def _account(account: Outcome | AccountStatus) -> dict[str, Any]:
    return {**asdict(account), "problem": account.problem}


def _error(error: InvoiceSourceError) -> dict[str, str]:
    return {
        "type": type(error).__name__,
        "cause": error.cause,
        "remedy": error.remedy,
        "request": error.request,
        "cf_ray": error.ray,
        "account_id": error.account_id,
    }


def _document(**content: Any) -> str:
    return json.dumps(content, indent=2, default=_text)


def _text(value: datetime | Decimal) -> str:
    return value.isoformat() if isinstance(value, datetime) else f"{value:f}"
