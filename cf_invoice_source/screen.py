"""What a person sees: a summary, or an error on one screen; and the same as one JSON document."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from cf_invoice_source.errors import InvoiceSourceError
    from cf_invoice_source.runner import Report


def show_report(console: Console, report: Report) -> None:
    """Print the summary table of a load, and where the rows are."""
    table = Table(title="AI Gateway invoices", title_justify="left")
    table.add_column("account", overflow="fold")
    for name in ("invoices", "new", "updated", "deleted", "rejected", "requests"):
        table.add_column(name, justify="right")
    table.add_column("proven", overflow="fold")
    for account in report.accounts:
        figures = (account.new, account.updated, account.deleted, account.rejected, account.requests)
        table.add_row(
            Text(account.account_id),
            "" if account.invoices is None else f"{account.invoices:,}",
            *(f"{figure:,}" for figure in figures),
            Text(f"no: {account.doubt}" if account.doubt else "yes"),
        )
    console.print(table)
    console.print(Text(f"Loaded into {report.destination}, dataset {report.dataset_name}."), soft_wrap=True)
    if any(account.rejected for account in report.accounts):
        console.print("Records that are no invoices are in the table invoice_rejects, each with its reason.")


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
