"""What a stranger's host may do: nothing but send a whole PDF of a bounded size, in bounded time."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http import HTTPStatus

import pytest

from cf_invoice_source.documents.fetcher import Document, DocumentFetcher, Refusal
from cf_invoice_source.settings import MAX_REDIRECTS
from cf_invoice_source.simulator import Account, Answer, Fault, Request, Simulator
from cf_invoice_source.simulator.faults import (
    body,
    cut_body,
    cut_chunks,
    drip,
    drop_connection,
    encoded,
    endless,
    html,
    redirect,
    reset_in_body,
    silence,
    status,
    wire,
)
from tests.conftest import Naps
from tests.support.make import make_invoice

pytestmark = pytest.mark.usefixtures("dlt_here")

PDF = b"%PDF-1.4\nmade up\n%%EOF\n"
PDF_TYPE = {"content-type": "application/pdf"}


@pytest.fixture
def link(simulator: Simulator, account: Account) -> str:
    """A link to the PDF of an invoice, on this machine."""
    account.records.append(make_invoice())
    simulator.serve_pdfs()
    return f"{simulator.pdf_origin}/invoice/{account.id}/live_000000_000001/in_1/pdf?s=ap"


Fetch = Callable[[], Document | Refusal]


@pytest.fixture
def fetch(link: str) -> Iterator[Fetch]:
    fetcher = DocumentFetcher(("stripe.com",), is_here_allowed=True)
    with ExitStack() as fetched:

        def fetch_here() -> Document | Refusal:
            outcome = fetcher.fetch(link)
            if isinstance(outcome, Document):
                fetched.enter_context(outcome.body)
            return outcome

        yield fetch_here


@pytest.fixture
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give an attempt little time, and make only one."""
    monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("cf_invoice_source.cloudflare.transport.LONGEST_ATTEMPT_S", 0.15)
    monkeypatch.setattr("cf_invoice_source.cloudflare.transport._LOOK_S", 0.02)


def refused(outcome: Document | Refusal) -> Refusal:
    assert isinstance(outcome, Refusal)
    return outcome


def test_a_pdf_comes_with_its_size_hash_and_type(fetch: Fetch) -> None:
    document = fetch()

    assert isinstance(document, Document)
    with document.body as content:
        read = content.read()
    assert read.startswith(b"%PDF-")
    assert (document.size, document.content_type) == (len(read), "application/pdf")


def test_it_carries_no_credential_and_no_cookie(fetch: Fetch, simulator: Simulator) -> None:
    simulator.faults.append(body(PDF, {**PDF_TYPE, "set-cookie": "a=b; path=/"}))
    fetch()
    fetch()

    for request in simulator.requests:
        assert not {"authorization", "x-auth-key", "x-auth-email", "cookie"} & request.headers.keys()
        assert request.headers["user-agent"].startswith("cf-invoice-source/")


NO_PDF: dict[str, tuple[Fault, str]] = {
    "HTML": (html(), "it is not a PDF"),
    "HTML that calls itself a PDF": (body(b"<html>", PDF_TYPE), "it is not a PDF"),
    "nothing": (body(b""), "it is not a PDF"),
    "a PDF that is not at the beginning": (body(b"\n" + PDF), "it is not a PDF"),
    "a PDF without an end": (body(PDF[:-6]), "it is cut off: it has no end of a PDF"),
    "404": (status(404), "its host answered with status 404"),
    "204": (status(204, b""), "its host answered with status 204"),
    "300": (status(300, b""), "its host answered with status 300"),
    "a redirect without an address": (status(302, b""), "its host answered with status 302"),
    "another host": (
        redirect("https://evil.example/secret"),
        "its link leads to a host that is not on the list: evil.example",
    ),
    "http": (redirect("http://pay.stripe.com/secret"), "its link is not https"),
    "a file": (redirect("file:///etc/passwd"), "its link is not an address that can be followed"),
    "half a bracket": (redirect("https://[::1/"), "it redirects to what is no address"),
    "for ever": (redirect("?again"), f"it redirects more than {MAX_REDIRECTS} times"),
}


@pytest.mark.parametrize(("fault", "reason"), NO_PDF.values(), ids=NO_PDF)
def test_what_is_no_pdf_or_leads_away_is_refused(
    fetch: Fetch, simulator: Simulator, fault: Fault, reason: str
) -> None:
    simulator.faults.append(fault)

    assert refused(fetch()).reason == reason


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_to_an_allowed_host_is_followed_without_what_belongs_to_the_first(
    fetch: Fetch, simulator: Simulator, link: str, code: int
) -> None:
    simulator.faults.append(status(code, b"", {"location": link.partition("?")[0]}).only(times=1))

    assert isinstance(fetch(), Document)
    assert [request.query for request in simulator.requests] == [{"s": "ap"}, {}]


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_a_link_may_be_too_old(fetch: Fetch, simulator: Simulator, code: int) -> None:
    simulator.faults.append(status(code))

    assert refused(fetch()).kind == "expired"
    assert len(simulator.requests) == 1


