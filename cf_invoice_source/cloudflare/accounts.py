"""Finds the accounts: those that the settings name, or all that the credentials can see."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

from cf_invoice_source.cloudflare.answers import Failed, Malformed, read_result, whole
from cf_invoice_source.errors import SettingsError, TryLaterError
from cf_invoice_source.redaction import readable, redacted
from cf_invoice_source.settings import MAX_ACCOUNT_PAGES, MAX_ACCOUNTS, MAX_RESTARTS

_ACCOUNT_ID = re.compile(r"[0-9a-fA-F]{32}")
HOW_TO_NAME = "name the account: --account ID, CLOUDFLARE_ACCOUNT_ID, or account_id in .dlt/config.toml"


def read_account_ids(given: object) -> tuple[str, ...]:
    """Read account IDs, without duplicates, from a list or from a text with commas or in JSON."""
    account_ids = [str(account_id).strip().lower() for account_id in read_list(given)]
    for number, account_id in enumerate(account_ids, 1):
        if not _ACCOUNT_ID.fullmatch(account_id):  # it may be a token in the wrong place, so it is not shown
            raise SettingsError(
                f"Account {number} of {len(account_ids)} in the settings is not a Cloudflare account ID: "
                f"it has {len(account_id)} characters.",
                remedy="an account ID has 32 hexadecimal characters; several are separated by commas",
            )
    return tuple(dict.fromkeys(account_ids))


def read_list(given: object) -> list[Any]:
    """Read a setting with several values: a list, or a text with commas or in JSON. None is an empty one."""
    if isinstance(given, str):
        listed = None
        with suppress(ValueError, RecursionError):
            listed = json.loads(given)
        given = listed if isinstance(listed, list) else _without_trailing_comma(given)
    if given is None:
        return []
    return list(given) if isinstance(given, Iterable) else [given]


def _without_trailing_comma(text: str) -> list[str]:
    listed = text.split(",")
    has_trailing = len(listed) > 1 and not listed[-1].strip()
    return listed[:-1] if has_trailing else listed if text.strip() else []


@dataclass(frozen=True, slots=True)
class CloudflareAccount:
    """An account that the credentials can see."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class AccountsPage:
    """One page of the list of accounts, and how many the server counts in the whole list."""

    accounts: tuple[CloudflareAccount, ...]
    total_count: int


def read_accounts(document: Any) -> AccountsPage | Failed | Malformed:
    """Read an answer of `GET /accounts`."""
    result = read_result(document, list)
    if isinstance(result, Failed | Malformed):
        return result
    accounts = []
    for each in result:
        account_id = each.get("id") if isinstance(each, Mapping) else None
        if not (isinstance(account_id, str) and _ACCOUNT_ID.fullmatch(account_id)):
            return Malformed("an account in the list has no account ID")
        if account_id != redacted(account_id):
            return Malformed("an account in the list has a part of the credentials as its ID")
        accounts.append(CloudflareAccount(account_id.lower(), readable(each.get("name", ""))))
    info = document.get("result_info")
    total_count = whole(info.get("total_count")) if isinstance(info, Mapping) else None
    if total_count is None:
        return Malformed("result_info.total_count should be a whole number")
    return AccountsPage(tuple(accounts), total_count)


def find_accounts(fetch_page: Callable[[int], AccountsPage]) -> tuple[CloudflareAccount, ...]:
    """Read the whole list of accounts; read it again if it changed meanwhile."""
    for _ in range(1 + MAX_RESTARTS):
        found: dict[str, CloudflareAccount] = {}
        totals = set()
        for number in count(1):
            page, known = fetch_page(number), len(found)
            found |= {account.id: account for account in page.accounts}
            totals.add(page.total_count)
            if max(len(found), page.total_count) > MAX_ACCOUNTS or number > MAX_ACCOUNT_PAGES:
                cause = (
                    f"The credentials can see more than {MAX_ACCOUNTS:,} accounts, or the list has no end."
                )
                raise SettingsError(cause, remedy=HOW_TO_NAME)
            if len(found) == known or len(found) >= page.total_count:  # a server may ignore the page number
                break
        if totals == {len(found)}:  # if not, accounts came or went between two requests
            if not found:
                raise SettingsError("The credentials can see no Cloudflare account.", remedy=HOW_TO_NAME)
            return tuple(found.values())
    cause = "The list of accounts changed while it was read, or is not as long as Cloudflare says."
    raise TryLaterError(cause, remedy=f"run again, or {HOW_TO_NAME}")
