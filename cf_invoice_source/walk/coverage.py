"""Which ordinals of a list a walk still needs, and which pages cover them while the list grows."""

from __future__ import annotations

from collections.abc import Iterable


class Coverage:
    """Ordinals that are needed and not seen yet: some single ones, and every one from a first to the last.

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

    def pages(self, most: int, length: int, per_page: int) -> list[int]:
        """Name pages of a list of this length that cover what is needed, the lowest ordinal first."""
        pages: list[int] = []
        covered = 0

        def take(ordinal: int) -> int:
            page = (length - ordinal) // per_page + 1
            pages.append(page)
            return length - (page - 1) * per_page

        for ordinal in reversed(self._checks):
            if len(pages) == most:
                return pages
            if ordinal > covered and ordinal not in self._seen:
                covered = take(ordinal)
        ordinal = max(covered + 1, self._first)
        while ordinal <= self._total and len(pages) < most:
            ordinal = ordinal + 1 if ordinal in self._seen else take(ordinal) + 1
        return pages
