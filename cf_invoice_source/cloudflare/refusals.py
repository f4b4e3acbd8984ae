"""What an answer that is no good means, and what to do about it: from a response to an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from requests import Response, codes

from cf_invoice_source.cloudflare.answers import readable
from cf_invoice_source.errors import ApiChangedError, InvoiceSourceError, SettingsError, TryLaterError
from cf_invoice_source.settings import PERMISSION

REPORT = "update cf-invoice-source, or report it with the cf-ray"
"""What to do about an answer that this version does not understand."""

_REMEDIES: Mapping[int, str] = {
    400: "check the account ID (32 hexadecimal characters), the type and the credentials",
    401: "check that the token is complete, active and not expired",
    403: f"give the token the permission {PERMISSION!r} for this account",
    404: "check the account ID: 32 hexadecimal characters, shown in the dashboard's address",
}
"""What to do about the statuses that asking again does not mend."""

_REDIRECTS = {301, 302, 303, 307, 308}


def refused(response: Response, errors: tuple[str, ...]) -> InvoiceSourceError:
    """Make the error for an answer that is none, by its status."""
    status = response.status_code
    said = (
        _without_secret("; ".join(errors), response)
        or f"HTTP {status} {readable(response.reason or '')}".rstrip()
    )
    cause = f"Cloudflare refused the request: {said}."
    if status in _REMEDIES:
        return SettingsError(cause, remedy=_REMEDIES[status], **details(response))
    if status == codes.too_many_requests or status >= codes.server_error:
        cause = f"Cloudflare could not answer: {said}."
        return TryLaterError(cause, remedy="run again in a few minutes", **details(response))
    if status in _REDIRECTS:
        return SettingsError(
            f"The server redirects (HTTP {status}), and a credential is not sent on to another address.",
            remedy="set base_url to the API's own address",
            **details(response),
        )
    return ApiChangedError(cause, remedy=REPORT, **details(response))


def _without_secret(text: str, response: Response) -> str:
    """Take the credential out of what a server says: some repeat what they do not like."""
    for header in ("Authorization", "X-Auth-Key", "X-Auth-Email"):
        secret = str(response.request.headers.get(header, "")).removeprefix("Bearer ")
        text = text.replace(secret, "***") if secret else text
    return text


def details(response: Response) -> dict[str, str]:
    """Give the details of an answer that an error shows: the request, and the `cf-ray`."""
    return {"request": f"GET {response.request.url}", "ray": readable(response.headers.get("cf-ray", ""))}


def why_unreachable(error: Exception) -> str:
    """Name a connection error by its cause, for urllib3 wraps it several times."""
    cause: Any = error
    while isinstance(cause, Exception) and cause.args and isinstance(cause.args[0], Exception):
        cause = cause.args[0]
    reason = getattr(cause, "reason", None)
    return str(reason or cause).rpartition(": ")[2] or type(error).__name__
