"""The simulator's world: what may happen to an invoice, and that chance is the same each time."""

from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cf_invoice_source.simulator.world import (
    MAY_BECOME,
    START_S,
    Account,
    Record,
    World,
    demo_world,
    make_invoice,
)

SETTLED = {"paid", "void"}
MOVES: dict[str, Callable[[Account, str], None]] = {
    "open": Account.finalize,
    "paid": Account.pay,
    "void": Account.void,
    "uncollectible": Account.write_off,
}


def account_with(*records: Any) -> Account:
    return Account("0" * 32, "Test", list(records))


def by_id(world: World) -> dict[str, Record]:
    return {record["id"]: dict(record) for account in world.accounts.values() for record in account.records}


def test_a_new_invoice_stands_in_front() -> None:
    account = account_with({"id": "old", "created": 1})

    account.add({"id": "new", "created": 2})

    assert [record["id"] for record in account.records] == ["new", "old"]


def test_a_late_arrival_lands_deep_in_the_list() -> None:
    account = account_with(*({"id": str(age), "created": age} for age in (9, 7, 5, 3)))

    account.add({"id": "late", "created": 4})

    assert [record["id"] for record in account.records] == ["9", "7", "5", "late", "3"]


def test_the_oldest_late_arrival_ends_the_list() -> None:
    account = account_with({"created": 9}, {"created": 7})

    account.add({"created": Decimal("6.5")})

    assert account.records[-1] == {"created": Decimal("6.5")}


def test_of_two_invoices_with_one_created_the_later_arrival_stands_in_front() -> None:
    account = account_with({"id": "a", "created": 5})

    account.add({"id": "b", "created": 5})

    assert [record["id"] for record in account.records] == ["b", "a"]


def test_what_has_no_created_keeps_the_place_where_it_was_put() -> None:
    account = account_with({"created": 5}, "garbage", None, {"created": True}, {"created": 1})

    account.add({"created": 3})

    assert account.records == [
        {"created": 5},
        "garbage",
        None,
        {"created": True},
        {"created": 3},
        {"created": 1},
    ]


def test_an_invoice_without_created_is_added_as_the_newest() -> None:
    account = account_with({"created": 5})

    account.add({"id": "when"})

    assert account.records[0] == {"id": "when"}


def test_finding_gives_the_record_itself_past_any_garbage() -> None:
    record = {"id": "in_1"}

    assert account_with(7, ["in_1"], record).find("in_1") is record


def test_finding_what_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="in_2"):
        account_with({"id": "in_1"}).find("in_2")


def test_a_finalized_draft_is_open_and_gets_its_pdf() -> None:
    account = account_with(make_invoice(World().random, created_s=1, status="draft"))
    record = account.records[0]
    assert record["invoice_pdf"] is None

    account.finalize(record["id"])

    assert record["status"] == "open"
    assert "invoice_pdf" not in record


def test_a_payment_settles_the_whole_amount_and_counts_as_an_attempt() -> None:
    account = account_with(
        {"id": "a", "status": "open", "amount_due": 900, "attempt_count": 2, "attempted": False}
    )

    account.pay("a")

    assert account.records == [
        {
            "id": "a",
            "status": "paid",
            "amount_due": 900,
            "amount_paid": 900,
            "amount_remaining": 0,
            "attempt_count": 3,
            "attempted": True,
        },
    ]


@pytest.mark.parametrize("before", MAY_BECOME)
@pytest.mark.parametrize("after", MOVES)
def test_a_status_turns_only_into_what_stripe_allows(before: str, after: str) -> None:
    account = account_with({"id": "a", "status": before, "amount_due": 1})

    if after in MAY_BECOME[before]:
        MOVES[after](account, "a")
        assert account.find("a")["status"] == after
    else:
        with pytest.raises(ValueError, match=f"a is {before}: it cannot become {after}"):
            MOVES[after](account, "a")


@pytest.mark.parametrize("unknown", [None, "in_review", 7])
def test_an_unknown_status_may_become_anything(unknown: object) -> None:
    account = account_with({"id": "a", "status": unknown, "amount_due": 1})

    account.pay("a")

    assert account.find("a")["status"] == "paid"


def test_a_draft_can_be_deleted_and_its_equal_twin_stays() -> None:
    twin = {"id": "a", "status": "draft"}
    account = account_with({"id": "a", "status": "draft"}, twin)

    account.delete("a")

    assert len(account.records) == 1
    assert account.records[0] is twin


@pytest.mark.parametrize("status", ["open", "paid", "uncollectible", "void", None])
def test_only_a_draft_can_be_deleted(status: str | None) -> None:
    account = account_with({"id": "a", "status": status})

    with pytest.raises(ValueError, match="only a draft can be deleted"):
        account.delete("a")
    assert account.records


def test_the_type_of_an_invoice_is_decided_by_its_origin() -> None:
    auto, manual = {"invoice_origin": "auto_topup"}, {"invoice_origin": "manual_topup"}
    account = account_with(auto, "garbage", manual, {"invoice_origin": "gift"})

    assert account.listed("auto") == [auto]
    assert account.listed("manual") == [manual]
    assert account.listed("all") == account.records


