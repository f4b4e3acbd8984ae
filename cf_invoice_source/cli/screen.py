"""Prints results and errors for people, each on one screen, and as one JSON document."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cf_invoice_source.redaction import shown
from cf_invoice_source.warehouse.dlt_names import logger

if TYPE_CHECKING:
    from cf_invoice_source.cli.check import Check
    from cf_invoice_source.documents.report import DocumentReport, Verification
    from cf_invoice_source.errors import InvoiceSourceError
    from cf_invoice_source.loading.report import Outcome, Problem, Report
    from cf_invoice_source.loading.status import AccountStatus, Status
    from cf_invoice_source.reporting.figures import Figures


def show_line(console: Console, text: str | Text, style: str = "") -> None:
    """Print one line without breaking it: a broken path or ID cannot be copied."""
    line = text if isinstance(text, Text) else Text(text)
    line.plain = shown(line.plain)
    console.print(line, style=style, soft_wrap=True)


def show_report(console: Console, report: Report) -> None:
    """Print the summary table of a load, when every row was last compared, and where the rows are."""
    found = {name for name in _FIGURES if any(getattr(each, name) for each in report.accounts)}
    figures = [name for name in _FIGURES if name in found or name != "deleted"]
    console.print(_table(console, [_report_row(console, account, figures) for account in report.accounts]))
    if full_syncs := sorted(_date(each.full_sync_at) for each in report.accounts if each.full_sync_at):
        days = " to ".join(dict.fromkeys((full_syncs[0], full_syncs[-1])))
        console.print(f"Every row was last compared on {days} (full walk).")
    for account_id in report.unlisted:
        unlisted = f"Cloudflare no longer lists account {account_id}: its rows stay as they are."
        show_line(console, unlisted)
    show_line(console, f"Loaded into {report.destination}, dataset {report.dataset_name}.")


def show_status(console: Console, status: Status) -> None:
    """Print what is loaded of each account, and which destination was read."""
    if status.accounts:
        console.print(_table(console, [_status_row(console, account) for account in status.accounts]))
        if any(money.is_minor for account in status.accounts for money in account.open):
            console.print("* in minor units: ISO 4217 does not know the currency.")
    if lacking := status.undocumented:
        invoices = "final invoice has" if lacking == 1 else "final invoices have"
        show_line(
            console, f"{lacking:,} {invoices} no archived document: cf-invoices documents fetches them."
        )
    show_line(console, f"Looked into {status.destination}, dataset {status.dataset_name}.")


def show_figures(console: Console, figures: Figures) -> None:
    """Print where the page is."""
    show_line(console, f"Written to {figures.page}.")


def show_check(console: Console, check: Check) -> None:
    """Print a tick or a cross for everything that was checked, and below each cross what to do."""
    width = max(len(row.what) for row in check.rows)
    for row in check.rows:
        said = f"{row.account_id}: {row.said}" if row.account_id else row.said
        mark = _mark(console, row.state)
        style = "dim" if row.state == "skipped" else ""
        show_line(console, Text.assemble(mark, f"  {row.what:{width}}  {said}"), style=style)
        for line in _details(row.remedy, row.request, row.cf_ray):
            show_line(console, Text.assemble("   ", line))


def show_problem(console: Console, problem: Problem) -> None:
    """Print what is wrong and what to do, or log it as one line of dlt's log."""
    if console.quiet:
        logger.critical(problem.text, extra={"reasons": "; ".join(problem.reasons), "remedy": problem.remedy})
    show_line(console, problem.text)
    for line in _details(remedy=problem.remedy, reason="; ".join(problem.reasons[:_MOST_REASONS])):
        show_line(console, line)


def show_error(console: Console, error: InvoiceSourceError, *, debug: bool) -> None:
    """Print an error: the cause, what to do, and what support needs; or log it as one line of dlt's log."""
    if console.quiet:
        name = {"error_type": type(error).__name__}  # dlt's log lines have a "type" of their own
        logger.critical(error.cause, exc_info=debug, extra=_error(error) | name)
    if debug:
        console.print_exception()
    cause = Text.assemble(("Error: ", "bold red"), error.cause)
    for line in (cause, *_details(error.remedy, error.request, error.ray)):
        show_line(console, line)


