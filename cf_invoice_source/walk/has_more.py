"""The walk by `has_more`, page after page, newest first. It is used if the server counts wrongly.

It always ends, whatever a server answers. It goes on only if a page has a new record or the list has grown,
and never beyond `max_pages`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from cf_invoice_source.walk.page import Page, Record

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Fetch:
    """Fetch this page next."""

    page: int


@dataclass(frozen=True, slots=True)
class Stop:
    """The list has ended. `unverified_reason` says why records may be missing; it is empty if none can be."""

    unverified_reason: str = ""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The server's paging makes no sense: its list cannot be trusted to be complete."""

    why: str


def next_step(
    previous: Page[Any], last: Page[Any], *, records_read: int, new: int, max_pages: int
) -> Fetch | Stop | Refuse:
    """Decide what to do after the page `last`, which had `new` new records.

    `previous` is the page before it; for page 1, page 1 itself. A list of more than `max_pages` is refused.
    """
    if not last.records:
        return Stop(f"page {last.asked} is empty, but says that more follow" if last.has_more else "")
    if not new and last.total_count <= previous.total_count:
        return Refuse(
            f"page {last.asked} repeats records of earlier pages, though the list has not grown: "
            "the server seems to ignore the page number"
        )
    if not (last.has_more or last.total_count > records_read):
        return Stop()
    if last.asked >= max_pages:
        return Refuse(f"the list goes on after {max_pages:,} pages")
    return Fetch(last.asked + 1)


def is_same(before: Page[Any], after: Page[Any]) -> bool:
    """Whether page 1 is the same before and after a walk, so that nothing moved in between."""
    return before.total_count == after.total_count and _hashes(before) == _hashes(after)


def _hashes(page: Page[Any]) -> list[str]:
    return [record.row_hash for record in page.records]


@dataclass(frozen=True, slots=True)
class Taken(Generic[R]):
    """What is new on a page: its records with an id and its rejects, by key; `new` counts all new records."""

    records: tuple[tuple[str, R], ...]
    new: int


class Listing(Generic[R]):
    """Collects the pages of one walk.

    Invoices without an id are held back until the end, because they are numbered from the oldest on. They and
    rejects without an id are told apart by their ordinal. It counts from the end of the list, so new invoices
    in front do not change it.
    """

    def __init__(self) -> None:
        self.records_read = 0
        self.unverified_reason = ""
        self.rejects: dict[str, str | None] = {}
        self._names: set[str] = set()
        self._occurrences = Counter[str]()
        self._anonymous: dict[int, R] = {}
        self._previous: list[str] = []

    def take(self, page: Page[R]) -> Taken[R]:
        """Add a page, and return what is new on it."""
        hashes = _hashes(page)
        if hashes == self._previous and len(set(hashes)) > 1:
            return Taken((), 0)
        self._previous = hashes
        end = page.total_count - (page.asked - 1) * page.per_page
        records: list[tuple[str, R]] = []
        new = 0
        for index, record in enumerate(page.records):
            if not self._is_new(end - index, record, page):
                self.unverified_reason = "a record was listed twice"
                continue
            new += 1
            if record.is_reject:
                records.append((self._reject_key(record), record))
            elif record.id is not None:
                records.append((record.id, record))
            else:
                self._anonymous[end - index] = record
        self.records_read += new
        return Taken(tuple(records), new)

    def anonymous(self) -> list[tuple[str, R]]:
        """Give the records without an id, each with its stable key: "anonymous:<hash>:<n>"."""
        count = Counter[str]()
        keyed = []
        for _, record in sorted(self._anonymous.items(), key=lambda item: item[0]):
            count[record.identity] += 1
            key = f"{record.identity}:{count[record.identity]}"
            self._names.add(key)
            keyed.append((key, record))
        return keyed

    def has_seen(self, key: str) -> bool:
        """Whether the walk saw this key."""
        return key in self._names

    def _is_new(self, ordinal: int, record: R, page: Page[R]) -> bool:
        """Whether a record is new. Without an id, it is new only at an ordinal within the server's count."""
        name = record.id or f"ordinal {ordinal}"
        if name in self._names or (record.id is None and ordinal < 1 and page.asked > 1):
            return False
        self._names.add(name)
        return True

    def _reject_key(self, reject: R) -> str:
        self._occurrences[reject.row_hash] += 1
        key = f"{reject.row_hash}:{self._occurrences[reject.row_hash]}"
        self.rejects[key] = reject.id
        return key
