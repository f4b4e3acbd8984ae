"""The two ways to sign in, and where a credential may be sent: over https, or to this machine."""

from __future__ import annotations

import re
from typing import Optional

from dlt.common.configuration import configspec
from dlt.common.configuration.specs import CredentialsConfiguration
from dlt.common.typing import TSecretStrValue
from requests import PreparedRequest
from requests.auth import AuthBase
from urllib3.util import Url, parse_url

from cf_invoice_source.errors import SettingsError
from cf_invoice_source.redaction import keep_secret
from cf_invoice_source.settings import BASE_URL, PERMISSION, SECTION, TOKEN_PAGE

_HOW_TO_SIGN_IN = (
    f"set CLOUDFLARE_API_TOKEN (or api_token under [sources.{SECTION}] in .dlt/secrets.toml). Create a token "
    f"with the permission {PERMISSION!r} at {TOKEN_PAGE}. An e-mail with a global API key works too: "
    "CLOUDFLARE_EMAIL and CLOUDFLARE_API_KEY. To look around without an account: cf-invoices load --demo"
)

_HOST = re.compile(r"([a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?|\[[0-9a-f:.]+\]")
_THIS_MACHINE = {"127.0.0.1", "localhost", "[::1]"}


@configspec
class CloudflareCredentials(CredentialsConfiguration):
    """An API token, or an e-mail with a global API key.

    If the source is given none, they are looked up in this order: `[sources.cf_invoice_source.credentials]`,
    `[sources.cf_invoice_source]`, and then the environment variables of Cloudflare's own tools:
    `CLOUDFLARE_API_TOKEN`, or `CLOUDFLARE_EMAIL` with `CLOUDFLARE_API_KEY`. The first place that has any is
    used; places are not mixed.
    """

    api_token: Optional[TSecretStrValue] = None  # noqa: UP045 - dlt reads the hint on Python 3.10, too
    email: Optional[str] = None  # noqa: UP045
    api_key: Optional[TSecretStrValue] = None  # noqa: UP045

    def parse_native_representation(self, native_value: object) -> None:
        """Read a plain text as the API token."""
        if not isinstance(native_value, str):
            super().parse_native_representation(native_value)
        self.api_token = native_value  # type: ignore[assignment]

    def to_auth(self) -> AuthBase:
        """Make the auth object for `requests`.

        Raises:
            SettingsError: Nothing is set, only half of a pair is set, or a value cannot be sent as a header.
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


# A secret is only in an auth object, never in a session's headers: dlt's client logs those at DEBUG.
class _HeaderAuth(AuthBase):
    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers.update(self._headers)
        return request

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _HeaderAuth) and self._headers == other._headers

    def __hash__(self) -> int:
        return hash(tuple(self._headers.items()))


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


def _usable(what: str, value: str) -> str:
    """Refuse a value that cannot be sent as a header, without showing it."""
    if value.startswith("<"):
        wrong, remedy = "is still the placeholder of the example file", _HOW_TO_SIGN_IN
    elif any(char.isspace() for char in value):
        wrong, remedy = "has a space or a line end in it", "copy it again, with nothing around it"
    elif not (value.isascii() and value.isprintable()):
        wrong, remedy = "has a character that cannot be sent", "copy it again: it is plain ASCII"
    else:
        return value
    raise SettingsError(f"The {what} {wrong}.", remedy=remedy)


def safe_base_url(base_url: str) -> str:
    """Return a base URL without a slash at its end; refuse one that a secret must not be sent to."""
    try:
        parts = parse_url(base_url)  # urllib3 connects, and another parser may read the URL differently
    except ValueError:  # half a bracket, two dots, or a port that is no number
        parts = Url()
    host, path = parts.host or "", (parts.path or "").rstrip("/")
    is_plain = base_url.isprintable() and not set(base_url) & set(" \\") and bool(_HOST.fullmatch(host))
    is_private = parts.scheme == "https" or (parts.scheme == "http" and host in _THIS_MACHINE)
    if is_plain and is_private and parts.port != 0 and not (parts.auth or parts.query or parts.fragment):
        return f"{parts.scheme}://{parts.netloc}{path}"
    cause = "The base URL must be an https:// address (http:// only on this machine), without user or query."
    raise SettingsError(cause, remedy="correct base_url or CLOUDFLARE_BASE_URL, or leave it out")


def is_on_this_machine(base_url: str) -> bool:
    """Say whether requests to a base URL do not leave this machine."""
    return parse_url(base_url).host in _THIS_MACHINE


def is_cloudflares(base_url: str) -> bool:
    """Say whether requests to a base URL go to Cloudflare's API."""
    parts, real = parse_url(base_url), parse_url(BASE_URL)
    return (parts.scheme, parts.host, parts.port or 443) == (real.scheme, real.host, 443)
