"""Every attempt of a request ends, whatever a server sends or does not send, and no answer is too large."""

import gzip
import json
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cf_invoice_source import ApiChangedError, InvoiceSourceError, SettingsError, TryLaterError
from cf_invoice_source.cloudflare.client import Client
from cf_invoice_source.cloudflare.credentials import TokenAuth
from cf_invoice_source.cloudflare.rate_limit import LONGEST_WAIT_S, read_quota, wait_after_refusal
from cf_invoice_source.cloudflare.rate_limiter import RequestStats, Standstill
from cf_invoice_source.settings import (
    LARGEST_ANSWER_BYTES,
    LONGEST_ATTEMPT_S,
    LONGEST_STANDSTILL_S,
    MAX_PAGE_RECORDS,
)
from cf_invoice_source.simulator import Account, Fault, Simulator
from cf_invoice_source.simulator.faults import (
    body,
    drop_connection,
    edit,
    encoded,
    endless,
    rate_limited,
    silence,
    status,
)
from tests.conftest import Naps
from tests.support.make import make_document, make_invoice, make_invoices

pytestmark = pytest.mark.usefixtures("dlt_here")

DEADLINE_S = 0.15
SURELY_S = 10.0
"""A busy machine may take that long over an attempt of 0.15 seconds. Without a deadline none would end."""


