"""What lies below a request: every attempt ends in time, and no answer is larger than it may be.

A timeout bounds one read from the socket. A server that sends a byte now and then keeps a request alive for
ever with that, in the status line as well as behind the last chunk. So somebody else looks at the clock.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from io import BytesIO
from math import ceil
from socket import SHUT_RDWR
from threading import Lock, Thread, local
from time import monotonic, sleep, time
from typing import Any

import urllib3
from requests import ConnectionError as RequestsConnectionError
from requests import PreparedRequest, RequestException, Response, Timeout
from requests.adapters import HTTPAdapter

from cf_invoice_source.cloudflare.rate_limit import LONGEST_WAIT_S, retry_after_s
from cf_invoice_source.settings import LARGEST_ANSWER_BYTES, LONGEST_ATTEMPT_S, REQUESTS_AT_ONCE

_LOOK_S = 0.25
"""How often somebody looks at the clock: so much longer may an attempt take."""

_PART_BYTES = 2**16

_ENCODINGS = {"gzip", "x-gzip", "deflate"}
"""Encodings that zlib unpacks. One layer of one of them: a few kB in three layers can be many GB."""


class BoundedAdapter(HTTPAdapter):
    """Sends one attempt of a request, and gives the answer with its body read."""

    def __init__(self) -> None:
        self._watchdog = _Watchdog()
        super().__init__(pool_maxsize=REQUESTS_AT_ONCE)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Let each connection say that it is the one that an attempt uses."""
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
        """Send, and read the body; raise what `requests` knows where that fails, or takes too long."""
        with self._watchdog.watching(LONGEST_ATTEMPT_S) as attempt:
            try:
                response = super().send(request, *args, **kwargs)
                body = _read_body(response.raw)
            except Exception as error:
                if attempt.is_over:  # whatever a socket raises that is shut while it is read from
                    raise _too_slow() from error
                raise
            if attempt.is_over:  # what was read until then may look like the end
                raise _too_slow()
        response.raw = BytesIO(body)
        _mend_headers(response)
        return response


def _too_slow() -> Timeout:
    return Timeout(f"the answer is too slow, it took longer than {LONGEST_ATTEMPT_S:g} seconds")


def _read_body(raw: urllib3.HTTPResponse) -> bytes:
    """Read a body, and unpack it; no more of either than an answer may have."""
    encoding = raw.headers.get("content-encoding", "").strip().lower()
    decoder = zlib.decompressobj(32 + zlib.MAX_WBITS) if encoding in _ENCODINGS else None
    body, received = bytearray(), 0
    with closing(raw):
        try:
            while part := raw.read1(_PART_BYTES, decode_content=False):
                received += len(part)  # what is packed may be long and unpack to nothing
                body += decoder.decompress(part, LARGEST_ANSWER_BYTES + 1 - len(body)) if decoder else part
                if max(received, len(body)) > LARGEST_ANSWER_BYTES:
                    raise RequestException(f"the answer is longer than {LARGEST_ANSWER_BYTES:,} bytes")
                if decoder and decoder.unused_data:
                    raise RequestsConnectionError("more follows behind the compressed answer")
        except (urllib3.exceptions.HTTPError, zlib.error) as error:
            raise RequestsConnectionError(error) from error
    return bytes(body)


def _mend_headers(response: Response) -> None:
    """Take away what those who read the answer next would stumble over."""
    # `requests` reads the address even of a redirect that it does not follow, and some make it fail.
    response.headers.pop("location", None)
    if (given := response.headers.pop("retry-after", None)) is not None:
        wait_s = retry_after_s(given, time())
        if wait_s is not None:  # dlt's client reads it, too, and fails at 5,000 digits or the year 99999
            response.headers["retry-after"] = str(ceil(min(max(wait_s, 0), LONGEST_WAIT_S + 1)))


class _Attempt:
    """One attempt of a request, with what it reads from."""

    def __init__(self, until: float) -> None:
        self.until = until
        self.is_over = False
        self.connection: Any = None
        self.socket: Any = None  # the connection lets go of it before the body of the last answer is read

    def end(self) -> None:
        """Let whoever waits for the socket wait no longer."""
        self.is_over = True
        for each in filter(None, (self.socket, self.connection and self.connection.sock)):
            with suppress(OSError):
                each.shutdown(SHUT_RDWR)


class _Watchdog:
    """Ends attempts that take too long, in a thread that lives as long as there are any."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._attempts = set[_Attempt]()
        self._thread: Thread | None = None

    @contextmanager
    def watching(self, longest_s: float) -> Iterator[_Attempt]:
        """Watch what this thread sends and reads inside."""
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
                        attempt.end()  # again and again: it may still be looking up an address


_here = local()
"""The attempt of this thread."""


class _Telling:
    """Mixed into a connection of urllib3: tells the attempt of this thread which connection it uses."""

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
