"""What a walk by `has_more` has listed so far: each record once, however pages shift and overlap."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from cf_invoice_source.decide.envelope import Page
from cf_invoice_source.decide.row import Invoice, Reject, read_record


@dataclass(frozen=True, slots=True)
class Taken:
    """What one page brought that was not there before.

    Attributes:
        invoices: New invoices that have an id.
        rejects: New rejected records, each with its number among equal ones, from 1.
        new: How many records were new, invoices without an id included.
    """

    invoices: tuple[Invoice, ...]
    rejects: tuple[tuple[Reject, int], ...]
    new: int


class Listing:
    """Collects the pages of one walk.

    Invoices without an id are held back until the end, for they are numbered from the oldest on. They, and
    rejected records, are told apart by their place in the list, counted from its end: that place stays the
    same when new invoices arrive in front.
    """

    def __init__(self) -> None:
        self.seen = 0
        self._ids: set[str] = set()
        self._places: set[int] = set()
        self._equal_rejects: Counter[str] = Counter()
        self._anonymous: dict[int, Invoice] = {}
        self._previous: list[str] = []

    def take(self, page: Page) -> Taken:
        """Take in a page, and say what is new on it."""
        records = [read_record(record) for record in page.records]
        hashes = [item.row_hash if isinstance(item, Invoice) else item.record_hash for item in records]
        if hashes == self._previous and len(set(hashes)) > 1:
            return Taken((), (), 0)
        self._previous = hashes
        end = page.total_count - (page.asked - 1) * page.per_page
        fresh = [
            (end - index, item) for index, item in enumerate(records) if self._is_new(end - index, item, page)
        ]
        for place, item in fresh:
            if isinstance(item, Invoice) and item.id is None:
                self._anonymous[place] = item
        self.seen += len(fresh)
        return Taken(
            tuple(item for _, item in fresh if isinstance(item, Invoice) and item.id is not None),
            tuple((item, self._number(item)) for _, item in fresh if isinstance(item, Reject)),
            len(fresh),
        )

    def anonymous(self) -> list[Invoice]:
        """Give the invoices without an id their stable keys: "anonymous:<hash>:<n>", n from the oldest."""
        count: Counter[str] = Counter()
        keyed = []
        for _, invoice in sorted(self._anonymous.items(), key=lambda placed: placed[0]):
            count[invoice.identity] += 1
            keyed.append(replace(invoice, id=f"{invoice.identity}:{count[invoice.identity]}"))
        return keyed

    def _is_new(self, place: int, item: Invoice | Reject, page: Page) -> bool:
        if item.id is not None:
            is_new = item.id not in self._ids
            self._ids.add(item.id)
            return is_new
        is_new = place not in self._places and (place > 0 or page.asked == 1)
        self._places.add(place)
        return is_new

    def _number(self, reject: Reject) -> int:
        self._equal_rejects[reject.record_hash] += 1
        return self._equal_rejects[reject.record_hash]
