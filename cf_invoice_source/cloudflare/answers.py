"""From a decoded answer to a page of records, or to a refusal that says what is wrong with it.

The shape is that of Cloudflare's published schema. An answer counts as a page only when the envelope says
success and the list is there: a failure that looks like "no rows" would end a walk quietly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from cf_invoice_source.exact_json import DuplicateKeys, HugeNumber
from cf_invoice_source.walk.page import Page

Result = TypeVar("Result", dict[str, Any], list[Any])


@dataclass(frozen=True, slots=True)
class Failed:
    """The API says that the request failed: its own codes and messages."""

    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Malformed:
    """The answer is JSON, but not of the published shape."""

    what: str


def read_page(document: Any, asked: int) -> Page[Any] | Failed | Malformed:
    """Read an answer of "Get invoice history" to the request for page `asked`."""
    result = read_result(document, dict)
    if isinstance(result, Failed | Malformed):
        return result
    records = result.get("invoices")
    if not isinstance(records, list):
        return Malformed(f"result.invoices should be a list, but is {_kind(records)}")
    pagination = result.get("pagination")
    if not isinstance(pagination, Mapping):
        return Malformed(f"result.pagination should be an object, but is {_kind(pagination)}")
    has_more = pagination.get("has_more")
    if not isinstance(has_more, bool):
        return Malformed(f"pagination.has_more should be true or false, but is {_kind(has_more)}")
    counts = {}
    for name in ("page", "per_page", "total_count"):
        count = whole(pagination.get(name))
        if count is None:
            return Malformed(
                f"pagination.{name} should be a whole number, but is {_kind(pagination.get(name))}"
            )
        counts[name] = count
    return Page(asked, tuple(records), has_more, **counts)


def read_result(document: Any, shape: type[Result]) -> Result | Failed | Malformed:
    """Take the `result`, an object or a list, out of Cloudflare's envelope."""
    if not isinstance(document, Mapping):
        return Malformed(f"the answer should be an object, but is {_kind(document)}")
    success = document.get("success")
    if success is False:
        return Failed(tuple(read_errors(document)))
    if success is not True:
        return Malformed(f"success should be true or false, but is {_kind(success)}")
    result = document.get("result")
    if not isinstance(result, shape):
        return Malformed(f"result should be {_KINDS[shape]}, but is {_kind(result)}")
    return result


def read_errors(document: Any) -> Iterable[str]:
    """Say what an error envelope says, as "message (code)", whatever of it is there."""
    errors = document.get("errors") if isinstance(document, Mapping) else None
    for error in errors[:_MOST_ERRORS] if isinstance(errors, list) else ():
        if isinstance(error, Mapping):
            message, code = error.get("message", "no message"), error.get("code", "unknown")
            yield f"{readable(message)} (code {readable(code)})"


def readable(value: Any) -> str:
    """Write what a server says so that a screen and every database take it: one short line, all printable."""
    text = str(value)
    shown = "".join(char if char.isprintable() else " " for char in text[:_LONGEST_LINE])
    return shown if len(text) <= _LONGEST_LINE else f"{shown}..."


_MOST_ERRORS = 5
_LONGEST_LINE = 300


def whole(value: Any) -> int | None:
    """Read a whole number, however JSON spells it; None if it is none, or absurdly long."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    if isinstance(value, Decimal) and (not value.is_finite() or value.adjusted() > _MAX_DIGITS):
        return None
    number = int(value)
    return number if number == value and abs(number) < 10**_MAX_DIGITS else None


_MAX_DIGITS = 18
"""So many a BIGINT surely holds."""


def _kind(value: Any) -> str:
    """Name a JSON value's kind without showing the value."""
    if value is None:
        return "null or missing"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | Decimal | HugeNumber):
        return "a number of another kind"
    return _KINDS[type(value)]


_KINDS: Mapping[type, str] = {
    str: "a string",
    list: "a list",
    dict: "an object",
    DuplicateKeys: "an object that names a field twice",
}


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
