"""The walk by ordinals: which page is needed next, and what the answers prove.

Number the records of the list from the oldest, 1 to `total_count`. Such an ordinal stays the same when new
invoices arrive in front, and a page with its own `total_count` tells the ordinal of each of its records. So
the list can be read anywhere: only pages that cover a needed ordinal are worth a request, the oldest first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from cf_invoice_source.cloudflare.answers import Page
from cf_invoice_source.invoices.record import Invoice, Item, Reject
from cf_invoice_source.walk.bookmark import NOTHING, Bookmark, Equal, Mark, Rejected
from cf_invoice_source.walk.sightings import Names, Places, name_of


class Trouble(Enum):
    """What an answer can show to be wrong with the walk."""

    MOVED = "moved"
    """Records moved between two requests: start again from page 1."""
    MARK = "mark"
    """What the bookmark remembers has moved since: every ordinal is needed, what was seen still counts."""
    PAGING = "paging"
    """The server's counting cannot be trusted: only a walk by `has_more` will do."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where a walk begins.

    Attributes:
        mark: What is known already; nothing for a full walk.
        why: Why a full walk is needed; empty for an incremental one.
        is_resumed: Whether it goes on where an interrupted full walk ended.
    """

    mark: Mark
    why: str = ""
    is_resumed: bool = False


def plan(bookmark: Bookmark, total: int, *, why_full: str, now_s: int, full_walk_every_s: int) -> Start:
    """Say where a walk begins, once page 1 has told how long the list is.

    Args:
        bookmark: What is remembered of the account.
        total: `total_count` of page 1.
        why_full: Why a full walk is wanted from outside; empty where it is not.
        now_s: The time, in unix seconds.
        full_walk_every_s: How old the last full walk may be, in seconds.
    """
    if why_full:
        return Start(NOTHING, why_full)
    unfinished, mark = bookmark.unfinished, bookmark.mark
    if unfinished and total >= unfinished.ordinal:
        return Start(unfinished, "an earlier full walk was interrupted", is_resumed=True)
    if mark is None:
        is_first = bookmark.invoices is None
        why = "first run" if is_first else "the server's counting was not to be trusted"
        return Start(NOTHING, bookmark.lost or why)
    if total < mark.ordinal:
        return Start(NOTHING, f"the list is shorter than before: {total:,} instead of {mark.ordinal:,}")
    if bookmark.full_walk_at is None or now_s - bookmark.full_walk_at >= full_walk_every_s:
        return Start(NOTHING, "a full walk was due")
    return Start(mark)


def distrust(page: Page[Item]) -> str:
    """Say why a page's own figures contradict each other; empty when they do not."""
    before = (page.asked - 1) * page.per_page
    if page.per_page < 1 or page.total_count < 0:
        return f"per_page is {page.per_page}, total_count is {page.total_count}"
    if page.page != page.asked:
        return f"page {page.asked} was asked for, page {page.page} was answered"
    listed, expected = len(page.records), max(0, min(page.per_page, page.total_count - before))
    if listed != expected:
        return f"page {page.asked} should list {expected} of {page.total_count:,} records, but lists {listed}"
    if page.has_more != (before + page.per_page < page.total_count):
        return f"has_more is {str(page.has_more).lower()} on page {page.asked}, against total_count"
    return ""


