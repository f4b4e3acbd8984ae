"""Whatever fails is one screen on stderr, and one JSON document where that was asked for."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from cf_invoice_source.simulator import Account, Simulator
from cf_invoice_source.simulator.faults import edit
from tests.conftest import Command, Naps, Warehouse, run_python
from tests.support.make import make_invoices

SECRET = "simulator-token"
"""How the token of the simulator begins."""


# What nobody expected


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let dlt fail as no dlt has failed yet, with a secret in its words."""

    def fail(*_arguments: object, **_named: object) -> None:
        raise ZeroDivisionError(SECRET)

    monkeypatch.setattr("dlt.pipeline", fail)
    monkeypatch.setattr("dlt.dataset", fail)


@pytest.mark.parametrize("name", ["load", "status", "report"])
def test_what_nobody_expected_is_one_screen_and_a_document_without_a_secret(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command, broken: None, name: str
) -> None:
    ended = command(name, "--json")

    error = json.loads(ended.stdout)["error"]
    assert ended.exit_code == 1
    assert error["type"] == "UnexpectedError"
    assert error["cause"].startswith(
        "Something unexpected went wrong: ZeroDivisionError in test_output.py, line"
    )
    assert ended.stderr.startswith("Error: Something unexpected went wrong")
    assert "--debug" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert SECRET not in ended.output


def test_what_nobody_expected_does_not_hide_the_other_rows_of_a_check(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command, broken: None
) -> None:
    ended = command("check", "--json")

    rows = {row["what"]: row for row in json.loads(ended.stdout)["rows"]}
    assert ended.exit_code == 1
    assert {what for what, row in rows.items() if row["state"] == "failed"} == {"destination"}
    assert "ZeroDivisionError" in rows["destination"]["said"]
    assert SECRET not in ended.output


def test_debug_shows_where_it_came_from(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command, broken: None
) -> None:
    assert "Traceback" in command("load", "--debug").stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["load", "status", "report", "check"])
def test_a_working_directory_that_is_gone_is_one_screen(name: str, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    program = (
        f"import os, sys; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r})\n"
        "sys.path.remove('')\n"  # as in the installed command
        "from cf_invoice_source.cli.main import main; main()"
    )

    ended = run_python("-c", program, name, "--json")

    assert ended.exit_code == 1
    assert ended.stderr.startswith("Error: The working directory cannot be used: No such file")
    assert json.loads(ended.stdout)["error"]["type"] == "SettingsError"


# Nobody takes the result


@contextmanager
def full_disk() -> Iterator[IO[bytes]]:
    with Path("/dev/full").open("wb") as stream:
        yield stream


@contextmanager
def closed_pipe() -> Iterator[IO[bytes]]:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as stream:
        yield stream


@pytest.mark.quick("full disk-load --json")
@pytest.mark.parametrize(
    "arguments", ["load", "load --json", "status", "report", "check", "check --json", "--help"]
)
@pytest.mark.parametrize("stdout", [full_disk, closed_pipe], ids=["full disk", "closed pipe"])
def test_a_result_that_nobody_takes_is_told_in_one_screen(
    simulator: Simulator, account: Account, warehouse: Warehouse, stdout: object, arguments: str
) -> None:
    account.records += make_invoices(2)

    assert callable(stdout)
    with stdout() as stream:
        ended = subprocess.run(
            [sys.executable, "-m", "cf_invoice_source", *arguments.split()],
            stdout=stream,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            timeout=60,
            check=False,
        )

    lines = ended.stderr.splitlines()
    told = "No space left on device" if stdout is full_disk else "Broken pipe"
    if arguments != "--help" or stdout is full_disk:  # click itself ends at once where a pipe is closed
        assert any(line.startswith("Error: ") and told in line for line in lines)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "ignored" not in ended.stderr
    if arguments.startswith("load"):
        assert len(warehouse.ids()) == 2


# Nothing but what went wrong


def test_quiet_prints_nothing_where_all_is_well(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command
) -> None:
    account.records += make_invoices(2)

    ended = command("load", "--quiet")

    assert (ended.exit_code, ended.output) == (0, "")


@pytest.mark.slow
def test_quiet_does_not_say_what_only_takes_time(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command, naps: Naps
) -> None:
    account.records += make_invoices(120)
    simulator.quota, simulator.window_s, simulator.clock = 2, 60, lambda: naps.now

    quiet, loud = command("load", "--quiet"), command("load", "--full")

    assert naps
    assert quiet.output == ""
    assert "Cloudflare's rate limit is reached: waiting" in loud.stderr


def test_quiet_still_prints_what_went_wrong_and_the_document(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command
) -> None:
    account.records += ["garbage"]

    ended = command("load", "--quiet", "--json")

    assert ended.exit_code == 3
    assert json.loads(ended.stdout)["verified"] is False
    assert ended.stderr.splitlines()[0] == f"Account {account.id}: 1 record rejected: see invoice_rejects"


def test_what_cloudflare_says_beside_its_answers_is_told_once_even_if_quiet(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command
) -> None:
    account.records += make_invoices(120)
    told = [{"code": 1234, "message": f"This endpoint will end soon, {simulator.token}"}]
    simulator.faults.append(edit(lambda document: document.update(messages=told)))

    ended = command("load", "--quiet")

    assert ended.exit_code == 0
    assert len(simulator.requests) > 2
    assert ended.stderr == "Cloudflare says: This endpoint will end soon, *** (code 1234)\n"


@pytest.mark.quick("None")
@pytest.mark.parametrize("log_level", [None, "INFO"])
def test_a_problem_is_a_line_of_a_log_for_machines(
    simulator: Simulator, account: Account, warehouse: Warehouse, process: Command, log_level: str | None
) -> None:
    account.records += ["garbage"]

    ended = process("load", env={"RUNTIME__LOG_FORMAT": "JSON", "RUNTIME__LOG_LEVEL": log_level})

    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    [problem] = [line for line in lines if line["level"] == "CRITICAL"]
    assert ended.exit_code == 3
    assert problem["msg"] == f"Account {account.id}: 1 record rejected: see invoice_rejects"
    assert problem["reasons"] == "the record is not an object"
    assert problem["remedy"].startswith("SELECT reason, raw")
