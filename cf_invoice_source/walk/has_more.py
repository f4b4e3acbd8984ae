"""What a walk by `has_more` has listed so far: each record once, however pages shift and overlap."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from cf_invoice_source.cloudflare.answers import Page
from cf_invoice_source.invoices.record import Invoice, Item, Reject


@dataclass(frozen=True, slots=True)
class Taken:
    """What one page brought that was not there before.

    Attributes:
        items: New invoices that have an id, and new rejected records, each with its key.
        new: How many records were new, invoices without an id included.
    """

    items: tuple[tuple[str, Item], ...]
    new: int


class Listing:
    """Collects the pages of one walk.

    Invoices without an id are held back until the end, for they are numbered from the oldest on. They, and
    rejected records without an id, are told apart by their place in the list, counted from its end: that
    place stays the same when new invoices arrive in front.

    Attributes:
        seen: Different records so far.
        doubt: Why this does not prove that nothing was missed; empty when nothing speaks against it.
        rejects: Keys of the rejected records, "<record_hash>:<n>".
    """

    def __init__(self) -> None:
        self.seen = 0
        self.doubt = ""
        self.rejects: set[str] = set()
        self._names: set[str] = set()
        self._numbers = Counter[str]()
        self._anonymous: dict[int, Invoice] = {}
        self._previous: list[str] = []

    def take(self, page: Page[Item]) -> Taken:
        """Take in a page, and say what is new on it."""
        hashes = [item.row_hash for item in page.records]
        if hashes == self._previous and len(set(hashes)) > 1:
            return Taken((), 0)
        self._previous = hashes
        end = page.total_count - (page.asked - 1) * page.per_page
        items: list[tuple[str, Item]] = []
        new = 0
        for index, item in enumerate(page.records):
            if not self._is_new(end - index, item, page):
                self.doubt = "a record was listed twice"
                continue
            new += 1
            if isinstance(item, Reject):
                items.append((self._reject_key(item), item))
            elif item.id is not None:
                items.append((item.id, item))
            else:
                self._anonymous[end - index] = item
        self.seen += new
        return Taken(tuple(items), new)

    def anonymous(self) -> list[tuple[str, Invoice]]:
        """Give the invoices without an id, each with its stable key: "anonymous:<hash>:<n>"."""
        count = Counter[str]()
        keyed = []
        for _, invoice in sorted(self._anonymous.items(), key=lambda placed: placed[0]):
            count[invoice.identity] += 1
            key = f"{invoice.identity}:{count[invoice.identity]}"
            self._names.add(key)
            keyed.append((key, invoice))
        return keyed

    def has_seen(self, key: str) -> bool:
        """Whether the walk saw this key."""
        return key in self._names

    def _is_new(self, place: int, item: Item, page: Page[Item]) -> bool:
        """Without an id, only a place that the server's own count covers is taken for another record."""
        name = item.id or f"place {place}"
        if name in self._names or (item.id is None and place < 1 and page.asked > 1):
            return False
        self._names.add(name)
        return True

    def _reject_key(self, reject: Reject) -> str:
        self._numbers[reject.row_hash] += 1
        key = f"{reject.row_hash}:{self._numbers[reject.row_hash]}"
        self.rejects.add(key)
        return key