def document(
    verdict: Mapping[str, bool | None],
    result: Report | Status | Figures | Check | DocumentReport | Verification | None,
    error: InvoiceSourceError | None = None,
) -> str:
    """Write a result or an error as JSON in ASCII. Amounts are texts: readers would round numbers."""

    def text(value: date | Decimal) -> str:
        return value.isoformat() if isinstance(value, date) else f"{value:f}"

    fields = asdict(result) if result else {}
    for account, written in zip(getattr(result, "accounts", ()), fields.get("accounts", ()), strict=True):
        written["problem"], written["remedy"] = account.problem, account.remedy
    content = {name.removesuffix("_name"): value for name, value in fields.items()}
    content["error"] = _error(error) if error else None
    return json.dumps({**verdict, **content}, indent=2, default=text)


def _error(error: InvoiceSourceError) -> dict[str, str]:
    return {
        "type": type(error).__name__,
        "cause": error.cause,
        "remedy": error.remedy,
        "request": error.request,
        "cf_ray": error.ray,
        "account_id": error.account_id,
    }


def _details(remedy: str, request: str = "", ray: str = "", reason: str = "") -> list[Text]:
    """Give the lines below a problem: the reason, what to do, and what support needs."""
    named = {"Reason": reason, "What to do": remedy, "Request": request, "cf-ray": ray}
    return [Text.assemble((f"{name}: ", "bold"), text) for name, text in named.items() if text]


def _report_row(console: Console, account: Outcome, figures: Sequence[str]) -> dict[str, Text]:
    numbers = {name: getattr(account, name) for name in figures}
    return {
        "account": Text(shown(account.account_id)),
        **{name: Text("" if number is None else f"{number:,}") for name, number in numbers.items()},
        "verified": _verdict(console, account),
    }


def _verdict(console: Console, account: Outcome) -> Text:
    if not account.problem:
        return Text("yes")
    why = "" if account.unverified_reason else f" ({account.rejected:,} rejected)"
    why = " (failed)" if account.error else why
    return Text(f"no{why if console.width >= _WIDE_ENOUGH_FOR_WHY else ''}", style="bold red")


def _status_row(console: Console, account: AccountStatus) -> dict[str, Text]:
    sync = account.last_sync
    amounts = (
        f"{each.amount:,f} {shown(each.currency)}{'*' if each.is_minor else ''}" for each in account.open
    )
    state = "failed" if account.error else "unverified" if account.problem else "passed"
    return {
        "": _mark(console, state),
        "account": Text(shown(account.account_id)),
        "invoices": Text(f"{account.invoices:,}"),
        "newest": Text(_date(account.newest)),
        "open": Text("\n".join(amounts)),
        "last sync": Text(f"{sync.finished_at:%Y-%m-%d %H:%M}" if sync else ""),
        "mode": Text(shown(sync.sync_mode) if sync else ""),
        "full walk": Text(_date(account.last_full_sync_at)),
    }


def _table(console: Console, rows: Sequence[Mapping[str, Text]]) -> Table:
    """Draw a row for each account. On a narrow screen, columns are left out and the account is shortened."""
    widths = {
        name: max(cell_len(line) for row in rows for line in (name, *row[name].plain.split("\n")))
        for name in rows[0]
    }
    for name, id_width in _SPARE.items():
        others = sum(widths.values()) - widths["account"] + 2 * (len(widths) - 1)
        if others + min(id_width, widths["account"]) > console.width:
            widths.pop(name, None)
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    table.title, table.title_justify = "AI Gateway invoices", "left"
    for name in widths:
        table.add_column(
            name,
            justify="right" if name in {*_FIGURES, "open"} else "left",
            overflow="fold" if name == "open" else "ellipsis",
            no_wrap=name not in {"account", "open"},
            min_width=_SHORT_ID if name == "account" else None,
        )
    for row in rows:
        table.add_row(*(row[name] for name in widths))
    return table


_FIGURES = ("invoices", "new", "updated", "deleted", "requests")

_MOST_REASONS = 3
"""How many reasons are printed; the table has all."""

_SHORT_ID = 8

_WIDE_ENOUGH_FOR_WHY = 40
"""With so many columns there is room for a reason after "no"; it is on stderr, too."""

_SPARE = dict.fromkeys(("mode", "requests"), 32) | dict.fromkeys(
    ("full walk", "newest", "last sync", "updated", "new", "deleted"), _SHORT_ID
)
"""Columns that are left out, in this order, if they leave less room than this for an account ID."""

_MARKS = {
    "passed": ("✓", "+", "bold green"),
    "failed": ("✗", "x", "bold red"),
    "unverified": ("!", "!", "bold yellow"),
    "skipped": ("-", "-", ""),
}
"""How a state is drawn, how in ASCII, and in which style."""


def _mark(console: Console, state: str) -> Text:
    sign, plain, style = _MARKS[state]
    return Text(plain if console.options.ascii_only else sign, style=style)


def _date(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d}" if time else ""