class Walk:
    """One walk over one account's list, as a pure state: pages go in, records and decisions come out.

    Args:
        first: Page 1. The walk is about the list as this page describes it; later arrivals wait for the
            next run. `take` it like every other page.
        start: What is known already.

    Attributes:
        total: How many records the list had when the walk began.
        why_troubled: What `take` found wrong last, in words.
        is_ordered: Whether nothing released so far was older than what was released before it. If not, the
            list is not newest first, and a walk by ordinals proves nothing.
    """

    def __init__(self, first: Page[Item], start: Mark) -> None:
        self.total = first.total_count
        self.why_troubled = ""
        self.is_ordered = True
        self._latest, self._per_page = first.total_count, first.per_page
        self._known_when_asked: dict[int, int] = {}
        self._unconfirmed = 0
        self._good_answers = 0
        self._at, self._ids = Places(), Names()
        self._held: dict[int, Item] = {}
        self._fresh: list[int] = []
        self._released: dict[int, tuple[str, int | None]] = {}
        self._unsettled: dict[int, str] = {}
        self._rejected: dict[int, Rejected] = {}
        self._begin(start)

    def _begin(self, start: Mark) -> None:
        self._start = start
        self._checks = sorted({*start.unsettled, *start.rejected, start.ordinal} - {0}, reverse=True)
        self._dense = start.ordinal + 1
        self._given = 0
        self._last = (start.ordinal, start.identity)
        self._newest_us: int | None = None
        self._equal = dict(start.anonymous)
        self._numbers = Counter[str]()
        for reject in start.rejected.values():
            row_hash, _, number = reject.key.rpartition(":")
            self._numbers[row_hash] = max(self._numbers[row_hash], int(number))

    def take(self, page: Page[Item]) -> Trouble | None:
        """Take in an answer, and say what is wrong, if anything is; `why_troubled` says it in words.

        Several requests may be on their way, and the server answers them in any order. So a list that is
        shorter than another answer said has shrunk only if that answer was known when the page was asked for.
        If not, this one may be the older; a page that is asked for later has to confirm it.
        """
        known = self._known_when_asked.pop(page.asked, self._latest)
        if page.total_count < known:
            shrank = f"the list shrank from {known:,} to {page.total_count:,} during the walk"
            return self._trouble(Trouble.MOVED, shrank)
        if page.per_page != self._per_page:
            return self._trouble(Trouble.PAGING, f"per_page went from {self._per_page} to {page.per_page}")
        if doubt := distrust(page):
            return self._trouble(Trouble.PAGING, doubt)
        if page.total_count < self._latest:
            self._unconfirmed = self._latest
        elif known == self._latest:
            self._unconfirmed = 0
        self._latest = max(self._latest, page.total_count)
        top = page.total_count - (page.asked - 1) * page.per_page
        sheet = {top - index: item for index, item in enumerate(page.records)}
        for ordinal, item in sheet.items():
            if not self._note(ordinal, item):
                return self._trouble(Trouble.MOVED, "a record stands at two places, or a place holds two")
        self._good_answers += 1
        for ordinal, item in sheet.items():
            if why := self._contradiction(ordinal, item):
                return self._trouble(Trouble.MARK, why)
        return None

    def wanted(self, most: int) -> list[int]:
        """Name the pages to be on their way now, so many at most, the one with the lowest ordinal first.

        They cover what is still needed as far as is known. There are none once all was seen, and confirmed;
        and no more than good answers so far, so that little is asked in vain of a server that counts wrongly.
        """
        pages = self._pages(min(most, self._good_answers))
        if not pages and self._unconfirmed:
            pages = [1]
        for page in pages:
            self._known_when_asked.setdefault(page, self._latest)
        return pages

    def release(self) -> Iterator[tuple[str, Item]]:
        """Give what was seen below the lowest ordinal still needed, oldest first, each with its key.

        Before the checks are past these are settled invoices with an id. If a check fails, the others have to
        be looked at anew: records without id get other numbers then.
        """
        limit = self._lowest_needed()
        if limit <= self._start.ordinal:
            yield from self._release_settled(limit)
            return
        self._fresh.clear()
        for ordinal in self._due(limit):
            if ordinal in self._released:
                identity, created_us = self._released.pop(ordinal)
                self._notice_order(created_us)
                self._last = (ordinal, identity)
                continue
            item = self._held.pop(ordinal)
            self._notice_order(item.created_us)
            self._last = (ordinal, item.identity)
            key = self._key(ordinal, item)
            if key is not None:
                yield key, item

    def _due(self, limit: int) -> list[int]:
        """List the ordinals to be given now: at first those seen up to the mark, then one after the other."""
        known = self._start.ordinal
        due = list(range(max(self._given, known) + 1, limit))
        if self._given < known:
            due = sorted(ordinal for ordinal in (*self._held, *self._released) if ordinal <= known) + due
        self._given = limit - 1
        return due

    def _release_settled(self, limit: int) -> Iterator[tuple[str, Item]]:
        """Give settled invoices; of each stays only what the order of the list, and its end, are known by."""
        fresh, self._fresh = self._fresh, [ordinal for ordinal in self._fresh if ordinal >= limit]
        for ordinal in sorted(ordinal for ordinal in fresh if ordinal < limit):
            item = self._held[ordinal]
            if item.id is not None and item.is_settled:
                self._released[ordinal] = item.id, item.created_us
                del self._held[ordinal]
                yield item.id, item

    def widen(self) -> None:
        """Forget the mark: every ordinal is needed. What was seen in this walk counts."""
        self._begin(NOTHING)

    def has_seen(self, key: str) -> bool:
        """Whether the walk saw this key."""
        return name_of(key) in self._ids

    def is_past_checks(self) -> bool:
        """Whether all that the mark claimed has been found at its place."""
        return self._lowest_needed() > self._start.ordinal

    def mark(self) -> Mark:
        """How far the list is known now. Only once the checks are past."""
        ordinal, identity = self._last
        return Mark(
            ordinal,
            identity,
            dict(self._unsettled),
            dict(self._rejected),
            {identity: equal for identity, equal in self._equal.items() if self._can_recur(equal)},
        )

    def _trouble(self, trouble: Trouble, why: str) -> Trouble:
        self.why_troubled = why
        return trouble

    def _note(self, ordinal: int, item: Item) -> bool:
        """Remember what stands where; False if that contradicts what was seen before."""
        name = name_of(item.identity)
        if there := self._at.get(ordinal):
            return there == name
        if item.id is not None:
            if name in self._ids:
                return False
            self._ids.add(name)
        if ordinal <= self.total:
            self._held[ordinal] = item
            self._fresh.append(ordinal)
        self._at.put(ordinal, name)
        return True

    def _contradiction(self, ordinal: int, item: Item) -> str:
        """Say how a record contradicts what the bookmark remembers; empty if it does not."""
        claim = self._start.claims(ordinal)
        if claim is not None and claim != item.identity:
            return f"{claim} is no longer at its place in the list"
        if ordinal in self._start.rejected and isinstance(item, Invoice) and item.id is None:
            return "a rejected record has become an invoice without id, which only a full walk can number"
        return ""

    def _notice_order(self, created_us: int | None) -> None:
        if created_us is not None:
            self.is_ordered = self.is_ordered and (self._newest_us is None or created_us >= self._newest_us)
            self._newest_us = created_us

    def _pages(self, most: int) -> list[int]:
        pages: list[int] = []
        covered = 0
        for ordinal in reversed(self._checks):
            if len(pages) == most:
                return pages
            if ordinal > covered and ordinal not in self._at:
                pages.append(self._page_of(ordinal))
                covered = self._top_of(pages[-1])
        ordinal = max(covered + 1, self._dense)
        while ordinal <= self.total and len(pages) < most:
            if ordinal in self._at:
                ordinal += 1
            else:
                pages.append(self._page_of(ordinal))
                ordinal = self._top_of(pages[-1]) + 1
        return pages

    def _page_of(self, ordinal: int) -> int:
        return (self._latest - ordinal) // self._per_page + 1

    def _top_of(self, page: int) -> int:
        return self._latest - (page - 1) * self._per_page

    def _lowest_needed(self) -> int:
        while self._checks and self._checks[-1] in self._at:
            self._checks.pop()
        if self._checks:
            return self._checks[-1]
        while self._dense in self._at and self._dense <= self.total:
            self._dense += 1
        return self._dense

    def _key(self, ordinal: int, item: Item) -> str | None:
        """Settle what a record is called, and remember it while it may change; None if that is known."""
        if isinstance(item, Reject):
            return self._reject_key(ordinal, item)
        key = item.id or self._anonymous_key(ordinal, item)
        if key is not None and not item.is_settled:
            self._unsettled[ordinal] = key
        return key

    def _anonymous_key(self, ordinal: int, item: Invoice) -> str | None:
        if ordinal <= self._start.ordinal:
            key = self._start.unsettled.get(ordinal)
        else:
            before = self._equal.get(item.identity)
            equal = Equal(before.count + 1 if before else 1, item.created_us)
            self._equal[item.identity] = equal
            key = f"{item.identity}:{equal.count}"
        if key is not None:
            self._ids.add(name_of(key))
        return key

    def _reject_key(self, ordinal: int, item: Reject) -> str:
        known = self._start.rejected.get(ordinal)
        if known and known.key.startswith(f"{item.row_hash}:"):
            key = known.key
        else:
            self._numbers[item.row_hash] += 1
            key = f"{item.row_hash}:{self._numbers[item.row_hash]}"
        self._rejected[ordinal] = Rejected(key, item.id)
        return key

    def _can_recur(self, equal: Equal) -> bool:
        """Whether an equal invoice without id could still follow: equal ones are of the same time."""
        return equal.created_us is None or self._newest_us is None or equal.created_us >= self._newest_us
