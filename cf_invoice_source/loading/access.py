"""Which credentials a load uses, which address it asks, and whether they may be sent there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dlt.common.configuration.specs import RuntimeConfiguration

from cf_invoice_source.cloudflare.client import Client
from cf_invoice_source.cloudflare.credentials import (
    CloudflareCredentials,
    is_cloudflares,
    is_on_this_machine,
    safe_base_url,
)
from cf_invoice_source.errors import SettingsError
from cf_invoice_source.loading.lookup import ENVIRONMENT, Setting, find, find_in_environment
from cf_invoice_source.notices import notify
from cf_invoice_source.settings import BASE_URL
from cf_invoice_source.warehouse.dlt_names import resolve_configuration

_SIGN_IN = ("api_token", "email", "api_key")
_CLOUDFLARE = Setting(BASE_URL)
_SHORTEST_S, _LONGEST_S = 0.001, 86_400


@dataclass(frozen=True, slots=True)
class Access:
    """Credentials, the settings that they were found in, and where requests go."""

    credentials: CloudflareCredentials = field(default_factory=CloudflareCredentials)
    found: tuple[Setting, ...] = ()
    base_url: Setting = _CLOUDFLARE

    @property
    def signed_by(self) -> str:
        """The names of the settings that hold the credentials, without their values."""
        return " and ".join(dict.fromkeys(setting.name for setting in self.found))

    def client(self) -> Client:
        """Make the client; refuse to send credentials to a base URL that they were not set for.

        Otherwise a settings file in a directory of somebody else's could send your token anywhere.
        """
        auth, base_url = self.credentials.to_auth(), safe_base_url(self.base_url.value)
        places = {setting.place for setting in self.found}
        if self.base_url.is_from_file and not is_cloudflares(base_url) and places != {self.base_url.place}:
            raise SettingsError(
                f"The base URL {base_url} is from a file ({self.base_url.name}) and the credentials are not "
                f"({self.signed_by}): they are not sent there.",
                remedy="if that address is right, set CLOUDFLARE_BASE_URL to it, or put the credentials into "
                "secrets.toml beside it; else take base_url out of the file",
            )
        _check_request_settings()
        return Client(auth, base_url)

    def announce(self) -> None:
        """Show the base URL if it is not Cloudflare's; one of this machine only if a file names it."""
        base_url = safe_base_url(self.base_url.value)
        is_usual = is_cloudflares(base_url) or (
            is_on_this_machine(base_url) and not self.base_url.is_from_file
        )
        if not is_usual:
            notify(f"Requests and credentials go to {base_url}, not to Cloudflare: {self.base_url.name}")


def find_access(given: Mapping[str, Any], pipeline_name: str | None) -> Access:
    """Find the credentials and the base URL; look up those that are not given."""
    credentials, found = _find_credentials(given.get("credentials"), pipeline_name)
    return Access(credentials, found, _find_base_url(given.get("base_url"), pipeline_name))


def _find_credentials(
    given: Any, pipeline_name: str | None
) -> tuple[CloudflareCredentials, tuple[Setting, ...]]:
    """Use the first place that has any credential: places are not mixed."""
    if given is not None:
        credentials = CloudflareCredentials.from_init_value(given)
        if any(credentials[name] for name in _SIGN_IN):
            return credentials, (Setting(credentials),)
    for looked_up in _sign_ins(pipeline_name):
        if found := {name: setting for name, setting in looked_up.items() if setting}:
            values = {name: setting.value for name, setting in found.items()}
            return CloudflareCredentials.from_init_value(values), tuple(found.values())
    return CloudflareCredentials(), ()


def _sign_ins(pipeline_name: str | None) -> Iterator[dict[str, Setting | None]]:
    yield {"api_token": find(pipeline_name, "credentials", str)}
    yield {name: find(pipeline_name, name, str, "credentials") for name in _SIGN_IN}
    yield {name: find(pipeline_name, name, str) for name in _SIGN_IN}
    yield {name: find_in_environment(f"CLOUDFLARE_{name.upper()}") for name in _SIGN_IN}


def _find_base_url(given: str | None, pipeline_name: str | None) -> Setting:
    """The environment takes precedence over a file: whoever starts a load may not know the file."""
    if given:
        return Setting(given)
    own = find(pipeline_name, "base_url", str)
    if own and own.place == ENVIRONMENT:
        return own
    return find_in_environment("CLOUDFLARE_BASE_URL") or own or _CLOUDFLARE


def _check_request_settings() -> None:
    """Check dlt's settings for requests: with some values a load would fail half-way, or wait for ever."""
    settings = resolve_configuration(RuntimeConfiguration(), accept_partial=True)
    bounds = {
        "request_timeout": (settings.request_timeout, _SHORTEST_S),
        "request_max_attempts": (settings.request_max_attempts, 1),
        "request_backoff_factor": (settings.request_backoff_factor, 0),
        "request_max_retry_delay": (settings.request_max_retry_delay, 0),
    }
    for name, (value, least) in bounds.items():
        if not least <= value <= _LONGEST_S:
            raise SettingsError(
                f"dlt's setting {name} makes no sense.",
                remedy=f"set RUNTIME__{name.upper()}, or {name} under [runtime] in .dlt/config.toml, "
                f"to a number from {least} to {_LONGEST_S:,}, or leave it out",
            )
