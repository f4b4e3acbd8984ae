"""What a person sees while a load goes on: pages and accounts of how many, on one line or now and then."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

from cf_invoice_source.simulator import Account, Simulator, World
from tests.conftest import Command, Warehouse
from tests.support.make import make_invoice, make_invoices


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Print a line each time that something has gone on, not every ten seconds."""
    monkeypatch.setattr("cf_invoice_source.cli.progress.LINE_EVERY_S", 0)


def test_off_a_terminal_a_line_now_and_then_says_how_far_the_load_has_come(
    simulator: Simulator,
    world: World,
    account: Account,
    warehouse: Warehouse,
    command: Command,
    impatient: None,
) -> None:
    account.records += make_invoices(120)
    other = world.add_account("Other", invoices=2)

    ended = command("load", "--account", account.id, "--account", other.id)

    lines = ended.stderr.splitlines()
    assert ended.exit_code == 0
    pages = [line for line in lines if line.startswith("Asking Cloudflare: page ")]
    assert any(re.search(r"page [23] of [34], [01] of 2 accounts, \d+ records", line) for line in pages)
    assert re.search(r"page (\d) of \1, 2 of 2 accounts, \d+ records", pages[-1])
    assert re.search(r"^Loading: job \d of \d$", ended.stderr, re.MULTILINE)
    assert all(line.startswith(("Asking Cloudflare: ", "Preparing rows: ", "Loading: ")) for line in lines)


@pytest.mark.slow
def test_a_short_load_prints_no_progress_off_a_terminal(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command
) -> None:
    account.records += make_invoices(120)

    assert command("load").stderr == ""


@pytest.mark.slow
def test_a_quiet_one_never_does(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command, impatient: None
) -> None:
    account.records += make_invoices(120)

    assert command("load", "--quiet").output == ""


@pytest.mark.slow
def test_an_incremental_sync_counts_the_pages_that_it_needs(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command, impatient: None
) -> None:
    account.records += [*make_invoices(200), make_invoice(id="open", created=0, status="open")]
    command("load")

    ended = command("load")

    assert "Asking Cloudflare: page 2 of 2, " in ended.stderr
    assert "of 5" not in ended.stderr


def in_a_terminal(*arguments: str, columns: int) -> tuple[int, str]:
    """Run the command in a terminal of this width: its exit code, and all that was drawn."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    with subprocess.Popen(
        [sys.executable, "-m", "cf_invoice_source", *arguments],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env={**environment, "TERM": "xterm-256color"},
    ) as ended:
        os.close(follower)
        drawn = b""
        try:
            while part := os.read(leader, 2**16):
                drawn += part
        except OSError:  # the other end is closed
            pass
    os.close(leader)
    return ended.returncode, drawn.decode()


@pytest.mark.quick("40")
@pytest.mark.parametrize("columns", [40, 80])
def test_in_a_terminal_one_line_moves_and_the_account_and_the_verdict_stay(
    simulator: Simulator, account: Account, warehouse: Warehouse, columns: int
) -> None:
    account.records += [*make_invoices(120), "garbage"]

    exit_code, drawn = in_a_terminal("load", columns=columns)

    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn)
    assert exit_code == 3
    assert "Asking Cloudflare" in plain
    assert re.search(rf"{account.id[:7]}\S* +120 .*no \(1 rejected\)", plain)
    assert "\x1b[1;31mno (1 rejected)" in drawn  # bold and red
    assert f"Loaded into {warehouse.path}, dataset cf_invoices." in plain.replace("\r\n", "\n")
