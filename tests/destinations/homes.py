"""The destinations that a load is tried with: how to write to each, and how to look into it afterwards.

    python -m tests.destinations.homes NAME DIRECTORY

tells the story in a process of its own, and prints what came of it.
"""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from decimal import Decimal
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import simplejson

from cf_invoice_source.simulator import Account, Simulator, World
from tests.support.make import CREATED_S, expected_row, make_invoice, make_invoices
from tests.support.mariadb import MariaDB
from tests.support.s3 import S3

if TYPE_CHECKING:
    from cf_invoice_source import Report

Row = dict[str, Any]


@dataclass(frozen=True)
class Home:
    """One destination.

    Attributes:
        title: How the page names it.
        drivers: What is installed for it, beside dlt.
        connect: Gives dlt's destination in a directory, or in the database of an address.
        look: Gives the rows of a table there, as its own driver reads them.
        settings: Arguments of the source.
        limit: What the page says about it.
        has_nested: Whether a list gets a table of its own.
        has_new_columns: Whether a new field gets a column.
        keeps_digits: How many digits of a number it keeps.
        skips: Steps of the story that wait for the next load, where a load takes seconds.
        at_once: What the page says of several pipelines at once.
        command: Destination, setting and place for the command; None where that is not tried.
        on_s3: Whether the story is told on S3, too.
    """

    title: str
    drivers: tuple[str, ...]
    connect: Callable[[str], Any]
    look: Callable[[str, str], list[Row]]
    settings: Mapping[str, Any]
    limit: str = ""
    has_nested: bool = True
    has_new_columns: bool = True
    keeps_digits: int = 38
    skips: frozenset[int] = frozenset()
    on_s3: bool = False
    at_once: str = "yes"
    command: tuple[str, str, str] | None = None


def _destination(name: str, *arguments: Any, **more: Any) -> Any:
    import dlt

    return getattr(dlt.destinations, name)(*arguments, **more)


def _dicts(cursor: Any) -> list[Row]:
    names = [each[0] for each in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _in_duckdb(place: str, table: str) -> list[Row]:
    import duckdb

    with duckdb.connect(f"{place}/w.duckdb") as connection:
        return _dicts(connection.execute(f"SELECT * FROM cf_invoices.{table}"))  # noqa: S608


def _in_postgres(dsn: str, table: str) -> list[Row]:
    import psycopg2

    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM cf_invoices.{table}")  # noqa: S608
        return _dicts(cursor)


def _in_sqlite(place: str, table: str) -> list[Row]:
    with closing(sqlite3.connect(f"{place}/w__cf_invoices.db")) as connection:
        return _dicts(connection.execute(f"SELECT * FROM {table}"))  # noqa: S608


def _in_mariadb(dsn: str, table: str) -> list[Row]:
    server = MariaDB(int(dsn.rpartition(":")[2].partition("/")[0]))
    return server.query(f"SELECT * FROM cf_invoices.{table}")  # noqa: S608


def _in_delta(place: str, table: str) -> list[Row]:
    from deltalake import DeltaTable

    with _local(place, table) as files:
        rows: list[Row] = DeltaTable(files).to_pyarrow_table().to_pylist()
    return rows


def _in_iceberg(place: str, table: str) -> list[Row]:
    from pyiceberg.table import StaticTable

    at = f"{place}/files/cf_invoices/{table}/metadata"
    properties = {}
    if place.startswith("s3://"):
        uri = f"s3://{max(_s3().fsspec().glob(f'{at}/*.metadata.json'))}"
        properties = {
            "s3.endpoint": _s3().url,
            "s3.access-key-id": "made-up",
            "s3.secret-access-key": "made-up",
            "s3.region": "us-east-1",  # or it is looked up, and waits for a network that is not there
        }
    else:
        uri = max(Path(at).glob("*.metadata.json")).as_uri()
    rows: list[Row] = StaticTable.from_metadata(uri, properties).scan().to_arrow().to_pylist()
    return rows


def _in_parquet(place: str, table: str) -> list[Row]:
    import duckdb

    with _local(place, table) as files, duckdb.connect() as connection:
        sql = f"SELECT * FROM read_parquet('{files}/*.parquet', union_by_name = true)"  # noqa: S608
        return _dicts(connection.execute(sql))


def _in_jsonl(place: str, table: str) -> list[Row]:
    with _local(place, table) as files:
        texts = [_text_of(file) for file in sorted(Path(files).glob("*.jsonl*"))]
    rows = [json.loads(line, parse_float=Decimal) for text in texts for line in text.splitlines()]
    columns = {name: None for row in rows for name in row}
    return [columns | row for row in rows]


def _text_of(file: Path) -> str:
    return gzip.decompress(file.read_bytes()).decode() if file.suffix == ".gz" else file.read_text()


def _in_ducklake(place: str, table: str) -> list[Row]:
    return _dicts(_lake(place).execute(f"SELECT * FROM lake.cf_invoices.{table}"))  # noqa: S608


@cache
def _lake(place: str) -> Any:
    """Keep one connection: each one has to load 36 MB of extension."""
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"ATTACH 'ducklake:sqlite:{place}/lake.sqlite' AS lake")
    return connection


