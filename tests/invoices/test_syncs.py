"""What a run did for one account: a row, and a line for people."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import datetime, timezone

import pytest

from cf_invoice_source.invoices.syncs import SYNC_COLUMNS, Sync, problem_of, remedy_of
from cf_invoice_source.schema.capabilities import Capabilities

SYNC = Sync(
    account_id="account",
    started_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
    finished_at=datetime(2026, 1, 2, tzinfo=timezone.utc),
    sync_number=3,
    type="all",
    sync_mode="full",
    full_reason="first run",
    requests=2,
    retries=0,
    rate_limited=0,
    waited_s=0,
    total_count=60,
    records_read=60,
    new=59,
    updated=0,
    deleted=0,
    rejected=1,
    verified=True,
    unverified_reason="",
    error="",
)


def test_every_field_is_a_column() -> None:
    assert list(SYNC_COLUMNS) == [field.name for field in fields(Sync)]


def test_a_row_has_every_column_with_its_value() -> None:
    row = SYNC.row()

    assert list(row) == list(SYNC_COLUMNS)
    assert Sync(**row) == SYNC


def test_what_somebody_adds_to_a_sync_is_no_column() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class More(Sync):
        more: int

    assert More(**SYNC.row(), more=1).row() == SYNC.row()


@pytest.mark.parametrize(
    ("error", "unverified_reason", "rejected", "problem"),
    [
        ("", "", 0, ""),
        ("", "", 1, "1 record rejected: see invoice_rejects"),
        ("", "", 2, "2 records rejected: see invoice_rejects"),
        ("", "", 1_234, "1,234 records rejected: see invoice_rejects"),
        ("", "it moved", 2, "not verified: it moved"),
        ("no permission", "it moved", 2, "failed: no permission"),
    ],
)
def test_the_worst_of_its_problems_is_told(
    error: str, unverified_reason: str, rejected: int, problem: str
) -> None:
    sync = replace(SYNC, error=error, unverified_reason=unverified_reason, rejected=rejected)

    assert sync.problem == problem
    assert problem_of(error, unverified_reason, rejected) == problem


@pytest.mark.parametrize(
    ("error", "unverified_reason", "rejected", "remedy"),
    [
        ("", "", 0, ""),
        ("", "", 1, "SELECT reason, raw FROM invoice_rejects"),
        ("", "it moved", 2, "run cf-invoices load again"),
        ("", "1 invoice that cannot be deleted is not listed any more and kept: in_1", 0, "if you know"),
        ("", Capabilities(replaces=False).unverified_reason, 0, "take the newest row of each invoice"),
        ("", Capabilities(is_readable=False).unverified_reason, 0, "choose another destination"),
        ("no permission\nDo: give it\nRequest: GET", "it moved", 2, "give it"),
        ("no permission\nRequest: GET", "it moved", 2, ""),
    ],
)
def test_each_problem_has_its_remedy(error: str, unverified_reason: str, rejected: int, remedy: str) -> None:
    sync = replace(SYNC, error=error, unverified_reason=unverified_reason, rejected=rejected)

    assert sync.remedy.startswith(remedy)
    assert bool(sync.remedy) is bool(remedy)
    assert remedy_of(error, unverified_reason, rejected) == sync.remedy
