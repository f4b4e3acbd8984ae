"""The transport below a request: bounds the time of every attempt and the size of every answer.

A timeout bounds only one read from the socket. A server that sends a byte now and then can keep a request
alive for ever, in the status line as well as after the last chunk. So a thread of our own watches the clock.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from io import BytesIO
from math import ceil
from socket import SHUT_RDWR
from threading import Lock, Thread, local
from time import monotonic, sleep, time
from typing import IO, Any

import urllib3
from requests import ConnectionError as RequestsConnectionError
from requests import PreparedRequest, RequestException, Response, Timeout
from requests.adapters import HTTPAdapter

from cf_invoice_source.cloudflare.rate_limit import LONGEST_WAIT_S, retry_after_s
from cf_invoice_source.settings import LARGEST_ANSWER_BYTES, LONGEST_ATTEMPT_S, REQUESTS_AT_ONCE

_LOOK_S = 0.25
"""How often the clock is looked at; an attempt may take so much longer."""

_PART_BYTES = 2**16

_ENCODINGS = {"gzip", "x-gzip", "deflate"}
"""Encodings that zlib unpacks. Only one layer is unpacked: a few kB in three layers can be many GB."""


class TooLargeError(RequestException):
    """An answer is longer than it may be."""


class BoundedAdapter(HTTPAdapter):
    """Sends one attempt of a request, and returns the answer with its body read.

    Args:
        new_body: Makes what a body is written into; it is the `raw` of the answer.
        largest_bytes: How long a body may be, compressed or not.
        keeps_redirects: Whether to keep the address of a redirect, in the header `REDIRECTED_TO`.
    """

    def __init__(
        self,
        new_body: Callable[[], IO[bytes]] = BytesIO,
        largest_bytes: int = LARGEST_ANSWER_BYTES,
        *,
        keeps_redirects: bool = False,
    ) -> None:
        self._new_body = new_body
        self._largest_bytes = largest_bytes
        self._keeps_redirects = keeps_redirects
        self._watchdog = _Watchdog()
        super().__init__(pool_maxsize=REQUESTS_AT_ONCE)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Let each connection tell which attempt uses it."""
        super().init_poolmanager(*args, **kwargs)
        _let_connections_tell(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Do the same for connections through a proxy."""
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **kwargs)
        if is_new:
            _let_connections_tell(manager)
        return manager

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Send, and read the body; raise an error of `requests` if that fails or takes too long."""
        with self._watchdog.watching(LONGEST_ATTEMPT_S) as attempt:
            try:
                response = super().send(request, *args, **kwargs)
                body = self._read_body(response.raw)
            except Exception as error:
                if attempt.is_over:  # any error may come from a socket that was shut down
                    raise _too_slow() from error
                raise
            if attempt.is_over:  # a shut socket can look like the end of the body
                body.close()
                raise _too_slow()
        response.raw = body
        # `requests` reads the address of a redirect even if it does not follow it, and fails on some.
        redirected_to = response.headers.pop("location", None)
        if self._keeps_redirects and redirected_to is not None:
            response.headers[REDIRECTED_TO] = redirected_to
        _mend_headers(response)
        return response

    def _read_body(self, raw: urllib3.HTTPResponse) -> IO[bytes]:
        body = self._new_body()
        try:
            _receive(raw, body, self._largest_bytes)
        except BaseException:
            body.close()
            raise
        body.seek(0)
        return body


REDIRECTED_TO = "x-redirected-to"
"""The header in which the address of a redirect is kept."""


def _too_slow() -> Timeout:
    return Timeout(f"the answer is too slow, it took longer than {LONGEST_ATTEMPT_S:g} seconds")


def _receive(raw: urllib3.HTTPResponse, body: IO[bytes], largest_bytes: int) -> None:
    """Read and unpack a body; raise if either is larger than it may be."""
    encoding = raw.headers.get("content-encoding", "").strip().lower()
    decoder = zlib.decompressobj(32 + zlib.MAX_WBITS) if encoding in _ENCODINGS else None
    unpacked = received = 0
    with closing(raw):
        try:
            while part := raw.read1(_PART_BYTES, decode_content=False):
                received += len(part)  # much data may unpack to nothing
                content = decoder.decompress(part, largest_bytes + 1 - unpacked) if decoder else part
                unpacked += len(content)
                if max(received, unpacked) > largest_bytes:
                    raise TooLargeError(f"the answer is longer than {largest_bytes:,} bytes")
                if decoder and decoder.unused_data:
                    raise RequestsConnectionError("more follows after the compressed answer")
                body.write(content)
        except (urllib3.exceptions.HTTPError, zlib.error) as error:
            raise RequestsConnectionError(error) from error


def _mend_headers(response: Response) -> None:
    """Remove or repair the headers that `requests` and dlt's client would fail on."""
    if (given := response.headers.pop("retry-after", None)) is not None:
        wait_s = retry_after_s(given, time())
        if wait_s is not None:  # dlt's client fails on 5,000 digits or the year 99999
            response.headers["retry-after"] = str(ceil(min(max(wait_s, 0), LONGEST_WAIT_S + 1)))


class _Attempt:
    """One attempt of a request, and the connection that it uses."""

    def __init__(self, until: float) -> None:
        self.until = until
        self.is_over = False
        self.connection: Any = None
        self.socket: Any = None  # kept here: the connection drops it before the body is read

    def end(self) -> None:
        """Shut the socket down, which ends the read that waits for it."""
        self.is_over = True
        for each in filter(None, (self.socket, self.connection and self.connection.sock)):
            with suppress(OSError):
                each.shutdown(SHUT_RDWR)


class _Watchdog:
    """Ends attempts that take too long, from a thread that runs while there are attempts."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._attempts = set[_Attempt]()
        self._thread: Thread | None = None

    @contextmanager
    def watching(self, longest_s: float) -> Iterator[_Attempt]:
        """Watch the attempt that this thread makes inside."""
        attempt = _here.attempt = _Attempt(monotonic() + longest_s)
        with self._lock:
            self._attempts.add(attempt)
            if not (self._thread and self._thread.is_alive()):
                self._thread = Thread(target=self._watch, name="cloudflare-watchdog", daemon=True)
                self._thread.start()
        try:
            yield attempt
        finally:
            with self._lock:  # from here on its connection may serve another attempt
                self._attempts.discard(attempt)

    def _watch(self) -> None:
        while True:
            sleep(_LOOK_S)
            with self._lock:
                if not self._attempts:
                    self._thread = None
                    return
                for attempt in self._attempts:
                    if monotonic() > attempt.until:
                        attempt.end()  # each time: it may have had no socket yet


_here = local()
"""The attempt that this thread makes."""


class _Telling:
    """A mix-in for urllib3's connections: tells the thread's attempt which connection it uses."""

    sock: Any

    def connect(self) -> None:
        _here.attempt.connection = self
        super().connect()  # type: ignore[misc] # of the connection that this is mixed into

    def request(self, *args: Any, **kwargs: Any) -> None:
        _here.attempt.connection = self
        super().request(*args, **kwargs)  # type: ignore[misc] # likewise
        _here.attempt.socket = self.sock


def _let_connections_tell(manager: urllib3.PoolManager) -> None:
    pools: dict[str, Any] = {}
    pool: Any
    for scheme, pool in manager.pool_classes_by_scheme.items():
        connection = type("Connection", (_Telling, pool.ConnectionCls), {})
        pools[scheme] = type("ConnectionPool", (pool,), {"ConnectionCls": connection})
    manager.pool_classes_by_scheme = pools