@cache
def _ducklake(place: str) -> Any:
    import duckdb
    import duckdb_extension_ducklake
    import duckdb_extension_sqlite_scanner
    from dlt.destinations.impl.ducklake.configuration import DuckLakeCredentials

    with duckdb.connect() as connection:
        for package in (duckdb_extension_ducklake, duckdb_extension_sqlite_scanner):
            [extension] = Path(package.__file__).parent.rglob("*.duckdb_extension")
            connection.execute(f"INSTALL '{extension}'")
    catalog, storage = f"sqlite:///{place}/lake.sqlite", Path(place, "lake").as_uri()
    return _destination("ducklake", DuckLakeCredentials("lake", catalog=catalog, storage=storage))


def _files(place: str, **more: Any) -> Any:
    url = f"{place}/files" if place.startswith("s3://") else Path(place, "files").as_uri()
    return _destination("filesystem", url, **more)


def _s3() -> S3:
    return S3(os.environ["DESTINATION__FILESYSTEM__CREDENTIALS__ENDPOINT_URL"])


@contextmanager
def _local(place: str, table: str) -> Iterator[str]:
    """Give a directory with the files of a table."""
    files = f"{place}/files/cf_invoices/{table}"
    if not place.startswith("s3://"):
        yield files
        return
    with TemporaryDirectory() as directory:
        _s3().fsspec().get(files, directory, recursive=True)
        yield f"{directory}/{table}"


_NO_LISTS = "lists in a new field stay JSON, in `more_fields`; tables appear with their first row"
_ADDS = "`invoices` holds old rows, too; take the newest of `invoice_changes`, as below"

HOMES: Mapping[str, Home] = {
    "duckdb": Home(
        "DuckDB",
        ("duckdb",),
        lambda at: _destination("duckdb", f"{at}/w.duckdb"),
        _in_duckdb,
        {},
        at_once="in turn",
        command=("duckdb", "CREDENTIALS", "{at}/w.duckdb"),
    ),
    "postgres": Home(
        "PostgreSQL",
        ("psycopg2-binary",),
        lambda at: _destination("postgres", at),
        _in_postgres,
        {},
        command=("postgres", "CREDENTIALS", "{at}"),
    ),
    "sqlite": Home(
        "SQLite (`sqlalchemy`)",
        ("sqlalchemy",),
        lambda at: _destination("sqlalchemy", f"sqlite:///{at}/w.db"),
        _in_sqlite,
        {},
        "a number of more than 15 digits is rejected",
        keeps_digits=15,
        at_once="in turn",
        command=("sqlalchemy", "CREDENTIALS", "sqlite:///{at}/w.db"),
    ),
    "mariadb": Home(
        "MariaDB (`sqlalchemy`)",
        ("sqlalchemy", "pymysql"),
        lambda at: _destination("sqlalchemy", at),
        _in_mariadb,
        {},
        "needs utf8mb4 and a collation such as utf8mb4_bin, which `check` and `load` look for",
        command=("sqlalchemy", "CREDENTIALS", "{at}"),
    ),
    "ducklake": Home(
        "DuckLake",
        ("duckdb", "duckdb-extension-ducklake"),
        _ducklake,
        _in_ducklake,
        {},
        "tried with its catalog in SQLite, without the quiet and the full walk; a DuckDB file as catalog "
        "fails; of two loads that make the catalog at once, one fails: call `create_tables` before",
        skips=frozenset({1, 3, 4}),
        at_once="yes (two)",
    ),
    "delta": Home(
        "`filesystem`, Delta",
        ("deltalake",),
        _files,
        _in_delta,
        {"table_format": "delta"},
        _NO_LISTS,
        has_nested=False,
        on_s3=True,
        command=("filesystem", "BUCKET_URL", "{at}/files"),
    ),
    "iceberg": Home(
        "`filesystem`, Iceberg",
        ("pyiceberg",),
        _files,
        _in_iceberg,
        {"table_format": "iceberg"},
        "new fields stay JSON, in `more_fields`; tables appear with their first row; after a plain dlt run, "
        "deleted rows stay with `deleted` true until the next `load`",
        has_nested=False,
        has_new_columns=False,
        on_s3=True,
        at_once="refused",
        command=("filesystem", "BUCKET_URL", "{at}/files"),
    ),
    "parquet": Home(
        "`filesystem`, Parquet",
        ("pyarrow",),
        _files,
        _in_parquet,
        {"file_format": "parquet"},
        _ADDS,
        on_s3=True,
        command=("filesystem", "BUCKET_URL", "{at}/files"),
    ),
    "jsonl": Home(
        "`filesystem`, JSONL",
        ("dlt",),
        _files,
        _in_jsonl,
        {},
        _ADDS,
        on_s3=True,
        command=("filesystem", "BUCKET_URL", "{at}/files"),
    ),
}


