"""Fetches a PDF by its link: without a credential, and with bounds for time, size and redirects."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from hashlib import sha256
from http import HTTPStatus
from tempfile import SpooledTemporaryFile
from threading import local
from typing import IO, Any, Literal, cast
from urllib.parse import urljoin, urlsplit

from dlt.sources.helpers import requests

from cf_invoice_source.cloudflare.client import environment_of
from cf_invoice_source.cloudflare.transport import REDIRECTED_TO, BoundedAdapter, TooLargeError
from cf_invoice_source.documents.links import refusal_of
from cf_invoice_source.redaction import readable
from cf_invoice_source.settings import LARGEST_DOCUMENT_BYTES, MAX_REDIRECTS, VERSION

_IN_MEMORY_BYTES = 2**20  # a longer document waits in a temporary file
_PART_BYTES = 2**20
_BEGINS, _ENDS, _TAIL_BYTES = b"%PDF-", b"%%EOF", 1_024
_REDIRECTS = {
    HTTPStatus.MOVED_PERMANENTLY,
    HTTPStatus.FOUND,
    HTTPStatus.SEE_OTHER,
    HTTPStatus.TEMPORARY_REDIRECT,
    HTTPStatus.PERMANENT_REDIRECT,
}
_EXPIRED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
"""With another link, made a moment ago, it may be there."""


@dataclass(frozen=True, slots=True)
class Document:
    """A PDF that was fetched. Close its `body`."""

    body: IO[bytes] = field(repr=False)
    size: int
    sha256: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a document could not be had.

    Attributes:
        kind: The link may be too old, the host did not answer, this machine has no room for it, or what came
            is of no use.
    """

    reason: str
    kind: Literal["expired", "unanswered", "unkept", "unusable"] = "unusable"


class DocumentFetcher:
    """Fetches PDFs; several threads may ask at once.

    Args:
        hosts: The hosts that links may lead to, each with its sub-domains.
        is_here_allowed: Whether they may lead to this machine, as those of the simulator do.
    """

    def __init__(self, hosts: Collection[str], *, is_here_allowed: bool) -> None:
        self._hosts = hosts
        self._is_here_allowed = is_here_allowed
        self._clients: dict[str, requests.Client] = {}
        self._adapter = BoundedAdapter(_new_body, LARGEST_DOCUMENT_BYTES, keeps_redirects=True)
        for name in ("urllib3.connection", "urllib3.connectionpool"):
            logging.getLogger(name).addFilter(_is_no_link)

    def fetch(self, link: str) -> Document | Refusal:
        """Fetch the PDF that a link leads to, or say why it could not be had; the link is not repeated."""
        url = link
        for _ in range(MAX_REDIRECTS + 1):
            if reason := refusal_of(url, self._hosts, is_here_allowed=self._is_here_allowed):
                return Refusal(reason)
            response = self._get(url)
            if isinstance(response, Refusal):
                return response
            to = response.headers.get(REDIRECTED_TO)
            if response.status_code not in _REDIRECTS or to is None:
                return _document_in(response)
            response.raw.close()
            try:
                url = urljoin(url, to)
            except ValueError:
                return Refusal("it redirects to what is no address")
        return Refusal(f"it redirects more than {MAX_REDIRECTS} times")

    def _get(self, url: str) -> requests.Response | Refusal:
        headers = {
            "Accept": "application/pdf",
            "Accept-Encoding": "gzip",
            "User-Agent": f"cf-invoice-source/{VERSION}",
        }
        _here.is_fetching = True
        try:
            client = self._client_for(url)
            return client.get(url, headers=headers, allow_redirects=False, stream=True)
        except TooLargeError:
            return Refusal(f"it is longer than {LARGEST_DOCUMENT_BYTES // 2**20} MiB")
        except requests.RequestException as error:  # its text has the link
            return Refusal(f"its host did not answer ({type(error).__name__})", "unanswered")
        except OSError as error:
            return Refusal(f"the temporary directory cannot keep it: {error.strerror}", "unkept")
        finally:
            _here.is_fetching = False

    def _client_for(self, url: str) -> requests.Client:
        """Make a client for each host: whether it is reached through a proxy goes by its name."""
        host = urlsplit(url).netloc.lower()
        if host not in self._clients:
            session = {
                **environment_of(url),
                "get_adapter": lambda **_url: self._adapter,
            }
            self._clients[host] = requests.Client(
                raise_for_status=False,
                status_codes=(),
                exceptions=(),
                retry_condition=_is_passing,
                session_attrs=session,
            )
        return self._clients[host]


_here = local()
"""Whether this thread is fetching: urllib3 logs addresses, and here they are links."""


def _is_no_link(_record: logging.LogRecord) -> bool:
    return not getattr(_here, "is_fetching", False)


def _new_body() -> IO[bytes]:
    return cast("IO[bytes]", SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES))


def _is_passing(response: requests.Response | None, error: BaseException | None) -> bool:
    """Say whether dlt's client should try again: the network failed, or the host is busy."""
    if response is None:
        return isinstance(error, requests.ConnectionError | requests.Timeout)
    if is_busy := _is_busy(response.status_code):
        response.raw.close()
    return is_busy


def _is_busy(status: int) -> bool:
    return status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _document_in(response: requests.Response) -> Document | Refusal:
    body: IO[bytes] = cast("IO[bytes]", response.raw)
    status = response.status_code
    if status != HTTPStatus.OK:
        body.close()
        kind: Any = "expired" if status in _EXPIRED else "unanswered" if _is_busy(status) else "unusable"
        return Refusal(f"its host answered with status {status}", kind)
    if reason := _no_pdf(body):
        body.close()
        return Refusal(reason)
    digest, size = sha256(), 0
    body.seek(0)
    while part := body.read(_PART_BYTES):
        digest.update(part)
        size += len(part)
    body.seek(0)
    content_type = readable(response.headers.get("content-type", ""))
    return Document(body, size, digest.hexdigest(), content_type)


def _no_pdf(body: IO[bytes]) -> str:
    """Say why a body is no whole PDF; empty if it is one."""
    if body.read(len(_BEGINS)) != _BEGINS:
        return "it is not a PDF"
    length = body.seek(0, 2)
    body.seek(max(length - _TAIL_BYTES, 0))
    return "" if _ENDS in body.read() else "it is cut off: it has no end of a PDF"
