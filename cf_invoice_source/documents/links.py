"""Which links may be followed: they are a stranger's, and could lead anywhere."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from urllib3.util import Url, parse_url

from cf_invoice_source.cloudflare.credentials import is_on_this_machine
from cf_invoice_source.errors import SettingsError
from cf_invoice_source.redaction import readable
from cf_invoice_source.settings import DOCUMENT_HOSTS

_HOST = re.compile(r"([a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}")
_HTTPS_PORT = 443
_LONGEST_LINK = 8_000
_LONGEST_HOST = 100


def read_hosts(given: Any) -> tuple[str, ...]:
    """Read the setting `document_hosts`: a list, or one text with commas; the default for none."""
    if given is None:
        return DOCUMENT_HOSTS
    texts = given.split(",") if isinstance(given, str) else given
    if not (isinstance(texts, Collection) and all(isinstance(each, str) for each in texts)):
        raise _wrong_hosts()
    hosts = tuple(each.strip().strip(".").lower() for each in texts)
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise _wrong_hosts()
    return hosts


def refusal_of(link: str, hosts: Collection[str], *, is_here_allowed: bool) -> str:
    """Say why a link must not be followed; empty if it may be.

    The link itself is not repeated: whoever has it opens the document.

    Args:
        link: As Cloudflare, or a redirect, gave it.
        hosts: The hosts that are allowed, each with its sub-domains.
        is_here_allowed: Whether this machine is, too, and http to it.
    """
    parts = _parsed(link) if len(link) <= _LONGEST_LINK and link.isprintable() and link.isascii() else Url()
    host = (parts.host or "").rstrip(".")
    if not host or parts.auth or set(link) & set(" \\"):
        return "its link is not an address that can be followed"
    if is_on_this_machine(link) and is_here_allowed:
        return "" if parts.scheme in {"http", "https"} else "its link is neither http nor https"
    if parts.scheme != "https":
        return "its link is not https"
    if parts.port not in {None, _HTTPS_PORT}:
        return "its link names a port"
    if not any(host == each or host.endswith(f".{each}") for each in hosts):
        return f"its link leads to a host that is not on the list: {readable(host[:_LONGEST_HOST])}"
    return ""


def _parsed(link: str) -> Url:
    try:
        return parse_url(link)  # urllib3 connects, and another parser may read the link differently
    except ValueError:
        return Url()


def _wrong_hosts() -> SettingsError:
    return SettingsError(
        "document_hosts makes no sense.",
        remedy='name hosts without https:// and without a path, such as ["stripe.com"]',
    )
