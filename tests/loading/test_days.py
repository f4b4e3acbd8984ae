"""Day by day: what happens to invoices between two loads or during one, and what the tables then tell of it.

All cases share five loads, over real HTTP, each in an account of its own. The fourth compares every row.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from cf_invoice_source.simulator import Account, Request, Simulator
from tests.support.copies import arrive
from tests.support.days import Days, days_of
from tests.support.make import MISSING, make_invoice, make_invoices

Event = Callable[[Account], object]
Story = list[tuple[str, str | None]]


@dataclass(frozen=True)
class Case:
    """An account.

    Attributes:
        records: Its list.
        during: What happens in the first load, just before page 3 is answered for the first time.
        before: What happens before later loads, by their number; the first is 0.
        stories: By id, the changes of an invoice in their order, each with the status then.
    """

    records: list[Any]
    during: Event | None = None
    before: dict[int, Event] = field(default_factory=dict)
    stories: dict[str, Story] = field(default_factory=dict)


def with_one(records: list[Any], invoice_id: str, **fields: Any) -> list[Any]:
    return [record | fields if record["id"] == invoice_id else record for record in records]


def put(invoice_id: str, **fields: Any) -> Event:
    return lambda account: account.find(invoice_id).update(fields)


def turn_up_late(account: Account) -> None:
    """List an invoice for the first time, as old as one that stands deep in the list."""
    account.records.insert(17, make_invoice(id="in_late", created=account.records[17]["created"]))


def delete(invoice_id: str) -> Event:
    return lambda account: account.delete(invoice_id)


def swap(account: Account) -> None:
    """The list stays as long as it was, so its length alone would tell nothing."""
    account.delete("in_18")
    turn_up_late(account)


def pay_one_without_id(account: Account) -> None:
    account.records[1]["status"] = "paid"


def pay_and_arrive(account: Account) -> None:
    account.pay("in_1")
    arrive(account)


STATUSES: dict[str, list[str | None]] = {
    "paid later": ["open", "paid", "paid"],
    "voided": ["open", "void", "void"],
    "uncollectible, paid after all": ["open", "uncollectible", "paid"],
    "a draft first": ["draft", "open", "paid"],
    "null first": [None, None, "paid"],
    "there and back": ["open", None, "open"],
}


def go_on(account: Account, step: int) -> None:
    for name, statuses in STATUSES.items():
        account.find(name)["status"] = statuses[step]


TWENTY = make_invoices(20)
WITH_A_DRAFT = with_one(TWENTY, "in_18", status="draft")
DELETED: dict[str, Story] = {"in_18": [("new", "draft"), ("deleted", "draft")]}
LATE: dict[str, Story] = {"in_late": [("new", "paid")]}

CASES: dict[str, Case] = {
    "from status to status": Case(
        [make_invoice(id=name, status=statuses[0]) for name, statuses in STATUSES.items()],
        before={1: lambda account: go_on(account, 1), 2: lambda account: go_on(account, 2)},
        stories={
            "paid later": [("new", "open"), ("updated", "paid")],
            "voided": [("new", "open"), ("updated", "void")],
            "uncollectible, paid after all": [
                ("new", "open"),
                ("updated", "uncollectible"),
                ("updated", "paid"),
            ],
            "a draft first": [("new", "draft"), ("updated", "open"), ("updated", "paid")],
            "null first": [("new", None), ("updated", "paid")],
            "there and back": [("new", "open"), ("updated", None), ("updated", "open")],
        },
    ),
    "an old one is paid deep in the list": Case(
        with_one(make_invoices(30), "in_3", status="open", amount_paid=0, amount_remaining=2178),
        before={1: lambda account: account.pay("in_3")},
        stories={"in_3": [("new", "open"), ("updated", "paid")]},
    ),
    "one arrives in mid-walk": Case(TWENTY, during=arrive, stories={"in_new": [("new", "paid")]}),
    "a draft is deleted in mid-walk": Case(WITH_A_DRAFT, during=delete("in_18")),
    "a draft is deleted and one turns up late between two requests": Case(
        WITH_A_DRAFT, during=swap, stories=LATE
    ),
    "a draft is deleted": Case(WITH_A_DRAFT, before={1: delete("in_18")}, stories=DELETED),
    "one turns up late": Case(TWENTY, before={1: turn_up_late}, stories=LATE),
    "a draft is deleted and one turns up late": Case(WITH_A_DRAFT, before={1: swap}, stories=DELETED | LATE),
    "without created": Case(
        [make_invoice(id="in_2"), make_invoice(id="in_x", created=MISSING, status="open"), make_invoice()],
        before={1: put("in_x", status="paid")},
        stories={"in_x": [("new", "open"), ("updated", "paid")]},
    ),
    "equal without id": Case(
        [make_invoice(id=MISSING, status="open") for _ in range(3)], before={1: pay_one_without_id}
    ),
    "a reject is corrected": Case(
        with_one(make_invoices(3), "in_2", amount_due="broken"),
        before={1: put("in_2", amount_due=7)},
        stories={"in_2": [("new", "paid")]},
    ),
    "unreadable for a while": Case(
        make_invoices(3, status="open"),
        before={1: put("in_2", amount_due="broken"), 4: put("in_2", amount_due=7)},
        stories={"in_2": [("new", "open"), ("updated", "open")]},
    ),
    "at rest": Case([*make_invoices(12, status="open"), make_invoice(id=None), "garbage"]),
    "one is paid, one is new": Case(
        make_invoices(2, status="open"),
        before={1: pay_and_arrive},
        stories={"in_1": [("new", "open"), ("updated", "paid")], "in_2": [("new", "open")]},
    ),
}

DOUBTFUL = {
    "a reject is corrected": {0},
    "unreadable for a while": {1, 2, 3},
    "at rest": {0, 1, 2, 3, 4},
}
"""At which loads an account has a record that cannot be read."""

FORESEEN = [case for case in CASES if case not in {"equal without id", "at rest"}]
LOADS = 5
COMPARES_ALL = 3


def let_happen(simulator: Simulator, events: dict[str, Event]) -> None:
    """Let each account's event happen once, between two requests."""

    def before_answer(request: Request) -> None:
        account_id = request.path.split("/")[4]
        if request.page == 3 and account_id in events:
            events.pop(account_id)(simulator.world.accounts[account_id])

    simulator.before_answer = before_answer


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Days]:
    with days_of(tmp_path_factory.mktemp("days"), max_per_page=5) as days:
        events = {}
        for name, case in CASES.items():
            account = days.open(name, copy.deepcopy(case.records))
            if case.during:
                events[account.id] = case.during
        let_happen(days.simulator, events)
        for number in range(LOADS):
            for name, case in CASES.items():
                if number in case.before:
                    case.before[number](days.accounts[name])
            days.load(**({"full_sync_every_days": 0} if number == COMPARES_ALL else {}))
        assert not events
        yield days


