"""The command `documents`: archives, verifies and lists the PDFs of invoices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from rich.console import Console

from cf_invoice_source.cli.demo import simulated, world_loaded
from cf_invoice_source.cli.output import Output
from cf_invoice_source.cli.progress import Line
from cf_invoice_source.cli.screen import show_line
from cf_invoice_source.documents.report import DocumentReport, Verification
from cf_invoice_source.documents.runner import archive, manifest, verify
from cf_invoice_source.warehouse.dataset_ref import DatasetRef


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options ask for."""

    to: str
    account_id: tuple[str, ...]
    drafts: bool
    is_verification: bool
    manifest: str | None
    is_demo: bool
    wait_s: float


def run(out: Output, ref: DatasetRef, asked: Asked) -> int:
    """Archive documents, or verify an archive, and write the manifest; return the exit code."""
    if asked.is_verification:
        found = verify(ref, asked.to, asked.account_id)
        _write_manifest(ref, asked)
        return out.end(found, partial(_show_verification, asked), verified=found.is_verified)
    with (
        _settings(out, ref, asked) as settings,
        Line(out.stderr, "Fetching documents", is_shown=not out.is_quiet) as progress,
    ):
        done = archive(
            ref,
            asked.to,
            dict(settings),
            drafts=asked.drafts,
            wait_s=asked.wait_s,
            progress=progress.update,
        )
    _write_manifest(ref, asked)
    return out.end(done, partial(_show_report, asked), complete=done.is_verified)


def _write_manifest(ref: DatasetRef, asked: Asked) -> None:
    if asked.manifest is not None:
        manifest(ref, asked.manifest, asked.account_id)


@contextmanager
def _settings(out: Output, ref: DatasetRef, asked: Asked) -> Iterator[Mapping[str, Any]]:
    """Give the settings of a run; for the demo, those of a simulator with the invoices of its last load."""
    if asked.is_demo:
        with simulated(world_loaded(ref), out, has_pdfs=True) as settings:
            yield settings
    else:
        yield {"account_id": list(asked.account_id)} if asked.account_id else {}


def _show_report(asked: Asked, console: Console, report: DocumentReport) -> None:
    archived = sum(account.archived for account in report.accounts)
    requests = sum(account.requests for account in report.accounts)
    if archived or report.problems:
        cost = f", with {requests:,} request{_s(requests)} to Cloudflare"
        show_line(console, f"{archived:,} document{_s(archived)} archived in {report.archive}{cost}.")
    else:
        show_line(console, f"Nothing to do: every invoice has its document in {report.archive}.")
    _show_manifest(asked, console)


def _show_verification(asked: Asked, console: Console, found: Verification) -> None:
    known, intact = found.documents, found.intact
    show_line(console, f"{intact:,} of {known:,} document{_s(known)} intact in {found.archive}.")
    _show_manifest(asked, console)


def _show_manifest(asked: Asked, console: Console) -> None:
    if asked.manifest is not None:
        show_line(console, f"The manifest is in {asked.manifest}.")


def _s(count: int) -> str:
    return "s" * (count != 1)
