"""Serves a world over HTTP on loopback, so that tests send real requests."""

import math
import socket
import struct
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import partial
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from socketserver import ThreadingTCPServer
from threading import Lock, Thread
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cf_invoice_source.simulator.answers import JSON_TYPE, Answer, Ending, Request, Wire, too_many_requests
from cf_invoice_source.simulator.api import BASE_PATH, PDF_PATH, Api
from cf_invoice_source.simulator.faults import Fault

_RESET = struct.pack("ii", 1, 0)  # close at once, and let the other side know
_POLL_S = 0.02  # how long closing the simulator may wait for the accepting thread


@dataclass(eq=False, repr=False)
class Simulator(Api):
    """A small Cloudflare on 127.0.0.1, as a context manager. One request is answered at a time.

    Attributes:
        quota: Requests allowed in one window; further ones are answered with 429.
        window_s: The length of a window in seconds. A window starts with the first request after the last
            one.
        is_sliding: Whether the window slides instead: a request counts for `window_s` seconds, and
            `ratelimit` says when the oldest stops counting.
        clock: Seconds from any start; tests pass their own.
        before_answer: Called before each answer is computed. It can change the world between two requests. It
            runs inside the lock, so it must not wait for another request.
        before_sending: Called before each answer is sent, outside the lock. It can delay an answer.
        faults: The active faults, outermost first; see `faults`.
        requests: All requests received, in order.
        base_url: Where it listens, `http://127.0.0.1:PORT/client/v4`; only inside the `with` block.
    """

    _: KW_ONLY
    quota: int = 1200
    window_s: int = 300
    is_sliding: bool = False
    clock: Callable[[], float] = time.monotonic
    before_answer: Callable[[Request], object] | None = None
    before_sending: Callable[[Request], object] | None = None
    faults: list[Fault] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list, init=False)
    base_url: str = field(init=False)
    _counted_at: list[float] = field(default_factory=list, init=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    def __enter__(self) -> "Simulator":  # noqa: PYI034  (typing.Self came with 3.11)
        self._listener = _Listener(self)
        self._thread = Thread(
            target=self._listener.serve_forever, args=(_POLL_S,), name="cloudflare-simulator"
        )
        self._thread.start()
        self.base_url = f"http://127.0.0.1:{self._listener.server_address[1]}{BASE_PATH}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown()
        self._thread.join()
        self._listener.hang_up()
        self._listener.server_close()

    def serve_pdfs(self) -> None:
        """Let the links to PDFs lead to this server; only inside the `with` block."""
        self.pdf_origin = self.base_url.removesuffix(BASE_PATH)

    def respond(self, method: str, target: str, headers: Mapping[str, str]) -> Answer | None:
        """Record a request and make its answer, encoded; None to close the connection without one."""
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        with self._lock:
            request = Request(len(self.requests) + 1, method, parts.path, query, dict(headers))
            self.requests.append(request)
            answer = self._encoded(request)
        if self.before_sending is not None:
            self.before_sending(request)
        return answer

    def _encoded(self, request: Request) -> Answer | None:
        if self.before_answer is not None:
            self.before_answer(request)
        is_pdf = request.path.startswith(PDF_PATH)  # it is not Cloudflare's, and costs nothing of its quota
        left, reset_s = (self.quota, 0) if is_pdf else self._spend()
        answer = too_many_requests(str(reset_s)) if left < 0 else self._spoilt(request, self.faults)
        if answer is None:
            return None
        common = {
            "content-type": JSON_TYPE,
            "cf-ray": _ray(request.number),
            "ratelimit": f'"default";r={max(left, 0)};t={reset_s}',
            "ratelimit-policy": f'"default";q={self.quota};w={self.window_s}',
        }
        return replace(answer, body=answer.encode(), headers={**common, **answer.headers})

    def _spend(self) -> tuple[int, int]:
        """Count a request. Return how many are left (too many if below 0), and the seconds to the next."""
        now = self.clock()
        begun_at = now - self.window_s
        if self.is_sliding:
            self._counted_at = [at for at in self._counted_at if at > begun_at]
        elif self._counted_at and self._counted_at[0] <= begun_at:
            self._counted_at.clear()
        self._counted_at.append(now)
        return self.quota - len(self._counted_at), math.ceil(self._counted_at[0] - begun_at)

    def _spoilt(self, request: Request, faults: list[Fault]) -> Answer | None:
        for place, fault in enumerate(faults):
            if fault.takes(request):
                return fault.spoil(request, partial(self._spoilt, faults=faults[place + 1 :]))
        return self.answer(request)


class _Listener(ThreadingTCPServer):
    """An HTTP server; the library's `HTTPServer` would look up the name of 127.0.0.1."""

    request_queue_size = 64

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.connections: set[socket.socket] = set()
        self.to_reset: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        if request in self.to_reset:
            self.to_reset.discard(request)
            request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            request.close()
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing about clients that have disconnected."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def hang_up(self) -> None:
        """Wake the threads that wait for another request on an open connection."""
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body are sent in one piece
    server: _Listener

    def _serve(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.simulator.respond(self.command, self.path, headers)
        if answer is None or answer.promised_bytes is not None:
            self.close_connection = True
        if answer is None:
            return
        if answer.wire:
            self._spoil(answer, answer.wire)
        else:
            self._write(answer)

    def _spoil(self, answer: Answer, wire: Wire) -> None:
        """Send an answer as a fault has changed it, and end the connection as the fault says."""
        out, self.wfile = self.wfile, BytesIO()
        self._write(answer)
        whole, self.wfile = self.wfile.getvalue(), out
        for piece in wire.pieces(whole):
            out.write(piece)
            out.flush()
            time.sleep(wire.pause_s)
        if wire.ending is Ending.RESET:
            self.server.to_reset.add(self.connection)
        elif wire.ending is Ending.HANG:
            self.rfile.read(1)
        self.close_connection = True

    def _write(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(answer.promised_bytes or len(answer.body)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815  (names of the standard library)

    def version_string(self) -> str:
        return "cloudflare"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Write nothing: `Simulator.requests` is the log."""


def _ray(number: int) -> str:
    """A cf-ray of 16 hexadecimal digits that look random; different for each number."""
    return f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}-SIM"