@given(seed=st.integers(0, 999), status=st.sampled_from(sorted(MAY_BECOME)))
def test_what_is_paid_and_what_remains_make_what_is_due(seed: int, status: str) -> None:
    record = make_invoice(World(seed).random, created_s=START_S, status=status)

    assert record["amount_paid"] + record["amount_remaining"] == record["amount_due"] > 0
    assert (record["amount_remaining"] == 0) is (status == "paid")
    assert all(type(record[name]) is int for name in record if name.startswith("amount_"))
    assert record["attempted"] is (record["attempt_count"] > 0)


def test_invoices_are_in_dollars_mostly_and_in_euros_and_yen_sometimes() -> None:
    records = World().add_account(invoices=300).records

    assert {"usd", "eur", "jpy"} == {record["currency"] for record in records}
    assert sum(record["currency"] == "usd" for record in records) > 200


def test_an_account_opens_with_as_many_invoices_as_asked_over_two_years() -> None:
    world = World()

    ages_s = [world.clock - record["created"] for record in world.add_account(invoices=130).records]

    assert len(ages_s) == 130
    assert ages_s == sorted(ages_s)
    assert ages_s[0] >= 0
    assert 600 * 86_400 < ages_s[-1] < 731 * 86_400


@settings(max_examples=20)
@given(seed=st.integers(0, 999), invoices=st.integers(0, 30))
def test_chance_deletes_only_drafts_and_leaves_settled_invoices_alone(seed: int, invoices: int) -> None:
    world = World(seed)
    world.add_account(invoices=invoices)
    world.add_account()

    for _ in range(40):
        before = by_id(world)
        world.live(1)
        after = by_id(world)
        assert {before[gone]["status"] for gone in before.keys() - after.keys()} <= {"draft"}
        assert all(after[key] == old for key, old in before.items() if old["status"] in SETTLED)


@settings(max_examples=20)
@given(seed=st.integers(0, 999))
def test_whatever_happens_the_list_stays_newest_first(seed: int) -> None:
    world = World(seed)
    account = world.add_account(invoices=5)

    world.live(60)

    created = [record["created"] for record in account.records]
    assert created == sorted(created, reverse=True)


def test_chance_brings_every_change_that_is_allowed_and_deletions() -> None:
    world = World(seed=1)
    world.add_account(invoices=20)
    seen = set()

    for _ in range(400):
        before = by_id(world)
        world.live(1)
        after = by_id(world)
        seen |= {(old["status"], after.get(key, {"status": "gone"})["status"]) for key, old in before.items()}

    allowed = {(before, after) for before, afters in MAY_BECOME.items() for after in afters}
    assert seen - {(status, status) for status in MAY_BECOME} == {*allowed, ("draft", "gone")}


def test_chance_leaves_invoices_without_id_alone() -> None:
    world = World()
    nameless: list[Record] = [{"status": "open"}, {"status": "draft", "id": None}]
    account = world.add_account()
    account.records += nameless

    world.live(50)

    assert [record for record in account.records if not record.get("id")] == nameless
    assert [record["status"] for record in nameless] == ["open", "draft"]


def test_chance_brings_new_invoices_and_late_ones() -> None:
    world = World()
    account = world.add_account()

    world.live(200)

    arrivals = [record["created"] > START_S for record in account.records]
    assert arrivals.count(True) > 50
    assert arrivals.count(False) > 5


@pytest.mark.parametrize("step", [0, 1, 7])
def test_the_same_step_of_the_demo_is_the_same_world(step: int) -> None:
    assert demo_world(step) == demo_world(step)


def test_the_demo_begins_with_three_companies_of_very_different_size() -> None:
    assert [len(account.records) for account in demo_world().accounts.values()] == [130, 40, 3]


def test_the_second_run_of_the_demo_shows_new_paid_and_voided_invoices() -> None:
    before, after = by_id(demo_world(0)), by_id(demo_world(1))
    moves = [(before[key]["status"], after[key]["status"]) for key in before]

    assert after.keys() - before.keys()
    assert moves.count(("open", "paid")) >= 2
    assert ("open", "void") in moves


@pytest.mark.parametrize("step", range(12))
def test_every_run_of_the_demo_shows_something_new_and_something_paid(step: int) -> None:
    before, after = by_id(demo_world(step)), by_id(demo_world(step + 1))
    paid = [
        key for key in before.keys() & after.keys() if after[key]["status"] == "paid" != before[key]["status"]
    ]

    assert after.keys() - before.keys()
    assert paid


def test_a_few_runs_of_the_demo_show_a_deleted_draft_and_a_late_arrival() -> None:
    worlds = [demo_world(step) for step in range(7)]
    gone = {key for world in worlds for key in by_id(world)} - by_id(worlds[-1]).keys()
    late_s = [
        before.clock - record["created"]
        for before, after in pairwise(worlds)
        for key, record in by_id(after).items()
        if key not in by_id(before)
    ]

    assert gone
    assert max(late_s) > 30 * 86_400


def test_the_demo_moves_its_clock_by_some_days_each_step() -> None:
    days = (demo_world(5).clock - demo_world(4).clock) / 86_400

    assert 1 < days < 7
