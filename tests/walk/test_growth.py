"""What a walk costs in a long list: as much for each record as in a short one, also if a check fails late."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from time import process_time

import pytest

from cf_invoice_source.walk.bookmark import Bookmark, HighWaterMark
from cf_invoice_source.walk.page import Page
from cf_invoice_source.walk.walker import Walker, WalkRequest

PER_PAGE = 50
NOW_S = 1_000


@dataclass(frozen=True, slots=True)
class Invoice:
    """One record, which knows nothing but what a walk needs."""

    id: str
    created_us: int
    is_final: bool
    is_deletable: bool = False
    is_reject: bool = False

    @property
    def identity(self) -> str:
        return self.id

    @property
    def row_hash(self) -> str:
        return self.id


@dataclass
class LongList:
    """A list in which one invoice on most pages is open. `moved` have another id than the bookmark says."""

    total: int
    moved: range = range(0)
    ahead: int = 64
    coming: set[int] = field(default_factory=set)
    requests: int = 0

    @property
    def in_flight(self) -> int:
        return len(self.coming)

    def expect(self, page: int) -> None:
        self.coming.add(page)

    def drop(self) -> None:
        self.coming.clear()

    def __call__(self, page: int) -> Page[Invoice]:
        self.coming.discard(page)
        self.requests += 1
        top = self.total - (page - 1) * PER_PAGE
        records = (self.record(ordinal) for ordinal in range(top, max(0, top - PER_PAGE), -1))
        return Page(page, tuple(records), top > PER_PAGE, page, PER_PAGE, self.total)

    def record(self, ordinal: int) -> Invoice:
        moved = "moved_" * (ordinal in self.moved)
        return Invoice(f"in_{moved}{ordinal}", ordinal * 10**6, not is_open(ordinal))

    def walked(self, bookmark: Bookmark) -> tuple[float, Walker[Invoice]]:
        """Walk, and return the seconds of this process that it took."""
        walker = Walker(self, bookmark, WalkRequest("", NOW_S, 10**9, 20_000, 20_000))
        gc.disable()  # it would look through the objects of all tests
        began = process_time()
        records = sum(map(len, walker.batches()))
        took = process_time() - began
        gc.enable()
        assert records >= self.total
        return took, walker


def is_open(ordinal: int) -> bool:
    """One on a page, but for each fortieth page, which only a full walk reads."""
    page, place = divmod(ordinal, PER_PAGE)
    return place == 7 and page % 40 != 0


def knows_all(total: int) -> Bookmark:
    unsettled = {ordinal: f"in_{ordinal}" for ordinal in range(1, total + 1) if is_open(ordinal)}
    mark = HighWaterMark(total, f"in_{total}", unsettled)
    return Bookmark(mark=mark, invoices=total, full_sync_at=NOW_S)


def full(total: int) -> float:
    took, walker = LongList(total).walked(Bookmark())
    assert walker.figures.full_reason == "first run"
    return took


def failed(total: int) -> float:
    """A check fails when nearly all of the list has been read: then the rest is read, too."""
    pages = LongList(total, moved=range(total - 3 * PER_PAGE, total - 2 * PER_PAGE))
    took, walker = pages.walked(knows_all(total))
    assert "no longer where it was" in walker.figures.full_reason
    assert pages.requests <= total // PER_PAGE + 2
    return took


@pytest.mark.slow
@pytest.mark.parametrize("walk", [full, failed])
def test_ten_times_as_long_a_list_takes_about_ten_times_as_long(walk: Callable[[int], float]) -> None:
    least = [min(walk(total) for _ in range(3)) for total in (20_000, 200_000)]

    assert least[1] <= 14 * least[0]


@pytest.mark.slow
def test_a_check_that_fails_late_costs_at_most_a_third_more_than_a_full_walk() -> None:
    least = [min(walk(200_000) for _ in range(3)) for walk in (full, failed)]

    assert least[1] <= 4 / 3 * least[0]
