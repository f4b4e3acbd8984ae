"""Which accounts there are: those that the settings name, or all that the credentials can see."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cf_invoice_source.cloudflare.answers import Failed, Malformed, read_result, whole
from cf_invoice_source.errors import SettingsError, TryLaterError
from cf_invoice_source.settings import MAX_PAGES, MAX_RESTARTS

_ACCOUNT_ID = re.compile(r"[0-9a-fA-F]{32}")


def named_accounts(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """Name the accounts given, else those of Cloudflare's own environment name; see `read_account_ids`."""
    return read_account_ids(given or os.environ.get("CLOUDFLARE_ACCOUNT_ID"))


def read_account_ids(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """Read account IDs from a list, or from a text of the environment: with commas, or in JSON.

    Returns:
        Each ID once, in the order given; none where none is named, or the text is empty.

    Raises:
        SettingsError: One is no account ID. It is not shown: it may be a token in the wrong place.
    """
    if isinstance(given, str):
        given = _split(given) if given.strip() else ()
    account_ids = [str(account_id).strip().lower() for account_id in given or ()]
    for number, account_id in enumerate(account_ids, 1):
        if not _ACCOUNT_ID.fullmatch(account_id):
            raise SettingsError(
                f"Account {number} of {len(account_ids)} in the settings is not a Cloudflare account ID: "
                f"it has {len(account_id)} characters.",
                remedy="an account ID has 32 hexadecimal characters; several are separated by commas",
            )
    return tuple(dict.fromkeys(account_ids))


def find_accounts(fetch_page: Callable[[int], AccountsPage]) -> tuple[CloudflareAccount, ...]:
    """Ask for all pages of the list of accounts, again if it changed meanwhile.

    Args:
        fetch_page: Fetches a page by its number, from 1.

    Raises:
        SettingsError: The credentials can see no account, or may not list them.
        TryLaterError: The list did not come to rest, or is shorter than it says.
    """
    for _ in range(1 + MAX_RESTARTS):
        accounts, is_whole = merge(map(fetch_page, range(1, MAX_PAGES)))
        if is_whole and accounts:
            return accounts
        if is_whole:
            raise SettingsError("The credentials can see no Cloudflare account.", remedy=_HOW_TO_NAME)
    raise TryLaterError(
        "The list of accounts changed while it was read, or is not as long as it says.",
        remedy=f"run again, or {_HOW_TO_NAME}",
    )


_HOW_TO_NAME = "name the account: --account ID, CLOUDFLARE_ACCOUNT_ID, or account_id in .dlt/config.toml"


def _split(text: str) -> Sequence[str]:
    try:
        listed = json.loads(text)
    except ValueError:
        listed = None
    return listed if isinstance(listed, list) else text.split(",")


@dataclass(frozen=True, slots=True)
class CloudflareAccount:
    """An account that the credentials can see.

    Attributes:
        id: Cloudflare account ID, 32 hexadecimal digits.
        name: What its owners call it.
    """

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class AccountsPage:
    """One page of the list of accounts.

    Attributes:
        accounts: In the order of the server.
        total_count: Accounts in the whole list, as the server counted them.
    """

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
        if not (isinstance(account_id, str) and account_id):
            return Malformed("an account in the list has no id")
        accounts.append(CloudflareAccount(account_id, str(each.get("name", ""))))
    info = document.get("result_info")
    total_count = whole(info.get("total_count")) if isinstance(info, Mapping) else None
    if total_count is None:
        return Malformed("result_info.total_count should be a whole number")
    return AccountsPage(tuple(accounts), total_count)


def merge(pages: Iterable[AccountsPage]) -> tuple[tuple[CloudflareAccount, ...], bool]:
    """Put pages together as far as each brings accounts that were not there before.

    Returns:
        The accounts, each once, and whether they are all there are. They may not be if accounts came or went
        between two requests, or if the server ignores the page number.
    """
    found: dict[str, CloudflareAccount] = {}
    totals = set()
    for page in pages:
        known = len(found)
        found |= {account.id: account for account in page.accounts}
        totals.add(page.total_count)
        if len(found) == known or len(found) >= page.total_count:
            break
    return tuple(found.values()), totals == {len(found)}
