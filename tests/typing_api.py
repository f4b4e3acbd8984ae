"""A user's program: checked by type checkers, never run."""

import dlt

from cf_invoice_source import (
    ApiChangedError,
    CloudflareCredentials,
    DestinationError,
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


def with_a_report() -> str:
    pipeline = dlt.pipeline("cloudflare_invoices", destination="duckdb", dataset_name="cf_invoices")
    try:
        report: Report = load(pipeline, account_id="one")
        report.raise_on_failed()
    except SettingsError as error:
        return error.remedy
    except (TryLaterError, ApiChangedError, DestinationError) as error:
        return error.ray
    except NotVerifiedError as error:
        return error.cause
    except InvoiceSourceError as error:
        return str(error)
    verified: bool = report.is_verified
    return f"{__version__} {report.destination} {verified}"