PASSING: dict[str, Fault] = {
    "no answer": drop_connection(),
    "503": status(503),
    "429": status(429, b"", {"retry-after": "1"}),
    "a cut body": cut_body(),
    "a cut chunk": cut_chunks(),
    "a reset": reset_in_body(),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_a_passing_fault_is_tried_again(fetch: Fetch, simulator: Simulator, fault: Fault, naps: Naps) -> None:
    simulator.faults.append(fault.only(times=2))

    assert isinstance(fetch(), Document)
    assert len(simulator.requests) == 3


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_a_fault_that_stays_ends_after_dlts_attempts(
    fetch: Fetch, simulator: Simulator, fault: Fault, naps: Naps
) -> None:
    simulator.faults.append(fault.only())

    assert refused(fetch()).kind == "unanswered"
    assert len(simulator.requests) == 5


SLOW: dict[str, Fault] = {
    "nothing": silence(),
    "a drip": drip(0.02),
    "a head that drips": endless(b"HTTP/1.1 200 OK\r\na: ", b"b", pause_s=0.01),
}


@pytest.mark.parametrize("fault", SLOW.values(), ids=SLOW)
def test_a_host_that_is_too_slow_is_given_up(
    in_a_hurry: None, fetch: Fetch, simulator: Simulator, fault: Fault
) -> None:
    simulator.faults.append(fault)

    assert refused(fetch()) == Refusal("its host did not answer (Timeout)", "unanswered")


HUGE: dict[str, Fault] = {
    "a body without an end": endless(b"HTTP/1.1 200 OK\r\n\r\n%PDF-", b"x" * 65_536),
    "a little that unpacks to much": encoded(lambda _: gzip.compress(PDF + b"\0" * 3_000_000), "gzip"),
}


@pytest.mark.parametrize("fault", HUGE.values(), ids=HUGE)
def test_a_document_that_is_too_long_is_refused(
    link: str, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setattr("cf_invoice_source.documents.fetcher.LARGEST_DOCUMENT_BYTES", 2 * 2**20)
    simulator.faults.append(fault)

    outcome = DocumentFetcher((), is_here_allowed=True).fetch(link)

    assert refused(outcome).reason == "it is longer than 2 MiB"
    assert len(simulator.requests) == 1


def test_a_packed_pdf_is_unpacked(fetch: Fetch, simulator: Simulator) -> None:
    simulator.faults.append(encoded(gzip.compress, "gzip"))

    assert isinstance(fetch(), Document)


def test_no_room_for_it_is_told_from_a_fault_of_the_host(
    fetch: Fetch, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    simulator.faults.append(body(b"%PDF-" + b"x" * 2**21 + b"%%EOF"))

    assert refused(fetch()).kind == "unkept"


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


def test_no_link_is_in_a_log(fetch: Fetch, simulator: Simulator, logged: pytest.LogCaptureFixture) -> None:
    """urllib3 logs each request, and the address of an answer whose headers it cannot read."""
    simulator.faults.append(drop_connection().only(times=1))
    odd = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nno header\r\n\r\n"
    simulator.faults.append(wire(lambda _whole: [odd]))
    fetch()

    assert simulator.requests
    assert "/pdf" not in logged.text


def test_another_thread_may_log_what_it_asks_for(
    fetch: Fetch, simulator: Simulator, logged: pytest.LogCaptureFixture
) -> None:
    fetch()
    logging.getLogger("urllib3.connectionpool").warning("of somebody else")

    assert "of somebody else" in logged.text


def test_the_link_of_the_wide_world_may_not_lead_to_this_machine(link: str, simulator: Simulator) -> None:
    outcome = DocumentFetcher(("stripe.com",), is_here_allowed=False).fetch(link)

    assert refused(outcome).kind == "unusable"
    assert simulator.requests == []


def test_a_proxy_is_not_asked_for_what_is_here(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    assert isinstance(fetch(), Document)


def test_a_simulated_link_expires(simulator: Simulator, fetch: Fetch, account: Account) -> None:
    simulator.link_life = 0
    assert isinstance(fetch(), Document)

    simulator.answer(
        Request(
            1,
            "GET",
            f"/client/v4/accounts/{account.id}/ai-gateway/billing/invoice-history",
            {},
            {"authorization": f"Bearer {simulator.token}"},
        )
    )

    assert refused(fetch()).kind == "expired"
    assert isinstance(simulator.answer(Request(1, "GET", "/invoice/nobody", {}, {})), Answer)
    assert simulator.answer(Request(1, "GET", "/invoice/nobody", {}, {})).status == HTTPStatus.NOT_FOUND
