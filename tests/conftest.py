"""A clean place for each test: its own directory, dlt folders, DuckDB file and environment; loopback only."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, local
from types import SimpleNamespace
from typing import Any, Protocol
from uuid import uuid4

import duckdb
import pytest
from hypothesis import Phase, settings

from cf_invoice_source import Report
from cf_invoice_source.simulator import Account, Simulator, World
from tests.support import warm
from tests.support.mariadb import MariaDB, is_installed
from tests.support.mariadb import running as mariadb_running
from tests.support.places import begin_anew, settings_of
from tests.support.postgres import Database, Postgres, binaries, create_database, running
from tests.support.tiers import pytest_itemcollected  # noqa: F401 - a hook

settings.register_profile(
    "here",
    deadline=None,
    database=None,
    derandomize=bool(os.environ.get("CI")),
    max_examples=int(os.environ.get("EXAMPLES", "100")),
)
settings.load_profile("here")
settings.register_profile("at the first failure", phases=[Phase.explicit, Phase.generate])

_FOREIGN = (
    "CF_INVOICES_",
    "CLOUDFLARE_",
    "CREDENTIALS",
    "DATA_WRITER__",
    "DESTINATION__",
    "DLT_",
    "EXTRACT__",
    "FORCE_COLOR",
    "LOAD__",
    "NORMALIZE__",
    "NO_PROXY",
    "RUNTIME__",
    "SCHEMA__",
    "SOURCES__",
)
"""What a developer may have set, and what must not decide a test."""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory to work in, and nothing set that could leak in or out."""
    for name in list(os.environ):
        if name.upper().startswith(_FOREIGN) or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    homes = dict.fromkeys(("HOME", "XDG_DATA_HOME"), str(tmp_path / "home"))
    for name, value in (homes | settings_of(tmp_path)).items():
        monkeypatch.setenv(name, value)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def world() -> World:
    return World(seed=1)


@pytest.fixture
def account(world: World) -> Account:
    """The account that the environment names; it has no invoices yet."""
    return world.add_account("Test")


@pytest.fixture
def simulator(world: World, account: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A running Cloudflare, with an environment that points at it."""
    with Simulator(world) as simulator:
        monkeypatch.setenv("CLOUDFLARE_BASE_URL", simulator.base_url)
        monkeypatch.setenv("CLOUDFLARE_API_TOKEN", simulator.token)
        monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", account.id)
        yield simulator


@dataclass(frozen=True)
class Warehouse:
    """Looks into the DuckDB file afterwards."""

    path: Path

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path)) as connection:
            return connection.execute(sql, parameters).fetchall()

    def rows(self, table: str = "invoices") -> list[dict[str, Any]]:
        """Every row with every column that is not dlt's own, in the order of the key."""
        columns = [name for name in self.columns(table) if not name.startswith("_dlt")]
        listed = ", ".join(f'"{name}"' for name in columns)
        rows = self.query(f"SELECT {listed} FROM cf_invoices.{table} ORDER BY ALL")  # noqa: S608
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def ids(self) -> list[str]:
        return [row["id"] for row in self.rows()]

    def columns(self, table: str = "invoices") -> dict[str, tuple[str, bool]]:
        """Type of each column, and whether it may be null."""
        rows = self.query(
            "SELECT column_name, data_type, is_nullable FROM information_schema.columns "
            "WHERE table_schema = 'cf_invoices' AND table_name = ? ORDER BY ordinal_position",
            table,
        )
        return {name: (kind, nullable == "YES") for name, kind, nullable in rows}

    def tables(self) -> set[str]:
        if not self.path.exists():
            return set()
        rows = self.query(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'cf_invoices'"
        )
        return {name for (name,) in rows}


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """The DuckDB file that the environment names as the destination."""
    path = tmp_path / "warehouse.duckdb"
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(path))
    return Warehouse(path)


@pytest.fixture
def held(warehouse: Warehouse) -> Iterator[duckdb.DuckDBPyConnection]:
    """Keep the DuckDB file open: opening it takes half of a run. Other processes find it locked then."""
    with duckdb.connect(str(warehouse.path)) as connection:
        yield connection


_HOLD = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


