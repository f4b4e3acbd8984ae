"""Killed, refused, cut off: whatever ends a load, the next healthy one is exact.

KILLS sets how many times a load is killed at a moment that chance has chosen.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import dlt
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from cf_invoice_source import DestinationError, Report, SettingsError, cf_invoice_source
from cf_invoice_source import load as load_into
from cf_invoice_source.simulator import Account, Simulator, World
from tests.conftest import Command, Ended, Warehouse, run_at_once, run_warm
from tests.support.exact import Query, assert_exact
from tests.support.full_disk import FULL_DISK
from tests.support.make import CREATED_S, make_invoice, make_invoices
from tests.support.postgres import Database, Postgres, create_database, running

KILLS = int(os.environ.get("KILLS", "5"))

SEED = 20_260_101

pytestmark = pytest.mark.usefixtures("dlt_here", "simulator")


@dataclass(frozen=True)
class Store:
    """A destination, by dlt's name of it, and how to look into it."""

    destination: str
    query: Query

    def load(self, **settings: Any) -> Report:
        """Load from Python, in this process."""
        return load_into(self.pipeline(), **settings)

    def pipeline(self) -> dlt.Pipeline:
        return dlt.pipeline("cloudflare_invoices", destination=self.destination, dataset_name="cf_invoices")

    def fails(self) -> DestinationError:
        """Load, and give the error that says why the destination did not take it."""
        with pytest.raises(DestinationError) as caught:
            self.load()
        return caught.value

    def reasons(self) -> list[str]:
        """Why there were full walks, in their order."""
        rows = self.query(
            "SELECT full_reason FROM cf_invoices.invoice_syncs WHERE sync_mode = 'full' ORDER BY started_at"
        )
        return [why for (why,) in rows]

    def killed(self, *moment: str) -> None:
        """Load in a process that kills itself at a moment of `tests.crashes.killed`."""
        ended = run_warm("-m", "tests.crashes.killed", self.destination, *moment)

        assert ended.exit_code == -signal.SIGKILL, ended.output


@pytest.fixture
def duckdb_store(warehouse: Warehouse) -> Store:
    return Store("duckdb", warehouse.query)


@pytest.fixture
def postgres_store(request: pytest.FixtureRequest) -> Store:
    return Store("postgres", request.getfixturevalue("database").query)


@pytest.fixture(params=["duckdb", "postgres"])
def store(request: pytest.FixtureRequest) -> Store:
    found: Store = request.getfixturevalue(f"{request.param}_store")
    return found


@pytest.fixture
def listed(simulator: Simulator, account: Account) -> Account:
    """An account that takes several packages of `killed.py`, with drafts and open invoices deep down."""
    simulator.max_per_page = 5
    account.records += make_invoices(30)
    for number in range(1, 31, 4):
        account.find(f"in_{number}").update(status="open", amount_paid=0, amount_remaining=2178)
        account.find(f"in_{number + 1}").update(status="draft")
    return account


def time_passes(account: Account, chance: random.Random) -> None:
    """Some are paid or voided, a draft is deleted, one arrives: nothing that counts alone would show."""
    for act, statuses in ((account.pay, ["open"]), (account.void, ["open"]), (account.delete, ["draft"])):
        if found := account.having(*statuses):
            act(chance.choice(found)["id"])
    arrived = len(account.records) + chance.randrange(10**9)
    status = chance.choice(["paid", "open", "draft"])
    created = CREATED_S + 10**7 + arrived
    account.records.insert(0, make_invoice(id=f"in_new_{arrived}", created=created, status=status))
    account.records.sort(key=lambda record: -record["created"])


# Killed at a moment that chance has chosen

STEPS = {"extract": 150, "normalize": 150, "load": 250}
"""dlt's steps, and about how many events one of them has; beyond that a load is killed at the step's end."""


@pytest.mark.parametrize("number", range(KILLS))
def test_after_a_kill_anywhere_the_next_load_is_exact(
    number: int, request: pytest.FixtureRequest, listed: Account
) -> None:
    chance = random.Random(SEED + number)  # noqa: S311 - a fixed seed, for the same moments each time
    store: Store = request.getfixturevalue("postgres_store" if number % 5 in {1, 3} else "duckdb_store")
    is_first = number % 4 == 0
    step = list(STEPS)[number % 3]
    moment = [step, str(chance.randint(1, 2) if is_first else 1), str(chance.randint(1, STEPS[step]))]
    if not is_first:
        store.load()
        time_passes(listed, chance)
    store.killed(*moment)
    time_passes(listed, chance)
    if number % 4 == 1:  # killed again, while it mends what the first one left
        store.killed("load", "1", str(chance.randint(1, STEPS["load"])))
        time_passes(listed, chance)

    report = store.load()

    assert report.is_verified
    assert_exact(store.query, listed)


