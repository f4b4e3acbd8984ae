"""Requests as they are really sent, retries, and errors that say what to do and never a secret."""

import socket
import ssl
import subprocess
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from shutil import which
from threading import Barrier, Thread
from typing import Any

import pytest

from cf_invoice_source import (
    ApiChangedError,
    InvoiceSourceError,
    SettingsError,
    TryLaterError,
    __version__,
)
from cf_invoice_source.cloudflare.client import Client
from cf_invoice_source.cloudflare.credentials import KeyAuth, TokenAuth
from cf_invoice_source.cloudflare.rate_limiter import Counts, RateLimiter, RequestStats, shared_rate_limiter
from cf_invoice_source.notices import shown_by
from cf_invoice_source.simulator import Account, Fault, Request, Simulator, World
from cf_invoice_source.simulator.faults import (
    body,
    cut_body,
    cut_json,
    drop_connection,
    edit,
    html,
    rate_limited,
    redirect,
    silence,
    status,
)
from cf_invoice_source.walk.page import Page
from tests.conftest import Naps
from tests.support.make import make_invoices

pytestmark = pytest.mark.usefixtures("dlt_here")

WAIT_S = 20
"""How long a test waits for what must happen, before it fails."""


class Asking:
    """A client for one account of the simulator."""

    def __init__(
        self, simulator: Simulator, account: Account, rate_limiter: RateLimiter | None = None
    ) -> None:
        self.client = Client(TokenAuth(simulator.token), simulator.base_url, rate_limiter)
        self.account = account
        self.stats = RequestStats()

    def __call__(self, page: int = 1) -> Page[Any]:
        return self.client.invoice_page(self.account.id, invoice_type="all", page=page, stats=self.stats)


@pytest.fixture
def ask(simulator: Simulator, account: Account) -> Asking:
    account.records += make_invoices(3)
    return Asking(simulator, account)


@pytest.fixture
def elsewhere() -> Iterator[Simulator]:
    """A second server, on another port: another origin."""
    with Simulator(World()) as other:
        yield other


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


# Requests and answers


def test_a_page_is_what_the_server_lists(ask: Asking, account: Account) -> None:
    page = ask()

    assert [record["id"] for record in page.records] == ["in_3", "in_2", "in_1"]
    assert (page.asked, page.has_more, page.per_page, page.total_count) == (1, False, 50, 3)


def test_the_path_and_the_query_are_the_ones_that_cloudflare_knows(
    ask: Asking, simulator: Simulator, account: Account
) -> None:
    ask(page=1)

    [sent] = simulator.requests
    assert sent.method == "GET"
    assert sent.path == f"/client/v4/accounts/{account.id}/ai-gateway/billing/invoice-history"
    assert sent.query == {"type": "all", "page": "1", "per_page": "50"}


def test_the_user_agent_names_the_package_and_its_version(ask: Asking, simulator: Simulator) -> None:
    ask()

    assert simulator.requests[0].headers["user-agent"] == f"cf-invoice-source/{__version__}"


def test_a_slash_at_the_end_of_the_base_url_does_no_harm(simulator: Simulator, account: Account) -> None:
    client = Client(TokenAuth(simulator.token), f"{simulator.base_url}/")

    client.invoice_page(account.id, invoice_type="all", page=1)

    assert "//" not in simulator.requests[0].path


def test_a_netrc_of_the_user_does_not_replace_the_token(
    ask: Asking, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))

    ask()

    assert simulator.requests[0].headers["authorization"] == f"Bearer {simulator.token}"


def test_numbers_are_read_to_the_last_digit(ask: Asking, account: Account) -> None:
    exact = Decimal("12345678901234567890.123456789")
    account.records[0]["amount_due"] = exact

    [first, *_] = ask().records

    assert first["amount_due"] == exact
    assert type(first["amount_due"]) is Decimal


# Retries


