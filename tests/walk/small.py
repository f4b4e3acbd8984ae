"""Small lists that change between two requests, exhaustively: every start, every change, at every gap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count, product

from cf_invoice_source.cloudflare.prefetch import PageFetcher
from cf_invoice_source.walk.bookmark import Bookmark
from cf_invoice_source.walk.page import Page
from cf_invoice_source.walk.walker import Walker, WalkRequest

ANONYMOUS = "anonymous:4d"
"""The identity of every record without id."""


@dataclass(frozen=True, slots=True)
class Small:
    """A record with as little as a walk must know.

    A draft can be deleted, a paid one stays. Of those without id, all "alike" are equal, and "similar" ones
    share their identity only.
    """

    name: str
    kind: str
    created_us: None = None
    is_reject: bool = False

    @property
    def id(self) -> str | None:
        return self.name if self.kind in WITH_ID else None

    @property
    def identity(self) -> str:
        return self.id or ANONYMOUS

    @property
    def row_hash(self) -> str:
        return "alike" if self.kind == "alike" else self.name

    @property
    def is_final(self) -> bool:
        return self.kind != "draft"

    @property
    def is_deletable(self) -> bool:
        return self.kind == "draft"


WITH_ID = ("draft", "paid")

Records = tuple[Small, ...]
"""A list, newest first."""


def a_list(kinds: Sequence[str]) -> Records:
    """A list by the kinds of its records, newest first; in_1 is the oldest."""
    return tuple(Small(f"in_{len(kinds) - index}", kind) for index, kind in enumerate(kinds))


def every_kinds(most: int, kinds: Sequence[str] = WITH_ID) -> list[tuple[str, ...]]:
    """The kinds of every list of so many records at most."""
    return [each for size in range(most + 1) for each in product(kinds, repeat=size)]


def changed(records: Records, name: str, kinds: Sequence[str]) -> Iterator[Records]:
    """Every list that one change makes of another: a new record, a late one with an id, a draft deleted."""
    for kind in kinds:
        for index in range(len(records) + 1 if kind in WITH_ID else 1):
            yield (*records[:index], Small(name, kind), *records[index:])
    for index, record in enumerate(records):
        if record.is_deletable:
            yield (*records[:index], *records[index + 1 :])


def keyed(records: Records) -> dict[str, str]:
    """What a table must hold: row hashes by key."""
    numbers = count(1)
    return {record.id or f"{ANONYMOUS}:{next(numbers)}": record.row_hash for record in reversed(records)}


@dataclass
class Walked:
    """One walk over a list that changes: at the n-th request it becomes `states[n]`."""

    records: Records
    per_page: int
    states: Mapping[int, Sequence[Records]]
    requests: int = 0
    listed: list[Records] = field(default_factory=list)
    is_verified: bool = False

    def page(self, number: int) -> Page[Small]:
        self.requests += 1
        for records in self.states.get(self.requests, ()):
            self.records = records
            self.listed.append(records)
        if self.requests == 1:
            self.listed = [self.records]
        first, total = (number - 1) * self.per_page, len(self.records)
        shown = self.records[first : first + self.per_page]
        return Page(number, shown, first + self.per_page < total, number, self.per_page, total)

    def walk(self, table: Mapping[str, Small], bookmark: Bookmark) -> tuple[dict[str, Small], Bookmark]:
        """Walk to the end; give what a table holds then, and what is remembered."""
        table = dict(table)
        pages = PageFetcher(self.page, _at_once, ahead=1)
        for batch in Walker(pages, bookmark, WalkRequest("", 0, 10**9, 10**9, 10**9)).batches():
            table |= batch.records
            bookmark = batch.bookmark or bookmark
            if batch.end:
                self.is_verified = not batch.end.unverified_reason
                if batch.end.is_listed:
                    table = {key: record for key, record in table.items() if batch.end.is_listed(key)}
        return table, bookmark

    def wrong(self, table: Mapping[str, Small]) -> str:
        """Say how a verified table differs from the list as it was during the walk; empty if it does not."""
        states = list(map(keyed, self.listed))
        if missing := set.intersection(*map(set, states)) - table.keys():
            return f"{missing} is missing"
        if made_up := table.keys() - set().union(*states):
            return f"{made_up} was never listed"
        hashes = Counter(record.row_hash for record in table.values())
        counts = [Counter(state.values()) for state in states]
        return "; ".join(
            f"{row_hash} is there {hashes[row_hash]} times"
            for row_hash in hashes.keys() | set().union(*counts)
            if not min(each[row_hash] for each in counts)
            <= hashes[row_hash]
            <= max(each[row_hash] for each in counts)
        )


def _at_once(fetch: Callable[[], Page[Small]]) -> Future[Page[Small]]:
    future: Future[Page[Small]] = Future()
    future.set_result(fetch())
    return future


def explore(
    start: Records, per_page: int, changes: int, *, is_second: bool, kinds: Sequence[str] = WITH_ID
) -> Iterator[tuple[Walked, str]]:
    """Walk for every schedule of so many changes that the walk really meets; give each with what is wrong."""
    table: dict[str, Small] = {}
    bookmark = Bookmark()
    if is_second:
        table, bookmark = Walked(start, per_page, {}).walk(table, bookmark)

    def descend(schedule: list[tuple[int, Records]], left: int) -> Iterator[tuple[Walked, str]]:
        states: dict[int, list[Records]] = {}
        for gap, records in schedule:
            states.setdefault(gap, []).append(records)
        walked = Walked(start, per_page, states)
        after, _ = walked.walk(table, bookmark)
        yield walked, walked.wrong(after) if walked.is_verified else ""
        if not left:
            return
        latest_gap, latest = schedule[-1] if schedule else (1 if is_second else 2, start)
        for gap in range(latest_gap, walked.requests + 1):
            for records in changed(latest, f"x{left}", kinds):
                yield from descend([*schedule, (gap, records)], left - 1)

    yield from descend([], changes)
