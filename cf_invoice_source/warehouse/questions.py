"""What a load asks about an account before it makes rows, and the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from cf_invoice_source.invoices.changes import Stored


@dataclass(frozen=True, slots=True)
class Question:
    """What to look up of one account.

    Attributes:
        keys: The invoices to look up.
        is_as_listed: Says of a row whether its values are right; None if its `row_hash` is believed.
        is_listed: Says whether the list has a key; None if it does not matter which invoices the list lacks.
        needs_rejects: Whether the account's current rejects matter.
    """

    account_id: str
    keys: AbstractSet[str]
    is_as_listed: Callable[[Mapping[str, Any]], bool] | None = None
    is_listed: Callable[[str], bool] | None = None
    needs_rejects: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """What the destination holds of one account, as far as it was asked.

    Attributes:
        invoices: By key; those of which nothing is held are left out.
        rejects: The keys, "<record_hash>:<occurrence>", of its current rejects.
        unlisted: The invoices, by rows and by latest changes, that the list lacks.
    """

    invoices: Mapping[str, Stored]
    rejects: AbstractSet[str] = frozenset()
    unlisted: AbstractSet[str] = frozenset()


NOTHING_HELD = Held({})
