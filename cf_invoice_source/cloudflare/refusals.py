"""What a refused or failed request means and what to do about it, as a table, and the errors made from it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from requests import Response

from cf_invoice_source.cloudflare.accounts import HOW_TO_NAME
from cf_invoice_source.cloudflare.answers import ApiMessage
from cf_invoice_source.errors import ApiChangedError, InvoiceSourceError, SettingsError, TryLaterError
from cf_invoice_source.redaction import readable
from cf_invoice_source.settings import (
    ACCOUNTS,
    PERMISSION,
    TOKEN_PAGE,
    VERIFY_ACCOUNT_TOKEN,
    VERIFY_USER_TOKEN,
)

Asked = Literal["invoices", "accounts", "user token", "account token"]
"""What a request asked for."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is known of a refused request."""

    status: int
    asked: Asked = "invoices"
    errors: tuple[ApiMessage, ...] = ()
    has_key: bool = False  # signed with an e-mail and a global API key, not with a token
    is_web_page: bool = False
    is_challenge: bool = False  # a puzzle that only a browser can solve


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a refusal means, as a sentence that quotes the answer as `{said}`, and what to do."""

    error: type[InvoiceSourceError]
    cause: str
    remedy: str


@dataclass(frozen=True, slots=True)
class _Rule:
    """A meaning, and when it applies: every fact that is given must be true."""

    remedy: str
    code: str = ""
    words: str = ""
    asked: Asked | None = None
    statuses: Collection[int] = ()
    has_key: bool | None = None
    is_web_page: bool | None = None
    is_challenge: bool | None = None
    error: type[InvoiceSourceError] = SettingsError
    cause: str = "Cloudflare refused the request: {said}."

    def fits(self, refusal: Refusal) -> bool:
        return (
            (not self.code or any(_says(each, self.code, self.words) for each in refusal.errors))
            and self.asked in {None, refusal.asked}
            and (not self.statuses or refusal.status in self.statuses)
            and self.has_key in {None, refusal.has_key}
            and self.is_web_page in {None, refusal.is_web_page}
            and self.is_challenge in {None, refusal.is_challenge}
        )


def _says(error: ApiMessage, code: str, words: str) -> bool:
    return error.code == code and words in error.message.lower()


_REPORT = "update cf-invoice-source, or report it with the cf-ray"
_COMPLETE = "check that the token is complete, active and not expired"
_RENEW = f"copy the token again, or make a new one at {TOKEN_PAGE}"
_PERMIT = f"give the token the permission {PERMISSION!r} for this account"
_ACCOUNT = "check the account ID: 32 hexadecimal characters, shown in the dashboard's address"
_KEY = (
    "check the e-mail and the global API key, which has 37 hexadecimal characters; "
    "an API token goes into CLOUDFLARE_API_TOKEN"
)

_RULES: tuple[_Rule, ...] = (
    _Rule(
        "run from another network, or ask Cloudflare's support about the cf-ray: only a browser can solve it",
        is_challenge=True,
        error=TryLaterError,
        cause="Cloudflare took the request for a bot's and sent a challenge for a browser: {said}.",
    ),
    _Rule(
        "set base_url to the API's own address",
        statuses=(301, 302, 303, 307, 308),
        cause="The server redirects to another address, and credentials are not sent there: {said}.",
    ),
    _Rule(
        "run again in a few minutes",
        statuses=(429, *range(500, 1000)),
        error=TryLaterError,
        cause="Cloudflare could not answer: {said}.",
    ),
    _Rule(
        "give the proxy its user and password: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT",
        statuses=(407,),
        cause="The proxy refused the request: {said}.",
    ),
    _Rule(
        "check the base URL and the proxy",
        statuses=range(400, 500),
        is_web_page=True,
        cause="Not Cloudflare's API but something in between refused the request: {said}.",
    ),
    _Rule("copy the token again, without quotes or anything else around it", "6111"),
    _Rule(_KEY, "6103"),
    _Rule("check the e-mail: it is the one you sign in to the dashboard with", "6102"),
    _Rule(
        "the token's IP address filter excludes this machine: change the filter at "
        f"{TOKEN_PAGE}, or run from an address that it allows",
        "9109",
        "from location",
    ),
    _Rule(f"{_COMPLETE}, or {HOW_TO_NAME}", "9109", "unauthorized to access", "accounts"),
    _Rule(_PERMIT, "9109", "unauthorized to access"),
    _Rule(f"it is mistyped, deleted or expired: {_RENEW}", "9109"),
    _Rule(_KEY, "9103"),
    _Rule("check the proxy: something in between removes the header that signs in", "9106"),
    _Rule(
        f"{HOW_TO_NAME}: a token that belongs to an account cannot list accounts", "1001", asked="accounts"
    ),
    _Rule(
        f"if the token belongs to an account, {HOW_TO_NAME}; else {_COMPLETE}",
        "1000",
        asked="user token",
        cause="Cloudflare knows no such user token: {said}.",
    ),
    _Rule(f"{_COMPLETE}, and that it belongs to this account or to a user", "1000"),
    _Rule(
        f"{_COMPLETE}; if it may not list accounts, {HOW_TO_NAME}",
        "10000",
        asked="accounts",
        has_key=False,
    ),
    _Rule(f"check the e-mail and the key, or {HOW_TO_NAME}", "10000", asked="accounts"),
    _Rule("let an administrator of this account permit your user to read AI Gateway", "10000", has_key=True),
    _Rule(f"{_COMPLETE}, and has the permission {PERMISSION!r} for this account", "10000", statuses=(401,)),
    _Rule(_PERMIT, "10000", asked="invoices"),
    _Rule(_ACCOUNT, "7003"),
    _Rule("check the account ID (32 hexadecimal characters), the type and the credentials", statuses=(400,)),
    _Rule(_COMPLETE, statuses=(401,)),
    _Rule(_PERMIT, statuses=(403,)),
    _Rule(_ACCOUNT, statuses=(404,)),
)
"""The first rule that fits is used. The codes and words of Cloudflare's are those that people quote in
issues."""

_UNKNOWN = _Rule(_REPORT, error=ApiChangedError)


def meaning_of(refusal: Refusal) -> Meaning:
    """Find out what a refusal means."""
    rule = next((rule for rule in _RULES if rule.fits(refusal)), _UNKNOWN)
    return Meaning(rule.error, rule.cause, rule.remedy)


def refused(response: Response, errors: Iterable[ApiMessage]) -> InvoiceSourceError:
    """Make the error for a refused request."""
    request, status = response.request, response.status_code
    refusal = Refusal(
        status,
        _asked(urlsplit(request.url or "").path),
        tuple(errors),
        has_key="X-Auth-Key" in request.headers,
        is_web_page="html" in response.headers.get("content-type", "").lower() and bool(response.content),
        is_challenge=response.headers.get("cf-mitigated") == "challenge",
    )
    said = "; ".join(map(str, refusal.errors))
    said = said or f"HTTP {status} {readable(response.reason or '')}".rstrip()
    meaning = meaning_of(refusal)
    return meaning.error(meaning.cause.format(said=said), remedy=meaning.remedy, **_about(response))


def malformed(response: Response, what: str) -> ApiChangedError:
    """Make the error for an answer that does not have the published shape."""
    cause = f"Cloudflare's answer does not have the published shape: {what}."
    return ApiChangedError(cause, remedy=_REPORT, **_about(response))


def not_json(response: Response) -> ApiChangedError:
    """Make the error for an answer that may not come from Cloudflare."""
    kind = readable(response.headers.get("content-type", "no content type"))
    cause = f"Cloudflare's answer is not JSON (content-type: {kind}, {len(response.content):,} bytes)."
    remedy = "check the base URL and the proxy: something in between may have answered"
    return ApiChangedError(cause, remedy=remedy, **_about(response))


_UNREACHABLE = {
    "CERTIFICATE_VERIFY_FAILED": (
        "if a proxy or firewall decrypts TLS here, name the file of its certificate in REQUESTS_CA_BUNDLE; "
        "else check the base URL, and this machine's clock"
    ),
    "timed out": (
        "check the network and the proxy, then run again; RUNTIME__REQUEST_TIMEOUT sets how long to wait"
    ),
}
"""What to do about a failed connection, by words of its error."""


def unreachable(error: Exception, url: str) -> TryLaterError:
    """Make the error for a request that got no answer."""
    remedy = "check the network, the proxy and the base URL, then run again"
    remedy = next((known for sign, known in _UNREACHABLE.items() if sign in str(error)), remedy)
    cause = f"Cloudflare could not be reached: {readable(_why_unreachable(error))}."
    return TryLaterError(cause, remedy=remedy, request=f"GET {url}")


def _why_unreachable(error: BaseException) -> str:
    """Give the innermost cause of a connection error: urllib3 wraps it several times."""
    cause = error
    while cause.args and isinstance(cause.args[0], Exception):
        cause = cause.args[0]
    reason = getattr(cause, "reason", None)
    return str(reason or cause).rpartition(": ")[2] or type(error).__name__


def _asked(path: str) -> Asked:
    """Tell what a path asks for, by its end: the base URL may have a path of its own."""
    if path.endswith(VERIFY_USER_TOKEN):
        return "user token"
    if path.endswith(VERIFY_ACCOUNT_TOKEN.rpartition("}")[2]):
        return "account token"
    return "accounts" if path.endswith(ACCOUNTS) else "invoices"


def _about(response: Response) -> dict[str, str]:
    ray = readable(response.headers.get("cf-ray", ""))
    return {"request": f"GET {response.request.url}", "ray": ray}
