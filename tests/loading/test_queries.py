"""What a load asks the destination: as many queries for a thousand accounts as for a few."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dlt
import pytest
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient
from dlt.destinations.impl.postgres.sql_client import Psycopg2SqlClient

from cf_invoice_source import Report, load
from cf_invoice_source.invoices.tables import TABLES
from cf_invoice_source.simulator import Simulator, World
from tests.conftest import Load, Warehouse
from tests.support.make import CREATED_S, make_invoice, make_invoices


class SlowDestination(list[str]):
    """Stands in front of a real one and notes each statement that dlt's client sends, ours and dlt's own.

    Attributes:
        seconds: How long a load would wait for them at a second for each. Nobody waits.
    """

    @property
    def seconds(self) -> int:
        return len(self)

    @property
    def questions(self) -> list[str]:
        """What our tables, and the state beside them, are asked by us."""
        names = ("_dlt_pipeline_state", *TABLES)
        return [
            each
            for each in self
            if each.startswith("SELECT")
            and "_dlt_load_id" not in each
            and any(name in each for name in names)
        ]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> SlowDestination:
    slow = SlowDestination()
    for client in (DuckDbSqlClient, Psycopg2SqlClient):
        send: Callable[..., Any] = client.execute_query

        def note(self: Any, query: Any, *args: Any, send: Any = send, **kwargs: Any) -> Any:
            slow.append(str(query).strip())
            return send(self, query, *args, **kwargs)

        monkeypatch.setattr(client, "execute_query", note)
    return slow


def open_accounts(world: World, count: int) -> list[str]:
    """Open accounts of all kinds: an account may be empty, have rejects, or have something on page 2."""
    accounts = [world.add_account() for _ in range(count)]
    for number, account in enumerate(accounts):
        account.records += [
            make_invoices(3),
            [],
            [{**make_invoice(id="in_bad"), "amount_due": "much"}, make_invoice()],
            [*make_invoices(50), make_invoice(id="in_open", created=CREATED_S, status="open")],
            [make_invoice(id="in_draft", status="draft"), make_invoice()],
            [make_invoice(id=None)],
        ][number % 6]
    return [account.id for account in accounts]


def changes_of(report: Report) -> int:
    return sum(each.new + each.updated + each.deleted for each in report.accounts)


@pytest.mark.quick("a quiet run")
@pytest.mark.parametrize(("full", "most"), [(False, 11), (True, 13)], ids=["a quiet run", "a full one"])
def test_as_many_queries_are_asked_for_three_times_as_many_accounts(
    load: Load, world: World, slow: SlowDestination, full: bool, most: int
) -> None:
    account_ids = open_accounts(world, 36)
    load(account_id=account_ids)
    asked = []
    for some in (account_ids[:12], account_ids):
        slow.clear()
        report = load(account_id=some, full=full)
        asked.append(len(slow.questions))
        assert changes_of(report) == 0
        assert [each for each in report.accounts if not each.verified] == []

    assert asked[0] == asked[1] <= most


def test_accounts_with_nothing_to_look_up_need_15_queries_those_of_dlt_among_them(
    load: Load, world: World, slow: SlowDestination
) -> None:
    account_ids = [world.add_account(invoices=3).id for _ in range(4)]
    load(account_id=account_ids)
    slow.clear()

    load(account_id=account_ids)

    assert len([each for each in slow if each.startswith("SELECT")]) <= 15


@pytest.mark.slow
@pytest.mark.parametrize("destination", ["duckdb", "postgres"])
def test_a_destination_that_needs_a_second_for_each_query_delays_1000_quiet_accounts_by_30_counted_seconds(
    request: pytest.FixtureRequest,
    simulator: Simulator,
    world: World,
    dlt_here: None,
    slow: SlowDestination,
    destination: str,
) -> None:
    request.getfixturevalue("database" if destination == "postgres" else "warehouse")
    simulator.quota = 10**6
    account_ids = open_accounts(world, 1_000)

    def load_once() -> Report:
        slow.clear()
        pipeline = dlt.pipeline("cloudflare_invoices", destination=destination, dataset_name="cf_invoices")
        return load(pipeline, account_id=account_ids)

    load_once()
    report = load_once()

    assert changes_of(report) == 0
    assert len(slow.questions) <= 11
    assert slow.seconds <= 30


@pytest.mark.slow
def test_one_account_with_changes_makes_no_queries_for_the_others(
    load: Load, world: World, slow: SlowDestination
) -> None:
    account_ids = open_accounts(world, 36)
    load(account_id=account_ids)
    load(account_id=account_ids)
    quiet = len(slow)
    changed = world.accounts[account_ids[4]]
    del changed.records[0]  # a draft: a full walk, and its row and its last change are read
    slow.clear()

    report = load(account_id=account_ids)

    assert [each.account_id for each in report.accounts if each.deleted] == [changed.id]
    assert len(slow) <= quiet + 8


# What is asked together is told apart


@pytest.fixture(params=["one list", "pieces of a few values"])
def lists_or_pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As DuckDB and PostgreSQL are asked, and as all the others are."""
    if request.param != "one list":
        monkeypatch.setattr("cf_invoice_source.warehouse.stored._AS_ONE_LIST", {})
        monkeypatch.setattr("cf_invoice_source.warehouse.stored._MOST_VALUES", 7)


@pytest.mark.slow
@pytest.mark.usefixtures("lists_or_pieces")
@pytest.mark.parametrize("package_rows", [4, 100])
def test_the_same_ids_in_other_accounts_are_other_invoices(
    load: Load, world: World, warehouse: Warehouse, package_rows: int
) -> None:
    accounts = [world.add_account() for _ in range(5)]
    for number, account in enumerate(accounts):
        account.records += make_invoices(9 - number, description=account.id)
        account.records[0] |= {"status": "open"}
    account_ids = [account.id for account in accounts]
    load(account_id=account_ids, package_rows=package_rows)
    accounts[1].records[0]["status"] = "paid"
    accounts[3].records.insert(0, make_invoice(id="in_9", created=CREATED_S + 10**6))

    report = load(account_id=account_ids, package_rows=package_rows)

    assert [(each.new, each.updated, each.deleted) for each in report.accounts] == [
        (0, 0, 0),
        (0, 1, 0),
        (0, 0, 0),
        (1, 0, 0),
        (0, 0, 0),
    ]
    assert {each.sync_mode for each in report.accounts} == {"incremental"}
    assert report.is_verified
    listed = {
        (account.id, record["id"], record["status"]) for account in accounts for record in account.records
    }
    held = {(row["account_id"], row["id"], row["status"]) for row in warehouse.rows()}
    assert held == listed
    assert changes_of(load(account_id=account_ids, full=True, package_rows=package_rows)) == 0


@pytest.mark.slow
def test_an_account_whose_rows_cannot_be_read_does_not_stop_the_others(
    load: Load, world: World, warehouse: Warehouse, held: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = [world.add_account(invoices=3) for _ in range(3)]
    account_ids = [account.id for account in accounts]
    load(account_id=account_ids)
    bad = accounts[1].id
    execute = DuckDbSqlClient.execute_query

    def refuse(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        if '"row_hash", "status" FROM' in str(query) and any(bad in str(each) for each in args):
            raise ValueError("year -4713 is out of range")  # as drivers do
        return execute(self, query, *args, **kwargs)

    monkeypatch.setattr(DuckDbSqlClient, "execute_query", refuse)

    report = load(account_id=account_ids)

    assert [each.account_id for each in report.accounts if each.error] == [bad]
    assert [each.account_id for each in report.accounts if not each.verified] == [bad]
