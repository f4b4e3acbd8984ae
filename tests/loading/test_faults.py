"""Whatever a network, an edge or a changed API answers: it loads exactly, is set aside, or fails clearly.

The table is at the top, one promise for each row below. All rows share three loads, over real HTTP: a healthy
one, one in which everything goes wrong at once, each in an account of its own, and a healthy one again.
"""

from __future__ import annotations

import copy
import gzip
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pytest
import simplejson

from cf_invoice_source import ApiChangedError, InvoiceSourceError, SettingsError, TryLaterError
from cf_invoice_source.cloudflare.client import Client
from cf_invoice_source.cloudflare.credentials import TokenAuth
from cf_invoice_source.loading.report import Outcome
from cf_invoice_source.simulator import Account, Answer, Fault, Simulator, World
from cf_invoice_source.simulator.faults import (
    body,
    cut_body,
    cut_chunks,
    cut_gzip,
    cut_json,
    docs_example,
    drip,
    drop_connection,
    edit,
    encoded,
    failed_envelope,
    html,
    ignore_page,
    rate_limited,
    redirect,
    reset_in_body,
    reset_in_head,
    silence,
    status,
    wire,
)
from tests.conftest import Naps
from tests.support.make import CREATED_S, MISSING, expected_row, make_invoice, make_invoices
from tests.support.places import settled


@dataclass(frozen=True)
class Fails:
    """The account fails, and its table stays as it was."""

    kind: type[InvoiceSourceError]
    cause: str
    remedy: str
    has_ray: bool = True


@dataclass(frozen=True)
class Loads:
    """The list is loaded exactly; without proof if there is a doubt."""

    doubt: str = ""


def unreachable(cause: str) -> Fails:
    return Fails(TryLaterError, f"could not be reached: .*{cause}", "check the network", has_ray=False)


def malformed(what: str) -> Fails:
    return Fails(ApiChangedError, what, "report it with the cf-ray")


def unavailable(code: int) -> Fails:
    return Fails(TryLaterError, f"HTTP {code}", "run again in a few minutes")


NOT_JSON = Fails(ApiChangedError, "is not JSON", "base URL and the proxy")
REDIRECTS = Fails(SettingsError, "redirects", "set base_url")
PAGING = Fails(ApiChangedError, "paging makes no sense", "run again", has_ray=False)


def said(**fields: Any) -> Fault:
    """Let the envelope say something else."""
    return edit(lambda document: document.update(fields))


def without(*path: str) -> Fault:
    def change(document: Any) -> None:
        for name in path[:-1]:
            document = document[name]
        del document[path[-1]]

    return edit(change)


def paged(**facts: Any) -> Fault:
    """Let `pagination` say something else; a function gets what it says in truth."""

    def change(document: Any) -> None:
        told = document["result"]["pagination"]
        told.update({name: fact(told[name]) if callable(fact) else fact for name, fact in facts.items()})

    return edit(change)


def rewritten(change: Callable[[bytes], bytes]) -> Fault:
    """Change the bytes of a body."""
    return encoded(change, None)


def in_utf(name: str) -> Fault:
    return rewritten(lambda content: content.decode().encode(name))


def wrong_length(content: bytes) -> Fault:
    return Fault(lambda _request, _answering: Answer(200, content, promised_bytes=len(content) - 2))


def of_types(*values: Any) -> tuple[Any, ...]:
    return values


def failed(errors: Any, code: int = 200) -> Fault:
    document = {"success": False, "errors": errors, "messages": [], "result": None}
    return status(code, json.dumps(document).encode(), {"content-type": "application/json"})


LAST_PAGE = 3

NETWORK: dict[str, tuple[Fault, Fails | Loads]] = {
    "closed without an answer": (drop_connection(), unreachable("closed connection")),
    "reset in the head": (reset_in_head(), unreachable("reset by peer|aborted")),
    "reset in the body": (reset_in_body(), unreachable("")),
    "cut in the head": (wire(lambda whole: [whole[:30]]), replace(NOT_JSON, has_ray=False)),
    "never a word": (silence(), unreachable("timed out|timeout")),
    "a body that drips": (drip(0.005), unreachable("too slow")),
    "a head that is none": (wire(lambda _whole: [b"SSH-2.0-OpenSSH\r\n"]), unreachable("")),
    "a status that is no number": (wire(lambda whole: [b"HTTP/1.1 OK\r\n\r\n" + whole]), unreachable("")),
    "too many headers": (
        wire(lambda _whole: [b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20_000]),
        unreachable(""),
    ),
    "a line without end": (wire(lambda _whole: [b"HTTP/1.1 200 OK\r\na: " + b"b" * 70_000]), unreachable("")),
    "cut in the body": (cut_body(), unreachable("")),
    "cut between chunks": (cut_chunks(), unreachable("")),
    "a content-length too short": (wrong_length(b'{"success": true}'), NOT_JSON),
    "a content-encoding that is not so": (encoded(lambda content: content, "gzip"), unreachable("")),
    "compressed": (encoded(gzip.compress, "gzip"), Loads()),
    "compressed, and cut": (cut_gzip(), NOT_JSON),
    "an encoding that nobody knows": (encoded(gzip.compress, "x-unknown"), NOT_JSON),
}

