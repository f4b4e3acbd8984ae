"""Thousands of random worlds through the whole walk, with a warehouse in memory: the copy must be exact."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from dlt.common.runtime.collector import NULL_COLLECTOR
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from cf_invoice_source.cloudflare.client import Client
from cf_invoice_source.loading.account import RowBatch
from cf_invoice_source.loading.comparison import Compare, SyncRequest
from cf_invoice_source.loading.counters import Counters
from cf_invoice_source.loading.job import Job
from cf_invoice_source.loading.report import Outcome
from cf_invoice_source.walk.bookmark import Bookmark, HighWaterMark, from_text, to_text
from cf_invoice_source.walk.page import Page
from cf_invoice_source.walk.walker import WalkRequest
from tests.support.memory import ACCOUNT, MemoryRows, keys_of
from tests.support.scheduled import Schedule, ScheduledAccounts
from tests.support.truth import Truth, budget_at_rest

STATUSES = st.sampled_from(["draft", "open", "paid", "void", "uncollectible", None])
PLACES = st.integers(0, 40)
OPERATIONS = st.one_of(
    st.builds(
        lambda status, has_id, later: lambda truth: truth.arrive(status=status, has_id=has_id, later_s=later),
        STATUSES,
        st.booleans(),
        st.integers(0, 2),
    ),
    st.builds(lambda place, status: lambda truth: truth.arrive_late(place, status=status), PLACES, STATUSES),
    st.builds(
        lambda place, status: lambda truth: truth.set_status(place, status),
        PLACES,
        st.sampled_from(["paid", "void", "open"]),
    ),
    st.builds(lambda place: lambda truth: truth.delete_draft(place), PLACES),
    st.builds(lambda place: lambda truth: truth.break_amount(place), PLACES),
    st.builds(lambda place: lambda truth: truth.correct(place), PLACES),
    st.builds(lambda drop, place: lambda truth: truth.swap(drop, place), PLACES, PLACES),
    st.just(Truth.arrive_broken),
)


PIPELINE: Any = SimpleNamespace(collector=NULL_COLLECTOR)
"""What is asked of a pipeline here: to count nothing."""


@pytest.fixture(autouse=True, scope="module")
def _small_portions() -> Iterator[None]:
    """A package is compared in portions: here of two invoices, instead of a thousand; and given in parts."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("cf_invoice_source.loading.comparison._PORTION", 2)
        yield