def changes_of(days: Days, case: str) -> list[dict[str, Any]]:
    return sorted(days.rows(case, "invoice_changes"), key=lambda row: (row["id"], row["version"]))


@pytest.mark.parametrize("case", FORESEEN)
def test_the_copy_is_the_list(days: Days, case: str) -> None:
    for number in set(range(LOADS)) - DOUBTFUL.get(case, set()):
        if number or not CASES[case].during:
            assert days.copy(case, number) == days.truth(case, number)


@pytest.mark.parametrize("case", [case for case, each in CASES.items() if each.stories])
def test_the_audit_trail_has_each_change_once_in_its_order(days: Days, case: str) -> None:
    for invoice_id, story in CASES[case].stories.items():
        rows = [row for row in changes_of(days, case) if row["id"] == invoice_id]
        assert [(row["change"], row["status"]) for row in rows] == story
        assert [row["version"] for row in rows] == list(range(1, len(rows) + 1))


@pytest.mark.parametrize("case", CASES)
def test_a_load_is_verified_unless_a_record_cannot_be_read(days: Days, case: str) -> None:
    problems = [days.outcome(case, number).problem for number in range(LOADS)]

    told = "1 record rejected: see invoice_rejects"
    assert problems == [told if number in DOUBTFUL.get(case, set()) else "" for number in range(LOADS)]


@pytest.mark.parametrize("case", CASES)
def test_a_full_walk_over_unchanged_data_writes_no_invoice_and_no_change(days: Days, case: str) -> None:
    outcome = days.outcome(case, COMPARES_ALL)

    assert (outcome.sync_mode, outcome.full_reason) == ("full", "a full walk was due")
    for table in ("invoices", "invoice_changes", "invoice_rejects"):
        assert days.rows(case, table, COMPARES_ALL) == days.rows(case, table, COMPARES_ALL - 1)
    if case == "at rest":
        assert outcome.requests == 3 + 2  # page 1 again, and the page with a record that may vanish


def test_a_change_holds_the_values_as_they_were_seen(days: Days) -> None:
    seen = [
        (row["amount_paid"], row["amount_remaining"], row["attempt_count"])
        for row in changes_of(days, "an old one is paid deep in the list")
        if row["id"] == "in_3"
    ]

    assert seen == [(0, 2178, 1), (2178, 0, 2)]


def test_an_invoice_that_arrives_in_mid_walk_is_there_after_the_next_load(days: Days) -> None:
    held = [len(days.rows("one arrives in mid-walk", day=number)) for number in (0, 1)]

    assert held[0] >= 20
    assert held[1] == 21


def test_a_draft_that_is_deleted_in_mid_walk_lets_no_invoice_slip_between_two_pages(days: Days) -> None:
    for name, case in CASES.items():
        if case.during not in {None, arrive}:
            assert days.copy(name, 0) == days.truth(name, 1)


def test_of_several_equal_invoices_without_id_only_the_one_that_is_paid_changes(days: Days) -> None:
    rows = [(row["id"].rpartition(":")[2], row["status"]) for row in days.rows("equal without id")]

    assert rows == [("1", "open"), ("2", "paid"), ("3", "open")]
    assert len(changes_of(days, "equal without id")) == 4


def test_a_rejected_record_that_is_corrected_becomes_an_invoice_and_its_reject_is_resolved(
    days: Days,
) -> None:
    [reject] = days.rows("a reject is corrected", "invoice_rejects")

    assert (reject["id"], reject["resolved_at"] > reject["observed_at"]) == ("in_2", True)


def test_an_invoice_that_cannot_be_read_any_more_keeps_its_last_good_row_until_it_can(days: Days) -> None:
    case = "unreadable for a while"
    before, *kept, after = ({row["id"]: row for row in days.rows(case, day=day)} for day in range(LOADS))

    assert kept == [before] * 3
    assert after["in_2"]["amount_due"] == 7
    assert [days.outcome(case, day).invoices for day in range(LOADS)] == [3] * LOADS
    assert days.outcome(case, 2).sync_mode == "incremental"


def test_each_run_leaves_a_row_for_each_account_that_says_what_it_did(days: Days) -> None:
    syncs = days.query(
        "SELECT sync_mode, full_reason, requests, total_count, new, updated, deleted, rejected, verified "
        "FROM cf_invoices.invoice_syncs WHERE account_id = ? ORDER BY sync_number LIMIT 2",
        days.accounts["one is paid, one is new"].id,
    )

    assert syncs == [
        ("full", "first run", 1, 2, 2, 0, 0, 0, True),
        ("incremental", "", 1, 3, 1, 1, 0, 0, True),
    ]