BODIES: dict[str, tuple[Fault, Fails | Loads]] = {
    "empty": (body(b""), NOT_JSON),
    "white space": (body(b" \r\n\t "), NOT_JSON),
    "a web page": (html(), NOT_JSON),
    "cut JSON": (cut_json(), NOT_JSON),
    "garbage behind": (rewritten(lambda content: content + b"garbage}"), NOT_JSON),
    "white space behind": (rewritten(lambda content: content + b" \r\n"), Loads()),
    "two documents": (rewritten(lambda content: content * 2), NOT_JSON),
    "lines of documents": (body(b"{}\n{}"), NOT_JSON),
    "an object in a list": (body(b"[{}]  \n {}"), NOT_JSON),
    "a byte order mark": (rewritten(lambda content: b"\xef\xbb\xbf" + content), Loads()),
    "invalid UTF-8": (rewritten(lambda content: content.replace(b"AI Gateway", b"AI \xff\xfe")), NOT_JSON),
    "UTF-16": (in_utf("utf-16"), Loads()),
    "UTF-16, big endian": (in_utf("utf-16-be"), Loads()),
    "UTF-32": (in_utf("utf-32"), Loads()),
    "a NUL in a text, as it is": (rewritten(lambda body: body.replace(b"Gateway", b"Gate\0way")), NOT_JSON),
    "a trailing comma": (rewritten(lambda body: body[:-1] + b",}"), NOT_JSON),
    "single quotes": (rewritten(lambda body: body.replace(b'"', b"'")), NOT_JSON),
    "nested deeper than Python reads": (body(b'{"a":' * 90_000 + b"1" + b"}" * 90_000), NOT_JSON),
    "nested deeper than we read": (body(b'{"a":' * 300 + b"1" + b"}" * 300), NOT_JSON),
    "4 MB around it": (said(messages=["x" * 4_000_000]), Loads()),
    "10 MB around it": (said(messages=["x" * 10**7]), unreachable("longer than 4,194,304 bytes")),
    "4 MB of nothing": (body(b" " * 4_000_000), NOT_JSON),
    "many values in few bytes": (said(messages=[[]] * 110_000), malformed("more than 100,000 values")),
}

STATUSES: dict[str, tuple[Fault, Fails | Loads]] = {
    **{f"{code}": (status(code), unavailable(code)) for code in (500, 501, 502, 503, 504, 505, 511, 599)},
    **{f"{code} of the edge": (status(code), unavailable(code)) for code in range(520, 531)},
    **{
        f"{code} away": (status(code, b"", {"location": "https://evil.example.com/"}), REDIRECTS)
        for code in (301, 302, 303, 307, 308)
    },
    **{
        f"redirect to {where!r}": (redirect(where), REDIRECTS)
        for where in ("", "/client/v4", "//evil.example.com", "http://[::1", "http://a:b", "\xff", "ftp://x")
    },
    "301 without an address": (status(301), REDIRECTS),
    **{
        f"{code}": (status(code, b""), Fails(ApiChangedError, f"HTTP {code}", "report it with the cf-ray"))
        for code in (201, 202, 203, 204, 205, 300, 304, 305, 402, 405, 406, 408, 409, 410, 418, 422, 451)
    },
    "206 with half of it": (
        Fault(
            lambda _request, _answering: Answer(206, b'{"success": true', {"content-range": "bytes 0-15/99"})
        ),
        malformed("HTTP 206"),
    ),
    **{
        f"{code} as a web page": (
            status(code),
            Fails(SettingsError, f"HTTP {code}", "base URL and the proxy"),
        )
        for code in (400, 401, 403, 404, 405)
    },
    "400": (failed([], 400), Fails(SettingsError, "HTTP 400", "the account ID")),
    "401": (failed([], 401), Fails(SettingsError, "HTTP 401", "complete, active and not expired")),
    "403": (failed([], 403), Fails(SettingsError, "HTTP 403", "AI Gateway Read")),
    "404": (failed([], 404), Fails(SettingsError, "HTTP 404", "32 hexadecimal characters")),
    "429 for ever": (rate_limited("0"), Fails(TryLaterError, "throttling", "run again in a few minutes")),
    "429 for a day": (
        rate_limited("86400"),
        Fails(TryLaterError, "throttling", "run again in a few minutes"),
    ),
    "a status that nobody knows": (status(799), unavailable(799)),
}

