"""The only file that sends requests: one page asked, a decoded page or a precise error back."""

from __future__ import annotations

import time
from collections.abc import Callable
from io import BytesIO
from threading import local
from typing import Any, TypeVar
from urllib.parse import urlencode

import urllib3
from dlt.sources.helpers import requests
from requests import Session, codes
from requests.auth import AuthBase

from cf_invoice_source.cloudflare.accounts import (
    AccountsPage,
    CloudflareAccount,
    find_accounts,
    read_accounts,
)
from cf_invoice_source.cloudflare.answers import (
    Failed,
    Malformed,
    Token,
    read_errors,
    read_page,
    read_token,
    readable,
)
from cf_invoice_source.cloudflare.credentials import is_on_this_machine, safe_base_url
from cf_invoice_source.cloudflare.rate_limit import Counts, read_quota, wait_after_refusal
from cf_invoice_source.cloudflare.rate_limiter import RateLimiter, RequestStats
from cf_invoice_source.cloudflare.refusals import REPORT, details, refused, why_unreachable
from cf_invoice_source.errors import ApiChangedError, InvoiceSourceError, TryLaterError
from cf_invoice_source.exact_json import decode
from cf_invoice_source.settings import (
    ACCOUNTS,
    INVOICE_HISTORY,
    LARGEST_ANSWER_BYTES,
    LONGEST_ANSWER_S,
    PER_PAGE,
    VERIFY_ACCOUNT_TOKEN,
    VERIFY_USER_TOKEN,
    VERSION,
    InvoiceType,
)
from cf_invoice_source.walk.page import Page

Answer = TypeVar("Answer", Page[Any], AccountsPage, Token)

_PASSING = (requests.ConnectionError, requests.Timeout)
"""What can go wrong on the way to an answer, and may be right the next time."""


class Client:
    """Asks Cloudflare for pages of invoices, and of accounts. Several threads may ask at once.

    dlt's own requests client keeps the connections and retries: connection errors, timeouts, 5xx, and a 200
    whose body is cut. `[runtime] request_timeout` and its siblings set how often and how long. The rate limit
    is kept by a rate_limiter. No redirect is followed, so the credential stays with the base URL's origin.

    Args:
        auth: Signs each request.
        base_url: Cloudflare's API, https, or http on this machine.
        rate_limiter: Keeps the rate limit.

    Raises:
        SettingsError: The base URL is neither.
    """

    def __init__(self, auth: AuthBase, base_url: str, rate_limiter: RateLimiter | None = None) -> None:
        self._base_url = safe_base_url(base_url)
        self._auth = auth
        self._rate_limiter = rate_limiter or RateLimiter()
        self._http = requests.Client(
            raise_for_status=False,
            status_codes=(),
            exceptions=(),
            retry_condition=self._retries,
            session_attrs=_environment(self._base_url),
        )
        self._asking = local()  # whose request, sent when: dlt's client tells its hook only the answer

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
        return self._fetch(f"{self._base_url}{path}", read_token, RequestStats())

    def _accounts_page(self, page: int) -> AccountsPage:
        query = urlencode({"page": page, "per_page": PER_PAGE})
        return self._fetch(f"{self._base_url}{ACCOUNTS}?{query}", read_accounts, RequestStats())

    def invoice_page(
        self, account_id: str, invoice_type: InvoiceType, page: int, stats: RequestStats | None = None
    ) -> Page[Any]:
        """Ask for one page of an account's invoices, newest first.

        Args:
            account_id: Cloudflare account ID.
            invoice_type: Which invoices: all, auto or manual.
            page: Page number, from 1.
            stats: Where to count what trouble the request has.

        Raises:
            SettingsError: Cloudflare refused the credentials, the account or the request.
            TryLaterError: No usable answer, however often asked.
            ApiChangedError: An answer in an unknown shape.
        """
        query = urlencode({"type": invoice_type, "page": page, "per_page": PER_PAGE})
        url = f"{self._base_url}{INVOICE_HISTORY.format(account_id=account_id)}?{query}"
        try:
            return self._fetch(url, lambda document: read_page(document, page), stats or RequestStats())
        except InvoiceSourceError as error:
            error.account_id = account_id
            raise

    def _fetch(
        self, url: str, read: Callable[[Any], Answer | Failed | Malformed], stats: RequestStats
    ) -> Answer:
        response = self._send(url, stats)
        answer = read(_decode(response))
        if isinstance(answer, Failed):
            raise refused(response, answer.errors)
        if isinstance(answer, Malformed):
            raise ApiChangedError(
                f"Cloudflare's answer is not of the published shape: {answer.what}.",
                remedy=REPORT,
                **details(response),
            )
        return answer

    def _send(self, url: str, stats: RequestStats) -> requests.Response:
        asking, refusals = self._asking, 0
        asking.stats = stats
        while True:
            quota, hold_s = None, None
            asking.sent_at = self._rate_limiter.before_request(stats)
            try:
                response = self._get(url)
                quota = read_quota(response.headers.get("ratelimit", ""))
                if response.status_code == codes.too_many_requests:
                    refusals += 1
                    stats.add(Counts(rate_limited=1))
                    retry_after = response.headers.get("retry-after", "")
                    hold_s = wait_after_refusal(retry_after, quota, refusals=refusals, now_s=time.time())
            finally:  # others may be waiting for this answer: let them know that there is none
                self._rate_limiter.after_answer(quota, asking.sent_at, hold_s)
            if response.status_code == codes.ok:
                return response
            if hold_s is None:
                raise refused(response, tuple(read_errors(_decode_or_none(response))))

    def _get(self, url: str) -> requests.Response:
        headers = {"Accept": "application/json", "User-Agent": f"cf-invoice-source/{VERSION}"}
        try:
            return self._http.get(
                url,
                auth=self._auth,
                headers=headers,
                allow_redirects=False,
                hooks={"response": read_bounded_body},
            )
        except requests.RequestException as error:
            raise TryLaterError(
                f"Cloudflare could not be reached: {why_unreachable(error)}.",
                remedy="check the network, the proxy and the base URL, then run again",
                request=f"GET {url}",
            ) from error

    def _retries(self, response: requests.Response | None, error: BaseException | None) -> bool:
        """Say whether dlt's client should ask again: the network failed, the edge did, or a body was cut."""
        if response is None:
            is_passing = isinstance(error, _PASSING)
        else:
            is_passing = response.status_code >= codes.server_error or _is_cut(response)
        if is_passing:
            self._asking.stats.add(Counts(retries=1))
            self._asking.sent_at = self._rate_limiter.retried(self._asking.sent_at)
        return is_passing


