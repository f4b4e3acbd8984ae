"""The walk by ordinals: decides which page is needed next, and what the answers verify.

The records of the list are numbered from the oldest, 1 to `total_count`. This ordinal stays the same when new
invoices arrive in front. The `total_count` of a page tells the ordinal of each of its records. So the list
need not be read from its start: a walk asks only for pages that cover a needed ordinal, the oldest first.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any, Generic, TypeVar

from cf_invoice_source.walk.bookmark import NOTHING, HighWaterMark
from cf_invoice_source.walk.coverage import Coverage, Seen, pages_covering
from cf_invoice_source.walk.keys import Keys
from cf_invoice_source.walk.page import Page, Record
from cf_invoice_source.walk.second_look import SecondLook

R = TypeVar("R", bound=Record)


class Trouble(Enum):
    """What can be wrong with a walk, as an answer shows it."""

    MOVED = "moved"
    """Records moved between two requests: start again from page 1."""
    MARK = "mark"
    """A record of the bookmark has moved since the last run: now every ordinal is needed. What was seen in
    this walk still counts."""
    PAGING = "paging"
    """The server's counting cannot be trusted: walk by `has_more` instead."""


def distrust(page: Page[Any]) -> str:
    """Say how a page's own figures contradict each other; empty if they do not."""
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


