"""The only file that sends requests: one page asked, a decoded page or a precise error back."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Lock, local
from typing import Any, TypeVar
from urllib.parse import urlencode

from dlt.sources.helpers import requests
from requests import Session, codes
from requests.auth import AuthBase

from cf_invoice_source.cloudflare import answers
from cf_invoice_source.cloudflare.accounts import CloudflareAccount, find_accounts, read_accounts
from cf_invoice_source.cloudflare.credentials import is_on_this_machine, safe_base_url
from cf_invoice_source.cloudflare.rate_limit import read_quota, wait_after_refusal
from cf_invoice_source.cloudflare.rate_limiter import RateLimiter, RequestStats
from cf_invoice_source.cloudflare.refusals import malformed, not_json, refused, unreachable, without_secrets
from cf_invoice_source.cloudflare.transport import BoundedAdapter
from cf_invoice_source.errors import InvoiceSourceError, SettingsError
from cf_invoice_source.exact_json import TooManyValuesError, decode
from cf_invoice_source.notices import notify
from cf_invoice_source.settings import (
    ACCOUNTS,
    INVOICE_HISTORY,
    PER_PAGE,
    VERIFY_ACCOUNT_TOKEN,
    VERIFY_USER_TOKEN,
    VERSION,
    InvoiceType,
)
from cf_invoice_source.walk.page import Page

Answer = TypeVar("Answer")
_Reader = Callable[[Any], Answer | answers.Failed | answers.Malformed]

_MOST_NOTICES = 5
"""Different ones in one run, lest a server that says something else each time floods the log."""


class Client:
    """Asks Cloudflare for pages of invoices, and of accounts. Several threads may ask at once.

    dlt's own requests client keeps the connections and retries: connection errors, timeouts, 5xx, and a 200
    whose body is cut. `[runtime] request_timeout` and its siblings set how often and how long. No redirect is
    followed, so the credential stays with the base URL's origin: https, or http on this machine. Each attempt
    ends in time (`BoundedAdapter`), and so do all of them together (`LONGEST_STANDSTILL_S`).
    """

    def __init__(self, auth: AuthBase, base_url: str, rate_limiter: RateLimiter | None = None) -> None:
        self._base_url = safe_base_url(base_url)
        self._auth = auth
        self._rate_limiter = rate_limiter or RateLimiter()
        adapter = BoundedAdapter()  # for the sessions of all threads, in place of dlt's own
        self._http = requests.Client(
            raise_for_status=False,
            status_codes=(),
            exceptions=(),
            retry_condition=self._retries,
            session_attrs={**_environment(self._base_url), "get_adapter": lambda **_url: adapter},
        )
        self._told: set[answers.ApiMessage] = set()
        self._telling = Lock()
        self._asking = local()  # whose request, sent when: dlt's client tells its hook only the answer

    def accounts(self) -> tuple[CloudflareAccount, ...]:
        """List the accounts that the credentials can see."""
        return find_accounts(lambda page: self._fetch(ACCOUNTS, read_accounts, page=page, per_page=PER_PAGE))

    def token(self, account_id: str = "") -> answers.Token:
        """Ask about the API token that signs the requests: one of this account, or else of a user."""
        path = VERIFY_ACCOUNT_TOKEN.format(account_id=account_id) if account_id else VERIFY_USER_TOKEN
        return self._fetch(path, answers.read_token)

    def invoice_page(
        self, account_id: str, invoice_type: InvoiceType, page: int, stats: RequestStats | None = None
    ) -> Page[Any]:
        """Ask for one page of an account's invoices, from 1, newest first."""
        path, read = INVOICE_HISTORY.format(account_id=account_id), partial(answers.read_page, asked=page)
        try:
            return self._fetch(path, read, stats, type=invoice_type, page=page, per_page=PER_PAGE)
        except InvoiceSourceError as error:
            error.account_id = account_id
            raise

    def _fetch(
        self, path: str, read: _Reader[Answer], stats: RequestStats | None = None, **query: str | int
    ) -> Answer:
        url = f"{self._base_url}{path}{'?' if query else ''}{urlencode(query)}"
        with self._rate_limiter.request() as begun_at:
            response = self._send(url, stats or RequestStats(), begun_at)
            try:
                document = decode(response.content)
            except TooManyValuesError as error:
                raise malformed(response, str(error)) from error
            except ValueError as error:
                raise not_json(response) from error
            answer = read(document)
            if isinstance(answer, answers.Failed):
                raise refused(response, answer.errors)
            if isinstance(answer, answers.Malformed):
                raise malformed(response, answer.what)
            if read is not answers.read_token:  # a token that is fine is told there
                self._tell_notices(document, response)
            return answer

    def _tell_notices(self, document: Any, response: requests.Response) -> None:
        """Tell once what Cloudflare says beside its answers, such as that something will end soon."""
        for notice in answers.read_notices(document):
            with self._telling:
                is_new = notice not in self._told and len(self._told) < _MOST_NOTICES
                if is_new:
                    self._told.add(notice)
            if is_new:
                notify(f"Cloudflare says: {without_secrets(str(notice), response)}")

    def _send(self, url: str, stats: RequestStats, begun_at: float) -> requests.Response:
        asking, refusals = self._asking, 0
        asking.stats, asking.begun_at = stats, begun_at
        while True:
            quota, hold_s = None, None
            asking.sent_at = self._rate_limiter.before_request(stats, begun_at)
            try:
                response = self._get(url)
                quota = read_quota(response.headers.get("ratelimit", ""))
                if response.status_code == codes.too_many_requests:
                    refusals += 1
                    stats.add(rate_limited=1)
                    retry_after = response.headers.get("retry-after", "")
                    hold_s = wait_after_refusal(retry_after, quota, refusals=refusals, now_s=time.time())
            finally:  # others may be waiting for this answer: let them know that there is none
                self._rate_limiter.after_answer(quota, asking.sent_at, hold_s)
            if response.status_code == codes.ok:
                return response
            if hold_s is None:
                try:
                    errors = answers.read_errors(decode(response.content))
                except ValueError:
                    raise refused(response, (), is_json=False) from None
                raise refused(response, errors)

    def _get(self, url: str) -> requests.Response:
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": f"cf-invoice-source/{VERSION}",
        }
        try:
            return self._http.get(url, auth=self._auth, headers=headers, allow_redirects=False)
        except requests.RequestException as error:
            raise unreachable(error, url) from error

    def _retries(self, response: requests.Response | None, error: BaseException | None) -> bool:
        """Say whether dlt's client should ask again: the network failed, the edge did, or a body was cut."""
        if response is None:
            is_passing = isinstance(error, requests.ConnectionError | requests.Timeout)
        elif response.status_code == codes.ok:  # cut on its way, or a page of some gateway
            is_passing = not response.content.rstrip().endswith(b"}")
        else:
            is_passing = response.status_code >= codes.server_error
        is_passing = is_passing and not self._rate_limiter.is_too_late(self._asking.begun_at)
        if is_passing:
            self._asking.stats.add(retries=1)
            self._asking.sent_at = self._rate_limiter.retried(self._asking.sent_at)
        return is_passing


def _environment(url: str) -> dict[str, Any]:
    """Find what the environment says about proxies and certificates; `requests` would do so every time.

    A proxy would take what is meant for this machine, and a credential with it, to another one.
    """
    found = Session().merge_environment_settings(url, {}, stream=None, verify=None, cert=None)
    proxies = {} if is_on_this_machine(url) else found["proxies"]
    if isinstance(found["verify"], str):
        _check_certificates(Path(found["verify"]))
    return {"trust_env": False, "proxies": proxies, "verify": found["verify"], "cert": found["cert"]}


def _check_certificates(path: Path) -> None:
    """Check that the certificates can be read which the environment names; `requests` does so later."""
    try:
        file, directory = (None, path) if path.is_dir() else (path, None)
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file, directory)
    except OSError as error:  # also those of SSL
        cause = f"The certificates in {path} cannot be read: {error.strerror or type(error).__name__}."
        raise SettingsError(
            cause, remedy="correct REQUESTS_CA_BUNDLE (or CURL_CA_BUNDLE), or leave it out"
        ) from error
