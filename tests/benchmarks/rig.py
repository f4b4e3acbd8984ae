"""What a measurement stands on: the server's process, and a clean place for each program."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

from tests.benchmarks.server import BASE_PATH, TOKEN, account_id

ROOT = Path(__file__).parents[2]
_OPENER = build_opener(ProxyHandler({}))
_KEPT = ("LANG", "LC_ALL", "PATH", "SYSTEMROOT", "TMPDIR", "TZ")


@dataclass(frozen=True)
class Server:
    """A running server.

    Args:
        address: Its origin.
    """

    address: str

    def move_to(self, stage: int) -> dict[str, Any]:
        """Serve this stage of the lists, and say what a table must hold then."""
        return self._control(f"stage/{stage}")

    def take(self) -> dict[str, Any]:
        """Say what was asked since the last time."""
        return self._control("take")

    def environment(self, place: Path, **more: str) -> dict[str, str]:
        """Say what a program in this directory is told: where the API is, and where to keep its things."""
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        told = {
            "CLOUDFLARE_ACCOUNT_ID": account_id(0),
            "CLOUDFLARE_API_TOKEN": TOKEN,
            "CLOUDFLARE_BASE_URL": f"{self.address}{BASE_PATH}",
            "DLT_DATA_DIR": str(place / "dlt"),
            "DUCKDB_FILE": str(file_in(place)),
            "HOME": str(place),
            "NO_PROXY": "*",
            "RUNTIME__DLTHUB_TELEMETRY": "false",
        }
        return kept | told | more

    def _control(self, what: str) -> dict[str, Any]:
        with _OPENER.open(f"{self.address}/control/{what}") as answer:
            document: dict[str, Any] = json.load(answer)
        return document


def file_in(place: Path) -> Path:
    """Name the DuckDB file that a program in this directory fills."""
    return place / "warehouse.duckdb"


@contextmanager
def serving(**options: float) -> Iterator[Server]:
    """Run the server in its own process; the options are those of its command line."""
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "tests.benchmarks.server", *words]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            if not address:
                raise RuntimeError("The server did not start; it says why above.")
            yield Server(address)
        finally:
            process.terminate()


_LOOK = """
import json, sys, duckdb
file, table = sys.argv[1:]
rows = duckdb.connect(file, read_only=True).execute(
    "SELECT count(*), count(*) FILTER (status = 'paid'), sum(amount_due::DECIMAL(38, 9)),"
    f" any_value(typeof(amount_due)) FROM {table}"
)
print(json.dumps(rows.fetchone(), default=str))
"""


def look_into(place: Path, table: str) -> dict[str, Any]:
    """Say what a table holds: `invoices`, `paid`, `amount_due` as in `data.Facts`, and the `type` of amounts.

    A process of its own looks, so that this one stays small: a program begins with the memory of the one that
    starts it, and that counts towards its peak.
    """
    command = [sys.executable, "-c", _LOOK, str(file_in(place)), table]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return dict(zip(("invoices", "paid", "amount_due", "type"), found, strict=True))
