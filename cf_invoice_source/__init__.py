"""A dlt source for Cloudflare's AI Gateway invoice history.

    import dlt
    from cf_invoice_source import load

    pipeline = dlt.pipeline("cloudflare_invoices", destination="duckdb", dataset_name="cf_invoices")
    load(pipeline, account_id="...").raise_on_failed()

Names that need dlt are resolved on first use, so that importing this package stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cf_invoice_source.settings import VERSION as __version__  # noqa: N811 - as Python names it

if TYPE_CHECKING:
    from cf_invoice_source.cloudflare.credentials import CloudflareCredentials as CloudflareCredentials
    from cf_invoice_source.documents.report import DocumentReport as DocumentReport
    from cf_invoice_source.documents.report import Verification as Verification
    from cf_invoice_source.documents.runner import archive_documents as archive_documents
    from cf_invoice_source.documents.runner import verify_documents as verify_documents
    from cf_invoice_source.documents.runner import write_manifest as write_manifest
    from cf_invoice_source.errors import ApiChangedError as ApiChangedError
    from cf_invoice_source.errors import DestinationError as DestinationError
    from cf_invoice_source.errors import InvoiceSourceError as InvoiceSourceError
    from cf_invoice_source.errors import NotVerifiedError as NotVerifiedError
    from cf_invoice_source.errors import SettingsError as SettingsError
    from cf_invoice_source.errors import TryLaterError as TryLaterError
    from cf_invoice_source.loading.report import Outcome as Outcome
    from cf_invoice_source.loading.report import Report as Report
    from cf_invoice_source.loading.status import AccountStatus as AccountStatus
    from cf_invoice_source.loading.status import Status as Status
    from cf_invoice_source.reporting.figures import Figures as Figures
    from cf_invoice_source.reporting.report import report as report
    from cf_invoice_source.runner import create_tables as create_tables
    from cf_invoice_source.runner import list_accounts as list_accounts
    from cf_invoice_source.runner import load as load
    from cf_invoice_source.runner import read_status as read_status
    from cf_invoice_source.source import cf_invoice_source as cf_invoice_source
    from cf_invoice_source.warehouse.locks import pipeline_lock as pipeline_lock

_HOMES = {
    "AccountStatus": "loading.status",
    "ApiChangedError": "errors",
    "CloudflareCredentials": "cloudflare.credentials",
    "DestinationError": "errors",
    "DocumentReport": "documents.report",
    "Figures": "reporting.figures",
    "InvoiceSourceError": "errors",
    "NotVerifiedError": "errors",
    "Outcome": "loading.report",
    "Report": "loading.report",
    "SettingsError": "errors",
    "Status": "loading.status",
    "TryLaterError": "errors",
    "Verification": "documents.report",
    "archive_documents": "documents.runner",
    "cf_invoice_source": "source",
    "create_tables": "runner",
    "list_accounts": "runner",
    "load": "runner",
    "pipeline_lock": "warehouse.locks",
    "read_status": "runner",
    "report": "reporting.report",
    "verify_documents": "documents.runner",
    "write_manifest": "documents.runner",
}

__all__ = ["__version__", *_HOMES]  # noqa: PLE0604 - names, all of them


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