ENVELOPES: dict[str, tuple[Fault, Fails | Loads]] = {
    **{
        f"success is {value!r}": (said(success=value), malformed("success should be true or false"))
        for value in of_types(None, "true", "false", 0, 1, [], {})
    },
    "no success": (without("success"), malformed("success should be true or false, but is null or missing")),
    "failed with 200": (failed_envelope(7000, "No luck"), malformed(r"No luck \(code 7000\)")),
    **{
        f"failed, errors {errors!r:.40}": (failed(errors), malformed("refused the request: "))
        for errors in of_types(None, [], {}, "no", 3, [None], ["no"], [{}], [{"code": [], "message": {}}])
    },
    "failed with NUL, ESC and half of a pair": (
        failed([{"code": "\x00", "message": "\x00\x1b[2J\ud800\uf0261"}]),
        malformed("refused the request: "),
    ),
    "failed with 4 MB": (
        failed([{"code": 1, "message": "x" * 2_000_000}] * 2),
        malformed(r"xxx\.\.\. \(code 1\)"),
    ),
    "failed with a thousand errors": (failed([{"code": 1, "message": "no"}] * 1000), malformed("no")),
    "refused in words of its own": (
        failed([{"message": "\x00 no"}], 403),
        Fails(SettingsError, "no", "AI Gateway"),
    ),
    **{
        f"result is {value!r}": (said(result=value), malformed("result should be an object"))
        for value in (None, [], "x", 0, True, [make_invoice()])
    },
    "no result": (without("result"), malformed("result should be an object, but is null or missing")),
    **{
        f"the answer is {text!r}": (body(text), malformed("the answer should be an object"))
        for text in (b"null", b"true", b"0", b'"text"', b"[]", b"NaN")
    },
    "an empty object": (body(b"{}"), malformed("success should be")),
    "a field of the envelope twice": (
        rewritten(lambda body: body.replace(b'"success": true', b'"success": true, "success": true')),
        malformed("names a field twice"),
    ),
    "no invoices": (without("result", "invoices"), malformed("result.invoices should be a list")),
    "the invoices are an object": (
        edit(lambda document: document["result"].update(invoices={"items": []})),
        malformed("result.invoices should be a list, but is an object"),
    ),
    "the invoices are null": (
        edit(lambda document: document["result"].update(invoices=None)),
        malformed("result.invoices should be a list"),
    ),
    "no pagination": (without("result", "pagination"), malformed("result.pagination should be an object")),
    "the pagination is a list": (
        edit(lambda document: document["result"].update(pagination=[])),
        malformed("result.pagination should be an object, but is a list"),
    ),
    "fields that nobody knows": (said(timing=3, messages=None, errors=None), Loads()),
    "no result_info": (without("result_info"), Loads()),
    "result_info at odds": (said(result_info={"page": 9, "per_page": -1, "total_count": "x"}), Loads()),
    "result_info is a text": (said(result_info="none"), Loads()),
}

COUNTS = ("page", "per_page", "total_count")

PAGINATION: dict[str, tuple[Fault, Fails | Loads]] = {
    **{
        f"{name} is {value!r}": (
            paged(**{name: value}),
            malformed(f"pagination.{name} should be a whole number"),
        )
        for name in COUNTS
        for value in of_types(None, "2", True, [], {}, Decimal("1.5"), Decimal("1E+400"))
    },
    **{
        f"no {name}": (without("result", "pagination", name), malformed(f"pagination.{name}"))
        for name in COUNTS
    },
    **{
        f"has_more is {value!r}": (
            paged(has_more=value),
            malformed("pagination.has_more should be true or false"),
        )
        for value in of_types(None, "true", 0, 1, [], {})
    },
    "no has_more": (without("result", "pagination", "has_more"), malformed("pagination.has_more")),
    **{f"{name} is negative": (paged(**{name: -1}), Loads()) for name in COUNTS},
    **{f"{name} is huge": (paged(**{name: 10**17}), Loads()) for name in COUNTS},
    **{
        f"{name} is more than a column holds": (
            paged(**{name: 10**30}),
            malformed(f"pagination.{name} should be a whole number"),
        )
        for name in COUNTS
    },
    "page is zero": (paged(page=0), Loads()),
    "per_page is zero": (paged(per_page=0), Loads()),
    "per_page is not that of the page": (paged(per_page=50), Loads()),
    "per_page is one too large": (paged(per_page=3), Loads()),
    "whole numbers with a point": (paged(page=lambda page: Decimal(f"{page}.0")), Loads()),
    "has_more is always true": (paged(has_more=True), Loads("says that more follow")),
    "has_more is always false": (paged(has_more=False), Loads()),
    "total_count is zero": (paged(total_count=0), Loads()),
    "total_count is one too large": (paged(total_count=lambda count: count + 1), Loads()),
    "total_count is one too small": (paged(total_count=lambda count: count - 1), Loads()),
    "the page number is ignored": (ignore_page(), PAGING),
    "the example of the documentation": (docs_example(), PAGING),
}

ON_THE_LAST_PAGE = {**NETWORK, **BODIES, **STATUSES, **ENVELOPES}
"""They come when page 1 and another have been read."""

