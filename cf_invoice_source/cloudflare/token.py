"""What Cloudflare says of an API token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cf_invoice_source.cloudflare.answers import Failed, Malformed, read_result


@dataclass(frozen=True, slots=True)
class Token:
    """An API token, without the token.

    Attributes:
        status: active, disabled or expired.
        expires_on: Until when it is valid, as Cloudflare writes it; empty for no end.
    """

    status: str
    expires_on: str


def read_token(document: Any) -> Token | Failed | Malformed:
    """Read an answer of `GET /user/tokens/verify`, or of an account's."""
    result = read_result(document, dict)
    if isinstance(result, Failed | Malformed):
        return result
    status, expires_on = result.get("status"), result.get("expires_on")
    if not isinstance(status, str):
        return Malformed("result.status should be a string")
    return Token(status, expires_on if isinstance(expires_on, str) else "")
