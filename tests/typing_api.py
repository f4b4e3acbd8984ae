"""A user's program: checked by type checkers, never run."""

from datetime import date
from decimal import Decimal

import dlt

from cf_invoice_source import (
    ApiChangedError,
    CloudflareCredentials,
    DestinationError,
    Figures,
    InvoiceSourceError,
    NotVerifiedError,
    Report,
    SettingsError,
    TryLaterError,
    __version__,
    cf_invoice_source,
    create_tables,
    list_accounts,
    load,
    pipeline_lock,
    read_status,
    report,
)


def plain_dlt() -> None:
    pipeline = dlt.pipeline("cloudflare_invoices", destination="duckdb", dataset_name="cf_invoices")
    pipeline.run(cf_invoice_source())
    pipeline.run(cf_invoice_source(account_id="one"))
    pipeline.run(cf_invoice_source(account_id=["one", "two"], type="auto"))
    pipeline.run(cf_invoice_source("one", base_url="https://api.cloudflare.com/client/v4"))
    load(pipeline, full=True)


def typed_credentials() -> None:
    credentials = CloudflareCredentials()
    credentials.email = "you@example.com"
    cf_invoice_source(credentials=credentials)


def for_schedulers() -> None:
    pipeline = dlt.pipeline("cloudflare_invoices_tables", destination="postgres", dataset_name="cf_invoices")
    with pipeline_lock("cloudflare_invoices_tables", wait_s=60):
        create_tables(pipeline, wait_s=60)
    accounts: list[str] = list_accounts()
    load(pipeline, account_id=accounts, wait_s=60).raise_on_failed()
    verified: bool = read_status(pipeline, accounts, max_age_h=26).is_verified
    assert verified


def for_finance() -> str:
    pipeline = dlt.pipeline("cloudflare_invoices", destination="duckdb", dataset_name="cf_invoices")
    report(pipeline, "invoices.html")
    figures: Figures = report(pipeline, None, ["one"], months=3, as_of=date(2026, 3, 31))
    owed: Decimal = sum((each.open for each in figures.currencies), Decimal(0))
    return f"{owed} {figures.is_verified} {figures.page}"


def with_a_report() -> str:
    pipeline = dlt.pipeline("cloudflare_invoices", destination="duckdb", dataset_name="cf_invoices")
    try:
        loaded: Report = load(pipeline, account_id="one")
        loaded.raise_on_failed()
    except SettingsError as error:
        return error.remedy
    except (TryLaterError, ApiChangedError, DestinationError) as error:
        return error.ray
    except NotVerifiedError as error:
        return error.cause
    except InvoiceSourceError as error:
        return str(error)
    verified: bool = loaded.is_verified
    return f"{__version__} {loaded.destination} {verified}"