FAULTS = {
    **{name: (fault.only(pages={LAST_PAGE}), end) for name, (fault, end) in ON_THE_LAST_PAGE.items()},
    **PAGINATION,
}


# Records

WRONG_TYPES: dict[str, Any] = {
    "text": "19.99",
    "number": 7,
    "fraction": Decimal("1.5"),
    "boolean": True,
    "list": [1],
    "object": {"a": 1},
}

AMOUNTS = ("amount_due", "amount_paid", "amount_remaining")

TAKES = {
    **dict.fromkeys((*AMOUNTS, "created"), ("text", "number", "fraction")),
    "currency": ("text",),
    **dict.fromkeys(("status", "created_by", "invoice_origin", "description"), ("text", "number")),
    "attempt_count": ("number",),
    "attempted": ("boolean",),
    "auto_advance": ("boolean",),
}
"""The documented fields but the id, and what each of them takes."""

LOADED: dict[str, dict[str, Any]] = {
    "nineteen ninety-nine": {"amount_due": Decimal("19.99")},
    "29 integer digits": {"amount_due": Decimal("9" * 29)},
    "9 fraction digits": {"amount_due": Decimal("0.123456789")},
    "all 38 digits": {"amount_due": Decimal("12345678901234567890123456789.123456789")},
    "more digits than a double has": {"amount_due": 9_007_199_254_740_993},
    "negative": {"amount_due": -2178, "amount_paid": Decimal("-0.01")},
    "with an exponent": {"amount_due": Decimal("1E+3")},
    "zero": {"amount_due": 0, "amount_paid": 0, "amount_remaining": Decimal("0.00")},
    "minus zero": {"amount_due": Decimal("-0"), "amount_paid": Decimal("-0.0")},
    "created null": {"created": None},
    "created missing": {"created": MISSING},
    "created at the epoch": {"created": 0},
    "created before the epoch": {"created": -86_400},
    "created in milliseconds": {"created": 1_767_225_600_123},
    "created with a fraction": {"created": Decimal("1767225600.0")},
    "created on the last second of a leap day": {"created": 1_709_251_199},
    "created in the year 1": {"created": -62_135_510_400},
    "created in the year 5138": {"created": 10**11 - 1},
    "all optional ones null": dict.fromkeys([*TAKES][4:])
    | {"currency": "usd", "amount_due": 1, "amount_paid": 1},
    "an empty text": {"description": ""},
    "emoji and quotes": {"description": "Ünïcödé 🙂 \"quoted\" 'single' \\ back, 中文, \u2028 \n\t end"},
    "text that looks like something else": {"description": "2026-01-01", "created_by": "null", "status": "1"},
    "control characters": {"description": "\x01\x1b[2J\x7f\x85\ufeff\uffff"},
    "dlt's mark alone": {"description": "\uf026"},
    "3 MB of text": {"description": "🙂" * 250_000},
    "a large count": {"attempt_count": 2**63 - 1},
    **{
        f"{field} as {kind}": {field: WRONG_TYPES[kind]}
        for field, kinds in TAKES.items()
        for kind in kinds
        if field != "currency"
    },
    "amounts as texts": {"amount_due": "2178", "amount_paid": "+19.99", "amount_remaining": "-0.000000001"},
    "flags as texts": {"attempted": "true", "auto_advance": "False"},
    "flags as numbers": {"attempted": 1, "auto_advance": 0},
    "flags as digits": {"attempted": "0", "auto_advance": "1"},
    "a count as a text": {"attempt_count": "3"},
    "created as digits": {"created": "1767225600"},
    "created as milliseconds in digits": {"created": "1767225600123"},
    "created in ISO 8601": {"created": "2026-01-01T00:00:00Z"},
    "created elsewhere": {"created": "2026-01-01T01:30:00.123456+01:30"},
    "created on a day": {"created": "2026-01-01"},
    "an id as a number": {"id": 7},
    "a long id": {"id": "in_" + "x" * 10_000},
    "an id with a quote": {"id": "in_'\"; DROP TABLE invoices; --%s{id}"},
}
"""Invoices that load as they are, by the fields that are special; some say the same in another JSON type."""

SET_ASIDE: dict[str, tuple[Any, str]] = {
    "a text": ("garbage", "the record is not an object"),
    "null": (None, "the record is not an object"),
    "a boolean": (False, "the record is not an object"),
    "a number": (42, "the record is not an object"),
    "an empty list": ([], "the record is not an object"),
    "an invoice in a list": ([make_invoice(id="in_list")], "the record is not an object"),
    "an empty object": ({}, "amount_due is missing"),
    "the envelope of an error": ({"code": 1, "message": "no"}, "amount_due is missing"),
    **{
        f"{field} {what}": ({field: value}, f"{field} is missing")
        for field in (*AMOUNTS, "currency")
        for what, value in (("missing", MISSING), ("null", None))
    },
    **{
        f"{field} as {kind}": ({field: value}, f"{field} is not ")
        for field in (*AMOUNTS, "currency")
        for kind, value in WRONG_TYPES.items()
        if kind not in TAKES[field]
    },
    "an empty currency": ({"currency": ""}, "currency is missing"),
    "10 fraction digits": (
        {"amount_due": Decimal("0.1234567891")},
        "amount_due has more than 9 digits after",
    ),
    "30 integer digits": ({"amount_due": 10**29}, "amount_due has more than 29 digits before"),
    "1e400": ({"amount_due": Decimal("1E+400")}, "amount_due has more than 29 digits before"),
    "1e-400": ({"amount_due": Decimal("1E-400")}, "amount_due has more than 9 digits after"),
}
"""Records that are no invoices, or the fields that make them so; and how the reason begins."""

