"""The walk by ordinals: which page is needed next, and what the answers verify.

Number the records of the list from the oldest, 1 to `total_count`. Such an ordinal stays the same when new
invoices arrive in front, and a page with its own `total_count` tells the ordinal of each of its records. So
the list can be read anywhere: only pages that cover a needed ordinal are worth a request, the oldest first.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any, Generic, TypeVar

from cf_invoice_source.walk.bookmark import NOTHING, HighWaterMark
from cf_invoice_source.walk.coverage import Coverage, pages_covering
from cf_invoice_source.walk.keys import Keys
from cf_invoice_source.walk.page import Page, Record
from cf_invoice_source.walk.second_look import SecondLook

R = TypeVar("R", bound=Record)


class Trouble(Enum):
    """What an answer can show to be wrong with the walk."""

    MOVED = "moved"
    """Records moved between two requests: start again from page 1."""
    MARK = "mark"
    """What the bookmark remembers has moved since: every ordinal is needed, what was seen still counts."""
    PAGING = "paging"
    """The server's counting cannot be trusted: only a walk by `has_more` will do."""


def distrust(page: Page[Any]) -> str:
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


class Walk(Generic[R]):
    """One walk over one account's list, as a pure state: pages go in, records and decisions come out.

    It is about the list as page 1 describes it; later arrivals wait for the next run.

    Attributes:
        why_troubled: What `take` found wrong last, in words.
        is_ordered: Whether nothing released so far was older than what was released before it. If not, the
            list is not newest first, and a walk by ordinals verifies nothing.
        round: Which round of asking is under way, by `wanted`: what was asked for in an earlier one, and not
            taken yet, does not count any more.
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
        self._has_anonymous = False
        self._to_confirm = set[int]()
        self._look = SecondLook()
        self._seen: dict[int, str] = {}
        self._ids = set[str]()
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
        """Take in an answer, and say what is wrong, if anything is; `why_troubled` says it in words."""
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
        self._good_answers += 1
        self._with_records += bool(unseen)
        self._with_new_records += any(self._start.ordinal < ordinal <= self._total for ordinal in unseen)
        self._look.saw(by_ordinal.keys())
        if self._has_anonymous and self._with_new_records > 1 and self._latest > self._total:
            return self._trouble(Trouble.MOVED, "the list grew during the walk, and has records without id")
        for ordinal, record in by_ordinal.items():
            if why := self._contradiction(ordinal, record):
                return self._trouble(Trouble.MARK, why)
        return None

    def _look_at_counts(self, page: Page[R]) -> Trouble | None:
        """Say what is wrong with a page's own figures, and take over how long the list is now.

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
        if why := distrust(page):
            return self._trouble(Trouble.PAGING, why)
        if page.total_count < self._latest:
            self._unconfirmed = self._latest
        elif known == self._latest:
            self._unconfirmed = 0
        self._latest = max(self._latest, page.total_count)
        return None

    def wanted(self, most: int) -> list[int]:
        """Name the pages to be on their way now, so many at most, the one with the lowest ordinal first.

        They cover what is still needed as far as is known. None once everything was seen and
        confirmed. No more than there were good answers so far: a server that counts wrongly may have no more.
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
        """Give what was seen below the lowest ordinal still needed, oldest first, each with its key.

        Before the checks have passed these are final invoices with an id. If a check fails, the others are
        looked at anew, because records without an id may get other keys then.
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
                    self._ids.add(key)
                yield key, record

    def _due(self, limit: int) -> list[int]:
        """List the ordinals to be given now: at first those seen up to the mark, then one after the other."""
        known = self._start.ordinal
        due = list(range(max(self._given, known) + 1, limit))
        if self._given < known:
            due = sorted(ordinal for ordinal in (*self._held, *self._released) if ordinal <= known) + due
        self._given = limit - 1
        return due

    def _release_final(self, limit: int) -> Iterator[tuple[str, R]]:
        """Give final invoices, and keep of each only what the checks of order and end need."""
        fresh, self._fresh = self._fresh, [ordinal for ordinal in self._fresh if ordinal >= limit]
        for ordinal in sorted(ordinal for ordinal in fresh if ordinal < limit):
            record = self._held[ordinal]
            if record.id is not None and record.is_final:
                self._released[ordinal] = record.id, record.created_us
                del self._held[ordinal]
                yield record.id, record

    def widen(self) -> None:
        """Forget the mark: every ordinal is needed. What was seen in this walk counts."""
        self._begin(NOTHING)

    def has_seen(self, key: str) -> bool:
        """Whether the walk saw this key."""
        return key in self._ids

    def is_past_checks(self) -> bool:
        """Whether all that the mark claimed has been found at its ordinal."""
        return self._needed.lowest() > self._start.ordinal

    def mark(self) -> HighWaterMark:
        """How far the list is known now. Ask only after the checks have passed."""
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
        """Remember what stands where; False if that contradicts what was seen before.

        Without an id, only the whole record tells whether another one stands there now.
        """
        name = record.id or record.row_hash
        if ordinal in self._seen:
            return self._seen[ordinal] == name
        if record.id is not None:
            if record.id in self._ids:
                return False
            self._ids.add(record.id)
        if ordinal <= self._total:
            self._held[ordinal] = record
            self._fresh.append(ordinal)
        self._seen[ordinal] = name
        self._has_anonymous = self._has_anonymous or record.id is None
        if record.is_deletable or record.id is None:
            self._to_confirm.add(ordinal)
        return True

    def _contradiction(self, ordinal: int, record: R) -> str:
        """Say how a record contradicts what the bookmark remembers; empty if it does not."""
        claim = self._start.claims(ordinal)
        if claim is not None and claim != record.identity:
            named = claim[:100].encode("unicode_escape").decode()  # it may be anything
            return f"{named} is no longer where it was in the list"
        if ordinal in self._start.rejected and not record.is_reject and record.id is None:
            return "a rejected record has become an invoice without id, which only a full walk can number"
        return ""

    def _notice_order(self, created_us: int | None) -> None:
        if created_us is not None:
            self.is_ordered = self.is_ordered and (self._newest_us is None or created_us >= self._newest_us)
            self._newest_us = created_us
