"""The only file that sends requests: one page asked, a decoded page or a precise error back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from threading import local
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

from dlt.sources.helpers import requests
from requests import codes
from requests.auth import AuthBase

from cf_invoice_source.decide.directory import AccountsPage, CloudflareAccount, read_accounts
from cf_invoice_source.decide.document import decode
from cf_invoice_source.decide.envelope import Failed, Malformed, Page, read_errors, read_page, readable
from cf_invoice_source.decide.pace import Quota, read_quota, wait_after_refusal
from cf_invoice_source.decide.token import Token, read_token
from cf_invoice_source.discovery import find_accounts
from cf_invoice_source.errors import ApiChangedError, InvoiceSourceError, SettingsError, TryLaterError
from cf_invoice_source.pacer import Pacer, Tally
from cf_invoice_source.receive import receive
from cf_invoice_source.settings import (
    ACCOUNTS,
    INVOICE_HISTORY,
    PER_PAGE,
    PERMISSION,
    VERIFY_ACCOUNT_TOKEN,
    VERIFY_USER_TOKEN,
    VERSION,
    InvoiceType,
)

Answer = TypeVar("Answer", Page, AccountsPage, Token)

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}

_REMEDIES: Mapping[int, str] = {
    400: "check the account ID (32 hexadecimal characters), the type and the credentials",
    401: "check that the token is complete, active and not expired",
    403: f"give the token the permission {PERMISSION!r} for this account",
    404: "check the account ID: 32 hexadecimal characters, shown in the dashboard's address",
}
"""What to do about the statuses that asking again does not mend."""

_REDIRECTS = {301, 302, 303, 307, 308}

_PASSING = (requests.ConnectionError, requests.Timeout)
"""What can go wrong on the way to an answer, and may be right the next time."""

_REPORT = "update cf-invoice-source, or report it with the cf-ray"


class Client:
    """Asks Cloudflare for pages of invoices, and of accounts. Several threads may ask at once.

    dlt's own requests client keeps the connections and retries: connection errors, timeouts, 5xx, and a 200
    whose body is cut. `[runtime] request_timeout` and its siblings set how often and how long. The rate limit
    is kept by a pacer. No redirect is followed, so the credential stays with the base URL's origin.

    Args:
        auth: Signs each request.
        base_url: Cloudflare's API, https, or http on this machine.
        pacer: Keeps the rate limit.

    Raises:
        SettingsError: The base URL is neither.
    """

    def __init__(self, auth: AuthBase, base_url: str, pacer: Pacer | None = None) -> None:
        self._base_url = _safe(base_url)
        self._auth = auth
        self._pacer = pacer or Pacer()
        self._http = requests.Client(
            raise_for_status=False, status_codes=(), exceptions=(), retry_condition=self._retries
        )
        self._asking = local()  # whose request it is: dlt's client tells its hook no more than the answer

    def accounts(self) -> tuple[CloudflareAccount, ...]:
        """List the accounts that the credentials can see: all pages of `GET /accounts`.

        Raises:
            SettingsError: Cloudflare refused the credentials, or they can see no account.
            TryLaterError: No usable answer, however often asked.
            ApiChangedError: An answer in an unknown shape.
        """
        return find_accounts(self._accounts_page)

    def token(self, account_id: str = "") -> Token:
        """Ask what Cloudflare says of the API token that signs the requests.

        Args:
            account_id: The account that the token belongs to; else it is a user's.

        Raises:
            SettingsError: Cloudflare does not know the token, or not as one of this account or of a user.
            TryLaterError: No usable answer, however often asked.
            ApiChangedError: An answer in an unknown shape.
        """
        path = VERIFY_ACCOUNT_TOKEN.format(account_id=account_id) if account_id else VERIFY_USER_TOKEN
        return self._ask(f"{self._base_url}{path}", read_token, Tally())

    def _accounts_page(self, page: int) -> AccountsPage:
        query = urlencode({"page": page, "per_page": PER_PAGE})
        return self._ask(f"{self._base_url}{ACCOUNTS}?{query}", read_accounts, Tally())

    def invoice_page(
        self, account_id: str, invoice_type: InvoiceType, page: int, tally: Tally | None = None
    ) -> Page:
        """Ask for one page of an account's invoices, newest first.

        Args:
            account_id: Cloudflare account ID.
            invoice_type: Which invoices: all, auto or manual.
            page: Page number, from 1.
            tally: Where to count what trouble the request has.

        Raises:
            SettingsError: Cloudflare refused the credentials, the account or the request.
            TryLaterError: No usable answer, however often asked.
            ApiChangedError: An answer in an unknown shape.
        """
        query = urlencode({"type": invoice_type, "page": page, "per_page": PER_PAGE})
        url = f"{self._base_url}{INVOICE_HISTORY.format(account_id=account_id)}?{query}"
        try:
            return self._ask(url, lambda document: read_page(document, page), tally or Tally())
        except InvoiceSourceError as error:
            error.account_id = account_id
            raise

    def _ask(self, url: str, read: Callable[[Any], Answer | Failed | Malformed], tally: Tally) -> Answer:
        self._asking.tally = tally
        response = self._send(url, tally)
        answer = read(_decode(response))
        if isinstance(answer, Failed):
            raise _refused(response, answer.errors)
        if isinstance(answer, Malformed):
            raise ApiChangedError(
                f"Cloudflare's answer is not of the published shape: {answer.what}.",
                remedy=_REPORT,
                **_of(response),
            )
        return answer

    def _send(self, url: str, tally: Tally) -> requests.Response:
        refusals = 0
        while True:
            response = self._get(url, sent_at=self._pacer.before_request(tally))
            if response.status_code == codes.ok:
                return response
            wait_s = None
            if response.status_code == codes.too_many_requests:
                refusals += 1
                tally.add(rate_limited=1)
                retry_after = response.headers.get("retry-after", "")
                quota = _quota(response)
                wait_s = wait_after_refusal(retry_after, quota, refusals=refusals, now_s=time.time())
            if wait_s is None:
                raise _refused(response, tuple(read_errors(_decode_or_none(response))))
            self._pacer.after_refusal(wait_s)

    def _get(self, url: str, *, sent_at: float) -> requests.Response:
        headers = {"Accept": "application/json", "User-Agent": f"cf-invoice-source/{VERSION}"}
        quota = None
        try:
            response = self._http.get(
                url, auth=self._auth, headers=headers, allow_redirects=False, hooks={"response": receive}
            )
            quota = _quota(response)
        except requests.RequestException as error:
            raise TryLaterError(
                f"Cloudflare could not be reached: {_name(error)}.",
                remedy="check the network, the proxy and the base URL, then run again",
                request=f"GET {url}",
            ) from error
        finally:
            self._pacer.after_answer(quota, sent_at)
        return response

    def _retries(self, response: requests.Response | None, error: BaseException | None) -> bool:
        """Say whether dlt's client should ask again: the network failed, the edge did, or a body was cut."""
        if response is None:
            is_passing = isinstance(error, _PASSING)
        else:
            is_passing = response.status_code >= codes.server_error or _is_cut(response)
        if is_passing:
            self._asking.tally.add(retries=1)
            self._pacer.retried()
        return is_passing


