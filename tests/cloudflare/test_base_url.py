"""The address that is checked is the address that is contacted, whatever a base URL looks like."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cf_invoice_source import InvoiceSourceError, SettingsError
from cf_invoice_source.cloudflare.client import Client
from cf_invoice_source.cloudflare.credentials import TokenAuth, safe_base_url

pytestmark = pytest.mark.usefixtures("dlt_here")

HOSTS = [
    "127.0.0.1",
    "localhost",
    "[::1]",
    "127.0.0.2",
    "evil.example",
    "bücher.example",
    "127.0.0.1.example",
]
BETWEEN = [
    "",
    "/",
    "\\",
    "@",
    "#",
    "?",
    ":",
    ":80",
    ":443",
    "%",
    "%2f",
    "..",
    ".",
    " ",
    "\t",
    "\n",
    "\x00",
    "ﬃ",
    "①",
    "。",
]
URLS = st.builds(
    lambda scheme, parts: scheme + "".join(parts),
    st.sampled_from(["http://", "https://", "HTTP://", "http:/", "http:\\\\", "//", "", " http://"]),
    st.lists(st.sampled_from(HOSTS + BETWEEN) | st.text(max_size=2), min_size=1, max_size=6),
)


@pytest.fixture
def contacted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts that a connection was tried to; no connection is made."""
    hosts: list[str] = []

    def refuse(address: tuple[str, int], *_rest: object, **_more: object) -> socket.socket:
        hosts.append(address[0].strip("[]"))
        raise OSError("not here")

    monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("urllib3.util.connection.create_connection", refuse)
    return hosts


@example(url="http://127.0.0.2:80\\[::1]")
@example(url="http://127.0.0.2\\@127.0.0.1")
@example(url="http://127.0.0.1\\.evil.example")
@example(url="http://evil.example#@127.0.0.1")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(url=URLS)
def test_the_host_that_is_contacted_is_the_host_that_was_checked(contacted: list[str], url: str) -> None:
    contacted.clear()
    try:
        checked = urlsplit(safe_base_url(url))
    except SettingsError:
        with pytest.raises(SettingsError):
            Client(TokenAuth("token"), url)
        return

    with pytest.raises(InvoiceSourceError, match="could not be reached"):
        Client(TokenAuth("token"), url).invoice_page("0" * 32, "all", 1)

    assert contacted == [checked.hostname]
    assert checked.scheme == "https" or contacted[0] in {"127.0.0.1", "localhost", "::1"}


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.2:80\\[::1]",
        "https://api.cloudflare.com\\@evil.example",
        "https://api.cloudflare.com/\r\nX-Evil: 1",
        "https://api.cloudflare.com/\x00",
        " https://api.cloudflare.com",
        "https://api.cloudflare.com\n",
        "https://[fe80::1%25eth0]/",
    ],
)
def test_a_base_url_with_a_backslash_or_a_control_character_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="base URL"):
        Client(TokenAuth("token"), url)


def test_a_base_url_is_contacted_as_it_was_read() -> None:
    assert (
        safe_base_url("HTTPS://API.Cloudflare.com:443/client/v4/")
        == "https://api.cloudflare.com:443/client/v4"
    )
    assert safe_base_url("https://bücher.example/ä") == "https://xn--bcher-kva.example/%C3%A4"
