"""What an answer that is none means, and what to do about it: each status has its error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from requests import Response, codes

from cf_invoice_source.errors import ApiChangedError, InvoiceSourceError, SettingsError, TryLaterError
from cf_invoice_source.redaction import readable
from cf_invoice_source.settings import PERMISSION

_REPORT = "update cf-invoice-source, or report it with the cf-ray"

_REMEDIES: Mapping[int, str] = {
    400: "check the account ID (32 hexadecimal characters), the type and the credentials",
    401: "check that the token is complete, active and not expired",
    403: f"give the token the permission {PERMISSION!r} for this account",
    404: "check the account ID: 32 hexadecimal characters, shown in the dashboard's address",
}
"""What to do about the statuses that asking again does not mend."""


def refused(response: Response, errors: Iterable[str]) -> InvoiceSourceError:
    """Make the error for an answer that is none, by its status."""
    status, about = response.status_code, _about(response)
    said = "; ".join(errors)
    said = said or f"HTTP {status} {readable(response.reason or '')}".rstrip()
    cause = f"Cloudflare refused the request: {said}."
    if status in _REMEDIES:
        return SettingsError(cause, remedy=_REMEDIES[status], **about)
    if status == codes.too_many_requests or status >= codes.server_error:
        cause = f"Cloudflare could not answer: {said}."
        return TryLaterError(cause, remedy="run again in a few minutes", **about)
    if status in {301, 302, 303, 307, 308}:
        cause = f"The server redirects (HTTP {status}), and a credential is not sent on to another address."
        return SettingsError(cause, remedy="set base_url to the API's own address", **about)
    return ApiChangedError(cause, remedy=_REPORT, **about)


def malformed(response: Response, what: str) -> ApiChangedError:
    """Make the error for an answer that is not of the published shape."""
    cause = f"Cloudflare's answer is not of the published shape: {what}."
    return ApiChangedError(cause, remedy=_REPORT, **_about(response))


def not_json(response: Response) -> ApiChangedError:
    """Make the error for an answer that somebody else may have given."""
    kind = readable(response.headers.get("content-type", "no content type"))
    cause = f"Cloudflare's answer is not JSON (content-type: {kind}, {len(response.content):,} bytes)."
    remedy = "check the base URL and the proxy: something in between may have answered"
    return ApiChangedError(cause, remedy=remedy, **_about(response))


def _about(response: Response) -> dict[str, str]:
    ray = readable(response.headers.get("cf-ray", ""))
    return {"request": f"GET {response.request.url}", "ray": ray}
