"""Decides which ordinals a walk still needs, and which pages cover them in a list that grows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class Coverage:
    """The ordinals that a walk still needs: single ones (`checks`), and all from `first` to the last.

    `seen` grows while the walk goes on.
    """

    def __init__(self, seen: dict[int, str], total: int, checks: Iterable[int], first: int) -> None:
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
        while self._first in self._seen and self._first <= self._total:
            self._first += 1
        return self._first

    def missing(self) -> Iterator[int]:
        """Yield the ordinals that are needed and not seen, the lowest first."""
        yield from (ordinal for ordinal in reversed(self._checks) if ordinal not in self._seen)
        yield from (ordinal for ordinal in range(self._first, self._total + 1) if ordinal not in self._seen)


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