_READ_BYTES = 2**16


def read_bounded_body(response: requests.Response, **_settings: Any) -> None:
    """Read the body within bounds; `requests` calls this before it would read it, or look at a redirect.

    It is not to look: it reads the address even of one that it does not follow, and some make it fail.
    """
    response.headers.pop("location", None)
    deadline = time.monotonic() + LONGEST_ANSWER_S
    body = bytearray()
    try:
        while part := response.raw.read1(_READ_BYTES, decode_content=True):
            body += part
            if time.monotonic() > deadline or len(body) > LARGEST_ANSWER_BYTES:
                response.close()
                raise requests.Timeout("the answer is too slow or too long")
    except urllib3.exceptions.HTTPError as error:
        raise requests.ConnectionError(error) from error
    response.raw = BytesIO(body)


def _environment(url: str) -> dict[str, Any]:
    """Find what the environment says about proxies and certificates; `requests` would do so every time.

    A proxy would take what is meant for this machine, and a credential with it, to another one.
    """
    found = Session().merge_environment_settings(url, {}, stream=None, verify=None, cert=None)
    proxies = {} if is_on_this_machine(url) else found["proxies"]
    return {"trust_env": False, "proxies": proxies, "verify": found["verify"], "cert": found["cert"]}


def _decode(response: requests.Response) -> Any:
    try:
        return decode(response.content)
    except ValueError as error:
        kind = readable(response.headers.get("content-type", "no content type"))
        raise ApiChangedError(
            f"Cloudflare's answer is not JSON (content-type: {kind}, {len(response.content):,} bytes).",
            remedy="check the base URL and the proxy: something in between may have answered",
            **details(response),
        ) from error


def _decode_or_none(response: requests.Response) -> Any:
    try:
        return _decode(response)
    except ApiChangedError:
        return None


def _is_cut(response: requests.Response) -> bool:
    """Say whether a 200 does not end as a JSON object does: cut on its way, or a page of some gateway."""
    return response.status_code == codes.ok and not response.content.rstrip().endswith(b"}")
