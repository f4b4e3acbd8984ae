"""Which ordinals of a list a walk still needs, and which pages cover them while the list grows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class Coverage:
    """Ordinals that are still needed: single ones, and all from a first one to the last.

    `seen` grows while the walk goes on.
    """

    def __init__(self, seen: dict[int, str], total: int, checks: Iterable[int], first: int) -> None:
        self._seen = seen
        self._total = total
        self._checks = sorted(checks, reverse=True)
        self._first = first

    def lowest(self) -> int:
        """Name the lowest ordinal that is needed; one beyond the last when all was seen."""
        while self._checks and self._checks[-1] in self._seen:
            self._checks.pop()
        if self._checks:
            return self._checks[-1]
        while self._first in self._seen and self._first <= self._total:
            self._first += 1
        return self._first

    def missing(self) -> Iterator[int]:
        """Give the ordinals that are needed and not seen, the lowest first."""
        yield from (ordinal for ordinal in reversed(self._checks) if ordinal not in self._seen)
        yield from (ordinal for ordinal in range(self._first, self._total + 1) if ordinal not in self._seen)


def pages_covering(ordinals: Iterable[int], most: int, length: int, per_page: int) -> list[int]:
    """Name the pages that cover these ascending ordinals in a list of this length, so many at most."""
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
