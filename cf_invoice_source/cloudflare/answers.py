"""Reads a decoded answer in the shape of Cloudflare's schema, or says what is wrong with it."""

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

_MOST_ENTRIES = 5
_MAX_DIGITS = 18  # a BIGINT holds any number of so many digits


@dataclass(frozen=True, slots=True)
class ApiMessage:
    """A message in Cloudflare's envelope, and its code; either may be missing."""

    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.message} (code {self.code})" if self.code else self.message


@dataclass(frozen=True, slots=True)
class Failed:
    """The API says that the request failed; `errors` says why."""

    errors: tuple[ApiMessage, ...]


@dataclass(frozen=True, slots=True)
class Malformed:
    """The answer is JSON, but does not have the published shape; `what` says where."""

    what: str


@dataclass(frozen=True, slots=True)
class Token:
    """An API token's status: active, disabled or expired. `expires_on` is as sent; empty for never."""

    status: str
    expires_on: str


def read_page(  # noqa: PLR0911 - each return is for another fault
    document: Any, asked: int
) -> Page[Any] | Failed | Malformed:
    """Read an answer of "Get invoice history" to a request for page `asked`."""
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
    """Return the `result`, an object or a list, from Cloudflare's envelope."""
    if not isinstance(document, Mapping):
        return _malformed("the answer", "an object", document)
    # `success` must be there: a failure that looks like "no rows" would end a walk without an error.
    success, result = document.get("success"), document.get("result")
    if success is False:
        return Failed(tuple(read_errors(document)))
    if success is not True:
        return _malformed("success", "true or false", success)
    return result if isinstance(result, shape) else _malformed("result", _KINDS[shape], result)


def read_errors(document: Any) -> Iterable[ApiMessage]:
    """Read the errors of an envelope, each with those in its `error_chain`; skip what is malformed."""
    for error in _entries(document, "errors"):
        yield ApiMessage(readable(error.get("code", "unknown")), readable(error.get("message", "no message")))
        for cause in _entries(error, "error_chain"):
            yield ApiMessage(readable(cause.get("code", "unknown")), readable(cause.get("message", "")))


def read_notices(document: Any) -> Iterable[ApiMessage]:
    """Read the messages of a successful envelope, such as a notice of deprecation."""
    for name in ("errors", "messages"):
        for entry in _entries(document, name):
            if text := readable(entry.get("message") or ""):
                yield ApiMessage(readable(entry.get("code") or ""), text)


def _entries(holder: Any, name: str) -> list[Mapping[str, Any]]:
    """Give the first objects of a list; a text is read as an object with that message."""
    listed = holder.get(name) if isinstance(holder, Mapping) else None
    entries = listed[:_MOST_ENTRIES] if isinstance(listed, list) else []
    entries = [{"message": entry} if isinstance(entry, str) else entry for entry in entries]
    return [entry for entry in entries if isinstance(entry, Mapping)]


def whole(value: Any) -> int | None:
    """Read a whole number in any JSON spelling; None if it is not one, or has too many digits."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    if isinstance(value, Decimal) and (not value.is_finite() or value.adjusted() > _MAX_DIGITS):
        return None
    number = int(value)
    return number if number == value and abs(number) < 10**_MAX_DIGITS else None


def _malformed(name: str, should: str, value: Any) -> Malformed:
    """Say what kind of JSON value was found, without showing the value."""
    return Malformed(f"{name} should be {should}, but is {_KINDS[type(value)]}")
