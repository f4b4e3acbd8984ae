"""Many accounts: discovered, walked side by side within one rate limit, none stopped by another."""

from __future__ import annotations

import gc
import json
import threading
from collections import Counter
from threading import Barrier, Event, Lock
from types import FunctionType, ModuleType
from typing import Any

import dlt
import pytest

from cf_invoice_source import Report, SettingsError, TryLaterError, list_accounts
from cf_invoice_source.invoices.record import Invoice
from cf_invoice_source.loading.account import Account as LoadedAccount
from cf_invoice_source.loading.comparison import Comparison
from cf_invoice_source.settings import REQUESTS_AT_ONCE
from cf_invoice_source.simulator import Account, Fault, Request, Simulator, World
from cf_invoice_source.simulator.answers import Answer, success
from cf_invoice_source.simulator.faults import failed_envelope, status
from cf_invoice_source.walk.batches import WalkBatch
from cf_invoice_source.walk.bookmark import Bookmark, HighWaterMark
from cf_invoice_source.walk.page import Page
from cf_invoice_source.walk.walker import Walker
from tests.conftest import Command, Load, Naps, Warehouse
from tests.support.make import make_invoices
from tests.support.memory import MemoryRows
from tests.support.truth import Truth
from tests.walk.test_worlds import TruthClient, accounts_of

WAIT_S = 20
"""How long a test waits for what must happen, before it fails."""


