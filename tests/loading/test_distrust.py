"""A server whose figures contradict each other: every walk ends, loads what there is, and claims no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cf_invoice_source import ApiChangedError, Report
from cf_invoice_source.simulator import Account, Fault, Request, Simulator
from cf_invoice_source.simulator.faults import edit, ignore_page
from tests.conftest import Command, Load, Warehouse
from tests.support.copies import copy_of, truth_of
from tests.support.make import CREATED_S, make_invoice, make_invoices

pytestmark = pytest.mark.usefixtures("held")

PAGES = 3
"""What the lists of these tests have, mostly; a walk by `has_more` asks for page 1 again in the end."""


@pytest.fixture
def listed(simulator: Simulator, account: Account) -> Account:
    """An account with three pages of invoices, an open one among them."""
    simulator.max_per_page = 5
    account.records += make_invoices(12)
    account.find("in_3").update(status="open", amount_paid=0, amount_remaining=2178)
    return account


def lie(change: Callable[[dict[str, Any]], object]) -> Fault:
    """Let the server say something else in `pagination`, on every page."""

    def alter(document: Any) -> None:
        change(document["result"]["pagination"])

    return edit(alter)


def off_by(number: int) -> Fault:
    return lie(lambda pagination: pagination.update(total_count=pagination["total_count"] + number))


def kinds(report: Report) -> list[str]:
    return [account.sync_mode for account in report.accounts]


LIES: dict[str, tuple[Callable[[], Fault], bool]] = {
    "has_more is always true": (lambda: lie(lambda facts: facts.update(has_more=True)), False),
    "has_more is always false": (lambda: lie(lambda facts: facts.update(has_more=False)), True),
    "total_count is one too large": (lambda: off_by(1), True),
    "total_count is one too small": (lambda: off_by(-1), True),
    "total_count is zero": (lambda: lie(lambda facts: facts.update(total_count=0)), True),
    "per_page is zero": (lambda: lie(lambda facts: facts.update(per_page=0)), True),
    "the page number is not echoed": (lambda: lie(lambda facts: facts.update(page=1)), True),
}
"""What the server says, and whether a walk by `has_more` can prove the copy all the same."""


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "is_provable"), LIES.values(), ids=LIES)
def test_all_is_loaded_whatever_the_server_says_of_its_pages_and_verified_later(
    load: Load,
    simulator: Simulator,
    listed: Account,
    warehouse: Warehouse,
    fault: Callable[[], Fault],
    *,
    is_provable: bool,
) -> None:
    simulator.faults.append(fault())
    lied_to = load()
    copied, asked = copy_of(warehouse), len(simulator.requests)
    simulator.faults.clear()

    healed = load()

    assert copied == copy_of(warehouse) == truth_of(listed)
    assert asked <= PAGES + 3
    assert (kinds(lied_to), lied_to.is_verified) == (["sequential"], is_provable)
    assert (kinds(healed), healed.is_verified) == (["full"], True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "what", ["has_more is always false", "total_count is one too large", "total_count is one too small"]
)
def test_a_server_that_begins_to_lie_loses_nothing(
    load: Load, simulator: Simulator, listed: Account, warehouse: Warehouse, what: str
) -> None:
    """A bookmark is there already: the frontier is known, and one invoice is new, another one paid."""
    load()
    simulator.faults.append(LIES[what][0]())
    simulator.requests.clear()
    listed.pay("in_3")
    listed.records.insert(0, make_invoice(id="in_new", created=CREATED_S + 10**7))

    load()

    assert copy_of(warehouse) == truth_of(listed)
    assert len(simulator.requests) <= PAGES + 3


@pytest.mark.quick("1")
@pytest.mark.parametrize("per_page", [1, 5])
def test_a_list_that_is_oldest_first_is_read_page_by_page_and_again_each_time(
    load: Load, simulator: Simulator, listed: Account, warehouse: Warehouse, per_page: int
) -> None:
    simulator.max_per_page = per_page
    listed.records.reverse()
    first = load()
    listed.pay("in_3")
    listed.records.append(make_invoice(id="in_new", created=CREATED_S + 10**7))

    second = load()

    assert copy_of(warehouse) == truth_of(listed)
    assert kinds(first) == kinds(second) == ["sequential"]
    assert second.is_verified


@pytest.mark.slow
def test_a_draft_that_is_deleted_leaves_the_copy_of_a_list_that_is_oldest_first(
    load: Load, simulator: Simulator, listed: Account, warehouse: Warehouse
) -> None:
    listed.records.reverse()
    listed.find("in_3")["status"] = "draft"
    load()
    listed.delete("in_3")

    report = load()

    assert copy_of(warehouse) == truth_of(listed)
    assert report.is_verified


@pytest.mark.slow
def test_a_list_that_moves_under_a_walk_page_by_page_proves_nothing_and_deletes_nothing(
    load: Load, simulator: Simulator, listed: Account, warehouse: Warehouse
) -> None:
    """The draft leaves page 1 before page 2 is answered, so the rest moves up, and one invoice slips by."""
    listed.find("in_11")["status"] = "draft"
    load()
    simulator.faults.append(LIES["the page number is not echoed"][0]())

    def delete(request: Request) -> None:
        if request.page == 2 and listed.having("draft"):
            listed.delete("in_11")

    simulator.before_answer = delete

    report = load(full=True)

    assert kinds(report) == ["sequential"]
    assert not report.is_verified
    assert len(warehouse.ids()) == 12


@pytest.mark.slow
def test_a_list_that_shrinks_all_the_time_is_loaded_unverified_and_nothing_is_deleted(
    command: Command, simulator: Simulator, listed: Account, warehouse: Warehouse
) -> None:
    listed.records[:0] = [
        make_invoice(id=f"x_{n}", status="draft", created=CREATED_S + 10**7 - n) for n in range(40)
    ]
    command("load")
    before = set(warehouse.ids())
    simulator.requests.clear()
    simulator.before_answer = lambda _request: listed.records.pop(10)

    ended = command("load", "--full")

    assert ended.exit_code == 3
    assert len(simulator.requests) <= 8 + 11
    assert set(warehouse.ids()) == before

    simulator.before_answer = None
    assert command("load").exit_code == 0
    assert copy_of(warehouse) == truth_of(listed)


@pytest.mark.slow
def test_a_server_that_ignores_the_page_number_is_a_clear_error_and_leaves_the_copy_as_it_was(
    load: Load, simulator: Simulator, listed: Account, warehouse: Warehouse
) -> None:
    load()
    before = copy_of(warehouse)
    simulator.faults.append(ignore_page())
    simulator.requests.clear()
    listed.pay("in_3")

    with pytest.raises(ApiChangedError, match="ignore the page number"):
        load(full=True)

    assert copy_of(warehouse) == before
    assert len(simulator.requests) <= 3


@pytest.mark.slow
def test_a_reason_for_doubt_is_told_in_the_report_and_in_the_row_of_the_walk(
    load: Load, simulator: Simulator, listed: Account, warehouse: Warehouse
) -> None:
    simulator.faults.append(lie(lambda facts: facts.update(has_more=True)))

    [outcome] = load().accounts

    assert "says that more follow" in outcome.unverified_reason
    assert warehouse.query("SELECT verified, unverified_reason FROM cf_invoices.invoice_syncs") == [
        (False, outcome.unverified_reason)
    ]