class Walk(Generic[R]):
    """One walk over one account's list, as a pure state: pages go in, records and decisions come out.

    It reads the list as page 1 describes it; invoices that arrive later are left for the next run.

    Attributes:
        why_troubled: What the last `take` found wrong, in words.
        is_ordered: Whether each released record was at least as new as the one before. If not, the list is
            not newest first, and a walk by ordinals verifies nothing.
        round: The round of requests that `wanted` is in. Pages asked for in an earlier round and not taken
            yet no longer count.
    """

    def __init__(self, first: Page[R], start: HighWaterMark) -> None:
        self._total = first.total_count
        self.why_troubled = ""
        self.is_ordered = True
        self.round = 0
        self._latest, self._per_page = first.total_count, first.per_page
        self._known_when_asked: dict[int, int] = {}
        self._unconfirmed = 0
        self._good_answers = 0
        self._with_records = 0
        self._to_confirm = set[int]()
        self._look = SecondLook()
        self._seen = Seen()
        self._ordinals: dict[str, int] = {}
        self._anonymous: dict[int, str] = {}
        self._held: dict[int, R] = {}
        self._fresh: list[int] = []
        self._released: dict[int, tuple[str, int | None]] = {}
        self._begin(start)

    def _begin(self, start: HighWaterMark) -> None:
        checks = {*start.unsettled, *start.rejected, start.ordinal} - {0}
        self._start = start
        self._with_new_records = self._with_records if start is NOTHING else 0
        self._needed = Coverage(self._seen, self._total, checks, start.ordinal + 1)
        self._keys = Keys(start)
        self._given = 0
        self._last = (start.ordinal, start.identity)
        self._newest_us: int | None = None

    def take(self, page: Page[R]) -> Trouble | None:
        """Take in a page, and return what is wrong, if anything is; `why_troubled` says it in words."""
        if trouble := self._look_at_counts(page):
            return trouble
        top = page.total_count - (page.asked - 1) * page.per_page
        by_ordinal = {top - index: record for index, record in enumerate(page.records)}
        unseen = [ordinal for ordinal in by_ordinal if ordinal not in self._seen]
        for ordinal, record in by_ordinal.items():
            if not self._note(ordinal, record):
                return self._trouble(
                    Trouble.MOVED, "a record stands at two ordinals, or one ordinal holds two"
                )
        if page.records:
            self._seen.add(min(by_ordinal), top)
        self._good_answers += 1
        self._with_records += bool(unseen)
        self._with_new_records += any(self._start.ordinal < ordinal <= self._total for ordinal in unseen)
        self._look.saw(by_ordinal.keys())
        if self._anonymous and self._with_new_records > 1 and self._latest > self._total:
            return self._trouble(Trouble.MOVED, "the list grew during the walk, and has records without id")
        for ordinal, record in by_ordinal.items():
            if why := self._contradiction(ordinal, record):
                return self._trouble(Trouble.MARK, why)
        return None

    def _look_at_counts(self, page: Page[R]) -> Trouble | None:
        """Return what is wrong with a page's own figures, if anything is, and note how long the list is now.

        Several requests may be on their way, and the server may answer them in any order. Suppose that a page
        gives a smaller total than an earlier answer. If that answer was known when the page was asked for,
        the list has shrunk. If not, this page may be the older answer, and a page that is asked for later has
        to confirm the total.
        """
        known = self._known_when_asked.pop(page.asked, self._latest)
        if page.total_count < known:
            shrank = f"the list shrank from {known:,} to {page.total_count:,} during the walk"
            return self._trouble(Trouble.MOVED, shrank)
        if page.per_page != self._per_page:
            return self._trouble(Trouble.PAGING, f"per_page went from {self._per_page} to {page.per_page}")
        if why := distrust(page):
            return self._trouble(Trouble.PAGING, why)
        if page.total_count < self._latest:
            self._unconfirmed = self._latest
        elif known == self._latest:
            self._unconfirmed = 0
        self._latest = max(self._latest, page.total_count)
        return None

    def wanted(self, most: int) -> list[int]:
        """Name the pages to ask for now, at most `most`, the one with the lowest ordinal first.

        They cover the ordinals still needed; there are none once everything has been seen and confirmed.
        There are never more than good answers so far, because a server that counts wrongly may have no more
        pages.
        """
        most = min(most, self._good_answers)
        pages = pages_covering(self._needed.missing(), most, self._latest, self._per_page)
        if not pages:
            pages = pages_covering(self._to_see_again(), most, self._latest, self._per_page)
        if not pages and self._unconfirmed:
            pages = [1]
        for page in pages:
            self._known_when_asked.setdefault(page, self._latest)
        return pages

    def _to_see_again(self) -> Iterator[int]:
        if self._with_new_records > 1 and not self._look.round:
            lowest = max(1, self._total - self._per_page + 1)
            self._look.begin(lowest, self._to_confirm)
        if self._look.round != self.round:
            self.round = self._look.round
            self._known_when_asked.clear()
        return self._look.wanted()

    def release(self) -> Iterator[tuple[str, R]]:
        """Yield the records below the lowest ordinal still needed, oldest first, each with its key.

        Before the checks have passed, only final invoices with an id are released. If a check fails, the
        others are read anew, because records without an id may then get other keys.
        """
        limit = self._needed.lowest()
        if limit <= self._start.ordinal:
            yield from self._release_final(limit)
            return
        self._fresh.clear()
        for ordinal in self._due(limit):
            if ordinal in self._released:
                identity, created_us = self._released.pop(ordinal)
                self._notice_order(created_us)
                self._last = (ordinal, identity)
                continue
            record = self._held.pop(ordinal)
            self._notice_order(record.created_us)
            self._last = (ordinal, record.identity)
            key = self._keys.key(ordinal, record)
            if key is not None:
                if record.id is None:
                    self._ordinals.setdefault(key, ordinal)
                yield key, record

    def _due(self, limit: int) -> list[int]:
        """List the ordinals to release now: first those seen up to the mark, then all that follow it."""
        known = self._start.ordinal
        due = list(range(max(self._given, known) + 1, limit))
        if self._given < known:
            due = sorted(ordinal for ordinal in (*self._held, *self._released) if ordinal <= known) + due
        self._given = limit - 1
        return due

    def _release_final(self, limit: int) -> Iterator[tuple[str, R]]:
        """Yield final invoices, and keep only what the checks of the order and of the mark need of each."""
        fresh, self._fresh = self._fresh, [ordinal for ordinal in self._fresh if ordinal >= limit]
        for ordinal in sorted(ordinal for ordinal in fresh if ordinal < limit):
            record = self._held[ordinal]
            if record.id is not None and record.is_final:
                self._released[ordinal] = record.id, record.created_us
                del self._held[ordinal]
                yield record.id, record

    def widen(self) -> None:
        """Forget the mark: every ordinal is needed now. What was seen in this walk still counts."""
        self._begin(NOTHING)

    def has_seen(self, key: str) -> bool:
        """Whether the walk saw this key."""
        return key in self._ordinals

    def is_past_checks(self) -> bool:
        """Whether every record of the mark was found at its ordinal."""
        return self._needed.lowest() > self._start.ordinal

    def mark(self) -> HighWaterMark:
        """How far the list is known now. Valid only after the checks have passed."""
        ordinal, identity = self._last
        return HighWaterMark(
            ordinal,
            identity,
            dict(self._keys.unsettled),
            dict(self._keys.rejected),
            self._keys.equal_ones(self._newest_us),
        )

    def _trouble(self, trouble: Trouble, why: str) -> Trouble:
        self.why_troubled = why
        return trouble

    def _note(self, ordinal: int, record: R) -> bool:
        """Remember which record is at an ordinal; False if that contradicts what was seen before.

        A record without an id is compared as a whole: nothing else tells whether it is another one.
        """
        if ordinal in self._seen:
            if record.id is None:
                return self._anonymous.get(ordinal) == record.row_hash
            return self._ordinals.get(record.id) == ordinal
        if record.id is None:
            self._anonymous[ordinal] = record.row_hash
        elif self._ordinals.setdefault(record.id, ordinal) != ordinal:
            return False
        if ordinal <= self._total:
            self._held[ordinal] = record
            self._fresh.append(ordinal)
        if record.is_deletable or record.id is None:
            self._to_confirm.add(ordinal)
        return True

    def _contradiction(self, ordinal: int, record: R) -> str:
        """Say how a record contradicts what the bookmark remembers; empty if it does not."""
        claim = self._start.claims(ordinal)
        if claim is not None and claim != record.identity:
            named = claim[:100].encode("unicode_escape").decode()  # an id may be any text
            return f"{named} is no longer where it was in the list"
        if ordinal in self._start.rejected and not record.is_reject and record.id is None:
            return "a rejected record has become an invoice without id, which only a full walk can number"
        return ""

    def _notice_order(self, created_us: int | None) -> None:
        if created_us is not None:
            self.is_ordered = self.is_ordered and (self._newest_us is None or created_us >= self._newest_us)
            self._newest_us = created_us