@pytest.fixture(autouse=True)
def no_account_named(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOUDFLARE_ACCOUNT_ID")


@pytest.fixture
def others(world: World) -> list[Account]:
    """More accounts than requests are on their way at once, with an invoice each."""
    return [world.add_account(f"Other {number}", invoices=1) for number in range(REQUESTS_AT_ONCE + 4)]


def invoice_requests(simulator: Simulator) -> list[Request]:
    return [request for request in simulator.requests if request.path.endswith("/invoice-history")]


def account_of(request: Request) -> str:
    return request.path.split("/")[4]


def list_requests(simulator: Simulator) -> list[int | None]:
    return [request.page for request in simulator.requests if request.path.endswith("/accounts")]


# Discovery


def test_without_an_account_in_the_settings_all_that_the_credentials_see_are_loaded(
    load: Load, world: World, others: list[Account], warehouse: Warehouse
) -> None:
    report = load()

    assert {row["account_id"] for row in warehouse.rows()} == {other.id for other in others}
    assert [outcome.account_id for outcome in report.accounts] == list(world.accounts)
    assert report.is_verified


@pytest.mark.parametrize("nothing", ["", " ", "[]"], ids=repr)
def test_an_empty_setting_names_no_account(
    world: World, dlt_here: None, monkeypatch: pytest.MonkeyPatch, nothing: str
) -> None:
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", nothing)

    assert list_accounts() == list(world.accounts)


@pytest.mark.parametrize(("accounts", "pages"), [(1, [1]), (50, [1]), (51, [1, 2]), (120, [1, 2, 3])])
def test_every_page_of_the_list_of_accounts_is_asked_for_once(
    world: World, simulator: Simulator, dlt_here: None, accounts: int, pages: list[int]
) -> None:
    for _ in range(accounts - 1):
        world.add_account()

    found = list_accounts()

    assert found == list(world.accounts)
    assert list_requests(simulator) == pages


def test_accounts_that_are_named_are_not_looked_up(
    simulator: Simulator, account: Account, dlt_here: None
) -> None:
    assert list_accounts(account_id=account.id) == [account.id]
    assert simulator.requests == []


def test_a_list_of_accounts_that_changes_while_it_is_read_is_read_again(
    world: World, simulator: Simulator, dlt_here: None
) -> None:
    for _ in range(80):
        world.add_account()
    oldest = next(iter(world.accounts))

    def lose_one(request: Request) -> None:
        if request.number == 2:
            del world.accounts[oldest]  # the rest moves up: one slips between the two pages

    simulator.before_answer = lose_one

    found = list_accounts()

    assert found == list(world.accounts)
    assert len(found) == 80


def test_a_list_of_accounts_that_is_shorter_than_it_says_is_not_believed(
    world: World, simulator: Simulator, account: Account, dlt_here: None
) -> None:
    shown = [{"id": account.id, "name": account.name}]
    same_page = success(shown, result_info={"page": 1, "per_page": 50, "total_count": 2})
    simulator.faults.append(Fault(lambda _request, _answering: same_page, path="/accounts"))

    with pytest.raises(TryLaterError, match="not as long as Cloudflare says"):
        list_accounts()

    assert len(simulator.requests) == 8


@pytest.mark.parametrize(
    ("total_count", "requests"), [(6, 1), (5, 4)], ids=["it says so", "it counts fewer, and goes on"]
)
def test_a_list_of_accounts_that_is_too_long_is_not_read_to_its_end(
    simulator: Simulator, dlt_here: None, monkeypatch: pytest.MonkeyPatch, total_count: int, requests: int
) -> None:
    monkeypatch.setattr("cf_invoice_source.cloudflare.accounts.MAX_ACCOUNTS", 5)
    monkeypatch.setattr("cf_invoice_source.cloudflare.accounts.MAX_ACCOUNT_PAGES", 3)

    def another(request: Request, _answering: object) -> Answer:
        return success([{"id": f"{request.number:032x}"}], result_info={"total_count": total_count})

    simulator.faults.append(Fault(another, path="/accounts"))

    with pytest.raises(SettingsError, match="more than 5 accounts, or the list has no end") as caught:
        list_accounts()

    assert "name the account" in caught.value.remedy
    assert len(simulator.requests) == requests


def test_credentials_that_see_no_account_say_how_to_name_one(
    world: World, simulator: Simulator, dlt_here: None
) -> None:
    world.accounts.clear()

    with pytest.raises(SettingsError, match="no Cloudflare account") as caught:
        list_accounts()

    assert "CLOUDFLARE_ACCOUNT_ID" in caught.value.remedy


def test_credentials_that_may_not_list_accounts_are_told_so_with_the_ray(
    simulator: Simulator, load: Load
) -> None:
    simulator.faults.append(failed_envelope(10000, "Authentication error", status=403))

    with pytest.raises(SettingsError, match="Authentication error") as caught:
        load()

    assert caught.value.ray.endswith("-SIM")
    assert caught.value.request.endswith("/accounts?page=1&per_page=50")


@pytest.mark.parametrize(
    "answer",
    [
        success({"id": "x"}, result_info={"total_count": 1}),
        success([{"name": "x"}], result_info={"total_count": 1}),
        success([{"id": "../user", "name": "x"}], result_info={"total_count": 1}),
        success([7], result_info={"total_count": 1}),
        success([]),
        success([], result_info={"total_count": "1"}),
        success([], result_info=[]),
    ],
    ids=[
        "an object",
        "no id",
        "an id that is a path",
        "a number",
        "no result_info",
        "a text as total",
        "a list as result_info",
    ],
)
def test_a_list_of_accounts_of_another_shape_is_told_with_its_ray(
    simulator: Simulator, dlt_here: None, answer: Answer
) -> None:
    from cf_invoice_source import ApiChangedError

    simulator.faults.append(Fault(lambda _request, _answering: answer))

    with pytest.raises(ApiChangedError) as caught:
        list_accounts()

    assert caught.value.ray.endswith("-SIM")


@pytest.mark.slow
def test_a_bare_pipeline_run_discovers_accounts_only_when_it_runs(
    simulator: Simulator, others: list[Account], warehouse: Warehouse, dlt_here: None
) -> None:
    import dlt

    from cf_invoice_source import cf_invoice_source

    source = cf_invoice_source()
    assert simulator.requests == []

    dlt.pipeline("bare", destination="duckdb", dataset_name="cf_invoices").run(source)

    assert len(warehouse.rows()) == len(others)


# Accounts that vanish


@pytest.fixture
def left(load: Load, world: World, others: list[Account]) -> Account:
    """An account that was loaded and is no longer listed."""
    load()
    return world.accounts.pop(others[0].id)


def test_an_account_that_is_no_longer_listed_keeps_its_rows_and_is_mentioned(
    load: Load, left: Account, warehouse: Warehouse
) -> None:
    report: Report = load()

    assert report.unlisted == (left.id,)
    assert left.id in {row["account_id"] for row in warehouse.rows()}
    assert report.is_verified
    assert not report.has_failed


@pytest.mark.slow
def test_the_command_mentions_it_for_people_and_for_machines(left: Account, command: Command) -> None:
    for_people = command("load")
    for_machines = command("load", "--json")

    assert f"Cloudflare no longer lists account {left.id}: its rows stay" in for_people.stdout
    assert json.loads(for_machines.stdout)["unlisted"] == [left.id]
    assert (for_people.exit_code, for_machines.exit_code) == (0, 0)


@pytest.mark.slow
def test_an_account_that_is_just_not_named_is_not_mentioned(
    load: Load, left: Account, others: list[Account]
) -> None:
    assert load(account_id=others[1].id).unlisted == ()


# Side by side


@pytest.mark.slow
def test_as_many_requests_as_allowed_are_in_flight_at_once_and_no_more(
    load: Load, simulator: Simulator, world: World, others: list[Account]
) -> None:
    together = Barrier(REQUESTS_AT_ONCE, timeout=WAIT_S)
    lock, under_way, most = Lock(), 0, 0

    def hold(request: Request) -> None:
        nonlocal under_way, most
        if request.path.endswith("/accounts"):
            return
        with lock:
            under_way += 1
            most = max(most, under_way)
            is_early = len(invoice_requests(simulator)) <= REQUESTS_AT_ONCE
        if is_early:
            together.wait()
        with lock:
            under_way -= 1

    simulator.before_sending = hold

    load()

    assert most == REQUESTS_AT_ONCE
    assert len(invoice_requests(simulator)) == len(world.accounts)


@pytest.mark.slow
def test_a_slow_account_does_not_hold_up_the_others(
    load: Load, simulator: Simulator, world: World, others: list[Account]
) -> None:
    slow = next(iter(world.accounts))
    all_others_asked = Event()
    was_held_up = []

    def hold(request: Request) -> None:
        if len({account_of(each) for each in invoice_requests(simulator)}) == len(world.accounts):
            all_others_asked.set()
        if request.path.endswith("/invoice-history") and account_of(request) == slow:
            was_held_up.append(not all_others_asked.wait(WAIT_S))

    simulator.before_sending = hold

    report = load()

    assert was_held_up == [False]
    assert report.is_verified


BROKEN: dict[str, Fault] = {
    "refused": failed_envelope(10000, "Authentication error", status=403),
    "down": status(503),
}


@pytest.mark.quick("5-refused")
@pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("nth", [0, 5, -1])
def test_an_account_that_is_refused_or_broken_does_not_stop_the_others(
    load: Load, simulator: Simulator, others: list[Account], warehouse: Warehouse, fault: Fault, nth: int
) -> None:
    bad = others[nth]
    simulator.faults.append(fault.only(path=f"/accounts/{bad.id}/"))

    report = load()

    assert {row["account_id"] for row in warehouse.rows()} == {other.id for other in others} - {bad.id}
    assert [outcome.account_id for outcome in report.accounts if outcome.error] == [bad.id]
    walks = warehouse.query("SELECT account_id, error <> '', verified FROM cf_invoices.invoice_syncs")
    assert sorted(walks) == sorted(
        (outcome.account_id, outcome.account_id == bad.id, outcome.account_id != bad.id)
        for outcome in report.accounts
    )


@pytest.mark.slow
def test_trouble_is_counted_for_the_account_that_had_it(
    load: Load, simulator: Simulator, others: list[Account], warehouse: Warehouse
) -> None:
    simulator.faults.append(status(503).only(times=2, path=f"/accounts/{others[3].id}/"))

    load()

    retries = warehouse.query("SELECT account_id, retries FROM cf_invoices.invoice_syncs WHERE retries > 0")
    assert retries == [(others[3].id, 2)]


@pytest.mark.slow
def test_a_long_account_and_short_ones_load_together_in_several_packages(
    load: Load, simulator: Simulator, others: list[Account], warehouse: Warehouse
) -> None:
    others[2].records = make_invoices(40)
    simulator.max_per_page = 7

    report = load(package_rows=10)

    counts = Counter(row["account_id"] for row in warehouse.rows())
    assert counts == {other.id: len(other.records) for other in others}
    assert report.is_verified


def left_of(before: set[threading.Thread]) -> set[threading.Thread]:
    """Name the threads that ask for pages and do not end, but those that were there before."""
    left = {each for each in threading.enumerate() if each.name.startswith("cloudflare-1")} - before
    for thread in left:
        thread.join(WAIT_S)
    return {thread for thread in left if thread.is_alive()}


@pytest.mark.slow
def test_a_load_leaves_no_thread_behind(load: Load, others: list[Account]) -> None:
    before = set(threading.enumerate())
    load()

    assert not left_of(before)


def test_nor_does_one_whose_first_package_cannot_be_loaded(
    load: Load, others: list[Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(dlt.Pipeline, "load", fail)
    before = set(threading.enumerate())
    with pytest.raises(OSError, match="no space left"):
        load(package_rows=1)

    assert not left_of(before)


# Thousands of them


def reached_from(root: object, *, but: tuple[type, ...]) -> set[type]:
    """Say of which types the objects are that an object keeps in memory."""
    seen: dict[int, object] = {}
    waiting = [root]
    while waiting:
        each = waiting.pop()
        if id(each) not in seen and not isinstance(each, (type, ModuleType, FunctionType, *but)):
            seen[id(each)] = each
            waiting += gc.get_referents(each)
    return set(map(type, seen.values()))


def test_an_account_that_has_ended_keeps_nothing_of_its_list() -> None:
    truth, stored = Truth(), MemoryRows()
    for _ in range(20):
        truth.arrive(status="draft")
    accounts = accounts_of(truth, stored)
    for batch in accounts.row_batches({}):
        stored.load(batch)

    kept = reached_from(accounts, but=(TruthClient, MemoryRows))
    assert {LoadedAccount, Bookmark} <= kept
    assert kept.isdisjoint({Walker, Comparison, HighWaterMark, WalkBatch, Page, Invoice})


# One rate limit for all


def test_all_accounts_together_keep_the_rate_limit_before_it_is_spent_and_leave_little_idle(
    load: Load, simulator: Simulator, world: World, naps: Naps
) -> None:
    """Who waits does not see what answers to others would still allow: one request for each of 8 threads."""
    for _ in range(99):
        world.add_account(invoices=1)
    simulator.quota, simulator.window_s, simulator.clock = 40, 60, lambda: naps.now
    began = naps.now

    report = load()

    requests = len(simulator.requests)
    assert requests == 102
    assert sum(outcome.rate_limited for outcome in report.accounts) == 0
    assert naps.now - began <= 60 * (requests // (40 - 8))
    assert sum(outcome.waited_s for outcome in report.accounts) > 0


def test_after_a_429_nobody_asks_before_the_time_that_it_named(
    load: Load, simulator: Simulator, others: list[Account], naps: Naps
) -> None:
    asked_at: list[float] = []

    def note(request: Request) -> Any:
        asked_at.append(naps.now)

    simulator.before_answer = note
    refusal = Answer(429, {"success": False, "errors": [], "result": None}, {"retry-after": "77"})
    simulator.faults.append(Fault(lambda _request, _answering: refusal, times=1, path="/invoice-history"))

    report = load()

    [refused_at] = {at for at in asked_at if at < 1077}
    assert refused_at == 1000
    assert max(asked_at) == 1077
    assert sum(outcome.rate_limited for outcome in report.accounts) == 1
    assert report.is_verified
