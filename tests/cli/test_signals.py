"""Ctrl-C and SIGTERM, in real processes: one line, the exit code, soon, wherever the load is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

import psycopg2
import pytest

from cf_invoice_source import Report
from cf_invoice_source.simulator import Account, Answer, Fault, Request, Simulator
from cf_invoice_source.simulator.faults import rate_limited
from tests.conftest import Load, Warehouse
from tests.support.exact import assert_exact
from tests.support.make import make_invoices
from tests.support.postgres import Database

SOON_S = 5

both = pytest.mark.parametrize(
    ("sent", "exit_code", "line"),
    [(signal.SIGINT, 130, "Interrupted.\n"), (signal.SIGTERM, 143, "Terminated.\n")],
    ids=["Ctrl-C", "SIGTERM"],
)


pytestmark = pytest.mark.usefixtures("signals_arrive")


@pytest.fixture
def listed(simulator: Simulator, account: Account) -> Account:
    account.records += make_invoices(120)
    account.find("in_3").update(status="open", amount_paid=0, amount_remaining=2178)
    return account


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def assert_ends(process: subprocess.Popen[str], exit_code: int, line: str) -> None:
    began = time.monotonic()
    stdout, stderr = process.communicate(timeout=30)

    assert time.monotonic() - began < SOON_S
    assert (process.returncode, stdout, stderr) == (exit_code, "", line)


COMMAND = ("-m", "cf_invoice_source", "load")


def hang(asked: Event, leave: Event) -> Fault:
    """Leave a request without an answer until the test is over."""

    def spoil(request: Request, answering: Callable[[Request], Answer | None]) -> Answer | None:
        asked.set()
        leave.wait(60)
        return None

    return Fault(spoil)


@pytest.mark.quick("SIGTERM")
@both
def test_a_signal_ends_a_wait_for_a_request_that_is_never_answered(
    load: Load,
    held: Any,
    simulator: Simulator,
    listed: Account,
    warehouse: Warehouse,
    sent: signal.Signals,
    exit_code: int,
    line: str,
) -> None:
    held.close()
    asked, leave = Event(), Event()
    simulator.faults.append(hang(asked, leave).only(pages={2}))
    with running(*COMMAND) as process:
        assert asked.wait(30)
        process.send_signal(sent)
        assert_ends(process, exit_code, line)
    leave.set()
    simulator.faults.clear()

    assert_healthy(load(), listed, warehouse)


@pytest.mark.slow
@both
def test_a_signal_ends_a_wait_for_the_rate_limit(
    load: Load,
    held: Any,
    simulator: Simulator,
    listed: Account,
    warehouse: Warehouse,
    sent: signal.Signals,
    exit_code: int,
    line: str,
) -> None:
    held.close()
    simulator.faults.append(rate_limited("60"))
    with running(*COMMAND) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "Cloudflare's rate limit is reached: waiting 60 seconds\n"
        process.send_signal(sent)
        assert_ends(process, exit_code, line)
    simulator.faults.clear()

    assert_healthy(load(), listed, warehouse)


@pytest.mark.slow
@both
@pytest.mark.parametrize("step", ["extract", "normalize", "load"])
def test_a_signal_in_a_step_of_dlt_ends_it(
    load: Load,
    held: Any,
    listed: Account,
    warehouse: Warehouse,
    step: str,
    sent: signal.Signals,
    exit_code: int,
    line: str,
) -> None:
    held.close()
    moment = {
        "extract": "dlt.extract.extract.Extract.commit_packages",
        "normalize": "dlt.normalize.Normalize.run",
        "load": "dlt.destinations.impl.duckdb.duck.DuckDbCopyJob.run",
    }[step]
    owner, _, method = moment.rpartition(".")
    module, _, name = owner.rpartition(".")
    program = (
        f"import os, sys, time; from {module} import {name}\n"
        f"def stuck(*args): os.kill(os.getpid(), {int(sent)}); time.sleep(60)\n"
        f"{name}.{method} = stuck; sys.argv = ['cf-invoices', 'load']\n"
        "from cf_invoice_source.cli.main import main; main()"
    )
    with running("-c", program) as process:
        assert process.wait(30) == exit_code
        assert_ends(process, exit_code, line)

    assert_healthy(load(), listed, warehouse)


@pytest.mark.slow
@both
def test_a_signal_ends_a_load_that_waits_for_a_lock_in_the_database(
    dlt_here: None,
    simulator: Simulator,
    listed: Account,
    database: Database,
    sent: signal.Signals,
    exit_code: int,
    line: str,
) -> None:
    """The driver waits in C: Python's own handlers would not be called."""
    import dlt

    from cf_invoice_source import load

    def load_here() -> Report:
        return load(dlt.pipeline("cloudflare_invoices", destination="postgres", dataset_name="cf_invoices"))

    load_here()
    listed.pay("in_3")
    locking = psycopg2.connect(database.dsn)
    locking.cursor().execute("LOCK TABLE cf_invoices.invoice_syncs IN ACCESS EXCLUSIVE MODE")
    with running(*COMMAND, "--destination", "postgres") as process:
        _wait_until(lambda: _is_waiting(database))
        process.send_signal(sent)
        assert_ends(process, exit_code, line)
    locking.close()

    report = load_here()

    assert report.is_verified
    assert_exact(database.query, listed)


@pytest.mark.slow
def test_in_a_program_of_its_own_dlt_ends_its_jobs_and_the_interruption_goes_up(
    load: Load, listed: Account, warehouse: Warehouse, held: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not taken for a failure of the destination, which would be tried again."""
    from dlt.destinations.impl.duckdb.duck import DuckDbCopyJob

    held.close()
    run = DuckDbCopyJob.run
    interrupted: list[Any] = []

    def interrupt(job: DuckDbCopyJob) -> None:
        if not interrupted:
            interrupted.append(job)
            os.kill(os.getpid(), signal.SIGINT)
        run(job)

    monkeypatch.setattr(DuckDbCopyJob, "run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        load()

    assert_healthy(load(), listed, warehouse)


@pytest.mark.slow
def test_what_is_ignored_stays_ignored(simulator: Simulator, listed: Account, warehouse: Warehouse) -> None:
    """As for a command that a shell runs in the background, which a Ctrl-C there does not concern."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    started: list[subprocess.Popen[str]] = []

    def interrupt(_request: Request) -> None:
        started[0].send_signal(signal.SIGINT)

    simulator.before_answer = interrupt
    with running(*COMMAND) as process:
        started.append(process)
        _, stderr = process.communicate(timeout=30)

    assert (process.returncode, stderr) == (0, "")


def assert_healthy(report: Report, account: Account, warehouse: Warehouse) -> None:
    assert report.is_verified
    assert_exact(warehouse.query, account)


def _is_waiting(database: Database) -> bool:
    return bool(database.query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))


def _wait_until(happened: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < ends
        time.sleep(0.01)