class Worlds(RuleBasedStateMachine):
    """A list that changes, and loads that copy it."""

    @initialize(
        per_page=st.integers(1, 6),
        size=st.integers(0, 12),
        is_bare=st.booleans(),
        ahead=st.sampled_from([1, 2, 9]),
        answers=st.lists(st.integers(0, 8), min_size=1, max_size=12),
    )
    def begin(self, per_page: int, size: int, is_bare: bool, ahead: int, answers: list[int]) -> None:
        """So many requests are on their way at once, and are answered in any order.

        A bare world has only what the walk itself verifies: no counts, no repair, and no power cuts.
        """
        self.is_bare, self.ahead, self.answers = is_bare, ahead, answers
        self.truth = Truth(per_page)
        self.stored = MemoryRows()
        self.state: dict[str, str] = {}
        for number in range(size):
            self.truth.arrive(
                status=["draft", "open", "paid", None][number % 4], has_id=number % 5 != 0, later_s=number % 3
            )

    @rule(operation=OPERATIONS)
    def change(self, operation: Callable[[Truth], object]) -> None:
        operation(self.truth)

    @rule(
        between=st.dictionaries(st.integers(1, 12), OPERATIONS, max_size=4),
        package_rows=st.sampled_from([1, 4, 20, 1000]),
        packages=st.sampled_from([1, 2, 99]),
    )
    def load_while_it_changes(self, between: dict[int, Any], package_rows: int, packages: int) -> None:
        """Load, with changes between two requests; after so many packages the machine loses power."""
        before = self._copy()
        self.truth.between = lambda number: between.get(number, lambda _truth: None)(self.truth)
        outcome = self._load(package_rows, packages)
        self.truth.between = lambda _number: None

        if not outcome.unverified_reason:
            assert self._wrong(before) == ""

    @rule(package_rows=st.sampled_from([1, 4, 20, 1000]))
    def load_in_quiet(self, package_rows: int) -> None:
        held = self._copy()
        outcome = self._load(package_rows)

        copy = self._copy()
        last_good = {key: held[key] for key in self.truth.broken() & held.keys()}
        assert copy == self.truth.invoices() | last_good
        assert outcome.unverified_reason == ""
        assert len(self.stored.rejects()) == self.truth.reject_count()
        assert self.stored.replayed() == copy

        before = {table: dict(rows) for table, rows in self.stored.tables.items()}
        again = self._load(package_rows)
        assert (again.sync_mode, again.requests) == budget_at_rest(self.truth.records, self.truth.per_page)
        assert self.stored.tables["invoices"] == before["invoices"]
        assert self.stored.tables["invoice_changes"] == before["invoice_changes"]
        assert self.stored.tables["invoice_rejects"] == before["invoice_rejects"]

    def _wrong(self, before: dict[str, str]) -> str:
        """Say how the table differs from the list as it was during the last load; empty if it does not.

        A row of what could not be read may be as it was before.
        """
        last_good = {key: before[key] for key in self.truth.unreadable & before.keys()}
        copy, states = self._copy(), [*self.truth.states, last_good]
        if missing := set.intersection(*map(set, self.truth.states)) - copy.keys():
            return f"{missing} was listed all the time, and is missing"
        if made_up := copy.keys() - set().union(*states):
            return f"{made_up} was never listed"
        never = {
            key for key, row_hash in copy.items() if row_hash not in {state.get(key) for state in states}
        }
        return f"{never} was never as the table has it" if never else ""

    def _copy(self) -> dict[str, str]:
        """What the table holds: row hashes by key."""
        return {key: row["row_hash"] for (_, key), row in self.stored.tables["invoices"].items()}

    def _load(self, package_rows: int, packages: int = 99) -> Outcome:
        self.truth.asked, self.truth.states, self.truth.unreadable = 0, [], set()
        if self.is_bare:
            return self._walk()
        accounts = self._accounts(package_rows)
        is_repaired = False
        while not accounts.is_done:
            keys = list[tuple[Any, ...]]()
            for batch in accounts.row_batches(self.state):
                if packages == 0:
                    return replace(accounts.accounts[0].outcome, unverified_reason="power was lost")
                packages -= 1
                keys += keys_of(batch)
                self._keep(batch)
            assert len(keys) == len(set(keys)), "a key twice in one load package"
            if accounts.is_done and (wrong := accounts.verify()):
                assert not is_repaired
                is_repaired = True
                accounts.repair(wrong)
        return accounts.accounts[0].outcome

    def _walk(self) -> Outcome:
        """Walk, and nothing else."""
        account = self._accounts().account_of(ACCOUNT)
        walk = WalkRequest("", int(time.time()), 10**10, sys.maxsize, sys.maxsize)
        request = SyncRequest(walk, Compare.ROWS, accept_deletions=False, is_range=False)
        account.begin(self.stored, from_text(self.state.get(ACCOUNT)), request)
        for batch in account.row_batches():
            self._keep(batch)
        return account.outcome

    def _accounts(self, package_rows: int | None = None) -> ScheduledAccounts:
        return accounts_of(self.truth, self.stored, package_rows, Schedule(self.answers), self.ahead)

    def _keep(self, batch: RowBatch) -> None:
        self.stored.load(batch)
        if batch.bookmark:
            self.state[ACCOUNT] = to_text(batch.bookmark)
            assert from_text(self.state[ACCOUNT]) == batch.bookmark


def accounts_of(
    truth: Truth,
    stored: MemoryRows,
    package_rows: int | None = None,
    schedule: Schedule | None = None,
    ahead: int = 1,
) -> ScheduledAccounts:
    job = Job(account_id=ACCOUNT, full_sync_every_days=36_500)
    return ScheduledAccounts(
        job,
        TruthClient(truth),
        stored,
        Counters(PIPELINE),
        package_rows=package_rows,
        schedule=schedule or Schedule(),
        ahead=ahead,
    )


class TruthClient(Client):
    """Answers from a list, without HTTP."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth

    def invoice_page(self, _account_id: str, _type: str, page: int, _stats: Any = None) -> Page[Any]:
        return self._truth.page(page)


Worlds.TestCase.settings = settings(
    max_examples=int(os.environ.get("WORLDS", "25")), stateful_step_count=25, deadline=None
)
TestWorlds = Worlds.TestCase


def test_a_number_that_an_invoice_without_id_only_seemed_to_have_is_forgotten() -> None:
    truth = Truth(per_page=1)
    truth.arrive(has_id=False)
    truth.arrive()
    truth.arrive()
    stored = MemoryRows()
    identity = next(key for key in truth.invoices() if key.startswith("anonymous:")).rpartition(":")[0]
    mark = HighWaterMark(3, "in_3", {1: f"{identity}:2", 2: "in_gone", 3: "in_3"})
    for key in ("in_x", "in_y", "in_z"):
        row = {"account_id": ACCOUNT, "id": key, "row_hash": "", "status": "draft"}
        stored.tables["invoices"][ACCOUNT, key] = row
    state = {ACCOUNT: to_text(Bookmark(mark=mark, invoices=3, full_sync_at=0))}
    accounts = accounts_of(truth, stored)

    for batch in accounts.row_batches(state):
        stored.load(batch)

    assert {key for _, key in stored.tables["invoices"]} == truth.invoices().keys()
    assert truth.asked == 3 + 2  # each page; page 1 again, and the one with what has no id
