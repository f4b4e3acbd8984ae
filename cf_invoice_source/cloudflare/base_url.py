"""Where a credential may be sent: over https, or to this machine."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from cf_invoice_source.errors import SettingsError
from cf_invoice_source.settings import BASE_URL

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def chosen_base_url(given: str | None) -> str:
    """Choose the base URL: the one given, else that of Cloudflare's environment name, else the real one."""
    return given or os.environ.get("CLOUDFLARE_BASE_URL") or BASE_URL


def safe_base_url(base_url: str) -> str:
    """Return a base URL without a slash at its end.

    Raises:
        SettingsError: It is neither https nor on this machine, or holds more than an address and a path.
    """
    if _is_safe(base_url):
        return base_url.rstrip("/")
    raise SettingsError(
        "The base URL must be an https:// address (http:// only on this machine), without user or query.",
        remedy="correct base_url or CLOUDFLARE_BASE_URL, or leave it out",
    )


def is_on_this_machine(base_url: str) -> bool:
    """Whether requests to a base URL do not leave this machine."""
    return urlsplit(base_url).hostname in _LOOPBACK


def _is_safe(base_url: str) -> bool:
    try:
        parts = urlsplit(base_url)
        is_address = bool((parts.hostname or "").encode("idna")) and parts.port != 0
    except ValueError:  # half a bracket, two dots, or a port that is no number
        return False
    is_private = parts.scheme == "https" or (parts.scheme == "http" and is_on_this_machine(base_url))
    return is_private and is_address and not ("@" in parts.netloc or parts.query or parts.fragment)
