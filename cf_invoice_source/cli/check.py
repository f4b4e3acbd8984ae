"""Checks what a load needs: credentials, settings, token, accounts, permissions, destination."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from cf_invoice_source.cloudflare.answers import Token
from cf_invoice_source.cloudflare.credentials import KeyAuth
from cf_invoice_source.errors import InvoiceSourceError, SettingsError, UnexpectedError
from cf_invoice_source.loading.job import Job, account_ids_of, check_loader_settings, read_job
from cf_invoice_source.settings import TOKEN_PAGE
from cf_invoice_source.warehouse.collation import check_collation
from cf_invoice_source.warehouse.dataset_ref import DatasetRef, location_of, settings_of
from cf_invoice_source.warehouse.destination import check_file_format, check_format, destination_capabilities
from cf_invoice_source.warehouse.dlt_errors import translated_driver_errors, translated_errors
from cf_invoice_source.warehouse.dlt_names import FilesystemClient
from cf_invoice_source.warehouse.duckdb_file import check_file
from cf_invoice_source.warehouse.locks import check_locks
from cf_invoice_source.warehouse.ownership import check_claim
from cf_invoice_source.warehouse.probe import staged_client, try_pipeline, try_writing
from cf_invoice_source.warehouse.reader import StatusQueries, bookmarks_in
from cf_invoice_source.warehouse.rights import missing_rights_named
from cf_invoice_source.warehouse.staging import dataset_name_in
from cf_invoice_source.warehouse.state import check_state


@dataclass(frozen=True, slots=True)
class Row:
    """The result of checking one thing that a load needs."""

    what: str
    state: Literal["passed", "failed", "skipped"]
    said: str
    remedy: str = ""
    request: str = ""
    cf_ray: str = ""
    account_id: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """All results, in the order in which a load needs the things."""

    rows: tuple[Row, ...]

    @property
    def has_failed(self) -> bool:
        """Whether a load would fail."""
        return any(row.state == "failed" for row in self.rows)


def check(
    pipeline_name: str,
    destination: str,
    dataset_name: str,
    account_ids: Sequence[str] = (),
    demo: Mapping[str, Any] | None = None,
) -> Check:
    """Check everything that a load needs, also after a failure, and leave nothing behind.

    Args:
        pipeline_name: As for a load, and so are the other names.
        destination: A dlt destination.
        dataset_name: The dataset for the tables.
        account_ids: Only these accounts; those of the settings if empty.
        demo: The settings of the demo, in place of those that would be looked up.
    """
    with settings_of(pipeline_name):
        make_ref = partial(DatasetRef.of, pipeline_name, destination, dataset_name)
        return Check(tuple(_Checks(pipeline_name, account_ids, demo).look_at_all(make_ref)))


def _failed(what: str, error: InvoiceSourceError, account_id: str) -> Row:
    return Row(what, "failed", error.cause, error.remedy, error.request, error.ray, account_id)


class _SkippedError(Exception):
    """Says why something cannot be checked, although nothing is known to be wrong with it."""


class _Checks:
    """Checks one thing after the other, and keeps what later checks need."""

    def __init__(
        self, pipeline_name: str, account_ids: Sequence[str], demo: Mapping[str, Any] | None
    ) -> None:
        self._rows: list[Row] = []
        self._pipeline_name = pipeline_name
        self._named_by = "the demo" if demo else "--account" if account_ids else "the settings"
        self._given = demo or ({"account_id": account_ids} if account_ids else {})
        self._account_ids: tuple[str, ...] = ()
        self._job: Job | None = None
        self._cloudflare = Job()

    def look_at_all(self, make_ref: Callable[[], DatasetRef]) -> list[Row]:
        self._look("credentials", self._find_credentials)
        self._look("settings", self._find_settings)
        self._look("token", self._find_token)
        self._look("accounts", self._find_accounts)
        for account_id in self._account_ids or [""]:
            self._look("account", partial(self._find_permission, account_id), account_id)
        self._look("destination", partial(self._find_destination, make_ref))
        return self._rows

    def _look(self, what: str, find: Callable[[], str], account_id: str = "") -> None:
        try:
            with translated_errors():
                row = Row(what, "passed", find(), account_id=account_id)
        except _SkippedError as reason:
            row = Row(what, "skipped", str(reason), account_id=account_id)
        except InvoiceSourceError as error:
            row = _failed(what, error, account_id)
        except Exception as error:  # noqa: BLE001 - the other checks go on
            row = _failed(what, UnexpectedError.of(error), account_id)
        self._rows.append(row)

    def _need(self, *whats: str) -> None:
        for row in self._rows:
            if row.what in whats and row.state == "failed":
                raise _SkippedError(f"needs {row.what}")

    def _find_credentials(self) -> str:
        # The other settings are read for a row of their own: one of them may be unreadable.
        self._cloudflare = read_job(self._given, self._pipeline_name, looked_up=("account_id",))
        is_key = isinstance(self._cloudflare.access.credentials.to_auth(), KeyAuth)
        found = "an e-mail with a global API key" if is_key else "an API token"
        return f"{found}, from {self._cloudflare.access.signed_by}"

    def _find_settings(self) -> str:
        check_loader_settings(self._pipeline_name)
        job = read_job(self._given, self._pipeline_name)
        job.check()
        self._job = job
        without = f", without {', '.join(sorted(job.left_out.names))}" if job.left_out.names else ""
        return f"type {job.type}, a full walk every {job.full_sync_every_days:g} days{without}"

    def _find_token(self) -> str:
        self._need("credentials")
        self._client = self._cloudflare.client()
        self._cloudflare.access.announce()
        if not self._cloudflare.access.credentials.api_token:
            raise _SkippedError("Cloudflare verifies tokens only, not a global API key")
        token = self._ask_about_token()
        if token.status != "active":
            cause = f"The API token is not active: it is {token.status}."
            raise SettingsError(cause, remedy=f"renew it at {TOKEN_PAGE}")
        return f"active, expires {token.expires_on}" if token.expires_on else "active"

    def _ask_about_token(self) -> Token:
        try:
            return self._client.token()
        except SettingsError as refused:
            # A token that belongs to an account can be verified only by that account.
            with suppress(InvoiceSourceError):
                for account_id in account_ids_of(self._cloudflare, self._client):
                    with suppress(SettingsError):
                        return self._client.token(account_id)
            raise refused from None

    def _find_accounts(self) -> str:
        self._account_ids = self._cloudflare.account_ids
        if self._account_ids:
            return f"{len(self._account_ids):,}, named by {self._named_by}"
        self._need("credentials", "token")
        self._account_ids = account_ids_of(self._cloudflare, self._client)
        return f"{len(self._account_ids):,}, all that the credentials can see"

    def _find_permission(self, account_id: str) -> str:
        self._need("credentials", "token", "accounts")
        page = self._client.invoice_page(account_id, self._job.type if self._job else "all", 1)
        return f"{page.total_count:,} invoices can be read"

    def _find_destination(self, make_ref: Callable[[], DatasetRef]) -> str:
        ref = make_ref()
        client = ref.client()
        table_format = self._job.table_format if self._job else None
        capabilities = destination_capabilities(client, table_format)
        check_format(client, table_format)
        check_file_format(client, self._job.file_format if self._job else None, table_format)
        if isinstance(client, FilesystemClient) and not capabilities.shares:
            check_claim(client, self._pipeline_name)
        check_file(client)
        check_locks(ref)
        try_pipeline(make_ref())
        with (
            missing_rights_named(partial(staged_client, ref)),
            translated_errors(),
            translated_driver_errors(),
        ):
            check_collation(staged_client(ref))
            with make_ref().reading() as dataset:  # a second one: reading makes it read-only
                state: Mapping[str, Any] = {}
                if dataset:
                    queries = StatusQueries(dataset)
                    queries.check_owner()
                    if self._job:
                        queries.syncs_so_far(self._job.type)  # refuses a dataset of another type
                    if capabilities.text_bytes:
                        state = queries.stored_states().get(self._pipeline_name) or {}
            check_state(state, capabilities.text_bytes, bookmarks_in(state), self._account_ids)
            tried = try_writing(ref)
        if tried is None:
            raise _SkippedError("this kind of destination cannot be tried without leaving something there")
        said = f"{tried} in {location_of(client)}, dataset {dataset_name_in(client, ref.dataset_name)}"
        return f"{said}. {capabilities.limit}" if capabilities.limit else said
