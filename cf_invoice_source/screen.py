"""What a person sees: a summary, or an error on one screen; and the same as one JSON document."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from cf_invoice_source.errors import InvoiceSourceError
    from cf_invoice_source.runner import Report


def show_report(console: Console, report: Report) -> None:
    """Print the summary table of a load, what is in doubt, and where the rows are."""
    table = Table(
        title="AI Gateway invoices", title_justify="left", box=SIMPLE_HEAD, show_edge=False, pad_edge=False
    )
    table.add_column("account", overflow="ellipsis", min_width=12)
    columns = [name for name in _FIGURES if name in _ALWAYS or _has(report, name)]
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("proven", no_wrap=True)
    for account in report.accounts:
        figures = (getattr(account, name) for name in columns)
        table.add_row(
            Text(account.account_id),
            *("" if figure is None else f"{figure:,}" for figure in figures),
            "no" if account.doubt else "yes",
        )
    console.print(table)
    for account in report.accounts:
        if account.error:
            console.print(Text(f"Failed, account {account.account_id}: {account.error}"), soft_wrap=True)
        elif account.doubt:
            console.print(Text(f"Not proven, account {account.account_id}: {account.doubt}."), soft_wrap=True)
    if _has(report, "rejected"):
        console.print("Records that are no invoices are in the table invoice_rejects, each with its reason.")
    for account_id in report.unlisted:
        note = f"Account {account_id} is not listed by Cloudflare any more: its rows stay as they are."
        console.print(Text(note), soft_wrap=True)
    console.print(Text(f"Loaded into {report.destination}, dataset {report.dataset_name}."), soft_wrap=True)


_FIGURES = ("invoices", "new", "updated", "deleted", "rejected", "requests")
_ALWAYS = {"invoices", "new", "updated", "requests"}


def _has(report: Report, figure: str) -> bool:
    return any(getattr(account, figure) for account in report.accounts)


def show_error(console: Console, error: InvoiceSourceError) -> None:
    """Print an error: the cause first, then what to do, then what support needs."""
    console.print(Text.assemble(("Error: ", "bold red"), error.cause), soft_wrap=True)
    for name, text in (("What to do", error.remedy), ("Request", error.request), ("cf-ray", error.ray)):
        if text:
            console.print(Text.assemble((f"{name}: ", "bold"), text), soft_wrap=True)


def report_document(report: Report) -> str:
    """Write a report as JSON."""
    return _document(
        proven=report.is_proven,
        pipeline=report.pipeline_name,
        dataset=report.dataset_name,
        destination=report.destination,
        accounts=[asdict(account) for account in report.accounts],
        unlisted=list(report.unlisted),
        error=None,
    )


def error_document(error: InvoiceSourceError) -> str:
    """Write an error as JSON."""
    return _document(
        proven=False,
        error={
            "kind": type(error).__name__,
            "cause": error.cause,
            "remedy": error.remedy,
            "request": error.request,
            "cf_ray": error.ray,
            "account_id": error.account_id,
        },
    )


def _document(**content: Any) -> str:
    return json.dumps(content, indent=2)
