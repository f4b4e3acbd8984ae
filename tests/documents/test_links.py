"""Only https, only to hosts of the list: a link is a stranger's."""

from typing import Any

import pytest

from cf_invoice_source import SettingsError
from cf_invoice_source.documents.links import read_hosts, refusal_of
from cf_invoice_source.settings import DOCUMENT_HOSTS

ALLOWED = [
    "https://pay.stripe.com/invoice/acct_1/live_1/pdf?s=ap",
    "https://PAY.Stripe.com./x",
    "https://stripe.com:443/x",
    "https://a.b.files.stripe.com/x",
]
REFUSED = {
    "http": "http://pay.stripe.com/x",
    "another host": "https://evil.example/x",
    "a name that ends alike": "https://evilstripe.com/x",
    "a name that begins alike": "https://stripe.com.evil.example/x",
    "a user that looks like a host": "https://pay.stripe.com@evil.example/x",
    "a user": "https://user:password@pay.stripe.com/x",
    "a port": "https://pay.stripe.com:8443/x",
    "a backslash": "https://evil.example\\@pay.stripe.com/x",
    "this machine": "http://127.0.0.1:8080/x",
    "this machine over https": "https://localhost/x",
    "the cloud's own data": "http://169.254.169.254/latest/meta-data",
    "a file": "file:///etc/passwd",
    "no scheme": "pay.stripe.com/x",
    "a line end": "https://pay.stripe.com/x\r\nAuthorization: y",
    "a space": "https://pay.stripe.com/x y",
    "letters that look alike": "https://pay.str\u0456pe.com/x",
    "half a bracket": "https://[::1/x",
    "nothing": "",
    "a long one": "https://pay.stripe.com/" + "x" * 10_000,
}


@pytest.mark.parametrize("link", ALLOWED)
def test_stripes_links_may_be_followed(link: str) -> None:
    assert refusal_of(link, DOCUMENT_HOSTS, is_here_allowed=False) == ""


@pytest.mark.parametrize("link", REFUSED.values(), ids=REFUSED)
def test_others_may_not_and_are_not_repeated(link: str) -> None:
    reason = refusal_of(link, DOCUMENT_HOSTS, is_here_allowed=False)

    assert reason
    assert not link or link not in reason
    assert "/x" not in reason


def test_the_simulators_links_lead_to_this_machine() -> None:
    for link in ("http://127.0.0.1:1/x", "http://localhost/x", "https://[::1]:1/x"):
        assert refusal_of(link, (), is_here_allowed=True) == ""
    assert refusal_of("ftp://127.0.0.1/x", (), is_here_allowed=True)
    assert refusal_of("http://127.0.0.2:80\\[::1]", (), is_here_allowed=True)


@pytest.mark.parametrize(
    ("given", "hosts"),
    [
        (None, DOCUMENT_HOSTS),
        ("stripe.com, Pay.Example.com", ("stripe.com", "pay.example.com")),
        (["docs.example.com."], ("docs.example.com",)),
    ],
)
def test_hosts_are_a_list_or_a_text_with_commas(given: Any, hosts: tuple[str, ...]) -> None:
    assert read_hosts(given) == hosts


@pytest.mark.parametrize(
    "given", ["", "https://stripe.com", "a b", ["x/y"], [1], 7, "stripe.com,", "*.stripe.com"]
)
def test_what_is_no_host_is_refused(given: Any) -> None:
    with pytest.raises(SettingsError, match="document_hosts makes no sense"):
        read_hosts(given)