def _refused(response: requests.Response, errors: tuple[str, ...]) -> InvoiceSourceError:
    """Make the error for an answer that is none, by its status."""
    status = response.status_code
    said = (
        _without_secret("; ".join(errors), response)
        or f"HTTP {status} {readable(response.reason or '')}".rstrip()
    )
    cause = f"Cloudflare refused the request: {said}."
    if status in _REMEDIES:
        return SettingsError(cause, remedy=_REMEDIES[status], **_of(response))
    if status == codes.too_many_requests or status >= codes.server_error:
        cause = f"Cloudflare could not answer: {said}."
        return TryLaterError(cause, remedy="run again in a few minutes", **_of(response))
    if status in _REDIRECTS:
        return SettingsError(
            f"The server redirects (HTTP {status}), and a credential is not sent on to another address.",
            remedy="set base_url to the API's own address",
            **_of(response),
        )
    return ApiChangedError(cause, remedy=_REPORT, **_of(response))


def _without_secret(text: str, response: requests.Response) -> str:
    """Take the credential out of what a server says: some repeat what they do not like."""
    for header in ("Authorization", "X-Auth-Key", "X-Auth-Email"):
        secret = str(response.request.headers.get(header, "")).removeprefix("Bearer ")
        text = text.replace(secret, "***") if secret else text
    return text


def _decode(response: requests.Response) -> Any:
    try:
        return decode(response.content)
    except ValueError as error:
        kind = readable(response.headers.get("content-type", "no content type"))
        raise ApiChangedError(
            f"Cloudflare's answer is not JSON (content-type: {kind}, {len(response.content):,} bytes).",
            remedy="check the base URL and the proxy: something in between may have answered",
            **_of(response),
        ) from error


def _decode_or_none(response: requests.Response) -> Any:
    try:
        return _decode(response)
    except ApiChangedError:
        return None


def _is_cut(response: requests.Response) -> bool:
    """Say whether a 200 does not end as a JSON object does: cut on its way, or a page of some gateway."""
    return response.status_code == codes.ok and not response.content.rstrip().endswith(b"}")


def _quota(response: requests.Response) -> Quota | None:
    return read_quota(response.headers.get("ratelimit", ""), response.headers.get("ratelimit-policy", ""))


def _of(response: requests.Response) -> dict[str, str]:
    return {"request": f"GET {response.request.url}", "ray": readable(response.headers.get("cf-ray", ""))}


def _name(error: Exception) -> str:
    """Name a connection error by its cause, for urllib3 wraps it several times."""
    cause: Any = error
    while isinstance(cause, Exception) and cause.args and isinstance(cause.args[0], Exception):
        cause = cause.args[0]
    reason = getattr(cause, "reason", None)
    return str(reason or cause).rpartition(": ")[2] or type(error).__name__


def _safe(base_url: str) -> str:
    if _is_safe(base_url):
        return base_url.rstrip("/")
    raise SettingsError(
        "The base URL must be an https:// address (http:// only on this machine), without user or query.",
        remedy="correct base_url or CLOUDFLARE_BASE_URL, or leave it out",
    )


def _is_safe(base_url: str) -> bool:
    try:
        parts = urlsplit(base_url)
        is_address = bool(parts.hostname) and parts.port != 0
    except ValueError:  # half a bracket, or a port that is no number
        return False
    is_private = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    return is_private and is_address and not ("@" in parts.netloc or parts.query or parts.fragment)
