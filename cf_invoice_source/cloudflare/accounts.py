"""Which accounts a load is about: those that the settings name, or all that the credentials can see."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence

from cf_invoice_source.cloudflare.directory import AccountsPage, CloudflareAccount, merge
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
    account_ids = [str(account_id).strip() for account_id in given or ()]
    for number, account_id in enumerate(account_ids, 1):
        if not _ACCOUNT_ID.fullmatch(account_id):
            raise SettingsError(
                f"Account {number} of {len(account_ids)} in the settings is not a Cloudflare account ID: "
                f"it has {len(account_id)} characters.",
                remedy="an account ID has 32 hexadecimal characters; several are separated by commas",
            )
    return tuple(dict.fromkeys(account_ids))


def find_accounts(ask: Callable[[int], AccountsPage]) -> tuple[CloudflareAccount, ...]:
    """Ask for all pages of the list of accounts, again if it changed meanwhile.

    Args:
        ask: Asks for a page by its number, from 1.

    Raises:
        SettingsError: The credentials can see no account, or may not list them.
        TryLaterError: The list did not come to rest, or is shorter than it says.
    """
    for _ in range(1 + MAX_RESTARTS):
        accounts, is_whole = merge(map(ask, range(1, MAX_PAGES)))
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
