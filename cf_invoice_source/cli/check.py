"""Whether a load could work: credentials, settings, token, accounts, permissions, destination."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Literal

import dlt
from dlt.common.configuration import with_config

from cf_invoice_source.cloudflare.accounts import named_accounts
from cf_invoice_source.cloudflare.base_url import chosen_base_url
from cf_invoice_source.cloudflare.client import Client
from cf_invoice_source.cloudflare.credentials import CloudflareCredentials, KeyAuth, where_found
from cf_invoice_source.cloudflare.token import Token
from cf_invoice_source.errors import InvoiceSourceError, SettingsError
from cf_invoice_source.invoices.tables import INVOICES
from cf_invoice_source.loading.accounts import Order
from cf_invoice_source.loading.packages import check_settings
from cf_invoice_source.loading.write_disposition import Keeping, read_keeping
from cf_invoice_source.settings import BASE_URL, SECTION, TOKEN_PAGE
from cf_invoice_source.source import cf_invoice_source
from cf_invoice_source.warehouse.abilities import abilities_of, check_format
from cf_invoice_source.warehouse.dlt_errors import dlt_errors_explained, driver_errors_explained
from cf_invoice_source.warehouse.overview import Overview
from cf_invoice_source.warehouse.probe import try_writing
from cf_invoice_source.warehouse.target import Target, settings_of


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was looked at.

    Attributes:
        what: credentials, settings, token, accounts, account or destination.
        state: Whether a load could go on from here; skipped where that cannot be said.
        said: What was found, or what is wrong.
        remedy: What to do about it; empty where nothing is wrong.
        request: The request that was refused.
        cf_ray: Its answer's `cf-ray`.
        account_id: The Cloudflare account that it is about.
    """

    what: str
    state: Literal["passed", "failed", "skipped"]
    said: str
    remedy: str = ""
    request: str = ""
    cf_ray: str = ""
    account_id: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """All that was looked at, in the order in which a load needs it."""

    rows: tuple[Row, ...]

    @property
    def has_failed(self) -> bool:
        """Whether a load would fail."""
        return any(row.state == "failed" for row in self.rows)


def check(pipeline_name: str, destination: str, dataset_name: str, account_ids: Sequence[str] = ()) -> Check:
    """Look at everything that a load needs, and leave nothing behind; one cross does not hide the next.

    Args:
        pipeline_name: Name of the dlt pipeline, which need not exist.
        destination: Any dlt destination, by its name.
        dataset_name: Dataset (schema) for the tables.
        account_ids: Cloudflare account IDs; else those of the settings, else all that can be seen.
    """
    with settings_of(pipeline_name):
        checks = _Checks(pipeline_name, account_ids)
        checks.look_at_cloudflare()
        checks.look_at_destination(destination, dataset_name)
    return Check(tuple(checks.rows))


class _SkippedError(Exception):
    """Says why something cannot be looked at, though nothing is known to be wrong with it."""


