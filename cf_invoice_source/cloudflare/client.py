"""The only file that sends requests: asks for a page, and returns it decoded or raises a precise error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
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
from cf_invoice_source.cloudflare.rate_limiter import RateLimiter, RequestStats, shared_rate_limiter
from cf_invoice_source.cloudflare.refusals import malformed, not_json, refused, unreachable
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
"""How many different notices one run shows, so that a server cannot flood the log."""


class Client:
    """Asks Cloudflare for pages of invoices, and of accounts. Several threads may ask at once.

    dlt's requests client keeps the connections open. It retries connection errors, timeouts, 5xx, and a 200
    whose body is cut off; `[runtime] request_timeout` and its siblings set how often and how long. Redirects
    are not followed, so the credential is sent only to the origin of the base URL: https, or http on this
    machine. The time of one attempt is bounded (`BoundedAdapter`), and so is the time of all attempts
    together (`LONGEST_STANDSTILL_S`).
    """

    def __init__(self, auth: AuthBase, base_url: str, rate_limiter: RateLimiter | None = None) -> None:
        self._base_url = safe_base_url(base_url)
        self._auth = auth
        self._rate_limiter = rate_limiter or shared_rate_limiter(auth, self._base_url)
        adapter = BoundedAdapter()  # all threads' sessions share it, instead of dlt's
        self._http = requests.Client(
            raise_for_status=False,
            status_codes=(),
            exceptions=(),
            retry_condition=self._retries,
            session_attrs={**environment_of(self._base_url), "get_adapter": lambda **_url: adapter},
        )
        self._told: set[answers.ApiMessage] = set()
        self._telling = Lock()
        # dlt's hook gets only the answer. This says whose request it was, and when it was sent.
        self._asking = local()

    def accounts(self) -> tuple[CloudflareAccount, ...]:
        """List the accounts that the credentials can see."""
        return find_accounts(lambda page: self._fetch(ACCOUNTS, read_accounts, page=page, per_page=PER_PAGE))

    def token(self, account_id: str = "") -> answers.Token:
        """Verify the API token that signs the requests, as this account's or else as a user's."""
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
            answer, notices = _answer_in(response, read)
            if answer is None:
                raise not_json(response)
            if isinstance(answer, answers.Failed):
                raise refused(response, answer.errors)
            if isinstance(answer, answers.Malformed):
                raise malformed(response, answer.what)
            self._tell(notices)
            return answer

    def _tell(self, notices: Iterable[answers.ApiMessage]) -> None:
        """Show each notice of Cloudflare's once, such as one of deprecation."""
        for notice in notices:
            with self._telling:
                is_new = notice not in self._told and len(self._told) < _MOST_NOTICES
                if is_new:
                    self._told.add(notice)
            if is_new:
                notify(f"Cloudflare says: {notice}")

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
            finally:  # even without an answer: other requests may be waiting for it
                self._rate_limiter.after_answer(quota, asking.sent_at, hold_s)
            if response.status_code == codes.ok:
                return response
            if hold_s is None:
                errors: Iterable[answers.ApiMessage] = ()
                with suppress(ValueError):
                    errors = answers.read_errors(decode(response.content))
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
            unanswered = unreachable(error, url)
        raise unanswered  # outside `except`: the transport's error has the credential in its frames

    def _retries(self, response: requests.Response | None, error: BaseException | None) -> bool:
        """Say whether dlt's client should retry: the network or the edge failed, or the body was cut off."""
        if response is None:
            is_passing = isinstance(error, requests.ConnectionError | requests.Timeout)
        elif response.status_code == codes.ok:  # cut off, or a gateway's page
            is_passing = not response.content.rstrip().endswith(b"}")
        else:
            is_passing = response.status_code >= codes.server_error
        is_passing = is_passing and not self._rate_limiter.is_too_late(self._asking.begun_at)
        if is_passing:
            self._asking.stats.add(retries=1)
            self._asking.sent_at = self._rate_limiter.retried(self._asking.sent_at)
        return is_passing


def _answer_in(
    response: requests.Response, read: _Reader[Answer]
) -> tuple[Answer | answers.Failed | answers.Malformed | None, tuple[answers.ApiMessage, ...]]:
    """Read an answer, None if it is not JSON, and its notices.

    Nothing is raised here: this frame holds the whole answer, and a traceback could show it.
    """
    try:
        document = decode(response.content)
    except TooManyValuesError as error:
        return answers.Malformed(str(error)), ()
    except ValueError:
        return None, ()
    is_about_token = read is answers.read_token  # there, messages only say that it is valid
    return read(document), () if is_about_token else tuple(answers.read_notices(document))


def environment_of(url: str) -> dict[str, Any]:
    """Read the proxies and certificates from the environment once; `requests` would do so for each request.

    Requests to this machine use no proxy: it would send them, and the credential, to another machine.
    """
    found = Session().merge_environment_settings(url, {}, stream=None, verify=None, cert=None)
    proxies = {} if is_on_this_machine(url) else found["proxies"]
    if isinstance(found["verify"], str) and url.startswith("https:"):
        _check_certificates(Path(found["verify"]))
    return {"trust_env": False, "proxies": proxies, "verify": found["verify"], "cert": found["cert"]}


def _check_certificates(path: Path) -> None:
    """Check now that the certificates that the environment names are there: `requests` would check late."""
    why = "it holds none"
    try:
        is_fine = path.is_dir() or b"-----BEGIN" in path.read_bytes()  # loading them would take 30 ms
    except OSError as error:
        is_fine, why = False, error.strerror or type(error).__name__
    if not is_fine:
        cause = f"The certificates in {path} cannot be read: {why}."
        raise SettingsError(cause, remedy="correct REQUESTS_CA_BUNDLE (or CURL_CA_BUNDLE), or leave it out")
