"""The SQL that the README gives, as it stands there, in DuckDB and in PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dlt
import pytest

from cf_invoice_source import load as load_into
from cf_invoice_source.simulator import Account, Simulator
from tests.support.exact import Query
from tests.support.make import make_invoices

README = Path(__file__).parents[1] / "README.md"

pytestmark = pytest.mark.usefixtures("dlt_here", "simulator")


def query_with(words: str) -> str:
    """The one block of SQL that has these words."""
    blocks = [block.partition("```")[0] for block in README.read_text().split("```sql\n")[1:]]
    [found] = [block for block in blocks if words in block]
    return found


@dataclass(frozen=True)
class Store:
    """A destination, by dlt's name of it, and how to ask it."""

    destination: str
    query: Query

    def load(self, **settings: Any) -> None:
        pipeline = dlt.pipeline(
            "cloudflare_invoices", destination=self.destination, dataset_name="cf_invoices"
        )
        assert load_into(pipeline, **settings).is_verified


@pytest.fixture(params=["duckdb", "postgres"])
def store(request: pytest.FixtureRequest) -> Store:
    fixture = "warehouse" if request.param == "duckdb" else "database"
    return Store(request.param, request.getfixturevalue(fixture).query)


@pytest.fixture
def listed(account: Account) -> Account:
    account.records += make_invoices(4)
    for number in (1, 2):
        account.find(f"in_{number}").update(status="open", amount_paid=0, amount_remaining=2178)
    account.find("in_3")["status"] = "draft"
    return account


@pytest.mark.quick("duckdb")
def test_when_an_invoice_became_paid_is_known_of_those_that_were_seen_unpaid(
    store: Store, listed: Account
) -> None:
    store.load()
    listed.pay("in_1")
    store.load()

    rows = store.query(query_with("AS paid_at"))

    assert [row[:2] for row in rows] == [(listed.id, "in_1")]
    [(seen,)] = store.query("SELECT max(started_at) FROM cf_invoices.invoice_syncs")
    assert rows[0][2] >= seen


@pytest.mark.slow
def test_the_last_run_of_each_account_is_told(store: Store, listed: Account, simulator: Simulator) -> None:
    store.load()
    listed.pay("in_1")
    store.load()

    [row] = store.query(query_with("verified, unverified_reason\nFROM ("))

    account_id, _, sync_mode, reason, requests, new, updated, deleted, rejected, verified, unverified = row
    assert (account_id, sync_mode, reason, requests) == (listed.id, "incremental", "", 1)
    assert (new, updated, deleted, rejected, verified, unverified) == (0, 1, 0, 0, True, "")