class _Checks:
    """Looks at one thing after the other, and keeps what a later one needs."""

    def __init__(self, pipeline_name: str, account_ids: Sequence[str]) -> None:
        self.rows: list[Row] = []
        self._pipeline_name = pipeline_name
        self._given = account_ids
        self._account_ids: tuple[str, ...] = ()
        self._settings: _Settings | None = None

    def look(self, what: str, find: Callable[[], str], account_id: str = "") -> None:
        """Add a row: what is found, what is wrong, or what has to be mended first."""
        try:
            with dlt_errors_explained():
                row = Row(what, "passed", find(), account_id=account_id)
        except _SkippedError as reason:
            row = Row(what, "skipped", str(reason), account_id=account_id)
        except InvoiceSourceError as error:
            row = Row(what, "failed", error.cause, error.remedy, error.request, error.ray, account_id)
        self.rows.append(row)

    def look_at_cloudflare(self) -> None:
        """Add the rows about credentials, settings, token, accounts, and the permission on each account."""
        self.look("credentials", self._find_credentials)
        self.look("settings", self._find_settings)
        self.look("token", self._find_token)
        self.look("accounts", self._find_accounts)
        for account_id in self._account_ids or [""]:
            self.look("account", partial(self._find_permission, account_id), account_id)

    def look_at_destination(self, destination: str, dataset_name: str) -> None:
        """Add the row about the destination, and about what is there."""
        target = partial(Target.of, self._pipeline_name, destination, dataset_name)
        self.look("destination", lambda: _destination(target, self._settings))

    def _need(self, *whats: str) -> None:
        for row in self.rows:
            if row.what in whats and row.state == "failed":
                raise _SkippedError(f"needs {row.what}")

    def _find_credentials(self) -> str:
        credentials = _credentials()
        self._auth = credentials.to_auth()
        kind = "an e-mail with a global API key" if isinstance(self._auth, KeyAuth) else "an API token"
        return f"{kind}, from {where_found(credentials, self._pipeline_name)}"

    def _find_settings(self) -> str:
        check_settings(self._pipeline_name)
        self._settings = _settings()
        order = self._settings.order
        return f"type {order.invoice_type}, a full walk every {order.full_walk_every_s / 86_400:g} days"

    def _find_token(self) -> str:
        self._need("credentials")
        self._client = Client(self._auth, _base_url())
        if isinstance(self._auth, KeyAuth):
            raise _SkippedError("Cloudflare verifies tokens only, not a global API key")
        token = self._ask_about_token()
        if token.status != "active":
            raise SettingsError(
                f"The API token is not active: it is {token.status}.", remedy=f"renew it at {TOKEN_PAGE}"
            )
        return f"active, expires {token.expires_on}" if token.expires_on else "active"

    def _ask_about_token(self) -> Token:
        try:
            return self._client.token()
        except SettingsError as refused:
            # A token that belongs to an account is known to that account only.
            with suppress(InvoiceSourceError):
                for account_id in _named(self._given) or [account.id for account in self._client.accounts()]:
                    with suppress(SettingsError):
                        return self._client.token(account_id)
            raise refused from None

    def _find_accounts(self) -> str:
        self._account_ids = _named(self._given)
        if self._account_ids:
            return f"{len(self._account_ids):,}, named by {'--account' if self._given else 'the settings'}"
        self._need("credentials", "token")
        self._account_ids = tuple(account.id for account in self._client.accounts())
        return f"{len(self._account_ids):,}, all that the credentials can see"

    def _find_permission(self, account_id: str) -> str:
        self._need("credentials", "token", "accounts")
        invoice_type = self._settings.order.invoice_type if self._settings else "all"
        page = self._client.invoice_page(account_id, invoice_type, 1)
        return f"{page.total_count:,} invoices can be read"


@with_config(sections=("sources", SECTION))
def _credentials(credentials: CloudflareCredentials = dlt.secrets.value) -> CloudflareCredentials:
    """Take the credentials from where the source takes them."""
    return credentials


@with_config(sections=("sources", SECTION))
def _base_url(base_url: str | None = None) -> str:
    return chosen_base_url(base_url)


@with_config(sections=("sources", SECTION))
def _named(given: Sequence[str], account_id: str | Sequence[str] | None = None) -> tuple[str, ...]:
    return named_accounts(given or account_id)


@dataclass(frozen=True, slots=True)
class _Settings:
    """What the source makes of its settings."""

    order: Order
    keeping: Keeping


def _settings() -> _Settings:
    """Make a source as a load would, but for what has a row of its own."""
    credentials = CloudflareCredentials(api_token="any")  # noqa: S106 - nothing is asked with it
    source = cf_invoice_source(account_id="0" * 32, base_url=BASE_URL, credentials=credentials)
    invoices = source.resources[INVOICES]
    return _Settings(invoices.explicit_args["accounts"].order, read_keeping(invoices.write_disposition))


def _destination(make_target: Callable[[], Target], settings: _Settings | None) -> str:
    target = make_target()
    client = target.client()
    table_format = settings.order.table_format if settings else None
    check_format(client, table_format)
    with driver_errors_explained():
        if settings:
            _check_what_is_there(make_target(), settings)  # another one, for this one will be read-only
        tried = try_writing(target)
    if tried is None:
        raise _SkippedError("nothing can be tried in this kind of destination without leaving it behind")
    limit = abilities_of(client, table_format).limit
    said = f"{tried} in {target.location}, dataset {target.dataset_name}"
    return f"{said}. {limit}" if limit else said


def _check_what_is_there(target: Target, settings: _Settings) -> None:
    with target.reading() as dataset:
        if dataset:
            overview = Overview(dataset)
            overview.check_type(settings.order.invoice_type)
            overview.check_keeping(settings.keeping)
