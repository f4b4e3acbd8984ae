"""What one load is asked to do: its settings, read once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import dlt
from dlt.common.configuration.container import Container
from dlt.load.configuration import LoaderConfiguration

from cf_invoice_source.cloudflare.accounts import read_account_ids, read_list
from cf_invoice_source.cloudflare.client import Client
from cf_invoice_source.errors import SettingsError
from cf_invoice_source.invoices.left_out import NEEDED_FIELDS, OPTIONAL_FIELDS, LeftOut
from cf_invoice_source.invoices.values import printable
from cf_invoice_source.loading.access import Access, find_access
from cf_invoice_source.loading.lookup import find, find_in_environment
from cf_invoice_source.schema.capabilities import FILE_FORMATS, TABLE_FORMATS, FileFormat, TableFormat
from cf_invoice_source.schema.contract import TSchemaContractDict, check_write_disposition, read_contract
from cf_invoice_source.settings import FULL_SYNC_EVERY_DAYS, INVOICE_TYPES, InvoiceType
from cf_invoice_source.warehouse.dlt_errors import translated_errors
from cf_invoice_source.warehouse.dlt_names import (
    ConfigSectionContext,
    inject_section,
    known_sections,
    resolve_configuration,
)

_LONGEST_DAYS = 36_500


_HINTS: Mapping[str, Any] = {
    "account_id": Any,
    "type": InvoiceType,
    "full": bool,
    "accept_deletions": bool,
    "full_sync_every_days": float,
    "leave_out": Any,
    "schema_contract": dict,
    "table_format": str,
    "file_format": str,
    "write_disposition": Any,
}
"""The settings that are looked up one by one, and the type of each."""

_SETTINGS = {*_HINTS, "base_url", "credentials", "created"}


@dataclass(frozen=True, slots=True)
class Job:
    """The settings of a load; see `cf_invoice_source` for what each means."""

    access: Access = field(default_factory=Access)
    account_id: str | Sequence[str] | None = None
    type: InvoiceType = "all"
    full: bool = False
    accept_deletions: bool = False
    full_sync_every_days: float = FULL_SYNC_EVERY_DAYS
    leave_out: str | Sequence[str] | None = None
    created: dlt.sources.incremental[datetime] | None = None
    schema_contract: dict[str, Any] | None = None
    table_format: TableFormat | None = None
    file_format: FileFormat | None = None
    write_disposition: Any | None = None

    def check(self) -> None:
        """Check every setting except the credentials and the base URL."""
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
        if self.file_format not in {None, *FILE_FORMATS}:
            raise SettingsError(
                "There is no such file_format.", remedy=f"use one of {', '.join(FILE_FORMATS)}"
            )
        _ = self.left_out
        check_write_disposition(self.write_disposition)
        read_contract(self.schema_contract)

    @property
    def account_ids(self) -> tuple[str, ...]:
        """The accounts that the settings name; empty for all that the credentials can see."""
        return read_account_ids(self.account_id)

    @property
    def left_out(self) -> LeftOut:
        """The fields that no table has."""
        names = frozenset(str(name).strip() for name in read_list(self.leave_out))
        remedy = f"leave_out takes {', '.join(OPTIONAL_FIELDS)}"
        if needed := sorted(names & NEEDED_FIELDS):
            raise SettingsError(f"The copy needs {needed[0]}: it cannot be left out.", remedy=remedy)
        if unknown := sorted(names.difference(OPTIONAL_FIELDS)):
            cause = f"There is no field {printable(unknown[0])} that could be left out."
            raise SettingsError(cause, remedy=remedy)
        return LeftOut(names)

    @property
    def contract(self) -> TSchemaContractDict | None:
        """The schema contract for dlt, if one is set."""
        return read_contract(self.schema_contract)

    @property
    def full_sync_every_s(self) -> int:
        """How old the last full walk may be, in seconds."""
        return int(self.full_sync_every_days * 24 * 3600)

    def client(self) -> Client:
        """Make the client for Cloudflare; refuse credentials or a base URL that are wrong."""
        return self.access.client()


def read_job(
    given: Mapping[str, Any], pipeline_name: str | None = None, looked_up: Collection[str] = _HINTS
) -> Job:
    """Read the settings of a load; look up those that are not given, or given as None.

    Args:
        given: Arguments of `cf_invoice_source`.
        pipeline_name: The section in which each setting is looked up first; None for that of dlt's context.
        looked_up: The settings to look up, in addition to the credentials and the base URL.

    Raises:
        SettingsError: A setting cannot be read.
    """
    if unknown := given.keys() - _SETTINGS:
        raise TypeError(f"unexpected settings: {', '.join(sorted(unknown))}")
    unset = (None, dlt.config.value, dlt.secrets.value)  # dlt's placeholders for "look it up"
    values = {name: value for name, value in given.items() if not any(value is each for each in unset)}
    pipeline_name = pipeline_name or Container()[ConfigSectionContext].pipeline_name
    with translated_errors():
        access = find_access(values, pipeline_name)
        for name in looked_up:
            if name not in values and (found := find(pipeline_name, name, _HINTS[name])):
                values[name] = found.value
    if not values.get("account_id") and (found := find_in_environment("CLOUDFLARE_ACCOUNT_ID")):
        values["account_id"] = found.value
    own = {name: value for name, value in values.items() if name not in {"base_url", "credentials"}}
    return Job(access, **own)


def prepare(given: Mapping[str, Any], pipeline_name: str | None = None) -> tuple[Job, Client]:
    """Read and check the settings of a load, and make the client for Cloudflare; send no request yet.

    Raises:
        SettingsError: A setting is missing or wrong.
    """
    job = read_job(given, pipeline_name)
    with translated_errors():
        job.check()
        read_account_ids(job.account_id)  # one that cannot be is refused
        client = job.client()
        check_loader_settings(pipeline_name)
    return job, client


def account_ids_of(job: Job, client: Client) -> tuple[str, ...]:
    """List the accounts of a load: those of its settings, else all that the credentials can see."""
    return job.account_ids or tuple(account.id for account in client.accounts())


def check_loader_settings(pipeline_name: str | None) -> None:
    """Refuse settings by which a package counts as loaded although the destination refused some rows."""
    with inject_section(ConfigSectionContext(pipeline_name, sections=(known_sections.LOAD,))):
        settings = resolve_configuration(LoaderConfiguration(), accept_partial=True)
    if not settings.raise_on_failed_jobs:
        raise SettingsError(
            "dlt is told to pass over rows that the destination refuses: the copy would never have them.",
            remedy="remove raise_on_failed_jobs from dlt's settings, or set it to true",
        )