WRITTEN: dict[str, tuple[str, str]] = {
    "NaN": ('"amount_due": NaN', "amount_due is not a finite number"),
    "Infinity": ('"amount_due": Infinity', "amount_due is not a finite number"),
    "-Infinity": ('"amount_due": -Infinity', "amount_due is not a finite number"),
    "an exponent beyond Decimal": (
        f'"amount_due": 1e{"9" * 30}',
        "amount_due has an exponent that no column holds",
    ),
    "5,000 digits": (f'"amount_due": 1{"0" * 5_000}', "amount_due has more than 29 digits before"),
    "an amount twice": ('"amount_due": 1, "amount_due": 2', "the record has the field amount_due twice"),
    "the same amount twice": (
        '"amount_due": 1, "amount_due": 1',
        "the record has the field amount_due twice",
    ),
}
"""What only bytes can say, in place of an invoice's amount; and how the reason begins."""

UNREAD: dict[str, dict[str, Any]] = {
    **{
        f"{field} as {kind}": {field: value}
        for field, kinds in TAKES.items()
        for kind, value in WRONG_TYPES.items()
        if kind not in kinds and field not in (*AMOUNTS, "currency")
    },
    "a count beyond 64 bits": {"attempt_count": 2**63},
    "created in the far future": {"created": 10**18},
    "created before the year 1": {"created": -(10**12)},
    "created finer than a microsecond": {"created": Decimal("1E-7")},
    "created some day": {"created": "yesterday"},
    "NUL in a text": {"description": "a\x00b"},
    "a lone surrogate": {"description": "\ud800"},
    "a lone surrogate in a name": {"\ud800": 1},
    "a text that begins with dlt's mark": {"description": "\uf0261.50"},
    "an unknown number": {"tax": {"rate": Decimal("1E+40")}},
    "an unknown number under a long name": {"x" * 10**6: 10**40},
    "an unknown number under an odd name": {"\uf026\x1b": 10**40},
    "nested 22 levels deep": {"deep": json.loads("[" * 22 + "]" * 22)},
    "nested 150 levels deep": {"deep": json.loads("[" * 150 + "]" * 150)},
}
"""Fields that no column can hold: they are null, and kept beside the others as they were sent."""