# Killed at the worst moments

MOMENTS = [
    "invoices are copied",
    "changes are copied",
    "a table is merged",
    "the state will be written",
    "the state is written",
    "the load will be noted",
    "the load is noted",
    "the package is put away",
]


@pytest.mark.quick("duckdb-later load-changes are copied")
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("is_first", [True, False], ids=["first load", "later load"])
def test_after_a_kill_when(store: Store, listed: Account, moment: str, *, is_first: bool) -> None:
    chance = random.Random(SEED)  # noqa: S311 - a fixed seed
    if not is_first:
        store.load()
        time_passes(listed, chance)
    store.killed(moment)
    time_passes(listed, chance)

    report = store.load()

    assert report.is_verified
    assert_exact(store.query, listed)


def test_a_package_whose_replay_fails_for_ever_is_dropped_and_all_is_compared(
    postgres_store: Store, listed: Account
) -> None:
    postgres_store.load()
    listed.pay("in_1")
    postgres_store.killed("changes are copied")
    for _ in range(2):
        with pytest.raises(PipelineStepFailed, match="_dlt_id_key"):
            postgres_store.pipeline().run(cf_invoice_source())

    report = postgres_store.load()

    assert report.is_verified
    assert_exact(postgres_store.query, listed)
    assert postgres_store.reasons() == ["first run", "what an earlier run had left to load was dropped"]
    assert not postgres_store.pipeline().has_pending_data


