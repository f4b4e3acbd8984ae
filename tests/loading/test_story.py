"""Stories: what happens to invoices between two runs or in the middle of one, and what is then told of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import dlt
import pytest

from cf_invoice_source import ApiChangedError
from cf_invoice_source.loading.accounts import Accounts
from cf_invoice_source.loading.counters import Counters
from cf_invoice_source.loading.job import read_job
from cf_invoice_source.simulator import Account, Simulator, World
from cf_invoice_source.simulator.answers import Request
from cf_invoice_source.simulator.faults import body
from cf_invoice_source.source import source_of
from cf_invoice_source.warehouse.stored import StoredRows
from tests.conftest import Command, Load, Warehouse
from tests.support.copies import arrive, copy_of, truth_of
from tests.support.make import MISSING, make_invoice, make_invoices

pytestmark = pytest.mark.usefixtures("held")

NEW_YEAR_S = 1_767_225_600


def story(warehouse: Warehouse, invoice_id: str) -> list[tuple[str, str | None]]:
    """The changes of one invoice in their order, each with the status then."""
    changes = warehouse.query(
        "SELECT version, change, status FROM cf_invoices.invoice_changes WHERE id = ? ORDER BY version",
        invoice_id,
    )
    assert [version for version, *_ in changes] == list(range(1, len(changes) + 1))
    return [(change, status) for _, change, status in changes]


def changes(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return warehouse.query("SELECT * FROM cf_invoices.invoice_changes ORDER BY account_id, id, version")


def pages(simulator: Simulator) -> list[int]:
    """The pages asked for, by their number: several are on their way at once."""
    return sorted(request.page or 0 for request in simulator.requests)


def once_at(simulator: Simulator, page: int, event: Callable[[], object]) -> None:
    """Let something happen between two requests: just before this page is answered for the first time."""
    events = [event]

    def before_answer(request: Any) -> None:
        if request.page == page and events:
            events.pop()()

    simulator.before_answer = before_answer


def turn_up_late(account: Account, place: int) -> None:
    """List an invoice for the first time, as old as the one that stands there."""
    account.records.insert(place, make_invoice(id="in_late", created=account.records[place]["created"]))


# From status to status


def test_each_status_on_the_way_of_an_invoice_is_one_change(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    ways: dict[str, list[str | None]] = {
        "paid later": ["open", "paid", "paid"],
        "voided": ["open", "void", "void"],
        "uncollectible, paid after all": ["open", "uncollectible", "paid"],
        "a draft first": ["draft", "open", "paid"],
        "null first": [None, None, "paid"],
        "there and back": ["open", None, "open"],
    }
    account.records += [make_invoice(id=name) for name in ways]
    for step in range(3):
        for name, way in ways.items():
            account.find(name)["status"] = way[step]
        load()

    assert {name: story(warehouse, name) for name in ways} == {
        "paid later": [("new", "open"), ("updated", "paid")],
        "voided": [("new", "open"), ("updated", "void")],
        "uncollectible, paid after all": [("new", "open"), ("updated", "uncollectible"), ("updated", "paid")],
        "a draft first": [("new", "draft"), ("updated", "open"), ("updated", "paid")],
        "null first": [("new", None), ("updated", "paid")],
        "there and back": [("new", "open"), ("updated", None), ("updated", "open")],
    }
    assert {row["id"]: row["status"] for row in warehouse.rows()} == {
        name: way[-1] for name, way in ways.items()
    }


@pytest.mark.slow
def test_an_old_invoice_that_is_paid_deep_in_the_list_is_found_paid(
    load: Load, simulator: Simulator, account: Account, warehouse: Warehouse
) -> None:
    simulator.max_per_page = 5
    account.records += make_invoices(30)
    account.find("in_3").update(status="open", amount_paid=0, amount_remaining=2178)
    load()
    account.pay("in_3")

    load()

    assert story(warehouse, "in_3") == [("new", "open"), ("updated", "paid")]
    assert copy_of(warehouse) == truth_of(account)


@pytest.mark.slow
def test_a_change_holds_the_values_as_they_were_seen(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    account.records += [make_invoice(status="open", amount_paid=0, amount_remaining=2178)]
    load()
    account.pay("in_1")

    load()

    seen = warehouse.query(
        "SELECT amount_paid, amount_remaining, attempt_count FROM cf_invoices.invoice_changes "
        "ORDER BY version"
    )
    assert seen == [(0, 2178, 1), (2178, 0, 2)]


# Arrivals and deletions


def test_a_new_invoice_at_the_front_in_mid_walk_shifts_the_pages_and_nothing_is_lost(
    load: Load, simulator: Simulator, account: Account, warehouse: Warehouse
) -> None:
    simulator.max_per_page = 5
    account.records += make_invoices(20)
    once_at(simulator, 3, lambda: arrive(account))

    during, _ = load(), load()

    assert during.is_verified
    assert copy_of(warehouse) == truth_of(account)
    assert {row["version"] for row in warehouse.rows("invoice_changes")} == {1}


def test_a_draft_that_is_deleted_between_two_runs_leaves_the_table_and_a_change(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    account.records += make_invoices(3)
    account.find("in_2")["status"] = "draft"
    load()
    account.delete("in_2")

    report = load()

    assert warehouse.ids() == ["in_1", "in_3"]
    assert story(warehouse, "in_2") == [("new", "draft"), ("deleted", "draft")]
    assert report.is_verified


def test_a_draft_that_is_deleted_in_mid_walk_lets_no_invoice_slip_between_two_pages(
    load: Load, simulator: Simulator, account: Account, warehouse: Warehouse
) -> None:
    simulator.max_per_page = 5
    account.records += make_invoices(20)
    account.find("in_18")["status"] = "draft"
    once_at(simulator, 3, lambda: account.delete("in_18"))

    report = load()

    assert copy_of(warehouse) == truth_of(account)
    assert report.is_verified


def test_an_invoice_that_turns_up_late_is_found_deep_in_the_list(
    load: Load, simulator: Simulator, account: Account, warehouse: Warehouse
) -> None:
    simulator.max_per_page = 5
    account.records += make_invoices(20)
    load()
    turn_up_late(account, 17)

    report = load()

    assert copy_of(warehouse) == truth_of(account)
    assert story(warehouse, "in_late") == [("new", "paid")]
    assert report.is_verified


def test_a_deletion_and_a_late_arrival_between_the_same_two_requests_are_noticed(
    load: Load, simulator: Simulator, account: Account, warehouse: Warehouse
) -> None:
    """The list stays as long as it was, so its length alone would tell nothing."""
    simulator.max_per_page = 5
    account.records += make_invoices(20)
    account.find("in_18")["status"] = "draft"

    def swap() -> None:
        account.delete("in_18")
        turn_up_late(account, 17)

    once_at(simulator, 3, swap)

    report = load()

    assert copy_of(warehouse) == truth_of(account)
    assert report.is_verified


@pytest.mark.slow
def test_a_deletion_and_a_late_arrival_between_two_runs_are_noticed(
    load: Load, simulator: Simulator, account: Account, warehouse: Warehouse
) -> None:
    simulator.max_per_page = 5
    account.records += make_invoices(20)
    account.find("in_18")["status"] = "draft"
    load()
    account.delete("in_18")
    turn_up_late(account, 17)

    report = load()

    assert copy_of(warehouse) == truth_of(account)
    assert report.is_verified


# Invoices that lack something


@pytest.mark.slow
def test_one_of_several_equal_invoices_without_id_is_paid_and_only_that_one_changes(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    account.records += [make_invoice(id=MISSING, status="open") for _ in range(3)]
    load()
    account.records[1]["status"] = "paid"

    report = load()

    rows = [(row["id"].rpartition(":")[2], row["status"]) for row in warehouse.rows()]
    assert rows == [("1", "open"), ("2", "paid"), ("3", "open")]
    assert len(changes(warehouse)) == 4
    assert report.is_verified


@pytest.mark.slow
def test_an_invoice_without_created_is_loaded_and_later_paid(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    account.records += make_invoices(2)
    account.records.insert(1, make_invoice(id="in_x", created=MISSING, status="open"))
    load()
    account.find("in_x")["status"] = "paid"

    report = load()

    assert copy_of(warehouse) == truth_of(account)
    assert story(warehouse, "in_x") == [("new", "open"), ("updated", "paid")]
    assert report.is_verified


# Records that cannot be stored


def test_a_rejected_record_that_is_corrected_becomes_an_invoice_and_its_reject_is_resolved(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    account.records += make_invoices(3)
    account.find("in_2")["amount_due"] = "broken"
    before = load()
    account.find("in_2")["amount_due"] = 7

    report = load()

    [reject] = warehouse.rows("invoice_rejects")
    assert (reject["id"], reject["resolved_at"] > reject["observed_at"]) == ("in_2", True)
    assert copy_of(warehouse) == truth_of(account)
    assert (before.is_verified, report.is_verified) == (False, True)


@pytest.mark.slow
def test_an_invoice_that_cannot_be_read_any_more_keeps_its_last_good_row_until_it_can(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    account.records += make_invoices(3, status="open")
    load()
    before = warehouse.rows()
    account.find("in_2")["amount_due"] = "broken"
    rejecting = [load(), load(full=True), load()]
    kept = warehouse.rows()
    account.find("in_2")["amount_due"] = 7

    report = load()

    assert kept == before
    assert [each.accounts[0].problem for each in rejecting] == ["1 record rejected: see invoice_rejects"] * 3
    assert [each.accounts[0].invoices for each in rejecting] == [3] * 3
    assert rejecting[2].accounts[0].sync_mode == "incremental"
    assert copy_of(warehouse) == truth_of(account)
    assert story(warehouse, "in_2") == [("new", "open"), ("updated", "open")]
    assert report.is_verified


# Runs that are interrupted


def fail_at(simulator: Simulator, page: int) -> None:
    simulator.faults.append(body(b'{"success": true}').only(pages={page}))


def lose_power_after_one_package(package_rows: int, **settings: Any) -> None:
    """Load one package, as `load` does, and then do nothing any more."""
    pipeline = dlt.attach("cloudflare_invoices")
    job = read_job(settings, pipeline.pipeline_name)
    accounts = Accounts(
        job, job.client(), StoredRows(pipeline), Counters(pipeline), package_rows=package_rows
    )
    pipeline.run(source_of(accounts))


@pytest.mark.quick("in the middle of one")
@pytest.mark.parametrize(
    ("failing", "package_rows", "kept", "asked"),
    [(3, 15, 15, [1, 1, 2, 3, 4]), (2, 100, 20, [1, 1, 2, 3])],
    ids=["at the end of a package", "in the middle of one"],
)
def test_a_first_load_that_was_interrupted_goes_on_where_it_was(
    load: Load,
    simulator: Simulator,
    account: Account,
    warehouse: Warehouse,
    failing: int,
    package_rows: int,
    kept: int,
    asked: list[int],
) -> None:
    """The last of the pages asked for then is the check that the rest has not moved; page 1 comes twice."""
    simulator.max_per_page = 5
    account.records += make_invoices(30)
    fail_at(simulator, failing)
    with pytest.raises(ApiChangedError):
        load(package_rows=package_rows)
    loaded = warehouse.ids()
    simulator.faults.clear()
    simulator.requests.clear()

    report = load(package_rows=package_rows)

    assert len(loaded) == kept
    assert pages(simulator) == asked
    assert copy_of(warehouse) == truth_of(account)
    assert len(changes(warehouse)) == 30
    assert report.is_verified


@pytest.mark.slow
def test_a_first_load_during_which_the_list_moves_begins_anew_in_a_package_of_its_own(
    load: Load, simulator: Simulator, account: Account, warehouse: Warehouse
) -> None:
    """What was given before is loaded first: no package has two rows by one key."""
    simulator.max_per_page = 5
    account.records += make_invoices(30)
    account.find("in_9")["status"] = "draft"
    account.find("in_2")["status"] = "open"

    def move(request: Request) -> None:
        if request.number == 5:
            account.delete("in_9")
            account.pay("in_2")

    simulator.before_answer = move
    report = load(package_rows=100)

    assert len(warehouse.query("SELECT * FROM cf_invoices._dlt_loads")) == 2
    assert copy_of(warehouse) == truth_of(account)
    assert story(warehouse, "in_2") == [("new", "open"), ("updated", "paid")]
    assert story(warehouse, "in_9") == [("new", "draft"), ("deleted", "draft")]
    assert [outcome.full_reason for outcome in report.accounts] == ["first run"]  # not a repair
    assert report.is_verified


@pytest.mark.slow
def test_a_periodic_full_walk_that_was_interrupted_goes_on_as_well(
    load: Load, simulator: Simulator, account: Account, warehouse: Warehouse
) -> None:
    """It writes no invoice and no change, and yet its packages are cut."""
    simulator.max_per_page = 5
    account.records += make_invoices(30)
    load()
    lose_power_after_one_package(package_rows=15, full_sync_every_days=0)
    simulator.requests.clear()

    report = load(package_rows=15)

    assert pages(simulator) == [1, 1, 2, 3, 4]
    assert [account.full_reason for account in report.accounts] == ["an earlier full walk was interrupted"]
    assert len(changes(warehouse)) == 30
    assert report.is_verified


@pytest.mark.slow
def test_a_walk_that_goes_on_asks_again_for_what_may_have_been_paid_behind_it(
    load: Load, simulator: Simulator, account: Account, warehouse: Warehouse
) -> None:
    simulator.max_per_page = 5
    account.records += make_invoices(30)
    account.find("in_7")["status"] = "open"
    fail_at(simulator, 3)
    with pytest.raises(ApiChangedError):
        load(package_rows=15)
    simulator.faults.clear()
    simulator.requests.clear()
    account.pay("in_7")

    load(package_rows=15)

    assert pages(simulator) == [1, 1, 2, 3, 4, 5]
    assert copy_of(warehouse) == truth_of(account)
    assert story(warehouse, "in_7") == [("new", "open"), ("updated", "paid")]


@pytest.mark.slow
def test_a_draft_behind_an_interrupted_walk_that_is_deleted_makes_it_begin_again(
    load: Load, simulator: Simulator, account: Account, warehouse: Warehouse
) -> None:
    simulator.max_per_page = 5
    account.records += make_invoices(30)
    account.find("in_7")["status"] = "draft"
    fail_at(simulator, 3)
    with pytest.raises(ApiChangedError):
        load(package_rows=15)
    simulator.faults.clear()
    account.delete("in_7")
    arrive(account)

    report = load(package_rows=15)

    assert copy_of(warehouse) == truth_of(account)
    assert story(warehouse, "in_7") == [("new", "draft"), ("deleted", "draft")]
    assert report.is_verified


# Full walks


@pytest.mark.quick("one is due")
@pytest.mark.parametrize(
    ("settings", "why"),
    [
        pytest.param({"full_sync_every_days": 0}, "a full walk was due", id="one is due"),
        pytest.param({"full": True}, "asked for", id="one is asked for"),
    ],
)
def test_a_full_walk_over_unchanged_data_writes_no_invoice_and_no_change(
    load: Load,
    simulator: Simulator,
    account: Account,
    warehouse: Warehouse,
    settings: dict[str, Any],
    why: str,
) -> None:
    simulator.max_per_page = 5
    account.records += [*make_invoices(12, status="open"), make_invoice(id=None), "garbage"]
    load()
    tables = ("invoices", "invoice_changes", "invoice_rejects")
    before = [warehouse.query(f"SELECT * FROM cf_invoices.{table} ORDER BY ALL") for table in tables]  # noqa: S608
    simulator.requests.clear()

    report = load(**settings)

    after = [warehouse.query(f"SELECT * FROM cf_invoices.{table} ORDER BY ALL") for table in tables]  # noqa: S608
    assert after == before
    assert len(simulator.requests) == 3 + 2  # page 1 again, and the page with a record that may vanish
    assert [(account.sync_mode, account.full_reason) for account in report.accounts] == [("full", why)]


# Several accounts


@pytest.mark.slow
def test_what_happens_in_one_account_leaves_the_others_as_they_are(
    load: Load, simulator: Simulator, world: World, account: Account, warehouse: Warehouse
) -> None:
    other = world.add_account("Other")
    other.records += make_invoices(3)
    account.records += make_invoices(3, status="draft")
    load(account_id=[account.id, other.id], package_rows=2)
    account.delete("in_2")

    report = load(account_id=[account.id, other.id], package_rows=2)

    assert copy_of(warehouse) == sorted(
        truth_of(account) + truth_of(other), key=lambda row: (row["account_id"], row["id"])
    )
    assert [each.sync_mode for each in report.accounts] == ["full", "incremental"]
    assert [each.deleted for each in report.accounts] == [1, 0]
    assert report.is_verified


# The walks themselves


def test_each_run_leaves_a_row_for_each_account_that_says_what_it_did(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    account.records += make_invoices(2, status="open")
    load()
    account.pay("in_1")
    arrive(account)

    load()

    walks = warehouse.query(
        "SELECT sync_mode, full_reason, requests, total_count, new, updated, deleted, rejected, verified "
        "FROM cf_invoices.invoice_syncs ORDER BY started_at"
    )
    assert walks == [
        ("full", "first run", 1, 2, 2, 0, 0, 0, True),
        ("incremental", "", 1, 3, 1, 1, 0, 0, True),
    ]


@pytest.mark.slow
def test_each_result_says_when_the_last_full_walk_was(
    load: Load, simulator: Simulator, account: Account, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.records += make_invoices(2)

    def at(second: int, **settings: Any) -> datetime | None:
        monkeypatch.setattr(
            "cf_invoice_source.loading.accounts.time", SimpleNamespace(time=lambda: NEW_YEAR_S + second)
        )
        [outcome] = load(**settings).accounts
        return outcome.full_sync_at

    times = [at(0), at(1), at(2, full=True), at(3)]
    simulator.denied.add(account.id)
    other = simulator.world.add_account("Other")
    denied, first = load(account_id=[account.id, other.id]).accounts

    new_year = datetime.fromtimestamp(NEW_YEAR_S, tz=timezone.utc)
    assert times == [new_year + timedelta(seconds=second) for second in (0, 0, 2, 2)]
    assert denied.error
    assert denied.full_sync_at == times[-1]
    assert first.full_sync_at == new_year + timedelta(seconds=3)


@pytest.mark.slow
def test_the_demo_shows_in_its_second_run_invoices_that_were_paid_since_the_first(
    command: Command, warehouse: Warehouse
) -> None:
    ended = [command("load", "--demo").exit_code, command("load", "--demo").exit_code]

    paid = warehouse.query(
        "SELECT DISTINCT now.id FROM cf_invoices.invoice_changes now "
        "JOIN cf_invoices.invoice_changes before USING (account_id, id) "
        "WHERE now.change = 'updated' AND now.status = 'paid' AND before.status = 'open'"
    )
    assert ended == [0, 0]
    assert len(paid) >= 2
