"""The figures of a day: ages, failed payments, changes, accounts."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from cf_invoice_source.reporting.accounts import SHOWN_SYNCS, accounts_then, sorted_by_need
from cf_invoice_source.reporting.book import MOST_CHANGES, Book, end_of
from cf_invoice_source.reporting.history import Version
from tests.reporting.make import DAY_0, day, invoice, sync, version

TODAY = date(2026, 3, 31)
PAID: dict[str, Any] = {"status": "paid", "amount_paid": 2178, "amount_remaining": 0}


def book_of(*versions: Version, first: datetime = DAY_0, is_past: bool = False) -> Book:
    book = Book(TODAY, is_past=is_past)
    book.read_versions(versions, {"a": first})
    return book


@pytest.mark.parametrize(
    ("days", "label"),
    [
        (-1, "0-30"),
        (0, "0-30"),
        (30, "0-30"),
        (31, "31-60"),
        (60, "31-60"),
        (61, "61-90"),
        (90, "61-90"),
        (91, "over 90"),
        (None, "without a date"),
    ],
)
def test_an_open_invoice_is_as_old_as_the_days_since_it_was_made(days: int | None, label: str) -> None:
    created = None if days is None else end_of(TODAY) - timedelta(days=days, seconds=1)
    book = Book(TODAY, is_past=False)
    book.read_invoices([invoice(created=created), invoice(status="uncollectible", created=created)])

    assert [(each.label, each.invoices, str(each.remaining[0].amount)) for each in book.ages()] == [
        (label, 1, "21.78")
    ]
    assert [each.age_days for each in book.open()] == [days]


def test_open_invoices_come_oldest_first_and_those_without_a_date_last() -> None:
    book = Book(TODAY, is_past=False)
    dates = {"in_3": day(3), "in_1": None, "in_2": day(-9)}
    book.read_invoices(invoice(id=id_, created=created) for id_, created in dates.items())

    assert [each.id for each in book.open()] == ["in_2", "in_3", "in_1"]


def test_failed_payments_come_with_the_time_when_they_were_first_seen() -> None:
    tried: dict[str, Any] = {"attempt_count": 2, "attempted": True}
    book = Book(TODAY, is_past=False)
    book.read_invoices([invoice(id="in_1", **tried), invoice(id="in_2", **tried), invoice(id="in_3")])
    book.read_versions([version(1, day(1)), version(2, day(4), **tried)], {})

    assert [(each.id, each.attempts, each.failing_since) for each in book.failed()] == [
        ("in_1", 2, day(4)),
        ("in_2", 2, None),
    ]


def test_changes_of_30_days_are_told_and_those_of_the_first_load_counted() -> None:
    """The day of the report and the 29 before it: from the beginning of 2 March."""
    story = [
        version(1, day(-9), id="in_0"),
        version(2, day(0), id="in_0", **PAID),
        version(1, day(2), id="in_1", status="draft"),
        version(2, day(5), id="in_1"),
        version(3, day(6), "deleted", id="in_1"),
        version(1, day(9), id="in_2"),
    ]
    begin = end_of(DAY_0.date())
    changes = book_of(*story, version(1, begin, id="in_3"), first=day(2)).changes()

    assert changes.begin == date(2026, 3, 2)
    assert changes.counts == {"first_load": 2, "new": 1, "updated": 1, "deleted": 1}
    assert [(each.id, each.change, each.status_before, each.status) for each in changes.newest] == [
        ("in_2", "new", None, "open"),
        ("in_1", "deleted", "open", None),
        ("in_1", "updated", "draft", "open"),
    ]


def test_of_many_changes_the_newest_are_kept_and_all_are_counted() -> None:
    count = 3 * MOST_CHANGES
    versions = (version(1, day(1 + place / count), id=f"in_{place}") for place in range(count))
    changes = book_of(*versions).changes()

    assert changes.counts["new"] == count
    assert [each.id for each in changes.newest] == [
        f"in_{count - 1 - place}" for place in range(MOST_CHANGES)
    ]


def test_the_past_is_that_of_the_changes() -> None:
    story = [version(1, day(1)), version(2, day(40), **PAID), version(1, day(41), id="in_2")]

    past, now = book_of(*story, is_past=True), book_of(*story)

    assert [each.id for each in past.open()] == ["in_1"]
    assert past.invoices == {"a": 1}
    assert past.changes().counts["new"] == 1
    assert now.open() == ()


# Accounts


def test_an_account_is_what_its_last_sync_before_the_end_left() -> None:
    syncs = [
        sync(1, day(1), sync_mode="full"),
        sync(2, day(2)),
        sync(3, day(3), verified=False, unverified_reason="it changed"),
        sync(4, day(4)),
    ]
    [found] = accounts_then({"a": 5}, syncs, day(3.5))

    assert (found.state, found.problem) == ("unverified", "not verified: it changed")
    assert (found.last_full_sync_at, found.last_verified_sync_at) == (day(1), day(2))
    assert [each.state for each in found.syncs] == ["verified", "verified", "unverified"]
    assert (found.invoices, found.account_id) == (5, "a")


def test_rows_without_a_sync_are_not_verified() -> None:
    [found] = accounts_then({"a": 5}, [], day(1))

    assert found.problem == "not verified: no sync is on record"


def test_an_account_shows_its_last_syncs_and_those_with_a_problem_come_first() -> None:
    syncs = [sync(number, day(number)) for number in range(1, 30)]
    syncs += [sync(1, day(1), account_id="b", error="refused"), sync(1, day(1), account_id="c", rejected=1)]
    found = sorted_by_need(accounts_then({}, syncs, day(99)))

    assert [(each.account_id, each.state) for each in found] == [
        ("b", "failed"),
        ("c", "unverified"),
        ("a", "verified"),
    ]
    assert [each.sync_number for each in found[2].syncs] == list(range(30 - SHOWN_SYNCS, 30))
