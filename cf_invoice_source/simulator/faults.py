"""Faults on the way to Cloudflare, which tests can switch on.

Every function here makes a `Fault` that spoils all answers unless `Fault.only` limits it:

    simulator.faults.append(status(503).only(times=1, pages={2}))

The faults in the list wrap each other; the first one is the outermost.
"""

import gzip
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import chain, repeat
from typing import Any

import simplejson

from cf_invoice_source.simulator.answers import Answer, Ending, Request, Wire, failure, too_many_requests

Answering = Callable[[Request], Answer | None]
"""How a request gets its answer; None means that the connection is closed without one."""

INVOICES = "/invoice-history"
EDGE_PAGE = (
    b"<!DOCTYPE html><html><head><title>Web server is returning an unknown error</title></head></html>"
)
HTML = {"content-type": "text/html; charset=UTF-8"}


@dataclass
class Fault:
    """Stands between a request and its answer.

    Attributes:
        spoil: Takes the request and a function for its true answer, and returns what is sent instead.
        times: How many more answers it spoils; None for all.
        pages: The pages it spoils; empty for all.
        path: A text that the path must contain; empty for all paths.
    """

    spoil: Callable[[Request, Answering], Answer | None]
    times: int | None = None
    pages: Collection[int] = ()
    path: str = ""

    def only(
        self, *, times: int | None = None, pages: Collection[int] = (), path: str | None = None
    ) -> "Fault":
        """Return the same fault with these limits, which replace earlier ones."""
        return Fault(self.spoil, times, pages, self.path if path is None else path)

    def takes(self, request: Request) -> bool:
        """Whether it spoils this answer; if so, it is counted as one of its times."""
        is_meant = self.path in request.path and (not self.pages or request.page in self.pages)
        if not is_meant or self.times == 0:
            return False
        if self.times is not None:
            self.times -= 1
        return True


def status(code: int, body: bytes = EDGE_PAGE, headers: Mapping[str, str] = HTML) -> Fault:
    """Answer with this status and, as Cloudflare's edge does, with HTML."""
    return _instead(Answer(code, body, headers))


def html() -> Fault:
    """Answer 200 with a web page."""
    return _instead(Answer(200, EDGE_PAGE, HTML))


def body(content: bytes, headers: Mapping[str, str] | None = None) -> Fault:
    """Answer 200 with these bytes, as JSON unless the headers say otherwise."""
    return _instead(Answer(200, content, headers or {}))


def failed_envelope(code: int, message: str, *, status: int = 200) -> Fault:
    """Answer with an error envelope under status 200 (or another one)."""
    return _instead(failure(status, code, message))


def rate_limited(retry_after: str | None = "1") -> Fault:
    """Answer 429, with `retry-after` as given, or without it."""
    return _instead(too_many_requests(retry_after))


def redirect(url: str) -> Fault:
    """Answer 302 to another address."""
    return _instead(Answer(302, b"", {"location": url}))


def drop_connection() -> Fault:
    """Close the connection without an answer."""
    return Fault(lambda _request, _answering: None)


def cut_body() -> Fault:
    """Send half of the body and close the connection, so that its `content-length` is not reached."""
    return _changing(
        lambda answer, content: replace(answer, body=_half(content), promised_bytes=len(content))
    )


def cut_json() -> Fault:
    """Send half of the body under a matching `content-length`: a whole answer, but not JSON."""
    return _changing(lambda answer, content: replace(answer, body=_half(content)))


def wire(
    pieces: Callable[[bytes], Iterable[bytes]], ending: Ending = Ending.CLOSE, *, pause_s: float = 0.0
) -> Fault:
    """Send what `pieces` makes of the true answer's bytes, and end the connection with `ending`."""
    return _changing(lambda answer, _content: replace(answer, wire=Wire(pieces, ending, pause_s)))


def reset_in_head() -> Fault:
    """Reset the connection in the middle of the headers."""
    return wire(lambda whole: [_half(_head(whole))], Ending.RESET)


def reset_in_body() -> Fault:
    """Reset the connection in the middle of the body."""
    return wire(lambda whole: [whole[:-50]], Ending.RESET)