UNKNOWN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    **{f"unread: {name}": (fields, {"more_fields": fields}) for name, fields in UNREAD.items()},
    "a number, a text, a flag": (
        {"f1": Decimal("1.5"), "f2": "🙂", "f3": True},
        {"f1": Decimal("1.5"), "f2": "🙂", "f3": True},
    ),
    "an object": ({"f4": {"rate": 1, "place": {"state": "NY"}}}, {"f4__rate": 1, "f4__place__state": "NY"}),
    "a text that looks like a time": ({"f5": "2026-01-01T00:00:00Z"}, {"f5": "2026-01-01T00:00:00Z"}),
    "a number first": ({"kind_1": 1}, {"kind_1": 1}),
    "then a text that looks like one": ({"kind_1": "007"}, {"more_fields": {"kind_1": "007"}}),
    "then a text that would block the load": ({"kind_1": "NaN"}, {"more_fields": {"kind_1": "NaN"}}),
    "then a flag": ({"kind_1": True}, {"more_fields": {"kind_1": True}}),
    "a flag first": ({"kind_2": False}, {"kind_2": False}),
    "then a number that is not 0 or 1": ({"kind_2": 3}, {"more_fields": {"kind_2": 3}}),
    "a text first": ({"kind_3": "1"}, {"kind_3": "1"}),
    "then a number": ({"kind_3": Decimal("1.50")}, {"more_fields": {"kind_3": Decimal("1.5")}}),
    "names that become one": ({"a b": 1, "a_b": 2}, {"a_b": 1, "api_a_b": 2}),
    "names that become one column": (
        {"g1": {"bar": 1}, "g1__bar": 2},
        {"g1__bar": 1, "more_fields": {"g1__bar": 2}},
    ),
    "names that become one inside": (
        {"g2": {"a b": 1, "a_b": 2}},
        {"more_fields": {"g2": {"a b": 1, "a_b": 2}}},
    ),
    "lists that become one table": (
        {"g3": {"aB": [1], "a_b": [2]}},
        {"more_fields": {"g3": {"aB": [1], "a_b": [2]}}},
    ),
    "the names of ours": (
        {
            "account_id": "x",
            "rowHash": "x",
            "deleted": True,
            "version": "x",
            "change": "x",
            "observed_at": "x",
        },
        {
            "api_version": "x",
            "api_change": "x",
            "api_observed_at": "x",
            "api_account_id": "x",
            "api_row_hash": "x",
        },
    ),
    "the name of the column for the rest": ({"more_fields": "x"}, {"api_more_fields": "x"}),
    "an empty name": ({"": 1}, {"unnamed": 1}),
    "a name of white space": ({" ": 1}, {"more_fields": {" ": 1}}),
    "a name of signs": ({"__": 1}, {"more_fields": {"__": 1}}),
    "an empty name inside": ({"g4": {"": 1}}, {"more_fields": {"g4": {"": 1}}}),
    "a very long name": ({"y" * 100_000: 1}, {"more_fields": {"y" * 100_000: 1}}),
    "a long name inside": ({"g6": {"y" * 300: 1}}, {"more_fields": {"g6": {"y" * 300: 1}}}),
    "a name with a quote": ({'it\'s "quoted"; --': 1}, {"it_s_quotedxxx": 1}),
    "emoji for a name": ({"g5": {"🙂": 1, "🙁": 2}}, {"more_fields": {"g5": {"🙂": 1, "🙁": 2}}}),
    "as deep as it goes": ({"deep": json.loads('{"a":' * 20 + "1" + "}" * 20)}, {"deep" + "__a" * 20: 1}),
    "a list of everything": (
        {"list_1": [1, "1", True, None, [1], {"a": 1}]},
        {"more_fields": {"list_1": [1, "1", True, None, [1], {"a": 1}]}},
    ),
    "thousands of fields": ({f"many_{n}": n for n in range(3_000)}, {"many_0": 0}),
}
"""Fields that the published schema does not name, and what columns, or `more_fields`, must hold of them."""


def as_record(number: int, special: Any) -> Any:
    """An invoice with special fields; or what is none, as it is."""
    if not isinstance(special, dict) or not special or "code" in special:
        return special
    return make_invoice(**{"id": f"in_{number}", "created": CREATED_S - number, **special})


RECORDS: dict[str, Any] = {
    name: as_record(number, special)
    for number, (name, special) in enumerate(
        [
            *LOADED.items(),
            *((name, record) for name, (record, _) in SET_ASIDE.items()),
            *((name, fields) for name, (fields, _) in UNKNOWN.items()),
        ]
    )
}


class Written(str):
    """Stands in a list for an invoice that only bytes can say."""

    __slots__ = ()

    def record(self) -> str:
        return json.dumps(make_invoice(id=f"in_{self}")).replace('"amount_due": 2178', WRITTEN[self][0])


def write(content: bytes) -> bytes:
    for name in WRITTEN:
        content = content.replace(json.dumps(f"written {name}").encode(), Written(name).record().encode())
    return content


# What is there after each of the three loads


@dataclass(frozen=True, repr=False)
class Copy:
    """What the tables held after a load."""

    outcomes: dict[str, Outcome]
    invoices: dict[str, dict[str, dict[str, Any]]]
    rejects: list[dict[str, Any]]


@dataclass(repr=False)
class Loads3:
    """What the server listed for each row's account, and what each of the three loads made of it."""

    accounts: dict[str, Account]
    listed: list[dict[str, list[Any]]]
    copies: list[Copy]
    simulator: Simulator

    @cached_property
    def set_aside(self) -> dict[str, list[dict[str, Any]]]:
        """The rejects of the account "records" after the second load, by what was sent."""
        found: dict[str, list[dict[str, Any]]] = {}
        for held in self.copies[1].rejects:
            if held["account_id"] == self.accounts["records"].id:
                found.setdefault(as_read(held["raw"]), []).append(held)
        return found

    def truth(self, row: str, load: int) -> dict[str, dict[str, Any]]:
        account_id = self.accounts[row].id
        return {record["id"]: expected_row(account_id, record) for record in self.listed[load][row]}

    def copy(self, row: str, load: int) -> dict[str, dict[str, Any]]:
        rows = self.copies[load].invoices.get(self.accounts[row].id, {})
        names = expected_row("", make_invoice()).keys()
        return {key: {name: held[name] for name in names} for key, held in rows.items()}

    def outcome(self, row: str, load: int) -> Outcome:
        return self.copies[load].outcomes[self.accounts[row].id]


