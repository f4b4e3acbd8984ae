"""Two ways to sign in, and where a credential may be sent: over https, or to this machine."""

from __future__ import annotations

import os
from typing import Optional
from urllib.parse import urlsplit

import dlt
from dlt.common.configuration import configspec
from dlt.common.configuration.providers import EnvironProvider
from dlt.common.configuration.specs import CredentialsConfiguration
from dlt.common.configuration.utils import get_resolved_traces
from dlt.common.typing import TSecretStrValue
from requests import PreparedRequest
from requests.auth import AuthBase

from cf_invoice_source.errors import SettingsError
from cf_invoice_source.redaction import keep_secret
from cf_invoice_source.settings import BASE_URL, PERMISSION, SECTION, TOKEN_PAGE

_HOW_TO_SIGN_IN = (
    f"set CLOUDFLARE_API_TOKEN (or api_token under [sources.{SECTION}] in .dlt/secrets.toml). Create a token "
    f"with the permission {PERMISSION!r} at {TOKEN_PAGE}. An e-mail with a global API key works too: "
    "CLOUDFLARE_EMAIL and CLOUDFLARE_API_KEY. To look around without an account: cf-invoices load --demo"
)


@configspec
class CloudflareCredentials(CredentialsConfiguration):
    """An API token, or an e-mail with a global API key.

    dlt fills it from arguments or from `[sources.cf_invoice_source.credentials]`. What it leaves empty is
    looked up in `[sources.cf_invoice_source]`, and then under the environment names that Cloudflare's own
    tools read: `CLOUDFLARE_API_TOKEN`, or `CLOUDFLARE_EMAIL` with `CLOUDFLARE_API_KEY`.
    """

    api_token: Optional[TSecretStrValue] = None  # noqa: UP045 - dlt reads the hint on Python 3.10, too
    email: Optional[str] = None  # noqa: UP045
    api_key: Optional[TSecretStrValue] = None  # noqa: UP045

    def parse_native_representation(self, native_value: object) -> None:
        """Take a bare text as the API token."""
        if not isinstance(native_value, str):
            super().parse_native_representation(native_value)
        self.api_token = native_value  # type: ignore[assignment]

    def on_resolved(self) -> None:
        """Look in the next place while nothing is given: one place decides, they are not mixed."""
        for look_up in (
            lambda name: dlt.secrets.get(f"sources.{SECTION}.{name}", str),
            lambda name: os.environ.get(f"CLOUDFLARE_{name.upper()}"),
        ):
            if not (self.api_token or self.email or self.api_key):
                self.api_token, self.email, self.api_key = map(look_up, ("api_token", "email", "api_key"))

    def to_auth(self) -> AuthBase:
        """Make the auth object for `requests`.

        Raises:
            SettingsError: Nothing is set, half of a pair is, or a value cannot be a header.
        """
        if self.api_token:
            return TokenAuth(_usable("API token", self.api_token))
        if self.email and self.api_key:
            return KeyAuth(_usable("e-mail", self.email), _usable("API key", self.api_key))
        if self.email or self.api_key:
            given, missing = ("e-mail", "API key") if self.email else ("API key", "e-mail")
            cause = f"There is an {given}, but no {missing} to go with it."
            raise SettingsError(cause, remedy=_HOW_TO_SIGN_IN)
        raise SettingsError("There are no Cloudflare credentials.", remedy=_HOW_TO_SIGN_IN)


# A secret travels in an auth object only, never in a session's headers: dlt's client prints those at DEBUG.
class _HeaderAuth(AuthBase):
    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers.update(self._headers)
        return request


class TokenAuth(_HeaderAuth):
    """Signs in with an API token."""

    def __init__(self, token: str) -> None:
        keep_secret(token)
        super().__init__({"Authorization": f"Bearer {token}"})


class KeyAuth(_HeaderAuth):
    """Signs in with an e-mail and a global API key."""

    def __init__(self, email: str, api_key: str) -> None:
        keep_secret(email, as_a_whole=True)
        keep_secret(api_key)
        super().__init__({"X-Auth-Email": email, "X-Auth-Key": api_key})


def where_found(credentials: CloudflareCredentials, pipeline_name: str) -> str:
    """Name the setting that holds the credentials, without its value."""
    field = "api_token" if credentials.api_token else "api_key"
    for trace in reversed(get_resolved_traces().resolved_traces):
        if trace.value != credentials[field] or trace.key not in {field, "credentials"}:
            continue
        if trace.provider_name != EnvironProvider().name:
            file = trace.provider_location or trace.provider_name
            return f"{trace.key} under [{'.'.join(trace.sections)}] in {file}"
        for prefix in ([pipeline_name], []):
            name = EnvironProvider.get_key_name(trace.key, *prefix, *trace.sections)
            if name in os.environ:
                return name
    return f"CLOUDFLARE_{field.upper()}"


def _usable(what: str, value: str) -> str:
    """Refuse what cannot be a header's value, without showing it."""
    if value.startswith("<"):
        wrong, remedy = "is still the placeholder of the example file", _HOW_TO_SIGN_IN
    elif any(char.isspace() for char in value):
        wrong, remedy = "has a space or a line end in it", "copy it again, without what stands around it"
    elif not (value.isascii() and value.isprintable()):
        wrong, remedy = "has a character that cannot be sent", "copy it again: it is plain ASCII"
    else:
        return value
    raise SettingsError(f"The {what} {wrong}.", remedy=remedy)


def chosen_base_url(given: str | None) -> str:
    """Choose the base URL: the one given, else that of Cloudflare's environment name, else the real one."""
    return given or os.environ.get("CLOUDFLARE_BASE_URL") or BASE_URL


def safe_base_url(base_url: str) -> str:
    """Return a base URL without a slash at its end; refuse one to which no credential should go."""
    try:
        parts = urlsplit(base_url)
        is_address = bool((parts.hostname or "").encode("idna")) and parts.port != 0
        is_private = parts.scheme == "https" or (parts.scheme == "http" and is_on_this_machine(base_url))
        is_safe = is_address and is_private and not ("@" in parts.netloc or parts.query or parts.fragment)
    except ValueError:  # half a bracket, two dots, or a port that is no number
        is_safe = False
    if is_safe:
        return base_url.rstrip("/")
    cause = "The base URL must be an https:// address (http:// only on this machine), without user or query."
    raise SettingsError(cause, remedy="correct base_url or CLOUDFLARE_BASE_URL, or leave it out")


def is_on_this_machine(base_url: str) -> bool:
    """Say whether requests to a base URL do not leave this machine."""
    return urlsplit(base_url).hostname in {"127.0.0.1", "localhost", "::1"}
