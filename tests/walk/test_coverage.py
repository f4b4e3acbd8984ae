"""Which ordinals are still needed, and which pages have them while the list grows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cf_invoice_source.walk.coverage import Coverage, Seen, pages_covering


def seen_ones(*ordinals: int) -> Seen:
    seen = Seen()
    for ordinal in ordinals:
        seen.add(ordinal, ordinal)
    return seen


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 8))))
def test_the_next_ordinal_that_no_page_has_shown(pages: list[tuple[int, int]]) -> None:
    seen, shown = Seen(), set[int]()
    for first, more in pages:
        seen.add(first, first + more)
        shown |= set(range(first, first + more + 1))

    for ordinal in range(1, 41):
        assert seen.next_unseen(ordinal) == next(each for each in count(ordinal) if each not in shown)


@pytest.mark.parametrize(
    ("seen", "lowest", "missing"),
    [
        ((), 2, [2, 5, 8, 9]),
        ((5,), 2, [2, 8, 9]),
        ((2,), 5, [5, 8, 9]),
        ((2, 8), 5, [5, 9]),
        ((2, 5), 8, [8, 9]),
        ((2, 5, 8), 9, [9]),
        ((2, 5, 9), 8, [8]),
        ((2, 5, 8, 9), 10, []),
        ((2, 5, 8, 9, 10), 10, []),
    ],
)
def test_the_lowest_ordinal_that_is_needed_and_not_seen(
    seen: Sequence[int], lowest: int, missing: list[int]
) -> None:
    coverage = Coverage(seen_ones(*seen), total=9, checks=[5, 2], first=8)

    assert coverage.lowest() == lowest
    assert list(coverage.missing()) == missing
    assert coverage.lowest() == lowest


@pytest.mark.parametrize(
    ("ordinals", "most", "pages"),
    [
        ([], 9, []),
        ([1, 2, 3], 9, [4, 3]),
        ([1, 4, 5], 9, [4, 3, 2]),
        ([3, 4], 9, [3]),
        ([1, 4, 9, 10], 9, [4, 3, 1]),
        ([1, 4, 9, 10], 2, [4, 3]),
        ([1], 0, []),
    ],
)
def test_the_pages_of_a_list_of_ten_by_three_that_cover_ordinals(
    ordinals: list[int], most: int, pages: list[int]
) -> None:
    assert pages_covering(ordinals, most, length=10, per_page=3) == pages