def test_a_bare_run_of_dlt_finishes_what_a_load_left_and_the_other_way_round(
    postgres_store: Store, listed: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They use the same staging tables, whoever made the package.

    dlt empties these once for a package, not when it replays one. With several workers, a kill can fall after
    the commit of a copy and before dlt notes it: dlt copies the rows once more and fails for ever, as above.
    """
    monkeypatch.setenv("LOAD__WORKERS", "1")
    postgres_store.load()
    for run in (lambda: postgres_store.pipeline().run(cf_invoice_source()), postgres_store.load):
        listed.pay(listed.having("open")[0]["id"])
        postgres_store.killed("a table is merged")
        run()

    report = postgres_store.load()

    assert report.is_verified
    assert_exact(postgres_store.query, listed)


def test_a_drop_that_was_cut_off_is_completed(postgres_store: Store, listed: Account) -> None:
    postgres_store.load()
    listed.pay("in_1")
    postgres_store.killed("a table is merged")
    pipeline = postgres_store.pipeline()
    [left] = pipeline.list_normalized_load_packages()
    pipeline._get_load_storage().normalized_packages.set_abort_flag(left)  # noqa: SLF001 - as if killed there

    report = postgres_store.load()

    assert report.is_verified
    assert_exact(postgres_store.query, listed)
    assert postgres_store.reasons()[1:] == ["what an earlier run had left to load was dropped"]


def test_a_package_is_too_old_when_another_machine_has_loaded_since(
    store: Store, listed: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading it would bring back an invoice as open that was paid since, with nothing to show for it."""
    for neighbour in ("in_2", "in_5"):  # the last page is not worth a request for their sake
        listed.find(neighbour)["status"] = "paid"
    store.load()
    listed.find("in_1")["description"] = "seen by the machine that was killed"
    store.killed("load", "1", "1")
    listed.pay("in_1")
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("DLT_DATA_DIR", str(tmp_path / "elsewhere"))
        store.load()

    report = store.load()

    assert report.is_verified
    assert_exact(store.query, listed)


def test_a_package_that_was_torn_by_a_power_failure_is_dropped(duckdb_store: Store, listed: Account) -> None:
    duckdb_store.load()
    listed.pay("in_1")
    pipeline = duckdb_store.pipeline()
    pipeline.extract(cf_invoice_source())
    for file in Path(pipeline.working_dir, "normalize").rglob("*.typed-jsonl"):
        file.write_bytes(file.read_bytes()[:-9])

    report = duckdb_store.load()

    assert report.is_verified
    assert_exact(duckdb_store.query, listed)
    assert duckdb_store.reasons()[1:] == ["what an earlier run had left to load was dropped"]


# Rows that the database refuses


@pytest.mark.parametrize("is_aborted", ["false", "true"])
def test_rows_that_were_refused_are_never_taken_for_loaded(
    postgres_store: Store, listed: Account, monkeypatch: pytest.MonkeyPatch, is_aborted: str
) -> None:
    """The count of rows agrees, as only an update is refused."""
    monkeypatch.setenv("LOAD__AUTO_ABORT_ON_TERMINAL_ERROR", is_aborted)
    postgres_store.load()
    postgres_store.query("ALTER TABLE cf_invoices.invoices ADD CONSTRAINT no CHECK (description <> 'new')")
    listed.find("in_1")["description"] = "new"
    listed.pay("in_1")

    errors = [postgres_store.fails().cause for _ in range(2)]
    postgres_store.query("ALTER TABLE cf_invoices.invoices DROP CONSTRAINT no")
    report = postgres_store.load()

    assert all("violates check constraint" in error for error in errors)
    assert report.is_verified
    assert_exact(postgres_store.query, listed)


@pytest.mark.parametrize("prefix", ["", "CLOUDFLARE_INVOICES__"])
def test_dlt_must_not_be_told_to_pass_over_what_is_refused(
    duckdb_store: Store, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setenv(f"{prefix}LOAD__RAISE_ON_FAILED_JOBS", "false")

    with pytest.raises(SettingsError, match="raise_on_failed_jobs"):
        duckdb_store.load()


# Destinations that cannot be written, or reached


def test_a_read_only_database_is_named_and_loaded_once_it_is_writable(
    postgres_store: Store, database: Database, listed: Account
) -> None:
    postgres_store.load()
    listed.pay("in_1")
    postgres_store.query(f'ALTER DATABASE "{database.name}" SET default_transaction_read_only = on')

    errors = [postgres_store.fails() for _ in range(2)]
    with_admin(database, f'ALTER DATABASE "{database.name}" RESET default_transaction_read_only')
    report = postgres_store.load()

    assert all("read-only transaction" in error.cause and "rights" in error.remedy for error in errors)
    assert report.is_verified
    assert_exact(postgres_store.query, listed)


def with_admin(database: Database, sql: str) -> None:
    Database(database.server, "postgres").query(sql)


def test_a_read_only_duckdb_file_is_named_and_loaded_once_it_is_writable(
    duckdb_store: Store, warehouse: Warehouse, listed: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    duckdb_store.load()
    listed.pay("in_1")
    with monkeypatch.context() as read_only:
        read_only.setenv("DESTINATION__DUCKDB__CREDENTIALS__READ_ONLY", "true")
        error = duckdb_store.fails()

    report = duckdb_store.load()

    assert "read-only" in error.cause
    assert report.is_verified
    assert_exact(duckdb_store.query, listed)


def test_a_duckdb_file_where_none_can_be_made_is_one_clear_error(
    process: Command, listed: Account, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    ended = process("load", env={"DESTINATION__DUCKDB__CREDENTIALS": str(tmp_path / "file" / "x.duckdb")})

    assert_is_one_clear_error(ended)


def test_a_duckdb_file_that_another_process_holds_is_named_and_loaded_once_it_is_free(
    process: Command, warehouse: Warehouse, listed: Account
) -> None:
    process("load")
    listed.pay("in_1")
    program = (
        f"import duckdb; c = duckdb.connect({str(warehouse.path)!r}); print('held', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holding:
        assert holding.stdout
        holding.stdout.readline()
        refused = process("load")
        holding.kill()
    healthy = process("load")

    assert_is_one_clear_error(refused)
    assert "lock" in refused.stderr
    assert healthy.exit_code == 0
    assert_exact(warehouse.query, listed)


def assert_is_one_clear_error(ended: Ended) -> None:
    assert ended.exit_code == 1
    assert ended.stderr.startswith("Error: ")
    assert "What to do: " in ended.stderr
    assert "Traceback" not in ended.output
    assert len(ended.output.splitlines()) <= 6


def test_a_dead_database_is_named(process: Command, listed: Account) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dsn = f"postgresql://loader:made-up@127.0.0.1:{closed.getsockname()[1]}/warehouse"
        ended = process("load", "--destination", "postgres", env={"DESTINATION__POSTGRES__CREDENTIALS": dsn})

    assert_is_one_clear_error(ended)
    assert "Connection refused" in ended.stderr
    assert "made-up" not in ended.output


@pytest.mark.parametrize("step", ["extract", "load"])
def test_a_database_that_dies_under_a_load_keeps_what_is_left_and_gets_it_when_it_is_back(
    postgres: Postgres, listed: Account, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    from dlt.destinations.insert_job_client import InsertValuesLoadJob

    with running(postgres.binaries) as server:
        database = create_database(server, "warehouse")
        monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", database.dsn)
        store = Store("postgres", database.query)
        store.load()
        listed.pay("in_1")
        deaths = Deaths(server)
        if step == "load":
            monkeypatch.setattr(InsertValuesLoadJob, "run", deaths.before(InsertValuesLoadJob.run))
        else:
            simulator.before_answer = lambda _request: deaths.die()

        errors = [store.fails() for _ in range(2)]
        kept = store.pipeline().has_pending_data
        server.start()
        report = store.load()

        assert kept == (step == "load")
        assert ["is kept" in error.remedy for error in errors] == [kept, kept]
        assert report.is_verified
        assert_exact(store.query, listed)
        assert store.reasons() == ["first run"]


class Deaths:
    """The one death of a server."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self.is_dead = False
        self.lock = Lock()

    def die(self) -> None:
        with self.lock:
            if not self.is_dead:
                self.is_dead = True
                self.server.stop()

    def before(self, function: Callable[[Any], None]) -> Callable[[Any], None]:
        def deadly(job: Any) -> None:
            self.die()
            function(job)

        return deadly


# A full disk


@pytest.mark.parametrize("size", [14_000, 25_000, 60_000, 150_000, 400_000])
@pytest.mark.parametrize("is_first", [True, False], ids=["first load", "later load"])
def test_after_a_full_disk_the_next_load_is_exact(
    process: Command,
    warehouse: Warehouse,
    simulator: Simulator,
    listed: Account,
    size: int,
    *,
    is_first: bool,
) -> None:
    simulator.max_per_page = 50  # it is not the requests that fill a disk
    if not is_first:
        process("load")
    listed.records[:0] = make_invoices_later(400)
    ended = run_warm("-c", FULL_DISK, str(size), "load")
    listed.pay("in_1")

    healthy = process("load")

    assert_is_one_clear_error(ended)
    assert healthy.exit_code == 0, healthy.output
    assert_exact(warehouse.query, listed)


def make_invoices_later(count: int) -> list[Any]:
    return [
        make_invoice(id=f"in_later_{number}", created=CREATED_S + 10**7 + number, description="x" * 500)
        for number in range(count, 0, -1)
    ]


def test_a_duckdb_file_begun_on_a_full_disk_is_an_error_that_says_to_delete_it(
    process: Command, warehouse: Warehouse, listed: Account
) -> None:
    full = run_warm("-c", FULL_DISK, "5000", "load")

    later = process("load")

    assert_is_one_clear_error(full)
    assert_is_one_clear_error(later)
    assert "delete it" in later.stderr


# Side by side


def test_pipelines_that_load_different_accounts_into_one_empty_database_at_once_all_come_through(
    database: Database, world: World, simulator: Simulator
) -> None:
    simulator.max_per_page = 10
    accounts = [world.add_account(f"Account {number}") for number in range(4)]
    for account in accounts:
        account.records += make_invoices(60)
        for number in range(1, 60, 5):
            account.find(f"in_{number}").update(status="open", amount_paid=0, amount_remaining=2178)
    first = load_at_once(accounts)
    for account in accounts:
        for number in range(1, 60, 5):
            account.pay(f"in_{number}")

    later = load_at_once(accounts)

    assert [(ended.exit_code, ended.stderr) for ended in first + later] == [(0, "")] * 8
    assert_exact(database.query, *accounts)
    staging = database.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'cf_invoices_staging%%'")
    assert len(staging) == 4


def load_at_once(accounts: list[Account]) -> list[Ended]:
    commands = [
        ("load", "--destination", "postgres", "--account", account.id, "--pipeline-name", f"p{number}")
        for number, account in enumerate(accounts)
    ]
    return run_at_once(commands, [{}] * len(commands))