@pytest.fixture
def held_elsewhere(warehouse: Warehouse) -> Iterator[None]:
    """Another process has the DuckDB file open."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(warehouse.path)],
        env=os.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
        holder.stdin.close()


@pytest.fixture
def dlt_here(place: Path) -> Iterator[None]:
    """Let dlt begin anew in this test's directory."""
    begin_anew(place)
    yield
    begin_anew(place)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL. Where it is not installed, its tests are skipped, but never in CI."""
    found = binaries()
    if found is None:
        missing = "PostgreSQL's initdb and pg_ctl are not installed (Debian: apt-get install postgresql)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    with running(found) as server:
        yield server


@pytest.fixture
def database(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Database:
    """An empty PostgreSQL database, which the environment names as a destination."""
    database = create_database(postgres, f"test_{uuid4().hex}")
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", database.dsn)
    return database


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDB]:
    """A running MariaDB. Where it is not installed, its tests are skipped, but never in CI."""
    if not is_installed():
        missing = "MariaDB is not installed (Debian: apt-get install mariadb-server)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    with mariadb_running() as server:
        yield server


@pytest.fixture
def mariadb(mariadb_server: MariaDB) -> MariaDB:
    """A MariaDB as it is after its installation: without a database, and with its usual collation."""
    mariadb_server.begin_anew()
    return mariadb_server


class Load(Protocol):
    def __call__(self, **settings: Any) -> Report: ...


@pytest.fixture
def load(dlt_here: None, warehouse: Warehouse, simulator: Simulator, held: object) -> Load:
    """Load from Python into the warehouse, as the environment says and the arguments."""
    import dlt

    from cf_invoice_source import load

    def load_here(**settings: Any) -> Report:
        pipeline = dlt.pipeline("cloudflare_invoices", destination="duckdb", dataset_name="cf_invoices")
        return load(pipeline, **settings)

    return load_here


class Extract(Protocol):
    def __call__(self, **settings: Any) -> None: ...


@pytest.fixture
def extract(dlt_here: None, warehouse: Warehouse, simulator: Simulator) -> Extract:
    """Ask the simulator as a load does, but load nothing: several times as fast."""
    import dlt

    from cf_invoice_source import cf_invoice_source

    def extract_here(**settings: Any) -> None:
        pipeline = dlt.pipeline("cloudflare_invoices", destination="duckdb", dataset_name="cf_invoices")
        pipeline.extract(cf_invoice_source(**settings))

    return extract_here


@dataclass(frozen=True)
class Ended:
    """What is left of a command: its exit code and what it printed."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


class Command(Protocol):
    def __call__(self, *arguments: str, env: Mapping[str, str | None] | None = None) -> Ended: ...


@pytest.fixture
def command(dlt_here: None) -> Command:
    """Run `cf-invoices` in this process: quick, for variations."""
    from click.testing import CliRunner

    from cf_invoice_source.cli.main import cli

    def run(*arguments: str, env: Mapping[str, str | None] | None = None) -> Ended:
        result = CliRunner().invoke(cli, arguments, env=env, prog_name="cf-invoices")
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)

    return run


def run_python(*arguments: str, env: Mapping[str, str | None] | None = None, timeout_s: float = 60) -> Ended:
    """Run Python for real, with the environment of the test; None takes a name out of it."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=_environment(env),
        capture_output=True,
        encoding="utf-8",
        timeout=timeout_s,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def run_warm(*arguments: str, env: Mapping[str, str | None] | None = None) -> Ended:
    """Run Python as a process of its own that has dlt already: where what is imported does not matter."""
    return Ended(*warm.begin(arguments, _environment(env)).end(timeout_s=60))


def run_at_once(
    commands: Iterable[Sequence[str]], environments: Iterable[Mapping[str, str | None]]
) -> list[Ended]:
    """Run `cf-invoices` with each of these arguments at the same time, in a process for each."""
    begun = [
        warm.begin(("-m", "cf_invoice_source", *arguments), _environment(env))
        for arguments, env in zip(commands, environments, strict=True)
    ]
    return [Ended(*each.end(timeout_s=300)) for each in begun]


def _environment(changes: Mapping[str, str | None] | None) -> dict[str, str]:
    environment = {**os.environ, **(changes or {})}
    return {name: value for name, value in environment.items() if value is not None}


@pytest.fixture
def process() -> Command:
    """Run `cf-invoices` as its own process: where the exit code, the two streams or a crash matter."""

    def run(*arguments: str, env: Mapping[str, str | None] | None = None) -> Ended:
        return run_warm("-m", "cf_invoice_source", *arguments, env=env)

    return run


@pytest.fixture
def signals_arrive() -> Iterator[None]:
    """Where tests run in the background, Ctrl-C is ignored, and processes inherit that.

    Dagster, once it ran in this process, lets SIGTERM do what Ctrl-C does.
    """
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGTERM: signal.signal(signal.SIGTERM, signal.SIG_DFL),
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Naps(list[float]):
    """The seconds that something waited. Nothing really waits: the clock goes on at once, and only so."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self._lock = Lock()
        self._looked = local()

    def clock(self) -> float:
        """Look at the clock: from that moment on, this thread counts the seconds that it will wait."""
        self._looked.at = self.now
        return self.now

    def sleep(self, seconds: float) -> None:
        """Wait, in whatever thread: two that wait for the same moment move the clock once."""
        with self._lock:
            self.append(seconds)
            self.now = max(self.now, getattr(self._looked, "at", self.now) + seconds)


@pytest.fixture(autouse=True)
def naps(monkeypatch: pytest.MonkeyPatch) -> Naps:
    """What a retry would have waited, and what the rate limit would."""
    naps = Naps()
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=naps.sleep))
    monkeypatch.setattr("cf_invoice_source.cloudflare.rate_limiter.sleep", naps.sleep)
    monkeypatch.setattr("cf_invoice_source.cloudflare.rate_limiter.monotonic", naps.clock)
    return naps


def tree(folder: Path) -> dict[str, bytes]:
    """Every file and directory under a folder, and what the files hold."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
    }