@pytest.fixture(scope="module")
def loads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loads3]:
    place = tmp_path_factory.mktemp("faults")
    world = World(seed=7)
    accounts = {row: world.add_account(row) for row in (*FAULTS, "records", "written")}
    for row in FAULTS:
        accounts[row].records += make_invoices(5)
        accounts[row].find("in_1").update(status="open", amount_paid=0)
    with settled(place, **IMPATIENT) as patch, Simulator(world, max_per_page=2) as simulator:
        simulator.quota = 10**9
        give_up_soon(patch)
        listed, copies = [], []
        with duckdb.connect(str(place / "warehouse.duckdb")) as database:
            for change in (leave_alone, everything_goes_wrong, mend):
                change(simulator, accounts)
                listed.append({row: copy.deepcopy(account.records) for row, account in accounts.items()})
                copies.append(load_all(simulator, place, database))
        everything_goes_wrong(simulator, accounts, again=True)
        yield Loads3(accounts, listed, copies, simulator)


IMPATIENT = {
    "RUNTIME__LOG_LEVEL": "CRITICAL",
    "RUNTIME__REQUEST_MAX_ATTEMPTS": "2",
    "RUNTIME__REQUEST_TIMEOUT": "0.8",
}


def give_up_soon(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("cf_invoice_source.cloudflare.transport.LONGEST_ATTEMPT_S", 1.0)
    naps = Naps()
    patch.setattr("cf_invoice_source.cloudflare.rate_limiter.sleep", naps.sleep)
    patch.setattr("cf_invoice_source.cloudflare.rate_limiter.monotonic", naps.clock)


def leave_alone(_simulator: Simulator, _accounts: dict[str, Account]) -> None:
    """Everything is healthy from the beginning."""


def everything_goes_wrong(simulator: Simulator, accounts: dict[str, Account], *, again: bool = False) -> None:
    """Switch on each row's fault, and let each list change: an invoice is paid, another is new."""
    for row, (fault, _) in FAULTS.items():
        simulator.faults.append(fault.only(pages=fault.pages, path=accounts[row].id))
        if not again:
            accounts[row].pay("in_1")
            accounts[row].records.insert(0, make_invoice(id="in_6", created=CREATED_S + 10**6))
    if not again:
        accounts["records"].records[:] = copy.deepcopy(list(RECORDS.values()))
        accounts["written"].records[:] = [f"written {name}" for name in WRITTEN]
        simulator.faults.append(rewritten(write).only(path=accounts["written"].id))


def mend(simulator: Simulator, accounts: dict[str, Account]) -> None:
    """Let the server be as it should, and put an invoice in place of each record that is none."""
    simulator.faults.clear()
    for row in ("records", "written"):
        listed = accounts[row].records
        for number in range(len(listed)):
            if row == "written" or number in range(len(LOADED), len(LOADED) + len(SET_ASIDE)):
                listed[number] = make_invoice(id=f"mended_{number}", created=CREATED_S - number)


def load_all(simulator: Simulator, place: Path, database: duckdb.DuckDBPyConnection) -> Copy:
    import dlt

    from cf_invoice_source import load

    pipeline = dlt.pipeline(
        "faults",
        pipelines_dir=str(place / "pipelines"),
        destination=dlt.destinations.duckdb(str(place / "warehouse.duckdb")),
        dataset_name="cf_invoices",
    )
    report = load(
        pipeline,
        account_id=list(simulator.world.accounts),
        base_url=simulator.base_url,
        credentials={"api_token": simulator.token},
    )
    invoices: dict[str, dict[str, dict[str, Any]]] = {}
    for row in table(database, "invoices"):
        invoices.setdefault(row["account_id"], {})[row["id"]] = row
    rejects = table(database, "invoice_rejects")
    return Copy({outcome.account_id: outcome for outcome in report.accounts}, invoices, rejects)


def table(database: duckdb.DuckDBPyConnection, name: str) -> list[dict[str, Any]]:
    found = database.execute(f"SELECT * FROM cf_invoices.{name}")  # noqa: S608 - names of ours
    columns = [column[0] for column in found.description]
    return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]


# The promise

FAILING = [row for row, (_, end) in FAULTS.items() if isinstance(end, Fails)]


@pytest.mark.parametrize("row", FAULTS)
def test_an_answer_loads_exactly_or_fails_clearly_and_leaves_the_table_as_it_was(
    loads: Loads3, row: str
) -> None:
    end = FAULTS[row][1]
    outcome = loads.outcome(row, 1)

    if isinstance(end, Fails):
        assert loads.copy(row, 1) == loads.truth(row, 0)
        assert outcome.invoices is None
        assert outcome.unverified_reason
    else:
        assert outcome.error == ""
        assert loads.copy(row, 1) == loads.truth(row, 1)
        assert end.doubt in outcome.unverified_reason
        assert bool(outcome.unverified_reason) == bool(end.doubt)


@pytest.mark.parametrize("row", FAILING)
def test_a_failure_says_its_cause_what_to_do_which_request_and_the_ray(loads: Loads3, row: str) -> None:
    end = FAULTS[row][1]
    assert isinstance(end, Fails)
    told = loads.outcome(row, 1).error

    lines = dict(line.split(": ", 1) for line in told.splitlines()[1:])
    assert re.search(end.cause, told.splitlines()[0])
    assert end.remedy in lines["Do"]
    assert ("cf-ray" in lines) == end.has_ray
    assert (loads.accounts[row].id in lines.get("Request", "")) == (end is not PAGING)
    assert told.replace("\n", "").isprintable()
    assert len(told) < 2_000


