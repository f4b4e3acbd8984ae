"""What a run costs: requests counted by the server, many lists in one load, each an account of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from cf_invoice_source import Report
from cf_invoice_source.simulator import Account, Simulator, World
from tests.conftest import Load
from tests.support.copies import LATER_S
from tests.support.make import make_invoice, make_invoices

pytestmark = pytest.mark.usefixtures("held")

Lists = Callable[..., dict[Any, Account]]


@pytest.fixture
def lists(world: World) -> Lists:
    """Open an account for each of these cases, with a list of that many paid invoices."""

    def open_accounts(sizes: dict[Any, int]) -> dict[Any, Account]:
        accounts = {}
        for case, size in sizes.items():
            accounts[case] = world.add_account()
            accounts[case].records += make_invoices(size)
        return accounts

    return open_accounts


def ids(accounts: dict[Any, Account]) -> list[str]:
    return [account.id for account in accounts.values()]


def spent(simulator: Simulator, accounts: dict[Any, Account]) -> dict[Any, int]:
    """How many requests each account has cost since the last time."""
    count = Counter(request.path.split("/")[4] for request in simulator.requests)
    simulator.requests.clear()
    return {case: count[account.id] for case, account in accounts.items()}


def is_exact(report: Report, accounts: dict[Any, Account]) -> bool:
    """Whether all was loaded, in the end, and is verified."""
    lengths = [len(account.records) for account in accounts.values()]
    return report.is_verified and [account.invoices for account in report.accounts] == lengths


def arrive(account: Account, count: int) -> None:
    for number in range(count):
        created = LATER_S + len(account.records)
        account.records.insert(0, make_invoice(id=f"new_{created}_{number}", created=created))


def pages_of(count: int, per_page: int) -> int:
    return -(-count // per_page)


def second_look(new: int, per_page: int) -> int:
    """Requests to see page 1 again, where new invoices came from several pages and none can be deleted."""
    return 1 if new > per_page else 0


# First loads


@pytest.mark.quick("5")
@pytest.mark.parametrize("per_page", [1, 5, 50])
def test_a_first_load_asks_for_each_page_once_and_for_page_1_again(
    load: Load, simulator: Simulator, lists: Lists, per_page: int
) -> None:
    simulator.max_per_page = per_page
    sizes = {0, 1, 2, 3, *(border + step for border in (per_page, 2 * per_page) for step in (-1, 0, 1))}
    accounts = lists({size: size for size in sizes})

    report = load(account_id=ids(accounts))

    assert spent(simulator, accounts) == {
        size: max(1, pages_of(size, per_page)) + second_look(size, per_page) for size in sizes
    }
    assert is_exact(report, accounts)


@pytest.mark.slow
def test_packages_cost_no_requests(load: Load, simulator: Simulator, lists: Lists) -> None:
    simulator.max_per_page = 3
    accounts = lists({10: 10, 12: 12})

    report = load(account_id=ids(accounts), package_rows=4)

    assert spent(simulator, accounts) == {10: 4 + 1, 12: 4 + 1}
    assert is_exact(report, accounts)


# A list at rest


@pytest.mark.quick("5")
@pytest.mark.parametrize("per_page", [1, 5, 50])
def test_new_invoices_cost_their_pages_and_nothing_new_costs_one_request(
    load: Load, simulator: Simulator, lists: Lists, per_page: int
) -> None:
    simulator.max_per_page = per_page
    counts = sorted({0, 1, 2, 3, per_page - 1, per_page, per_page + 1, 2 * per_page - 1, 2 * per_page})
    accounts = lists(dict.fromkeys(counts, 7))
    load(account_id=ids(accounts))
    spent(simulator, accounts)
    for count, account in accounts.items():
        arrive(account, count)

    report = load(account_id=ids(accounts))

    assert spent(simulator, accounts) == {
        count: pages_of(count + 1, per_page) + second_look(count, per_page) for count in counts
    }
    assert is_exact(report, accounts)


@pytest.mark.slow
def test_unsettled_invoices_and_rejects_cost_one_request_for_each_further_page_that_holds_one(
    load: Load, simulator: Simulator, lists: Lists
) -> None:
    simulator.max_per_page = 5
    open_ones: dict[str, list[int]] = {
        "none": [],
        "on page 1": [0, 4],
        "on page 2": [5],
        "on the last page": [29],
        "two on one page": [12, 14],
        "on each page": [0, 5, 10, 15, 20, 25],
    }
    accounts = lists(dict.fromkeys([*open_ones, "a reject on page 4"], 30))
    for case, places in open_ones.items():
        for place in places:
            accounts[case].records[place]["status"] = "open"
    accounts["a reject on page 4"].records[17] = "garbage"
    load(account_id=ids(accounts))
    spent(simulator, accounts)

    load(account_id=ids(accounts))

    assert spent(simulator, accounts) == {
        "none": 1,
        "on page 1": 1,
        "on page 2": 2,
        "on the last page": 2,
        "two on one page": 2,
        "on each page": 6,
        "a reject on page 4": 2,
    }


@pytest.mark.slow
def test_an_unsettled_invoice_costs_nothing_any_more_once_it_was_seen_paid(
    load: Load, simulator: Simulator, lists: Lists
) -> None:
    simulator.max_per_page = 5
    accounts = lists({"paid": 30})
    accounts["paid"].find("in_7")["status"] = "open"
    load(account_id=ids(accounts))
    accounts["paid"].pay("in_7")
    load(account_id=ids(accounts))
    spent(simulator, accounts)

    load(account_id=ids(accounts))

    assert spent(simulator, accounts) == {"paid": 1}


# A list that moves


@pytest.mark.slow
def test_the_pages_that_were_read_before_a_check_failed_count_towards_the_full_walk(
    load: Load, simulator: Simulator, lists: Lists
) -> None:
    simulator.max_per_page = 5
    accounts = lists(dict.fromkeys((0, 1, 4, 5, 11, 22), 23) | {"late": 23, "late and new": 23})
    for place, account in accounts.items():
        account.records[place if isinstance(place, int) else 9]["status"] = "draft"
    load(account_id=ids(accounts))
    spent(simulator, accounts)
    for place, account in accounts.items():
        if isinstance(place, int):
            del account.records[place]
            arrive(account, 2)  # so that the list is not just shorter
        else:
            account.records.insert(20, make_invoice(id="in_late", created=account.records[20]["created"]))
    arrive(accounts["late and new"], 8)

    report = load(account_id=ids(accounts))

    page_1_again, page_2_again_for_its_draft = 1, 1
    assert spent(simulator, accounts) == {
        case: pages_of(len(account.records), 5)
        + page_1_again
        + (0 if isinstance(case, int) else page_2_again_for_its_draft)
        for case, account in accounts.items()
    }
    assert is_exact(report, accounts)


def test_each_arrival_during_a_walk_costs_at_most_one_request_more(
    load: Load, simulator: Simulator, lists: Lists
) -> None:
    simulator.max_per_page = 3
    accounts = lists(dict.fromkeys(range(6), 12))
    left = {account.id: (account, arrivals) for arrivals, account in accounts.items()}

    def let_arrive(request: Any) -> None:
        name = request.path.split("/")[4]
        account, arrivals = left[name]
        if arrivals and request.page > 1:
            left[name] = (account, arrivals - 1)
            arrive(account, 1)

    simulator.before_answer = let_arrive

    report = load(account_id=ids(accounts))

    costs = spent(simulator, accounts)
    assert [arrivals for arrivals, cost in costs.items() if not 4 + 1 <= cost <= 4 + 1 + arrivals] == []
    assert report.is_verified


@pytest.mark.slow
def test_a_shrink_costs_at_most_one_more_full_walk(load: Load, simulator: Simulator, lists: Lists) -> None:
    simulator.max_per_page = 3
    accounts = lists(dict.fromkeys((2, 3, 4), 12))
    shrinks_at = {account.id: page for page, account in accounts.items()}

    def shrink(request: Any) -> None:
        name = request.path.split("/")[4]
        if request.page == shrinks_at[name]:
            shrinks_at[name] = 0
            del simulator.world.accounts[name].records[1]

    simulator.before_answer = shrink

    report = load(account_id=ids(accounts))

    assert max(spent(simulator, accounts).values()) <= 4 + (4 + 1)
    assert is_exact(report, accounts)


@pytest.mark.slow
def test_a_list_that_never_rests_is_walked_four_times_and_then_once_to_load_what_can_be_seen(
    load: Load, simulator: Simulator, lists: Lists
) -> None:
    simulator.max_per_page = 3
    accounts = lists({"restless": 100})
    [account] = accounts.values()

    def shrink(request: Any) -> None:
        if request.page > 1:
            del account.records[1]

    simulator.before_answer = shrink

    report = load(account_id=ids(accounts))

    assert [request.page for request in simulator.requests].count(1) == 5
    assert spent(simulator, accounts)["restless"] <= 8 + 34
    assert report.accounts[0].new > 30
    assert not report.is_verified
