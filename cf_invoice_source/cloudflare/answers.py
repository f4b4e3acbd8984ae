"""From a decoded answer, in the shape of Cloudflare's schema, to what it tells or what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from cf_invoice_source.exact_json import DuplicateKeys, HugeNumber
from cf_invoice_source.redaction import readable
from cf_invoice_source.settings import MAX_PAGE_RECORDS
from cf_invoice_source.walk.page import Page

Result = TypeVar("Result", dict[str, Any], list[Any])

_KINDS: Mapping[type, str] = {
    str: "a string",
    list: "a list",
    dict: "an object",
    DuplicateKeys: "an object that names a field twice",
    bool: "a boolean",
    type(None): "null or missing",
    **dict.fromkeys((int, Decimal, HugeNumber), "a number of another kind"),
}

_MAX_DIGITS = 18  # so many a BIGINT surely holds


@dataclass(frozen=True, slots=True)
class Failed:
    """The API says that the request failed: its own codes and messages."""

    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Malformed:
    """The answer is JSON, but not of the published shape."""

    what: str


@dataclass(frozen=True, slots=True)
class Token:
    """An API token's status, active, disabled or expired; and until when, as sent, or empty for no end."""

    status: str
    expires_on: str


def read_page(  # noqa: PLR0911 - each is another thing that can be wrong
    document: Any, asked: int
) -> Page[Any] | Failed | Malformed:
    """Read an answer of "Get invoice history" to the request for page `asked`."""
    result = read_result(document, dict)
    if isinstance(result, Failed | Malformed):
        return result
    records, pagination = result.get("invoices"), result.get("pagination")
    if not isinstance(records, list):
        return _malformed("result.invoices", "a list", records)
    if len(records) > MAX_PAGE_RECORDS:
        return Malformed(f"one page has more than {MAX_PAGE_RECORDS:,} records")
    if not isinstance(pagination, Mapping):
        return _malformed("result.pagination", "an object", pagination)
    has_more = pagination.get("has_more")
    if not isinstance(has_more, bool):
        return _malformed("pagination.has_more", "true or false", has_more)
    counts = {}
    for name in ("page", "per_page", "total_count"):
        count = whole(pagination.get(name))
        if count is None:
            return _malformed(f"pagination.{name}", "a whole number", pagination.get(name))
        counts[name] = count
    return Page(asked, tuple(records), has_more, **counts)


def read_token(document: Any) -> Token | Failed | Malformed:
    """Read an answer of `GET /user/tokens/verify`, or of an account's."""
    result = read_result(document, dict)
    if isinstance(result, Failed | Malformed):
        return result
    status, expires_on = result.get("status"), result.get("expires_on")
    if not isinstance(status, str):
        return Malformed("result.status should be a string")
    return Token(readable(status), readable(expires_on) if isinstance(expires_on, str) else "")


def read_result(document: Any, shape: type[Result]) -> Result | Failed | Malformed:
    """Take the `result`, an object or a list, out of Cloudflare's envelope."""
    if not isinstance(document, Mapping):
        return _malformed("the answer", "an object", document)
    # Success has to be said: a failure that looks like "no rows" would end a walk quietly.
    success, result = document.get("success"), document.get("result")
    if success is False:
        return Failed(tuple(read_errors(document)))
    if success is not True:
        return _malformed("success", "true or false", success)
    return result if isinstance(result, shape) else _malformed("result", _KINDS[shape], result)


def read_errors(document: Any) -> Iterable[str]:
    """Say what an error envelope says, as "message (code)", whatever of it is there."""
    errors = document.get("errors") if isinstance(document, Mapping) else None
    for error in errors[:5] if isinstance(errors, list) else ():
        if isinstance(error, Mapping):
            message, code = error.get("message", "no message"), error.get("code", "unknown")
            yield f"{readable(message)} (code {readable(code)})"


def whole(value: Any) -> int | None:
    """Read a whole number, however JSON spells it; None if it is none, or absurdly long."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    if isinstance(value, Decimal) and (not value.is_finite() or value.adjusted() > _MAX_DIGITS):
        return None
    number = int(value)
    return number if number == value and abs(number) < 10**_MAX_DIGITS else None


def _malformed(name: str, should: str, value: Any) -> Malformed:
    """Name the kind of a JSON value without showing it."""
    return Malformed(f"{name} should be {should}, but is {_KINDS[type(value)]}")
