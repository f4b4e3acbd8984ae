"""Which accounts there are: from decoded answers of `GET /accounts` to a list that is known to be whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cf_invoice_source.cloudflare.answers import Failed, Malformed, read_result, whole


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
