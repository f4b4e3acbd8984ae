"""Stories: what happens to invoices between two runs or in the middle of one, and what is then told of it."""

from __future__ import annotations

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
from tests.support.make import make_invoices

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
