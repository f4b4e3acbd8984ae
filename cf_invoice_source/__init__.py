"""A dlt source for Cloudflare's AI Gateway invoice history.

    import dlt
    from cf_invoice_source import cf_invoice_source

    pipeline = dlt.pipeline("cloudflare_invoices", destination="duckdb", dataset_name="cf_invoices")
    pipeline.run(cf_invoice_source(account_id="..."))

Names that need dlt are resolved on first use, so that importing this package stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cf_invoice_source import settings

if TYPE_CHECKING:
    from cf_invoice_source.cloudflare.credentials import CloudflareCredentials
    from cf_invoice_source.errors import (
        ApiChangedError,
        DestinationError,
        InvoiceSourceError,
        SettingsError,
        TryLaterError,
    )
    from cf_invoice_source.loading.report import Outcome, Report
    from cf_invoice_source.runner import create_tables, list_accounts, load
    from cf_invoice_source.source import cf_invoice_source
    from cf_invoice_source.warehouse.locks import pipeline_lock

__version__ = settings.VERSION

_HOMES = {
    "ApiChangedError": "errors",
    "CloudflareCredentials": "cloudflare.credentials",
    "DestinationError": "errors",
    "InvoiceSourceError": "errors",
    "Outcome": "loading.report",
    "Report": "loading.report",
    "SettingsError": "errors",
    "TryLaterError": "errors",
    "cf_invoice_source": "source",
    "create_tables": "runner",
    "list_accounts": "runner",
    "load": "runner",
    "pipeline_lock": "warehouse.locks",
}

__all__ = [
    "ApiChangedError",
    "CloudflareCredentials",
    "DestinationError",
    "InvoiceSourceError",
    "Outcome",
    "Report",
    "SettingsError",
    "TryLaterError",
    "__version__",
    "cf_invoice_source",
    "create_tables",
    "list_accounts",
    "load",
    "pipeline_lock",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