def silence() -> Fault:
    """Take the request, and never answer."""
    return wire(lambda _whole: [], Ending.HANG)


def drip(pause_s: float) -> Fault:
    """Send the head, and then the body byte by byte, with a pause after each."""

    def pieces(whole: bytes) -> Iterable[bytes]:
        head = _head(whole)
        yield head
        for place in range(len(head), len(whole)):
            yield whole[place : place + 1]

    return wire(pieces, pause_s=pause_s)


def endless(start: bytes, again: bytes, *, pause_s: float = 0.0) -> Fault:
    """Send these bytes, and then others again and again for ever, with a pause after each."""
    return wire(lambda _whole: chain([start], repeat(again)), pause_s=pause_s)


def cut_chunks() -> Fault:
    """Announce chunks, send one, and close the connection without the last one."""

    def pieces(whole: bytes) -> Iterable[bytes]:
        lines = [line for line in _head(whole).split(b"\r\n") if not line.startswith(b"content-length")]
        yield b"\r\n".join([*lines[:-2], b"transfer-encoding: chunked", b"", b""])
        content = _half(whole[len(_head(whole)) :])
        yield b"%x\r\n%b\r\n" % (len(content), content)

    return wire(pieces)


def encoded(encode: Callable[[bytes], bytes], encoding: str | None) -> Fault:
    """Send the body as `encode` makes it, under this `content-encoding`."""
    headers = {} if encoding is None else {"content-encoding": encoding}
    return _changing(
        lambda answer, content: replace(answer, body=encode(content), headers={**answer.headers, **headers})
    )


def cut_gzip() -> Fault:
    """Send half of a compressed body under a matching `content-length`."""
    return encoded(lambda content: _half(gzip.compress(content)), "gzip")


def edit(change: Callable[[Any], object]) -> Fault:
    """Let `change` alter the decoded document of each successful invoice answer, in place.

    It gets a copy, so the world stays as it is; its return value is ignored.
    """
    return Fault(lambda request, answering: _edited(answering(request), change), path=INVOICES)


def ignore_page() -> Fault:
    """Serve page 1 for every page, under the number that was asked for."""

    def spoil(request: Request, answering: Answering) -> Answer | None:
        first = answering(replace(request, query=request.query | {"page": "1"}))
        return _edited(first, lambda document: _paginate(document, page=request.page))

    return Fault(spoil, path=INVOICES)


def docs_example() -> Fault:
    """Serve the documentation's own example for every page: one invoice beside a pagination of zeros."""

    def change(document: Any) -> None:
        document["result"]["invoices"] = [dict(DOCS_INVOICE)]
        _paginate(document, has_more=True, page=0, per_page=0, total_count=0)

    return edit(change)


DOCS_INVOICE: dict[str, Any] = {
    "amount_due": 0,
    "amount_paid": 0,
    "amount_remaining": 0,
    "currency": "currency",
    "id": "id",
    "attempt_count": 0,
    "attempted": True,
    "auto_advance": True,
    "created": 0,
    "created_by": "created_by",
    "description": "description",
    "invoice_origin": "invoice_origin",
    "invoice_pdf": "invoice_pdf",
    "status": "status",
}


def _instead(answer: Answer) -> Fault:
    return Fault(lambda _request, _answering: answer)


def _changing(change: Callable[[Answer, bytes], Answer]) -> Fault:
    def spoil(request: Request, answering: Answering) -> Answer | None:
        answer = answering(request)
        return None if answer is None else change(answer, answer.encode())

    return Fault(spoil)


def _head(whole: bytes) -> bytes:
    return whole[: whole.index(b"\r\n\r\n") + 4]


def _half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _edited(answer: Answer | None, change: Callable[[Any], object]) -> Answer | None:
    if answer is None or answer.status != HTTPStatus.OK or not answer.is_document:
        return answer
    document = simplejson.loads(answer.encode(), use_decimal=True)
    change(document)
    return replace(answer, body=document)


def _paginate(document: Any, **facts: Any) -> None:
    document["result"]["pagination"].update(facts)
    document["result_info"].update(facts)
