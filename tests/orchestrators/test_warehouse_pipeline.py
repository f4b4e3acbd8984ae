"""Many accounts, several workers, one PostgreSQL. ACCOUNTS sets how many accounts the workers share.

    ACCOUNTS=1000 pytest -s -m slow tests/orchestrators/test_warehouse_pipeline.py -k share

takes as long as it would with Cloudflare: the simulator, too, grants 1,200 requests in 5 minutes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cf_invoice_source.simulator import Simulator, World
from tests.conftest import Ended, run_warm
from tests.support import warm
from tests.support.exact import assert_exact
from tests.support.fleet import PIPELINES, Fleet, make_fleet
from tests.support.make import CREATED_S, make_invoice, make_invoices
from tests.support.postgres import Database

ACCOUNTS = int(os.environ.get("ACCOUNTS", "24"))
WORKERS = 8
SCRIPT = str(PIPELINES / "load_to_warehouse.py")


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with Simulator(World(seed=5)) as simulator:
        monkeypatch.setenv("CLOUDFLARE_BASE_URL", simulator.base_url)
        monkeypatch.setenv("CLOUDFLARE_API_TOKEN", simulator.token)
        yield simulator


@pytest.fixture
def fleet(simulator: Simulator) -> Fleet:
    return make_fleet(simulator)


def work(directory: Path) -> list[Ended]:
    """Let all workers load their shares side by side, each on an empty disk of its own."""
    begun = [
        warm.begin(
            (SCRIPT, "--shard", f"{number}/{WORKERS}"),
            {**os.environ, "DLT_DATA_DIR": str(directory / str(number))},
        )
        for number in range(1, WORKERS + 1)
    ]
    return [Ended(*each.end(timeout_s=3600)) for each in begun]


def test_workers_share_the_accounts_and_each_goes_on_from_what_the_warehouse_knows(
    simulator: Simulator, database: Database, tmp_path: Path
) -> None:
    world = simulator.world
    accounts = [world.add_account() for _ in range(ACCOUNTS)]
    for number, account in enumerate(accounts):
        account.records += make_invoices(20 + number % 80)  # one page or two
    refused = accounts.pop()
    simulator.denied.add(refused.id)
    pages = sum(-(-len(account.records) // 50) for account in accounts)

    began = time.monotonic()
    first = work(tmp_path / "first")
    first_s, asked = time.monotonic() - began, len(simulator.requests)
    assert sorted(each.exit_code for each in first) == [0] * (WORKERS - 1) + [1], first
    [failed] = [each for each in first if each.exit_code]
    assert f"Account {refused.id}: failed: Cloudflare refused" in failed.stderr
    assert_exact(database.query, *accounts)
    listings = WORKERS * -(-ACCOUNTS // 50)
    counted = "SELECT sum(requests), sum(rate_limited), sum(waited_s) FROM cf_invoices.invoice_syncs"
    [(requests, rate_limited, waited_s)] = database.query(counted)
    assert requests == pages + 1
    assert asked >= pages + 1 + listings

    accounts[0].add(make_invoice(id="in_new", created=CREATED_S + 10**7))
    simulator.denied.clear()
    simulator.requests.clear()
    began = time.monotonic()
    second = work(tmp_path / "second")
    second_s = time.monotonic() - began
    assert [each.exit_code for each in second] == [0] * WORKERS, second
    assert_exact(database.query, *accounts, refused)
    walks = database.query("SELECT sync_mode, count(*) FROM cf_invoices.invoice_syncs GROUP BY 1 ORDER BY 1")
    assert walks == [("full", ACCOUNTS + 1), ("incremental", ACCOUNTS - 1)]
    invoices = sum(len(account.records) for account in accounts)
    print(f"\n{ACCOUNTS:,} accounts, {invoices:,} invoices, {WORKERS} workers")
    print(
        f"first run: {first_s:.0f} s, {asked:,} requests, {rate_limited:,} answers 429, {waited_s:,} s waited"
    )
    [(_, rate_limited_then, waited_then_s)] = database.query(counted)
    print(
        f"quiet run: {second_s:.0f} s, {len(simulator.requests):,} requests, "
        f"{rate_limited_then - rate_limited:,} answers 429, {waited_then_s - waited_s:,} s waited"
    )


def test_the_accounts_that_are_named_are_loaded_and_no_others(
    fleet: Fleet, simulator: Simulator, database: Database
) -> None:
    ended = run_warm(SCRIPT, "--account", fleet.well.id)

    assert ended.exit_code == 0, ended.stderr
    assert "1 accounts, 3 requests, 60 new" in ended.stdout
    assert_exact(database.query, fleet.well)
    assert len(simulator.requests) == 3
    assert simulator.token not in ended.output


def test_exit_3_tells_what_is_not_verified_or_not_whole(fleet: Fleet, database: Database) -> None:
    ended = run_warm(SCRIPT, "--account", fleet.rejecting.id, "--account", fleet.doubtful.id)

    assert ended.exit_code == 3
    assert f"Account {fleet.rejecting.id}: 1 record rejected" in ended.stderr
    assert f"Account {fleet.doubtful.id}: not verified: " in ended.stderr


def test_two_groups_of_accounts_keep_their_bookmarks_apart(
    fleet: Fleet, simulator: Simulator, database: Database
) -> None:
    other = simulator.world.add_account(invoices=2)
    for _ in range(2):
        run_warm(SCRIPT, "--account", fleet.well.id)
        run_warm(SCRIPT, "--account", other.id)

    walks = database.query("SELECT sync_mode, count(*) FROM cf_invoices.invoice_syncs GROUP BY 1 ORDER BY 1")
    assert walks == [("full", 2), ("incremental", 2)]


@pytest.mark.parametrize("shard", ["0/8", "9/8", "8", "one/two"])
def test_a_shard_that_cannot_be_is_bad_usage(shard: str) -> None:
    ended = run_warm(SCRIPT, "--shard", shard)

    assert ended.exit_code == 2
    assert "--shard" in ended.stderr


def test_without_credentials_it_says_what_to_do(database: Database) -> None:
    ended = run_warm(SCRIPT)

    assert ended.exit_code == 1
    assert ended.stderr.startswith("Error: There are no Cloudflare credentials.")
    assert "CLOUDFLARE_API_TOKEN" in ended.stderr


def test_a_share_without_an_account_is_done_at_once(fleet: Fleet) -> None:
    ended = [run_warm(SCRIPT, "--account", fleet.well.id, "--shard", f"{number}/2") for number in (1, 2)]

    assert any(each.stdout.startswith("There is no account for shard") for each in ended)
