"""Decides which ordinals a walk still needs, and which pages cover them in a list that grows."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class Seen:
    """The ordinals that a walk has seen, as ranges: pages that lie side by side are one."""

    def __init__(self) -> None:
        self._first: list[int] = []
        self._last: list[int] = []

    def add(self, first: int, last: int) -> None:
        """Add the ordinals of a page; they may have been seen before."""
        begin, end = bisect_left(self._last, first - 1), bisect_right(self._first, last + 1)
        if begin < end:  # it joins these ranges
            first, last = min(first, self._first[begin]), max(last, self._last[end - 1])
        self._first[begin:end] = [first]
        self._last[begin:end] = [last]

    def __contains__(self, ordinal: int) -> bool:
        return self.next_unseen(ordinal) != ordinal

    def next_unseen(self, ordinal: int) -> int:
        """Give the lowest ordinal that has not been seen, from this one on."""
        before = bisect_right(self._first, ordinal) - 1
        return max(ordinal, self._last[before] + 1) if before >= 0 else ordinal


class Coverage:
    """The ordinals that a walk still needs: single ones (`checks`), and all from `first` to the last.

    `seen` grows while the walk goes on. What was seen is passed over in one step, however much it is.
    """

    def __init__(self, seen: Seen, total: int, checks: Iterable[int], first: int) -> None:
        self._seen = seen
        self._total = total
        self._checks = sorted(checks, reverse=True)
        self._first = first

    def lowest(self) -> int:
        """Give the lowest ordinal that is still needed; the last plus 1 when all have been seen."""
        while self._checks and self._checks[-1] in self._seen:
            self._checks.pop()
        if self._checks:
            return self._checks[-1]
        if self._first <= self._total:
            self._first = min(self._seen.next_unseen(self._first), self._total + 1)
        return self._first

    def missing(self) -> Iterator[int]:
        """Yield the ordinals that are needed and not seen, the lowest first."""
        yield from (ordinal for ordinal in reversed(self._checks) if ordinal not in self._seen)
        ordinal = self._seen.next_unseen(self._first)
        while ordinal <= self._total:
            yield ordinal
            ordinal = self._seen.next_unseen(ordinal + 1)


def pages_covering(ordinals: Iterable[int], most: int, length: int, per_page: int) -> list[int]:
    """Give the pages, at most `most`, that cover these ascending ordinals in a list of this length."""
    pages: list[int] = []
    covered = 0
    for ordinal in ordinals:
        if len(pages) == most:
            break
        if ordinal > covered:
            page = (length - ordinal) // per_page + 1
            covered = length - (page - 1) * per_page
            pages.append(page)
    return pages
