"""PURE: which page of Cloudflare's list has an invoice that is held in the tables.

The list is sorted by `created`, newest first. So the number of newer invoices that are held tells about where
an invoice is. That is an estimate: records that cannot be stored are on the list, too, new invoices arrive in
front, and equal times have no order.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from cf_invoice_source.documents.ledger import Held
from cf_invoice_source.invoices.record import Invoice, Item
from cf_invoice_source.invoices.values import EPOCH
from cf_invoice_source.settings import MAX_PAGES, PER_PAGE
from cf_invoice_source.walk.bookmark import ANONYMOUS
from cf_invoice_source.walk.page import Page

_SECOND = timedelta(seconds=1)
_SECOND_US = 1_000_000


class Search:
    """Finds invoices on as few pages as it can, and asks for no page twice.

    Args:
        wanted: The invoices to find, newest first.
        held: How many invoices of the account are held.

    Attributes:
        missing: Those that are not on the list.
    """

    def __init__(self, wanted: Iterable[Held], held: int) -> None:
        self.missing: list[Held] = []
        self._wanted: dict[str, list[Held]] = {}
        for each in wanted:
            self._wanted.setdefault(_key_of(each), []).append(each)
        self._held = held
        self._seen: dict[int, tuple[int, int] | None] = {}
        self._per_page = PER_PAGE
        self._last = MAX_PAGES
        self._shift = 0

    def next_page(self) -> int | None:
        """Say which page to ask for; None if everything is found, or cannot be."""
        while self._wanted:
            key, invoices = next(iter(self._wanted.items()))
            page = self._page_of(invoices[0])
            if page is not None:
                return page
            self.missing += self._wanted.pop(key)
        return None

    def take(self, page: Page[Item]) -> list[tuple[Held, Invoice]]:
        """Take the wanted invoices that are on a page, each with its record."""
        self._note(page)
        found = []
        for record in page.records:
            invoices = self._wanted.get(key_of(record)) if isinstance(record, Invoice) else None
            if invoices and isinstance(record, Invoice):
                found.append((invoices.pop(0), record))
                if not invoices:
                    del self._wanted[key_of(record)]
        return found

    def _note(self, page: Page[Item]) -> None:
        times = [each.created_us // _SECOND_US for each in page.records if each.created_us is not None]
        self._seen[page.asked] = (max(times), min(times)) if times else None
        self._per_page = page.per_page if page.per_page > 0 else max(len(page.records), 1)
        if page.total_count > 0:
            self._last = min(-(-page.total_count // self._per_page), MAX_PAGES)
            self._shift = page.total_count - self._held
        else:  # it does not count
            self._last = page.asked + page.has_more

    def _page_of(self, held: Held) -> int | None:
        """Give the page not yet asked for that is nearest to where an invoice should be."""
        above, below = 0, self._last + 1
        created_s = None if held.created is None else (held.created - EPOCH) // _SECOND
        position = 0 if held.position is None else max(held.position + self._shift, 0)
        guess = min(position // self._per_page + 1, self._last)
        if guess not in self._seen:
            return guess
        for page, times in self._seen.items():
            if created_s is None or times is None:
                continue
            newest_s, oldest_s = times
            if oldest_s < created_s < newest_s:
                return None  # it would be there
            if created_s < oldest_s:
                above = max(above, page)
            elif created_s > newest_s:
                below = min(below, page)
        guess = min(max(guess, above + 1), below - 1)
        distance = 0
        while near := [page for page in (guess - distance, guess + distance) if above < page < below]:
            for page in near:
                if page not in self._seen:
                    return page
            distance += 1
        return None


def key_of(invoice: Invoice) -> str:
    """Tell an invoice of the list from the others: by its ID, or without one by all that it says."""
    return invoice.id or f"{ANONYMOUS}{invoice.row_hash}"


def _key_of(held: Held) -> str:
    return f"{ANONYMOUS}{held.row_hash}" if held.id.startswith(ANONYMOUS) else held.id
