"""Small lists that change between two requests, exhaustively: every start, every change, at every gap."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import product

from cf_invoice_source.cloudflare.prefetch import PageFetcher
from cf_invoice_source.walk.bookmark import Bookmark
from cf_invoice_source.walk.page import Page
from cf_invoice_source.walk.walker import Walker, WalkRequest


@dataclass(frozen=True, slots=True)
class Small:
    """A record with as little as a walk must know: a draft can be deleted, a paid one stays."""

    id: str
    is_draft: bool
    created_us: None = None
    is_reject: bool = False

    @property
    def identity(self) -> str:
        return self.id

    @property
    def row_hash(self) -> str:
        return self.id

    @property
    def is_final(self) -> bool:
        return not self.is_draft

    @property
    def is_deletable(self) -> bool:
        return self.is_draft


Records = tuple[Small, ...]
"""A list, newest first."""


def a_list(kinds: Sequence[str]) -> Records:
    """A list by the kinds of its records, newest first: "draft" or "paid"; in_1 is the oldest."""
    return tuple(Small(f"in_{len(kinds) - index}", kind == "draft") for index, kind in enumerate(kinds))


def every_kinds(most: int) -> list[tuple[str, ...]]:
    """The kinds of every list of so many records at most."""
    return [kinds for size in range(most + 1) for kinds in product(["draft", "paid"], repeat=size)]


def changed(records: Records, name: str) -> Iterator[Records]:
    """Every list that one change makes of another: a new record, a late one, a draft deleted."""
    for is_draft in (True, False):
        for index in range(len(records) + 1):
            yield (*records[:index], Small(name, is_draft), *records[index:])
    for index, record in enumerate(records):
        if record.is_draft:
            yield (*records[:index], *records[index + 1 :])


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
        always = set.intersection(*({record.id for record in records} for records in self.listed))
        ever = {record.id for records in self.listed for record in records}
        if missing := always - table.keys():
            return f"{missing} is missing"
        return f"{table.keys() - ever} was never listed" if table.keys() - ever else ""


def _at_once(fetch: Callable[[], Page[Small]]) -> Future[Page[Small]]:
    future: Future[Page[Small]] = Future()
    future.set_result(fetch())
    return future


def explore(start: Records, per_page: int, changes: int, *, is_second: bool) -> Iterator[tuple[Walked, str]]:
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
            for records in changed(latest, f"x{left}"):
                yield from descend([*schedule, (gap, records)], left - 1)

    yield from descend([], changes)