PASSING = {
    "503": status(503),
    "500": status(500),
    "Cloudflare's 520": status(520),
    "Cloudflare's 524": status(524),
    "a 429": rate_limited("0"),
    "a 429 without retry-after": rate_limited(None),
    "a cut body": cut_body(),
    "cut JSON": cut_json(),
    "a dropped connection": drop_connection(),
    "a web page": html(),
    "an empty body": body(b""),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_what_passes_is_asked_again(ask: Asking, simulator: Simulator, fault: Fault) -> None:
    simulator.faults.append(fault.only(times=2))

    page = ask()

    assert len(page.records) == 3
    assert len(simulator.requests) == 3


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (status(503), TryLaterError),
        (drop_connection(), TryLaterError),
        (cut_body(), TryLaterError),
        (cut_json(), ApiChangedError),
        (html(), ApiChangedError),
    ],
    ids=["503", "dropped connections", "cut bodies", "cut JSON", "web pages"],
)
def test_what_does_not_pass_is_given_up_after_the_attempts_of_dlts_settings(
    simulator: Simulator,
    account: Account,
    fault: Fault,
    error: type[InvoiceSourceError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", "3")
    simulator.faults.append(fault)
    ask = Asking(simulator, account)

    with pytest.raises(error):
        ask()

    assert len(simulator.requests) == 3


@pytest.mark.parametrize("code", [400, 401, 403, 404, 405, 418, 301, 304])
def test_what_asking_again_does_not_mend_is_asked_once(ask: Asking, simulator: Simulator, code: int) -> None:
    simulator.faults.append(status(code))

    with pytest.raises(InvoiceSourceError):
        ask()

    assert len(simulator.requests) == 1


def test_a_429_is_waited_for_as_long_as_it_says(ask: Asking, simulator: Simulator, naps: Naps) -> None:
    simulator.faults.append(rate_limited("17").only(times=1))

    page = ask()

    assert len(page.records) == 3
    assert naps == [17]


@pytest.mark.parametrize(
    ("retry_after", "waited"),
    [
        ("0", 1),
        ("00", 1),
        ("1", 1),
        ("300", 300),
        (None, 2),
        ("soon", 2),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 1),
    ],
)
def test_a_429_is_never_answered_at_once(
    ask: Asking, simulator: Simulator, naps: Naps, retry_after: str | None, waited: float
) -> None:
    simulator.faults.append(rate_limited(retry_after).only(times=1))

    ask()

    assert naps == [waited]


def test_a_429_may_name_a_date(ask: Asking, simulator: Simulator, naps: Naps) -> None:
    simulator.faults.append(rate_limited(formatdate(time.time() + 60, usegmt=True)).only(times=1))

    ask()

    assert 55 < naps[0] <= 60


def test_a_429_for_ever_is_given_up_after_five(ask: Asking, simulator: Simulator) -> None:
    simulator.faults.append(rate_limited("0"))

    with pytest.raises(TryLaterError):
        ask()

    assert len(simulator.requests) == 5


def test_a_429_that_asks_for_hours_is_not_waited_for(ask: Asking, simulator: Simulator, naps: Naps) -> None:
    simulator.faults.append(rate_limited("86400"))

    with pytest.raises(TryLaterError):
        ask()

    assert naps == []


def test_the_rate_limit_is_kept_before_it_is_spent(
    account: Account, simulator: Simulator, naps: Naps
) -> None:
    simulator.quota, simulator.window_s, simulator.clock = 3, 60, lambda: naps.now
    ask = Asking(simulator, account)

    for _ in range(4):
        ask()

    assert naps == [60]
    assert ask.stats.counts.rate_limited == 0


AT_ONCE = 8


def asked_at_once(ask: Asking, requests: int) -> list[BaseException | None]:
    """Ask so many times, in 8 threads, and say what went wrong with each."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = [pool.submit(ask) for _ in range(requests)]
        return [future.exception(timeout=WAIT_S) for future in futures]


def test_eight_workers_with_one_token_in_one_process_meet_no_429(
    simulator: Simulator, account: Account, naps: Naps
) -> None:
    """Somebody else has used most of the limit; nothing of it is known here before the first answer."""
    simulator.quota, simulator.window_s, simulator.clock = 20, 60, lambda: naps.now
    simulator.before_sending = lambda _request: time.sleep(0.005)  # so that they are on their way together
    elsewhere = Asking(simulator, account, RateLimiter())
    for _ in range(17):
        elsewhere()
    workers = [Asking(simulator, account) for _ in range(AT_ONCE)]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = [pool.submit(worker) for _ in range(8) for worker in workers]
        went_wrong = [future.exception(timeout=WAIT_S) for future in futures]

    assert went_wrong == [None] * (AT_ONCE * 8)
    assert [worker.stats.counts.rate_limited for worker in workers] == [0] * AT_ONCE
    assert naps.now <= 1000 + 60 * (1 + AT_ONCE * 8 // (20 - AT_ONCE))


def test_workers_with_another_token_or_elsewhere_have_a_limit_of_their_own() -> None:
    ours, same, other, elsewhere, key = (
        shared_rate_limiter(auth, url)
        for auth, url in [
            (TokenAuth("one"), "https://here"),
            (TokenAuth("one"), "https://here"),
            (TokenAuth("another"), "https://here"),
            (TokenAuth("one"), "https://there"),
            (KeyAuth("ada@example.com", "one"), "https://here"),
        ]
    )

    assert ours is same
    assert len({id(each) for each in (ours, other, elsewhere, key)}) == 4


def test_a_sliding_window_is_kept_too(ask: Asking, simulator: Simulator, naps: Naps) -> None:
    """Only one request is free when it is thought to end: who sends a full window then is refused."""
    simulator.quota, simulator.window_s, simulator.is_sliding = 10, 60, True
    simulator.clock = lambda: naps.now
    for _ in range(10):
        ask()
        naps.now += 5
    simulator.before_sending = lambda _request: time.sleep(0.02)  # so that they are on their way together

    assert asked_at_once(ask, AT_ONCE) == [None] * AT_ONCE
    assert ask.stats.counts.rate_limited == 0
    assert naps.now == 1000 + 60 + 5 * (AT_ONCE - 1)


@pytest.fixture
def spent(ask: Asking, simulator: Simulator, naps: Naps) -> Asking:
    """A client that has spent the rate limit of this window."""
    simulator.quota, simulator.window_s, simulator.clock = 20, 60, lambda: naps.now
    for _ in range(20):
        ask()
    return ask


def test_in_a_new_window_one_request_goes_first(spent: Asking, simulator: Simulator) -> None:
    sent_before_it_was_answered = []

    def hold_up(request: Request) -> None:
        if request.number == 21:
            time.sleep(0.3)
            sent_before_it_was_answered.extend(simulator.requests[20:])

    simulator.before_sending = hold_up

    assert asked_at_once(spent, AT_ONCE) == [None] * AT_ONCE
    assert [request.number for request in sent_before_it_was_answered] == [21]
    assert len(simulator.requests) == 20 + AT_ONCE


@pytest.mark.parametrize("attempts", [1, 2])
def test_if_it_fails_the_others_go_on(
    ask: Asking, simulator: Simulator, account: Account, monkeypatch: pytest.MonkeyPatch, attempts: int
) -> None:
    monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", str(attempts))
    ask = Asking(simulator, account)
    simulator.faults.append(rate_limited("30").only(times=1))
    simulator.faults.append(drop_connection().only(times=1))

    went_wrong = asked_at_once(ask, AT_ONCE)

    assert len([error for error in went_wrong if isinstance(error, TryLaterError)]) == 2 - attempts
    assert went_wrong.count(None) == AT_ONCE - (2 - attempts)


def test_threads_that_wait_together_note_the_time_once(
    simulator: Simulator, account: Account, naps: Naps
) -> None:
    all_wait = Barrier(AT_ONCE)

    def sleep(seconds: float) -> None:
        all_wait.wait(WAIT_S)
        naps.sleep(seconds)

    simulator.quota, simulator.window_s, simulator.clock = 20, 60, lambda: naps.now
    ask = Asking(simulator, account, RateLimiter(sleep=sleep))
    for _ in range(20):
        ask()

    assert asked_at_once(ask, AT_ONCE) == [None] * AT_ONCE
    assert naps == [60] * AT_ONCE
    assert ask.stats.counts.waited_s == 60


def test_the_time_in_which_any_request_waits_counts() -> None:
    stats = RequestStats()

    for now, more in [(1, +1), (2, +1), (4, -1), (7, -1), (20, +1), (21, -1)]:
        stats.note_waiting(more, now)

    assert stats.counts == Counts(waited_s=7)


def test_retries_refusals_and_waits_are_counted(ask: Asking, simulator: Simulator) -> None:
    simulator.faults += [status(503).only(times=2), rate_limited("30").only(times=1)]

    ask()

    assert ask.stats.counts == Counts(retries=2, rate_limited=1, waited_s=30)


def test_a_dropped_connection_is_waited_for_a_little_longer_each_time(
    simulator: Simulator, account: Account, naps: Naps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME__REQUEST_BACKOFF_FACTOR", "1")
    simulator.faults.append(drop_connection().only(times=3))

    Asking(simulator, account)()

    assert naps == [1, 2, 4]


# Refusals


def test_a_refusal_tells_what_cloudflare_said_and_the_ray(
    ask: Asking, simulator: Simulator, account: Account
) -> None:
    simulator.denied.add(account.id)

    with pytest.raises(SettingsError, match=r"Authentication error \(code 10000\)") as caught:
        ask()

    assert caught.value.ray.endswith("-SIM")
    assert account.id in caught.value.request
    assert caught.value.account_id == account.id


def test_what_stands_behind_a_refusal_decides_what_to_do(simulator: Simulator, account: Account) -> None:
    """The simulator, as Cloudflare, takes the quotes for a part of the header."""
    client = Client(TokenAuth(f'"{simulator.token}" '), simulator.base_url)

    with pytest.raises(
        SettingsError, match=r"Invalid format for Authorization header \(code 6111\)"
    ) as caught:
        client.invoice_page(account.id, invoice_type="all", page=1)

    assert "without quotes" in caught.value.remedy


def test_a_challenge_is_told_from_a_gateways_page(ask: Asking, simulator: Simulator) -> None:
    page = {"content-type": "text/html"}
    simulator.faults.append(status(403, headers=page | {"cf-mitigated": "challenge"}).only(times=1))
    simulator.faults.append(status(403, headers=page))

    with pytest.raises(TryLaterError, match="a challenge for a browser"):
        ask()
    with pytest.raises(SettingsError, match="something in between refused the request: HTTP 403 Forbidden"):
        ask()


def test_what_cloudflare_says_beside_its_answers_is_told_once(ask: Asking, simulator: Simulator) -> None:
    notices = {"messages": [{"code": 1, "message": "Ends soon"}], "errors": ["A text"]}
    simulator.faults.append(edit(lambda document: document.update(notices)))
    told: list[str] = []

    with shown_by(told.append):
        for _ in range(3):
            ask()

    assert told == ["Cloudflare says: A text", "Cloudflare says: Ends soon (code 1)"]


def test_a_server_that_says_something_else_each_time_is_told_five_times(
    ask: Asking, simulator: Simulator
) -> None:
    simulator.faults.append(
        edit(lambda document: document.update(messages=[f"Notice {len(simulator.requests)}"]))
    )
    told: list[str] = []

    with shown_by(told.append):
        for _ in range(9):
            ask()

    assert told == [f"Cloudflare says: Notice {number}" for number in range(1, 6)]


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_origin_is_not_followed(
    ask: Asking, simulator: Simulator, elsewhere: Simulator, code: int
) -> None:
    simulator.faults.append(status(code, b"", {"location": f"{elsewhere.base_url}/accounts"}))

    with pytest.raises(SettingsError, match="redirects") as caught:
        ask()

    assert "base_url" in caught.value.remedy
    assert elsewhere.requests == []
    assert len(simulator.requests) == 1


def test_a_redirect_to_the_same_origin_is_not_followed_either(ask: Asking, simulator: Simulator) -> None:
    simulator.faults.append(redirect(f"{simulator.base_url}/accounts"))

    with pytest.raises(SettingsError, match="redirects"):
        ask()

    assert len(simulator.requests) == 1


def test_an_address_where_nobody_listens_cannot_be_reached(account: Account) -> None:
    client = Client(TokenAuth("token"), f"http://127.0.0.1:{closed_port()}")

    with pytest.raises(TryLaterError, match="could not be reached") as caught:
        client.invoice_page(account.id, invoice_type="all", page=1)

    assert "network" in caught.value.remedy
    assert caught.value.ray == ""


def test_https_to_a_server_without_it_cannot_be_reached(simulator: Simulator, account: Account) -> None:
    client = Client(TokenAuth("token"), simulator.base_url.replace("http://", "https://"))

    with pytest.raises(TryLaterError, match="could not be reached"):
        client.invoice_page(account.id, invoice_type="all", page=1)


@pytest.fixture
def untrusted(tmp_path: Path) -> Iterator[str]:
    """The address of a server whose certificate nobody knows."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -keyout {} -out {}"
    subprocess.run(make.format(key, certificate).split(), check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        # Without a handshake in `accept`, a connection that fails in it is closed, too.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"https://localhost:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.skipif(which("openssl") is None, reason="there is no openssl to make a certificate")
def test_a_certificate_that_nobody_knows_names_the_setting_for_one(untrusted: str, account: Account) -> None:
    client = Client(TokenAuth("token"), untrusted)

    with pytest.raises(TryLaterError, match="certificate") as caught:
        client.invoice_page(account.id, invoice_type="all", page=1)

    assert "REQUESTS_CA_BUNDLE" in caught.value.remedy


def test_an_answer_that_does_not_come_names_the_setting_for_more_time(
    simulator: Simulator, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME__REQUEST_TIMEOUT", "0.05")
    monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", "1")
    simulator.faults.append(silence())

    with pytest.raises(TryLaterError, match="timed out") as caught:
        Asking(simulator, account)()

    assert "RUNTIME__REQUEST_TIMEOUT" in caught.value.remedy


# Answers of another shape


def move_invoices(document: Any) -> None:
    document["result"]["items"] = document["result"].pop("invoices")


def test_an_answer_that_is_not_json_is_told_by_its_type_and_size_without_its_content(
    ask: Asking, simulator: Simulator
) -> None:
    simulator.faults.append(html())

    with pytest.raises(ApiChangedError, match="text/html") as caught:
        ask()

    assert "<" not in str(caught.value)


# Base URLs


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://127.0.0.1@example.com",
        "https://user:pass@example.com",
        "https://user@example.com",
        "https://:pass@example.com",
        "https://example.com?x=1",
        "https://example.com#x",
        "https://",
        "https:///client/v4",
        "ftp://127.0.0.1",
        "file:///etc/passwd",
        "example.com",
        "//example.com",
        "",
        "https://[::1",
        "https://example.com:port",
        "https://example.com\\@127.0.0.1",
        "https://api..cloudflare.com/client/v4",
        f"https://{'a' * 64}.com",
    ],
)
def test_a_base_url_that_is_not_safe_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="base URL") as caught:
        Client(TokenAuth("token"), url)

    assert "pass" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.cloudflare.com/client/v4",
        "https://example.com:8443/proxy",
        "HTTPS://EXAMPLE.COM",
        "http://127.0.0.1:8080",
        "http://localhost:8080/client/v4",
        "http://[::1]:8080",
    ],
)
def test_https_and_loopback_are_fine(url: str) -> None:
    Client(TokenAuth("token"), url)


# Secrets


LOUD = {
    "refused": status(401),
    "redirected": redirect("http://127.0.0.1:9/"),
    "unavailable": status(503),
    "dropped": drop_connection(),
    "a web page": html(),
    "malformed": edit(move_invoices),
}


@pytest.mark.parametrize("fault", LOUD.values(), ids=LOUD)
@pytest.mark.parametrize("way", ["token", "key"])
def test_no_secret_is_in_an_error_or_its_traceback(
    simulator: Simulator, account: Account, fault: Fault, way: str
) -> None:
    auth = TokenAuth("s3cr3t") if way == "token" else KeyAuth("who@example.com", "s3cr3t")
    client = Client(auth, simulator.base_url)
    simulator.faults.append(fault)

    with pytest.raises(InvoiceSourceError) as caught:
        client.invoice_page(account.id, invoice_type="all", page=1)

    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + str(vars(caught.value))
    assert "s3cr3t" not in told
