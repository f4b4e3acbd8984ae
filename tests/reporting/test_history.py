"""What was known of an invoice, and when."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cf_invoice_source.reporting.book import end_of
from cf_invoice_source.reporting.history import (
    Invoice,
    Span,
    Version,
    changes_since,
    failing_since,
    histories,
    known_before,
    listed_at_the_end,
)
from tests.reporting.make import DAY_0, day, invoice, version

PAID: dict[str, Any] = {"status": "paid", "amount_paid": 2178, "amount_remaining": 0}
TRIED: dict[str, Any] = {"attempt_count": 1, "attempted": True}


def history(*versions: Version) -> tuple[Span, ...]:
    [found] = histories(versions)
    return found


def status_on(number: float, *versions: Version) -> str | None:
    found = listed_at_the_end(known_before(history(*versions), end_of(day(number).date())))
    return found.status if found else "absent"


STORY = (
    version(1, day(1), status="draft"),
    version(2, day(3)),
    version(3, day(5), "deleted"),
    version(4, day(7), "new"),
    version(5, day(9), **PAID),
)


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (0, "absent"),
        (1, "draft"),
        (2, "draft"),
        (3, "open"),
        (4, "open"),
        (5, "absent"),
        (6, "absent"),
        (7, "open"),
        (8, "open"),
        (9, "paid"),
        (99, "paid"),
    ],
)
def test_as_of_a_day_is_what_was_known_at_its_end(number: int, status: str) -> None:
    assert status_on(number, *STORY) == status


def test_a_change_at_midnight_belongs_to_the_day_that_begins() -> None:
    midnight = end_of(DAY_0.date())
    versions = (version(1, day(-1)), version(2, midnight, **PAID))

    assert status_on(0, *versions) == "open"
    assert status_on(1, *versions) == "paid"


def test_a_clock_that_jumped_back_makes_no_span_that_ends_before_it_begins() -> None:
    found = history(version(1, day(5), status="draft"), version(2, day(2)), version(3, day(8), **PAID))

    assert [(each.valid_from, each.valid_to) for each in found] == [
        (day(5), day(5)),
        (day(5), day(8)),
        (day(8), None),
    ]
    assert status_on(5, *(each.version for each in found)) == "open"
    assert status_on(4, *(each.version for each in found)) == "absent"


def test_a_time_that_somebody_took_away_is_that_of_the_version_before() -> None:
    found = history(version(1, day(1)), version(2, None, **PAID))

    assert found[1].valid_from == day(1)


def test_versions_of_other_invoices_and_of_the_same_id_in_another_account_are_apart() -> None:
    versions = [
        version(1, day(1)),
        version(2, day(2), **PAID),
        version(1, day(3), id="in_2"),
        version(1, day(4), account_id="b"),
    ]

    assert [len(each) for each in histories(versions)] == [2, 1, 1]


@pytest.mark.parametrize(
    ("fields", "is_failing"),
    [
        (TRIED, True),
        ({"attempt_count": 0, "attempted": True}, True),
        ({"attempt_count": 2, "attempted": False}, True),
        ({}, False),
        ({**TRIED, "status": "uncollectible"}, True),
        ({**TRIED, "status": "draft"}, False),
        ({**TRIED, "status": "void"}, False),
        ({**TRIED, "status": None}, False),
        ({**TRIED, "amount_remaining": 0}, False),
        ({**TRIED, "amount_remaining": -1}, False),
        ({**TRIED, **PAID}, False),
    ],
)
def test_a_payment_has_failed_if_it_was_tried_and_money_remains(
    fields: dict[str, Any], is_failing: bool
) -> None:
    assert invoice(**fields).is_failing == is_failing


@pytest.mark.parametrize(
    ("versions", "since"),
    [
        ([version(1, day(1), **TRIED)], day(1)),
        ([version(1, day(1)), version(2, day(2), **TRIED), version(3, day(3), attempt_count=2)], day(2)),
        ([version(1, day(1), **TRIED), version(2, day(2), **PAID)], None),
        ([version(1, day(1), **TRIED), version(2, day(2)), version(3, day(3), **TRIED)], day(3)),
        ([version(1, day(1), **TRIED), version(2, day(2), "deleted", **TRIED)], None),
        (
            [
                version(1, day(1), **TRIED),
                version(2, day(2), "deleted", **TRIED),
                version(3, day(3), "new", **TRIED),
            ],
            day(3),
        ),
    ],
    ids=["at first sight", "later", "paid now", "after a break", "deleted", "returned"],
)
def test_it_fails_since_the_first_version_without_a_break(
    versions: list[Version], since: datetime | None
) -> None:
    assert failing_since(history(*versions)) == since


def test_a_change_names_the_status_before_and_the_fields_that_differ() -> None:
    story = (*STORY[:2], version(3, day(4), attempt_count=2, attempted=True), *STORY[2:])
    found = list(changes_since(history(*story), day(3)))

    assert [(each.span.version.change, each.status_before, each.fields) for each in found] == [
        ("updated", "draft", ("status",)),
        ("updated", "open", ("attempt_count", "attempted")),
        ("deleted", "open", ()),
        ("new", None, ()),
        ("updated", "open", ("status", "amount_paid", "amount_remaining")),
    ]


MOMENTS = st.lists(st.none() | st.integers(0, 20), min_size=1, max_size=8)


@given(MOMENTS)
def test_spans_follow_each_other_whatever_the_clocks_said(moments: list[int | None]) -> None:
    versions = [
        version(number, None if at is None else day(at), "deleted" if number % 4 == 0 else "updated")
        for number, at in enumerate(moments, 1)
    ]
    found = history(*versions)

    assert [each.version for each in found] == versions
    assert [each.valid_to for each in found[:-1]] == [each.valid_from for each in found[1:]]
    assert all(each.valid_from <= (each.valid_to or each.valid_from) for each in found)


@given(MOMENTS, st.integers(-1, 21))
def test_as_of_a_day_is_the_one_span_that_contains_its_end(moments: list[int | None], number: int) -> None:
    """The same as in SQL: from before the end, to nothing or not before the end, and not deleted."""
    versions = [
        version(place, None if at is None else day(at), "deleted" if place % 3 == 0 else "updated")
        for place, at in enumerate(moments, 1)
    ]
    end = end_of(DAY_0.date()) + timedelta(days=number)
    found = history(*versions)
    in_sql: list[Invoice | None] = [
        span.version.invoice
        for span in found
        if span.valid_from < end and (span.valid_to is None or span.valid_to >= end) and not span.is_deleted
    ]

    assert [listed_at_the_end(known_before(found, end))] == (in_sql or [None])