@dataclass
class Found:
    """What came of a load, and of all that followed.

    Attributes:
        is_mirror: Whether `invoices` equalled the list after every step.
        has_audit_trail: Whether the newest rows of `invoice_changes` did.
        is_verified: Whether each step without a reject was proven, and said so.
        drivers: What it ran with.
    """

    is_mirror: bool = True
    has_audit_trail: bool = True
    is_verified: bool = True
    drivers: str = ""


@dataclass
class Told:
    """A world, one account of it, and a destination that it is loaded into."""

    home: Home
    place: str
    simulator: Simulator
    account: Account

    def load(self, pipeline_name: str = "cloudflare_invoices", **settings: Any) -> Report:
        import dlt

        from cf_invoice_source import load

        pipeline = dlt.pipeline(
            pipeline_name, destination=self.home.connect(self.place), dataset_name="cf_invoices"
        )
        return load(
            pipeline,
            account_id=self.account.id,
            base_url=self.simulator.base_url,
            credentials={"api_token": self.simulator.token},
            **self.home.settings,
            **settings,
        )

    def rows(self, table: str) -> list[Row]:
        """Read a table, in Python's types whatever the driver gives."""
        return sorted((_plain(row) for row in self.home.look(self.place, table)), key=_key)

    def whole(self, table: str, *, without: set[str]) -> list[Row]:
        """Read a table with all columns that are the source's, but these."""
        rows = []
        for row in self.home.look(self.place, table):
            kept = {name for name in row if not name.startswith("_dlt") and name not in without}
            ids = {"id": row["id"]} if "id" in row else {}
            rows.append(_plain({name: row[name] for name in kept}) | ids | {"row_hash": row.get("row_hash")})
        return sorted(rows, key=lambda row: sorted((name, str(value)) for name, value in row.items()))

    def truth(self) -> list[Row]:
        """What `invoices` must hold of the records that are invoices."""
        listed = [record for record in self.account.records if isinstance(record, dict)]
        return sorted((_expected(self.account.id, record, self.home) for record in listed), key=_key)

    def newest(self) -> list[Row]:
        """Say what the changes come to."""
        latest: dict[tuple[str, str], Row] = {}
        for row in sorted(self.rows("invoice_changes"), key=lambda row: int(row["version"])):
            latest[row["account_id"], row["id"]] = row
        kept = [row for row in latest.values() if row["change"] != "deleted"]
        ours = {"version", "change", "observed_at"}
        return sorted(
            ({name: value for name, value in row.items() if name not in ours} for row in kept), key=_key
        )


QUIET = {3: ("incremental", ""), 4: ("full", "asked for")}
"""Steps of the story in which nothing has happened, and the walks that they take."""

SKIPPED_ON_S3 = frozenset({1, 3})
"""Steps that the next one repeats, or goes beyond: a load there takes seconds."""

DIGITS = 16
"""Of the amount that comes last in the story: more than SQLite keeps."""


def steps(account: Account) -> Iterator[dict[str, Any]]:
    """Tell the story: change the list, and give the settings of the load that follows."""
    account.records += make_invoices(4, status="open", amount_due=Decimal("2178.000000001"))
    account.find("in_2")["status"] = account.find("in_4")["status"] = "draft"
    yield {}
    account.add(make_invoice(id="in_5", created=CREATED_S + 10**6, amount_due=123456789012345))
    account.pay("in_1")
    account.delete("in_2")
    yield {}
    unknown = {"tax": Decimal("12.5"), "address": {"city": "Köln", "floor": 3}, "lines": [{"n": 1}, {"n": 2}]}
    account.find("in_3").update(unknown)
    account.add(make_invoice(id=None, created=CREATED_S + 10**6 + 1))
    yield {}
    yield {}
    yield {"full": True}
    account.delete("in_4")
    account.find("in_3")["tax"] = 1
    yield {}