@pytest.mark.parametrize("row", [row for row in FAILING if FAULTS[row][1] is not PAGING])
def test_the_class_of_a_failure_says_what_the_caller_can_do(
    loads: Loads3, row: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = FAULTS[row][1]
    assert isinstance(end, Fails)
    for name, value in IMPATIENT.items():
        monkeypatch.setenv(name, value)
    give_up_soon(monkeypatch)
    client = Client(TokenAuth(loads.simulator.token), loads.simulator.base_url)

    with pytest.raises(end.kind) as caught:
        client.invoice_page(loads.accounts[row].id, "all", LAST_PAGE)

    assert type(caught.value) is end.kind


@pytest.mark.parametrize("row", FAULTS)
def test_the_next_healthy_run_is_exact(loads: Loads3, row: str) -> None:
    outcome = loads.outcome(row, 2)

    assert (outcome.error, outcome.unverified_reason, outcome.rejected) == ("", "", 0)
    assert loads.copy(row, 2) == loads.truth(row, 2)


def foreseen(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in expected_row("", make_invoice())}


@pytest.mark.parametrize("row", [*LOADED, *UNKNOWN])
def test_a_record_that_can_be_stored_is_loaded_to_the_last_digit(loads: Loads3, row: str) -> None:
    record, account_id = RECORDS[row], loads.accounts["records"].id

    for load in (1, 2):
        held = loads.copies[load].invoices[account_id][str(record["id"])]
        assert foreseen(held) == expected_row(account_id, record)


@pytest.mark.parametrize("row", UNKNOWN)
def test_a_field_that_nobody_knows_has_a_column_to_itself_or_is_kept_beside_the_others(
    loads: Loads3, row: str
) -> None:
    held = loads.copies[1].invoices[loads.accounts["records"].id][RECORDS[row]["id"]]
    more = simplejson.loads(held["more_fields"] or "{}", use_decimal=True)

    for name, value in UNKNOWN[row][1].items():
        if name == "more_fields":
            assert more == value
        else:
            assert held[name] == value
    if "more_fields" not in UNKNOWN[row][1] and row != "thousands of fields":
        assert more == {}


def test_fields_beyond_the_columns_that_a_table_may_have_are_kept_beside_the_others(loads: Loads3) -> None:
    rows = loads.copies[1].invoices[loads.accounts["records"].id]
    held = rows[RECORDS["thousands of fields"]["id"]]
    more = simplejson.loads(held["more_fields"])
    columns = {name: value for name, value in held.items() if name.startswith("many_") and value is not None}

    assert more | columns == UNKNOWN["thousands of fields"][0]
    assert len(held) < 200


@pytest.mark.parametrize("row", SET_ASIDE)
def test_a_record_that_is_no_invoice_is_set_aside_as_it_was_sent_with_the_reason(
    loads: Loads3, row: str
) -> None:
    [held] = loads.set_aside[as_read(simplejson.dumps(RECORDS[row]))]

    assert SET_ASIDE[row][1] in held["reason"]
    assert held["resolved_at"] is None


def as_read(raw: str) -> Any:
    """Read a record so that 1 and true, or 1 and 1.0, stay apart; the link to the PDF is new each time."""
    record = simplejson.loads(raw, use_decimal=True)
    if isinstance(record, dict):
        record.pop("invoice_pdf", None)
    return simplejson.dumps(record, sort_keys=True)


@pytest.mark.parametrize("row", WRITTEN)
def test_what_only_bytes_can_say_is_set_aside_byte_by_byte(loads: Loads3, row: str) -> None:
    account_id = loads.accounts["written"].id
    [held] = [
        each
        for each in loads.copies[1].rejects
        if each["account_id"] == account_id and each["raw"] == Written(row).record()
    ]

    assert held["reason"].startswith(WRITTEN[row][1])


def test_each_record_is_in_one_table_and_in_the_end_all_are_invoices(loads: Loads3) -> None:
    for row, rejected in (("records", len(SET_ASIDE)), ("written", len(WRITTEN))):
        account_id = loads.accounts[row].id
        rejects = [each for each in loads.copies[1].rejects if each["account_id"] == account_id]
        assert len(rejects) == rejected == loads.outcome(row, 1).rejected
        assert loads.outcome(row, 1).unverified_reason == ""

        assert all(each["resolved_at"] for each in loads.copies[2].rejects)
        assert (loads.outcome(row, 2).unverified_reason, loads.outcome(row, 2).rejected) == ("", 0)
        listed = {str(record["id"]) for record in loads.listed[2][row]}
        assert loads.copies[2].invoices[account_id].keys() == listed