@pytest.fixture
def ask(simulator: Simulator, account: Account, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Ask for page 1, once, with little time for the answer."""
    account.records += make_invoices(3)
    monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("cf_invoice_source.cloudflare.transport.LONGEST_ATTEMPT_S", DEADLINE_S)
    monkeypatch.setattr("cf_invoice_source.cloudflare.transport._LOOK_S", 0.02)
    client = Client(TokenAuth(simulator.token), simulator.base_url)
    return lambda: client.invoice_page(account.id, "all", 1, RequestStats())


OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
GZIP = OK + b"content-encoding: gzip\r\n\r\n\x1f\x8b\x08"
DRIP_S = 0.005

ENDLESS: dict[str, Fault] = {
    "nothing": silence(),
    "a status line that drips": endless(b"HTTP/1.1 200 ", b"O", pause_s=DRIP_S),
    "a header that drips": endless(OK + b"a: ", b"b", pause_s=DRIP_S),
    "100 Continue, as fast as it goes": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000),
    "100 Continue that drips": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", pause_s=DRIP_S),
    "a body that drips": endless(OK + b"\r\n{", b" ", pause_s=DRIP_S),
    "a body that drips on a connection that closes": endless(
        OK + b"connection: close\r\n\r\n{", b" ", pause_s=DRIP_S
    ),
    "a body of a known length that drips": endless(
        OK + b"content-length: 999999\r\n\r\n{", b" ", pause_s=DRIP_S
    ),
    "a chunk size that drips": endless(CHUNKED + b"1;", b"x", pause_s=DRIP_S),
    "chunks that drip": endless(CHUNKED, b"1\r\n \r\n", pause_s=DRIP_S),
    "trailers that drip": endless(CHUNKED + b"2\r\n{}\r\n0\r\n", b"a: b\r\n", pause_s=DRIP_S),
    "trailers, as fast as they go": endless(CHUNKED + b"2\r\n{}\r\n0\r\n", b"a: b\r\n" * 1_000),
    "a gzip header that drips": endless(GZIP + b"\x08" + b"\0" * 6, b"x", pause_s=DRIP_S),
    "empty deflate blocks that drip": endless(GZIP + b"\0" * 7, b"\0\0\0\xff\xff", pause_s=DRIP_S),
}

TOO_LONG: dict[str, Fault] = {
    "a body": endless(OK + b"\r\n{", b" " * 2**16),
    "chunks": endless(CHUNKED, b"10000\r\n" + b" " * 2**16 + b"\r\n"),
    "a gzip header": endless(GZIP + b"\x08" + b"\0" * 6, b"x" * 2**16),
    "empty deflate blocks": endless(GZIP + b"\0" * 7, b"\0\0\0\xff\xff" * 10_000),
    "a few kB, unpacked": encoded(lambda _: gzip.compress(b" " * (LARGEST_ANSWER_BYTES + 1)), "gzip"),
}


@pytest.mark.quick("nothing", "a header that drips", "a body that drips", "chunks that drip")
@pytest.mark.parametrize("fault", ENDLESS.values(), ids=ENDLESS)
def test_an_attempt_ends_at_its_deadline(ask: Any, simulator: Simulator, fault: Fault) -> None:
    simulator.faults.append(fault.only(times=1))

    began = time.monotonic()
    with pytest.raises(TryLaterError, match="the answer is too slow"):
        ask()

    assert time.monotonic() - began < SURELY_S
    assert len(ask().records) == 3


@pytest.mark.parametrize("fault", TOO_LONG.values(), ids=TOO_LONG)
def test_a_body_that_is_too_long_is_not_read_to_its_end(
    ask: Any, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setattr("cf_invoice_source.cloudflare.transport.LONGEST_ATTEMPT_S", LONGEST_ATTEMPT_S)
    simulator.faults.append(fault.only(times=1))

    with pytest.raises(TryLaterError, match=r"longer than 4,194,304 bytes"):
        ask()

    assert len(ask().records) == 3


def test_a_proxy_that_drips_is_given_up_too(
    simulator: Simulator, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", simulator.base_url.removesuffix("/client/v4"))
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("cf_invoice_source.cloudflare.transport.LONGEST_ATTEMPT_S", DEADLINE_S)
    monkeypatch.setattr(
        "cf_invoice_source.simulator.server._Handler.do_CONNECT", drip_for_ever, raising=False
    )
    client = Client(TokenAuth("token"), "https://api.example.com")

    with pytest.raises(TryLaterError, match="the answer is too slow"):
        client.invoice_page(account.id, "all", 1)


def drip_for_ever(handler: Any) -> None:
    handler.wfile.write(b"HTTP/1.1 200 ")
    while True:
        handler.wfile.write(b"O")
        handler.wfile.flush()
        time.sleep(DRIP_S)


ENCODINGS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "gzip": (gzip.compress, "gzip"),
    "gzip in capitals": (gzip.compress, " GZIP"),
    "x-gzip": (gzip.compress, "x-gzip"),
    "deflate": (zlib.compress, "deflate"),
    "none": (bytes, "identity"),
}


@pytest.mark.parametrize(("pack", "name"), ENCODINGS.values(), ids=ENCODINGS)
def test_one_encoding_is_unpacked(
    ask: Any, simulator: Simulator, pack: Callable[[bytes], bytes], name: str
) -> None:
    simulator.faults.append(encoded(pack, name))

    assert len(ask().records) == 3


def test_only_what_is_unpacked_is_asked_for(ask: Any, simulator: Simulator) -> None:
    ask()

    assert simulator.requests[0].headers["accept-encoding"] == "gzip"


def twice(content: bytes) -> bytes:
    return gzip.compress(gzip.compress(content))


PACKED_WRONG: dict[str, tuple[Fault, type[InvoiceSourceError], str]] = {
    "two layers": (encoded(twice, "gzip, gzip"), ApiChangedError, "not JSON"),
    "two streams": (encoded(lambda body: gzip.compress(body) * 2, "gzip"), TryLaterError, "more follows"),
    "no gzip": (encoded(lambda body: body, "gzip"), TryLaterError, "incorrect header"),
}


@pytest.mark.parametrize(("fault", "kind", "why"), PACKED_WRONG.values(), ids=PACKED_WRONG)
def test_what_is_packed_in_another_way_is_an_error(
    ask: Any, simulator: Simulator, fault: Fault, kind: type[InvoiceSourceError], why: str
) -> None:
    simulator.faults.append(fault)

    with pytest.raises(kind, match=why):
        ask()


# What an answer holds


def test_a_small_answer_with_many_values_is_refused_before_it_is_decoded(
    ask: Any, simulator: Simulator
) -> None:
    content = json.dumps(make_document()).replace('"invoices": []', f'"invoices": [{"[]," * 60_000}[]]')
    simulator.faults.append(body(content.encode()))

    with pytest.raises(ApiChangedError, match="more than 100,000 values"):
        ask()


def test_a_page_of_a_thousand_records_is_read_and_no_larger_one(ask: Any, simulator: Simulator) -> None:
    records = [make_invoice(id=f"in_{number}") for number in range(MAX_PAGE_RECORDS)]
    more = 0

    def change(document: Any) -> None:
        document["result"]["invoices"] = [*records, *records[:more]]

    simulator.faults.append(edit(change))

    assert len(ask().records) == MAX_PAGE_RECORDS
    more = 1
    with pytest.raises(ApiChangedError, match="more than 1,000 records"):
        ask()


# What a header asks for


WAITS = {
    "5,000 digits": ("9" * 5_000, None),
    "the year 99999": ("Fri, 31 Dec 99999 23:59:59 GMT", 1),
    "the year 1": ("Mon, 01 Jan 0001 00:00:00 -0000", 1),
    "a zone beyond a day": ("Wed, 21 Oct 2015 07:28:00 +99999999999", 1),
    "64 kB of spaces": (" " * 64_000, 1),
}


@pytest.mark.parametrize(("retry_after", "waits"), WAITS.values(), ids=WAITS)
@pytest.mark.parametrize("code", [429, 503])
def test_a_wait_that_makes_no_sense_is_not_waited_for(
    simulator: Simulator, account: Account, naps: Naps, code: int, retry_after: str, waits: int | None
) -> None:
    client = Client(TokenAuth(simulator.token), simulator.base_url)
    headers = {"retry-after": retry_after}
    simulator.faults.append(status(code, b"{}", headers).only(times=1))

    if code == 429 and waits is None:
        with pytest.raises(TryLaterError):
            client.invoice_page(account.id, "all", 1)
    else:
        client.invoice_page(account.id, "all", 1)

    assert sum(naps) <= LONGEST_WAIT_S


def test_a_window_that_does_not_end_is_waited_for_no_longer_than_others(
    simulator: Simulator, account: Account, naps: Naps
) -> None:
    client = Client(TokenAuth(simulator.token), simulator.base_url)
    simulator.faults.append(
        status(200, json.dumps(make_document()).encode(), {"ratelimit": '"default";r=0;t=999999999'})
    )

    for _ in range(3):
        client.invoice_page(account.id, "all", 1)

    assert naps == [LONGEST_WAIT_S] * 2


@given(header=st.text() | st.from_regex(r'"[a-z]*";r=[0-9]{1,12};t=[0-9]{1,12}'))
def test_no_header_tells_of_a_window_that_ends_later(header: str) -> None:
    quota = read_quota(header)

    assert quota is None or 0 <= quota.reset_s <= LONGEST_WAIT_S


@given(
    retry_after=st.text()
    | st.from_regex(r"[0-9]{1,9000}", fullmatch=True)
    | st.from_regex(
        r"(Mon, )?[0-9]{1,3} (Jan|Oct) [0-9]{1,6} [0-9]{1,3}:[0-9]{1,3}(:[0-9]{1,3})? ([+-][0-9]{1,12}|GMT|)",
        fullmatch=True,
    )
)
def test_no_date_makes_it_fail_or_wait_for_ever(retry_after: str) -> None:
    waits_s = wait_after_refusal(retry_after, None, refusals=1, now_s=1.7e9)

    assert waits_s is None or 1 <= waits_s <= LONGEST_WAIT_S


# All attempts together


STANDING_STILL = {
    "no connection": drop_connection(),
    "not now": status(503),
    "429": rate_limited("900"),
    "429, and again": rate_limited("60"),
}


@pytest.mark.parametrize("fault", STANDING_STILL.values(), ids=STANDING_STILL)
def test_a_load_that_stands_still_for_an_hour_is_given_up(
    simulator: Simulator, account: Account, naps: Naps, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", "3")
    monkeypatch.setenv("RUNTIME__REQUEST_BACKOFF_FACTOR", "100")
    simulator.faults.append(fault)
    client = Client(TokenAuth(simulator.token), simulator.base_url)

    for _ in range(100):
        with pytest.raises(TryLaterError) as caught:
            client.invoice_page(account.id, "all", 1)
        if "no usable answer for 60 minutes" in str(caught.value):
            break
    sent = len(simulator.requests)
    with pytest.raises(TryLaterError, match="no usable answer for 60 minutes"):
        client.invoice_page(account.id, "all", 1)

    assert len(simulator.requests) == sent
    assert naps.now <= 1000 + LONGEST_STANDSTILL_S + 200, "with the pause that was under way"


@given(
    st.lists(
        st.tuples(st.floats(0, 500), st.floats(0, 1_000), st.sampled_from([False, False, False, True])),
        max_size=30,
    )
)
def test_waits_side_by_side_count_once_and_an_answer_ends_the_standstill(
    requests: list[tuple[float, float, bool]],
) -> None:
    standstill, ended = Standstill(), sorted((begun + took, begun, ok) for begun, took, ok in requests)
    for now, begun_at, is_answered in ended:
        standstill.ended(begun_at, now, is_answered=is_answered)

    last = max((now for now, _, ok in ended if ok), default=0.0)
    waited_s = covered([(max(begun, last), now) for now, begun, _ in ended if now > last])
    assert standstill.give_up_at(10**6) == pytest.approx(10**6 + LONGEST_STANDSTILL_S - waited_s)


def covered(spans: list[tuple[float, float]]) -> float:
    total, reached = 0.0, 0.0
    for begun, end in sorted(spans, key=lambda span: span[1]):
        total += max(0.0, end - max(begun, reached))
        reached = max(reached, end)
    return total


def test_a_refusal_is_an_answer_too(simulator: Simulator, account: Account, naps: Naps) -> None:
    client = Client(TokenAuth(simulator.token), simulator.base_url)
    simulator.denied.add(account.id)
    simulator.before_answer = lambda _request: naps.sleep(1000)

    for _ in range(10):
        naps.now += 1000
        with pytest.raises(SettingsError):
            client.invoice_page(account.id, "all", 1)

    assert len(simulator.requests) == 10