def told_of(name: str, place: str, then: Callable[[Told], None] | None = None) -> Found:
    """Load into a destination what happens in an account; compare after each step, and by `then` at last."""
    home, world = HOMES[name], World(seed=1)
    skipped = home.skips | (SKIPPED_ON_S3 if place.startswith("s3://") else frozenset())
    found = Found(drivers=", ".join(f"{driver} {version(driver)}" for driver in home.drivers))
    with Simulator(world) as simulator:
        told = Told(home, place, simulator, world.add_account("Test"))
        for number, settings in enumerate(steps(told.account)):
            if number in skipped:
                continue
            report = told.load(**settings)
            outcome = report.accounts[0]
            if number in QUIET:
                assert (outcome.sync_mode, outcome.full_reason) == QUIET[number]
                assert (outcome.new, outcome.updated, outcome.deleted) == (0, 0, 0)
            found.is_mirror &= told.rows("invoices") == told.truth()
            found.has_audit_trail &= told.newest() == told.truth()
            found.is_verified &= report.is_verified
        told.account.records.insert(0, "no invoice")
        too_long = make_invoice(id="in_6", created=CREATED_S + 10**7, amount_due=Decimal("1234567.123456789"))
        told.account.add(too_long)
        report = told.load()
        rejected = {row.get("id") for row in told.rows("invoice_rejects")}
        assert rejected == ({None} if home.keeps_digits > DIGITS else {None, "in_6"})
        assert report.accounts[0].rejected == len(rejected)
        assert not report.is_verified
        if "in_6" in rejected:
            told.account.records.remove(too_long)
        assert told.newest() == told.truth()
        if then:
            then(told)
    return found


def line(name: str, found: Found) -> str:
    """Write a destination's line of the page's table."""
    home = HOMES[name]
    words = {True: "yes", False: "no"}
    cells = (
        home.title,
        found.drivers,
        "local, S3" if home.on_s3 else "local",
        words[found.is_mirror],
        words[found.has_audit_trail],
        words[found.is_verified],
        home.at_once,
        home.limit,
    )
    return f"| {' | '.join(cells)} |"


_DECIMALS = {"amount_due", "amount_paid", "amount_remaining", "tax", "address__floor"}
_TIMES = {"created", "observed_at", "resolved_at", "started_at", "finished_at"}
_FLAGS = {"attempted", "auto_advance", "deleted", "verified"}
_NOT_COMPARED = {"row_hash", "invoice_pdf"}


def _key(row: Row) -> tuple[str, int]:
    return str(row.get("id")), int(row.get("version", 0))


def _plain(row: Row) -> Row:
    return {
        name: _value(name, value)
        for name, value in row.items()
        if value is not None and not name.startswith("_dlt") and name not in _NOT_COMPARED
    }


def _value(name: str, value: Any) -> Any:
    if name in _DECIMALS:
        return Decimal(str(value)).normalize()
    if name in _TIMES:
        time = datetime.fromisoformat(value.replace("Z", "+00:00")) if isinstance(value, str) else value
        return time.astimezone(timezone.utc) if time.tzinfo else time.replace(tzinfo=timezone.utc)
    if name == "more_fields":
        return simplejson.loads(value, use_decimal=True)
    if name == "id" and value.startswith("anonymous:"):
        return None
    return bool(value) if name in _FLAGS else value


def _expected(account_id: str, record: Mapping[str, Any], home: Home) -> Row:
    row = expected_row(account_id, record)
    row["id"] = row["id"] or "anonymous:"
    unknown = {name: record[name] for name in ("tax", "address", "lines") if name in record}
    more = {}
    for name, value in unknown.items():
        if not home.has_new_columns or (isinstance(value, list) and not home.has_nested):
            more[name] = value
        elif isinstance(value, dict):
            row |= {f"{name}__{inner}": item for inner, item in value.items()}
        elif not isinstance(value, list):
            row[name] = value
    if more:
        row["more_fields"] = simplejson.dumps(more, use_decimal=True)
    return _plain(row)


def trust_extensions() -> None:
    """Have DuckDB not check 70 MB of extensions with each connection, which takes a quarter of a second."""
    import duckdb

    connect: Any = duckdb.connect

    def connect_trusting(*args: Any, config: Any = None, **more: Any) -> Any:
        return connect(*args, config={**(config or {}), "allow_unsigned_extensions": "true"}, **more)

    duckdb.connect = connect_trusting


def main() -> None:
    """Tell the story as a command."""
    trust_extensions()
    name, place = sys.argv[1:]
    sys.stdout.write(json.dumps(asdict(told_of(name, place))) + "\n")


if __name__ == "__main__":
    main()
