"""The second look at the end of a walk: what was read must still be at its ordinal.

A list that changes between two requests can hide a record: the record moves to a page that was read already,
while a late arrival or a new invoice keeps the total as it was. So if new records came from more than one
answer, the walk asks again after the last of them. First it asks for the lowest ordinal of page 1, which has
moved if a late arrival came in below it. Then it asks for every record that can be deleted, and for every
record without an id, because an equal one may have taken its ordinal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class SecondLook:
    """The ordinals to see again, in rounds. A round begins when the one before has been answered.

    Attributes:
        round: The current round, from 1; 0 before the first. Answers to an earlier round's requests do not
            count.
    """

    def __init__(self) -> None:
        self.round = 0
        self._rounds: list[list[int]] = []
        self._seen = set[int]()

    def begin(self, lowest_of_page_1: int, others: Iterable[int]) -> None:
        """Begin the first round; `others` are for the second."""
        self.round = 1
        self._rounds = [[lowest_of_page_1], sorted(others, reverse=True)]

    def saw(self, ordinals: Iterable[int]) -> None:
        """Cross off the ordinals that an answer has shown, and begin the next round when this one is over."""
        if not self._rounds:
            return
        self._seen.update(ordinals)
        while self._rounds and not self._is_any_left(self._rounds[0]):
            del self._rounds[0]
            self.round += 1

    def wanted(self) -> Iterator[int]:
        """Yield the ordinals of this round that have not been seen again yet, the lowest first."""
        for ordinals in self._rounds[:1]:
            yield from (ordinal for ordinal in reversed(ordinals) if ordinal not in self._seen)

    def _is_any_left(self, ordinals: list[int]) -> bool:
        while ordinals and ordinals[-1] in self._seen:
            ordinals.pop()
        return bool(ordinals)
