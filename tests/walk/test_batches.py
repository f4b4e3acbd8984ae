"""What was collected is handed over once, and it is known that something was."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from cf_invoice_source.invoices.record import Item, read_record
from cf_invoice_source.walk.batches import Collected, PackageEnd, WalkBatch, WalkFigures
from tests.support.make import make_invoice


def collected(*records: object, package_rows: int = 10, part_rows: int = 10) -> Collected[Item]:
    made = Collected[Item](package_rows, part_rows)
    for number, record in enumerate(records):
        made.add(f"key {number}", read_record(record))
    return made


def taken(collected: Collected[Item], package_end: PackageEnd = PackageEnd.IF_FULL) -> WalkBatch[Item]:
    return collected.take(WalkFigures(), None, None, package_end)


@pytest.mark.parametrize(
    ("records", "has_given"),
    [((), False), ((make_invoice(),), True), (("garbage",), True), ((make_invoice(), "garbage"), True)],
)
def test_it_is_known_whether_anything_was_given(records: Sequence[object], has_given: bool) -> None:
    some = collected(*records)

    batch = taken(some)

    assert len(batch) == len(records)
    assert some.has_given is has_given
    assert len(taken(some)) == 0
    assert some.has_given is has_given


@pytest.mark.parametrize(
    ("given_before", "waiting", "end"),
    [
        (0, 1, None),
        (0, 2, PackageEnd.NEVER),
        (0, 4, PackageEnd.NEVER),
        (0, 5, PackageEnd.IF_FULL),
        (2, 2, PackageEnd.NEVER),
        (2, 3, PackageEnd.IF_FULL),
        (4, 1, PackageEnd.IF_FULL),
    ],
)
def test_parts_that_were_given_count_towards_their_package(
    given_before: int, waiting: int, end: PackageEnd | None
) -> None:
    some = collected(*range(given_before), package_rows=5, part_rows=2)
    taken(some, PackageEnd.NEVER)
    for number in range(waiting):
        some.add(f"later {number}", read_record(make_invoice()))

    assert some.enough() is end
    taken(some)
    assert some.enough() is None


def test_before_a_walk_has_begun_its_figures_are_those_of_nothing() -> None:
    assert WalkFigures() == WalkFigures("full", "", total_count=0, records_read=0, rejected=0)
