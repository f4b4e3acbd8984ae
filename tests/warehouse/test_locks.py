"""Two loads side by side: the second one waits, says so, and goes on or fails clearly; nothing is spoilt."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

import dlt
import pytest
from filelock import FileLock

from cf_invoice_source import TryLaterError, create_tables, pipeline_lock
from cf_invoice_source import load as load_invoices
from cf_invoice_source.simulator import Account, Request, Simulator
from cf_invoice_source.warehouse.locks import database_lock
from tests.conftest import Command, Ended, Load, Warehouse
from tests.support import warm
from tests.support.make import make_invoices

WAIT_S = 30
"""How long a test waits for what must happen, before it fails."""


@pytest.fixture
def listed(account: Account) -> Account:
    account.records += make_invoices(7)
    return account


@contextmanager
def under_way(simulator: Simulator, *arguments: str) -> Iterator[BaseProcess]:
    """A load in a process of its own that gets no answer until this block is left."""
    is_asked, may_answer = Event(), Event()

    def hold(_request: Request) -> None:
        is_asked.set()
        may_answer.wait(WAIT_S)

    simulator.before_sending = hold
    begun = warm.begin(("-m", "cf_invoice_source", "load", *arguments), dict(os.environ))
    try:
        assert is_asked.wait(WAIT_S)
        simulator.before_sending = None
        yield begun.process
    finally:
        may_answer.set()
        begun.end(WAIT_S)


SAME = {
    "pipeline": ("--destination", "duckdb"),
    "DuckDB file": ("--pipeline-name", "another"),
}


@pytest.mark.slow
@pytest.mark.parametrize("arguments", SAME.values(), ids=SAME)
def test_the_second_load_fails_clearly_after_the_time_it_may_wait(
    simulator: Simulator, listed: Account, warehouse: Warehouse, process: Command, arguments: tuple[str, ...]
) -> None:
    with under_way(simulator) as first:
        second = process("load", "--wait", "0.1", *arguments)
        asked = len(simulator.requests)

    assert second.exit_code == 1
    assert "Another load" in second.stderr
    assert "is still under way" in second.stderr
    assert "run again when it has ended" in second.stderr
    assert (first.exitcode, asked) == (0, 1)
    assert len(warehouse.ids()) == 7


@pytest.mark.quick("DuckDB file")
@pytest.mark.parametrize("arguments", SAME.values(), ids=SAME)
def test_the_second_load_waits_says_so_and_goes_on(
    simulator: Simulator, listed: Account, warehouse: Warehouse, arguments: tuple[str, ...]
) -> None:
    with under_way(simulator) as first:
        second = subprocess.Popen(
            [sys.executable, "-m", "cf_invoice_source", "load", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        assert second.stderr is not None
        said = second.stderr.readline()
        asked = len(simulator.requests)
    second.communicate(timeout=WAIT_S)

    assert "Another load" in said
    assert "waiting for up to 600 seconds" in said
    assert asked == 1
    assert (first.exitcode, second.returncode) == (0, 0)
    assert len(warehouse.ids()) == 7


@pytest.mark.slow
def test_a_load_that_was_killed_holds_nobody_up(
    simulator: Simulator, listed: Account, warehouse: Warehouse, process: Command
) -> None:
    with under_way(simulator) as first:
        first.kill()
        first.join(WAIT_S)
        second = process("load", "--wait", "0")

    assert second.exit_code == 0
    assert len(warehouse.ids()) == 7


@pytest.mark.slow
def test_loads_into_different_files_by_different_pipelines_do_not_wait(
    simulator: Simulator, listed: Account, warehouse: Warehouse, process: Command, tmp_path: Path
) -> None:
    other = tmp_path / "other.duckdb"

    with under_way(simulator):
        ended = process(
            "load",
            "--wait",
            "0",
            "--pipeline-name",
            "other",
            env={"DESTINATION__DUCKDB__CREDENTIALS": str(other)},
        )

    assert ended.exit_code == 0
    assert len(Warehouse(other).ids()) == 7


def load_from_python(_number: int) -> tuple[bool, int | None]:
    import dlt

    from cf_invoice_source import load

    with pipeline_lock("cloudflare_invoices"):
        pipeline = dlt.pipeline("cloudflare_invoices", destination="duckdb", dataset_name="cf_invoices")
        report = load(pipeline)
    return report.is_verified, report.accounts[0].invoices


@pytest.mark.slow
def test_four_processes_at_once_from_python_all_come_through(
    simulator: Simulator, listed: Account, warehouse: Warehouse
) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        outcomes = pool.map(load_from_python, range(4), chunksize=1)

    assert outcomes == [(True, 7)] * 4
    assert len(warehouse.ids()) == 7
    assert warehouse.query("SELECT count(*) FROM cf_invoices.invoice_changes") == [(7,)]


def test_two_threads_of_one_process_wait_for_each_other(
    simulator: Simulator, listed: Account, warehouse: Warehouse, dlt_here: None
) -> None:
    caught: list[Any] = []

    def load_too() -> None:
        try:
            with pipeline_lock("cloudflare_invoices", wait_s=0):
                pass
        except TryLaterError as error:
            caught.append(error)

    with pipeline_lock("cloudflare_invoices", wait_s=0), pipeline_lock("cloudflare_invoices", wait_s=0):
        thread = Thread(target=load_too)
        thread.start()
        thread.join()

    assert "Another load of the pipeline cloudflare_invoices" in str(caught[0])


def test_a_directory_that_cannot_be_made_is_told(
    simulator: Simulator, listed: Account, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(tmp_path / "file" / "warehouse.duckdb"))

    ended: Ended = command("load")

    assert ended.exit_code == 1
    assert "cannot be written" in ended.stderr
    assert "choose another file" in ended.stderr


def test_dlts_own_directory_that_cannot_be_made_is_told(
    simulator: Simulator, listed: Account, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "file"))

    ended: Ended = command("load")

    assert ended.exit_code == 1
    assert "DLT_DATA_DIR" in ended.stderr


# Which file is the lock, and who may take it


def lock_of(database: Path) -> FileLock:
    """The lock of another load: this process holds it by another handle than the load that is tested."""
    return FileLock(database.with_name(f"{database.name}.lock"))


def test_a_link_to_a_database_has_the_lock_of_its_target(
    simulator: Simulator, listed: Account, warehouse: Warehouse, command: Command, place: Path
) -> None:
    (place / "link.duckdb").symlink_to(warehouse.path)

    with lock_of(warehouse.path):
        ended = command("load", "--wait", "0", env={"DESTINATION__DUCKDB__CREDENTIALS": "link.duckdb"})

    assert ended.exit_code == 1
    assert f"Another load into {warehouse.path} is still under way" in ended.stderr
    assert simulator.requests == []


@pytest.mark.parametrize("database_mode", [0o600, 0o666], ids=oct)
def test_a_lock_may_be_taken_by_whoever_may_write_the_database(
    load: Load, listed: Account, warehouse: Warehouse, database_mode: int
) -> None:
    warehouse.path.chmod(database_mode)

    load()

    lock = warehouse.path.with_name(f"{warehouse.path.name}.lock")
    assert lock.stat().st_mode & 0o777 == database_mode


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can be somebody else")
def test_a_lock_file_of_another_user_shuts_out_nobody_who_may_write_the_database(
    dlt_here: None,
) -> None:
    with TemporaryDirectory() as directory:  # pytest's own are root's alone
        Path(directory).chmod(0o777)
        database = Path(directory, "shared.duckdb")
        database.touch()
        database.chmod(0o666)
        client = dlt.pipeline("mine", destination=dlt.destinations.duckdb(str(database))).destination_client()
        with database_lock(client, wait_s=0):
            pass

        os.seteuid(65534)
        try:
            with database_lock(client, wait_s=0):
                pass
        finally:
            os.seteuid(0)


def test_a_lock_file_that_cannot_be_opened_is_told_from_its_directory(
    simulator: Simulator, listed: Account, warehouse: Warehouse, command: Command
) -> None:
    lock = warehouse.path.with_name(f"{warehouse.path.name}.lock")
    lock.mkdir()

    ended = command("load")

    assert ended.exit_code == 1
    assert f"The lock file {lock} cannot be opened" in ended.stderr
    assert "directory of the database" not in ended.stderr


@pytest.mark.parametrize("actor", ["the command", "load", "create_tables"])
def test_the_time_to_wait_is_that_of_all_locks_together(
    simulator: Simulator,
    listed: Account,
    warehouse: Warehouse,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    actor: str,
) -> None:
    moments = count(0, 100)  # the lock of the pipeline took that long
    monkeypatch.setattr("cf_invoice_source.warehouse.locks.monotonic", lambda: next(moments))

    with lock_of(warehouse.path):
        if actor == "the command":
            told = command("load", "--wait", "90").stderr
        else:
            pipeline = dlt.pipeline("cloudflare_invoices", destination="duckdb", dataset_name="cf_invoices")
            run: Any = {"load": load_invoices, "create_tables": create_tables}[actor]
            with pytest.raises(TryLaterError) as caught:
                run(pipeline, wait_s=90)
            told = str(caught.value)

    assert f"Another load into {warehouse.path} is still under way" in told
    assert simulator.requests == []
