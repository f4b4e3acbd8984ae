"""What one load is asked to do: its settings, read once and for all who ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import dlt
from dlt.common.configuration import configspec
from dlt.common.configuration.specs import BaseConfiguration
from dlt.load.configuration import LoaderConfiguration

from cf_invoice_source.cloudflare.accounts import named_accounts
from cf_invoice_source.cloudflare.client import Client
from cf_invoice_source.cloudflare.credentials import CloudflareCredentials, chosen_base_url
from cf_invoice_source.errors import SettingsError
from cf_invoice_source.schema.capabilities import TABLE_FORMATS, TableFormat
from cf_invoice_source.schema.contract import TSchemaContractDict, check_write_disposition, read_contract
from cf_invoice_source.settings import FULL_SYNC_EVERY_DAYS, INVOICE_TYPES, SECTION, InvoiceType
from cf_invoice_source.warehouse.dlt_names import (
    ConfigSectionContext,
    inject_section,
    known_sections,
    resolve_configuration,
)

_LONGEST_DAYS = 36_500


@configspec
class Job(BaseConfiguration):
    """The settings of a load, as dlt finds them; what each means is said at `cf_invoice_source`."""

    account_id: str | Sequence[str] | None = None
    type: InvoiceType = "all"
    full: bool = False
    accept_deletions: bool = False
    full_sync_every_days: float = FULL_SYNC_EVERY_DAYS
    base_url: str | None = None
    credentials: CloudflareCredentials = None  # type: ignore[assignment] # dlt makes it
    created: dlt.sources.incremental[datetime] | None = None
    schema_contract: dict[str, Any] | None = None
    table_format: TableFormat | None = None
    write_disposition: Any | None = None

    def check(self) -> None:
        """Check every setting but the credentials."""
        if self.type not in INVOICE_TYPES:
            raise SettingsError("There is no such type.", remedy=f"use one of {', '.join(INVOICE_TYPES)}")
        if not 0 <= self.full_sync_every_days <= _LONGEST_DAYS:
            raise SettingsError(
                "full_sync_every_days makes no sense.", remedy=f"use a number from 0 to {_LONGEST_DAYS:,}"
            )
        if self.table_format not in {None, *TABLE_FORMATS}:
            raise SettingsError(
                "There is no such table_format.", remedy=f"use one of {', '.join(TABLE_FORMATS)}"
            )
        check_write_disposition(self.write_disposition)
        read_contract(self.schema_contract)

    @property
    def account_ids(self) -> tuple[str, ...]:
        """The accounts that the settings name; none for all that the credentials can see."""
        return named_accounts(self.account_id)

    @property
    def contract(self) -> TSchemaContractDict | None:
        """Dlt's schema contract, if one is set."""
        return read_contract(self.schema_contract)

    @property
    def full_sync_every_s(self) -> int:
        """How old the last full walk may be, in seconds."""
        return int(self.full_sync_every_days * 24 * 3600)

    def client(self) -> Client:
        """Make what asks Cloudflare, from credentials and a base URL that are in order."""
        return Client(self.credentials.to_auth(), chosen_base_url(self.base_url))


def read_job(given: Mapping[str, Any], pipeline_name: str | None = None) -> Job:
    """Read the settings of a load; dlt looks up what is not given, first under the name of the pipeline."""
    if unknown := given.keys() - {field.name for field in fields(Job)}:
        raise TypeError(f"unexpected settings: {', '.join(sorted(unknown))}")
    with inject_section(ConfigSectionContext(pipeline_name, sections=(known_sections.SOURCES, SECTION))):
        return resolve_configuration(Job(), explicit_value=given)


def account_ids_of(job: Job, client: Client) -> tuple[str, ...]:
    """Name the accounts of a load: those of its settings, else all that the credentials can see."""
    return job.account_ids or tuple(account.id for account in client.accounts())


def check_loader_settings(pipeline_name: str) -> None:
    """Refuse to take a package for loaded although rows of it were refused: their bookmark would go ahead."""
    with inject_section(ConfigSectionContext(pipeline_name, sections=(known_sections.LOAD,))):
        settings = resolve_configuration(LoaderConfiguration(), accept_partial=True)
    if not settings.raise_on_failed_jobs:
        raise SettingsError(
            "dlt is told to pass over rows that the destination refuses: the copy would lack them for good.",
            remedy="leave raise_on_failed_jobs out of dlt's settings, or set it to true",
        )
