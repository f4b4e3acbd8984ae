"""The same story in every destination that can run here; the table on their page is what came of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from ast import literal_eval
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from shutil import rmtree
from threading import Barrier, Thread
from typing import Any

import dlt
import duckdb
import pytest

from cf_invoice_source import SettingsError, cf_invoice_source, load
from cf_invoice_source.simulator import Account, Simulator, World
from cf_invoice_source.warehouse.lease import lease, make_once
from tests.conftest import Command, Ended, run_at_once, run_python
from tests.destinations.homes import HOMES, Found, Told, line, told_of
from tests.support.make import CREATED_S, make_invoice, make_invoices
from tests.support.mariadb import MariaDB
from tests.support.pages import blocks
from tests.support.postgres import Database
from tests.support.s3 import BUCKET, S3, running

pytestmark = [
    pytest.mark.usefixtures("dlt_here"),
    # Raised inside the drivers, and inside dlt's use of them.
    pytest.mark.filterwarnings("default"),
]

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "cf_invoice_source" / "warehouse" / "README.md"


def check_recipe(reads: str) -> Callable[[Told], None]:
    """Check that the page's recipe gives the list where rows are only added."""
    recipe = [block.text for block in blocks("sql") if reads in block.text or "AS numbered" in block.text]

    def check(told: Told) -> None:
        with duckdb.connect() as connection:
            listed = connection.execute("".join(recipe)).fetchall()
        held = [(None if row[1].startswith("anonymous:") else row[1], *row[2:4]) for row in listed]
        truth = [(row["id"], row["status"], row["amount_due"]) for row in told.truth()]
        assert sorted(held, key=str) == sorted(truth, key=str)

    return check


RECIPES = {"parquet": check_recipe("read_parquet"), "jsonl": check_recipe("read_json")}


def found_in(name: str, directory: Path, request: pytest.FixtureRequest) -> Found:
    if name == "ducklake":
        return in_ducklake(directory)
    return told_of(name, place_of(name, directory, request), RECIPES.get(name))


def place_of(name: str, directory: Path, request: pytest.FixtureRequest) -> str:
    """Name a directory, or the address of a database that is empty."""
    if name == "postgres":
        return str(request.getfixturevalue("database").dsn)
    if name != "mariadb":
        return str(directory)
    server: MariaDB = request.getfixturevalue("mariadb")
    return server.exact_dsn()


def in_ducklake(directory: Path) -> Found:
    ended = run_python(
        *("-m", "tests.destinations.homes", "ducklake", str(directory)),
        env=with_ducklake(directory),
        timeout_s=240,
    )
    assert ended.exit_code == 0, ended.output
    return Found(**json.loads(ended.stdout.splitlines()[-1]))


def with_ducklake(directory: Path) -> dict[str, str]:
    """Its DuckDB extension is made for one version of DuckDB: both lie in a directory of their own."""
    packages = os.environ.get("DUCKLAKE_PACKAGES")
    if not packages:
        missing = "DUCKLAKE_PACKAGES names no directory: pip install --target ... duckdb-extension-ducklake"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    return {"HOME": str(directory), "PYTHONPATH": os.pathsep.join([str(packages), str(ROOT)])}


@pytest.mark.quick("postgres")
@pytest.mark.parametrize("name", HOMES)
def test_the_line_on_the_page_is_what_the_story_comes_to(
    name: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # from where a recipe is pasted
    monkeypatch.setenv("DATA_WRITER__DISABLE_COMPRESSION", "false")  # as by default
    found = found_in(name, tmp_path, request)

    written = line(name, found)
    if os.environ.get("WRITE_PAGES"):
        write(written)
    assert without_versions(written) in map(without_versions, PAGE.read_text().splitlines()), written


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with running() as server:
        yield server


@pytest.mark.parametrize("name", [name for name, home in HOMES.items() if home.on_s3])
def test_the_line_on_the_page_is_that_of_s3_too(
    name: str, s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an extension of DuckDB, which would be downloaded."""
    for key, value in (s3.settings | {"HOME": str(tmp_path)}).items():
        monkeypatch.setenv(key, value)

    found = told_of(name, f"s3://{BUCKET}/{tmp_path.name}")

    assert without_versions(line(name, found)) in map(without_versions, PAGE.read_text().splitlines())


def test_check_and_status_look_into_s3(
    s3: S3, simulator: Simulator, account: Account, command: Command, tmp_path: Path
) -> None:
    account.records += make_invoices(3)
    env = s3.settings | {
        "DESTINATION__FILESYSTEM__BUCKET_URL": f"s3://{BUCKET}/{tmp_path.name}",
        "SOURCES__CF_INVOICE_SOURCE__TABLE_FORMAT": "delta",
    }

    ended = [command(each, "--destination", "filesystem", env=env) for each in ("check", "load", "status")]

    assert [each.exit_code for each in ended] == [0, 0, 0], [each.output for each in ended]


def test_mariadb_remembers_only_so_many_accounts_and_more_are_refused_first(
    mariadb: MariaDB, simulator: Simulator, world: World, command: Command
) -> None:
    """dlt writes its state into a TEXT, which MySQL and MariaDB cut or refuse beyond 65,535 bytes."""
    simulator.quota = 10**6
    account_ids = [world.add_account(invoices=1).id for _ in range(1_200)]
    env = {"DESTINATION__SQLALCHEMY__CREDENTIALS": mariadb.exact_dsn()}

    def load(some: list[str]) -> Ended:
        named = {"CLOUDFLARE_ACCOUNT_ID": ",".join(some)}
        return command("load", "--destination", "sqlalchemy", env=env | named)

    most, more = load(account_ids[:800]), load(account_ids)

    assert most.exit_code == 0, most.output
    assert more.exit_code == 1, more.output
    assert "at most 65,535 bytes" in more.stderr


@pytest.mark.parametrize("command_line", ["check", "load"])
def test_mariadb_is_told_the_sql_that_makes_it_exact(
    mariadb: MariaDB,
    simulator: Simulator,
    account: Account,
    command: Command,
    process: Command,
    command_line: str,
) -> None:
    """Its default is latin1, and to its usual collations in_a and in_A are one."""
    account.records += [make_invoice(id="in_a", description="日本"), make_invoice(id="in_A")]
    env = {"DESTINATION__SQLALCHEMY__CREDENTIALS": mariadb.dsn, "COLUMNS": "1000"}
    to_mariadb = ("--destination", "sqlalchemy")

    ended = command(command_line, *to_mariadb, env=env)

    assert ended.exit_code == 1, ended.output
    assert "latin1_swedish_ci" in ended.output
    for statement in re.findall(r"CREATE DATABASE [^;]*;", ended.output):
        mariadb.query(statement)
    ended = process("load", *to_mariadb, env=env)
    assert ended.exit_code == 0
    assert "SAWarning" not in ended.output
    assert mariadb.query("SELECT count(*) AS n FROM cf_invoices.invoices") == [{"n": 2}]


def test_mariadb_is_told_of_a_table_that_was_made_before_its_database_was_mended(
    mariadb: MariaDB, simulator: Simulator, account: Account, command: Command
) -> None:
    """`ALTER DATABASE` leaves the tables as they are: in_a and in_A would be one row."""
    account.records += make_invoices(2)
    env = {"DESTINATION__SQLALCHEMY__CREDENTIALS": mariadb.dsn}
    to_mariadb = ("--destination", "sqlalchemy")
    mariadb.query("SET GLOBAL collation_server = utf8mb4_bin")
    assert command("load", *to_mariadb, env=env).exit_code == 0
    fold = "CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
    mariadb.query(f"ALTER TABLE cf_invoices.invoice_changes {fold}")
    account.records += [make_invoice(id="IN_1")]

    failed = [command(each, *to_mariadb, env=env) for each in ("check", "load")]

    assert [each.exit_code for each in failed] == [1, 1]
    (statement,) = set(re.findall("ALTER TABLE [^;]*;", " ".join(failed[1].stderr.split())))
    assert "`cf_invoices`.`invoice_changes`" in statement
    mariadb.query(statement)
    assert command("load", *to_mariadb, env=env).exit_code == 0
    ids = mariadb.query("SELECT id FROM cf_invoices.invoices ORDER BY id")
    assert [row["id"] for row in ids] == ["IN_1", "in_1", "in_2"]


@pytest.mark.parametrize("there", ["nothing", "the databases"])
def test_check_tries_mariadb_and_leaves_it_as_it_was(
    mariadb: MariaDB, simulator: Simulator, account: Account, command: Command, there: str
) -> None:
    mariadb.query("SET GLOBAL character_set_server = utf8mb4")
    mariadb.query("SET GLOBAL collation_server = utf8mb4_bin")
    env = {"DESTINATION__SQLALCHEMY__CREDENTIALS": mariadb.dsn, "COLUMNS": "1000"}
    to_mariadb = ("--destination", "sqlalchemy")
    if there == "the databases":
        assert command("load", *to_mariadb, env=env).exit_code == 0
    objects = "SELECT schema_name AS s, '' AS t FROM information_schema.schemata UNION ALL SELECT "
    objects += "table_schema, table_name FROM information_schema.tables ORDER BY 1, 2"
    before = mariadb.query(objects)

    ended = command("check", *to_mariadb, env=env)

    assert ended.exit_code == 0, ended.output
    what = "dataset" if there == "nothing" else "table"
    assert f"can be written: a {what} was made and dropped" in ended.output
    assert mariadb.query(objects) == before


TABLES = ("invoices", "invoice_changes", "invoice_syncs", "invoice_rejects")

MOVING = {"started_at", "finished_at", "observed_at"}
"""When something was done."""


def test_the_same_world_makes_equal_tables_in_four_destinations(tmp_path: Path, database: Database) -> None:
    """Value for value, row hashes and numbers of versions included."""
    tables = {}
    for name in ("duckdb", "postgres", "sqlite", "delta"):
        directory = tmp_path / name
        directory.mkdir()
        world = World(seed=3)
        account = world.add_account("Test", invoices=60)
        account.records.insert(0, "no invoice")
        account.add(make_invoice(id=None, created=CREATED_S * 2, description="ünï\n'\"%", tax=Decimal("0.1")))
        with Simulator(world) as simulator:
            told = Told(
                HOMES[name], database.dsn if name == "postgres" else str(directory), simulator, account
            )
            told.load()
            world.live(9)
            told.load(full=True)
        tables[name] = {table: told.whole(table, without=MOVING) for table in TABLES}

    assert len(tables["duckdb"]["invoice_changes"]) > 61
    assert tables["postgres"] == tables["duckdb"]
    assert tables["sqlite"] == tables["duckdb"]
    assert tables["delta"] == tables["duckdb"]


WAYS: dict[str, dict[str, Any]] = {
    "a setting": {"settings": {"file_format": "parquet"}},
    "the destination": {"destination": {"preferred_loader_file_format": "parquet"}},
    "a run": {"run": {"loader_file_format": "parquet"}},
    "a run, against a setting": {
        "run": {"loader_file_format": "parquet"},
        "settings": {"file_format": "jsonl"},
    },
}


@pytest.mark.quick("duckdb-a run, *")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["duckdb", "filesystem"])
def test_the_file_format_is_the_one_that_the_user_chose(
    simulator: Simulator, account: Account, place: Path, name: str, way: str
) -> None:
    account.records += make_invoices(3)
    chosen = WAYS[way]
    destination = getattr(dlt.destinations, name)(f"{place}/there", **chosen.get("destination", {}))
    pipeline = dlt.pipeline("cloudflare_invoices", destination=destination, dataset_name="cf_invoices")

    info = pipeline.run(cf_invoice_source(**chosen.get("settings", {})), **chosen.get("run", {}))

    jobs = [job.job_file_info for package in info.load_packages for job in package.jobs["completed_jobs"]]
    rows = {job.file_format for job in jobs if job.table_name in {"invoices", "invoice_changes"}}
    assert rows - {"sql"} == {"parquet"}


def test_files_stay_in_the_format_of_the_first_load(
    simulator: Simulator, account: Account, tmp_path: Path
) -> None:
    account.records += make_invoices(1)
    told = Told(HOMES["parquet"], str(tmp_path), simulator, account)
    told.load()
    asked = len(simulator.requests)

    with pytest.raises(SettingsError, match="there already, in the format parquet, not jsonl"):
        replace(told, home=replace(told.home, settings={"file_format": "jsonl"})).load()
    assert len(simulator.requests) == asked
    replace(told, home=replace(told.home, settings={})).load(full=True)
    assert told.rows("invoices") == told.truth()


def test_a_file_format_that_the_destination_does_not_take_is_a_setting_to_mend(
    simulator: Simulator, account: Account, tmp_path: Path
) -> None:
    told = Told(HOMES["duckdb"], str(tmp_path), simulator, account)

    with pytest.raises(SettingsError, match="takes no files in the format csv"):
        told.load(file_format="csv")
    assert simulator.requests == []


# Several pipelines


@pytest.mark.parametrize("name", [name for name, home in HOMES.items() if home.command])
def test_several_pipelines_at_once_do_what_the_page_says(
    name: str, world: World, simulator: Simulator, place: Path, request: pytest.FixtureRequest
) -> None:
    accounts = [world.add_account(f"Account {number}", invoices=30) for number in range(3)]
    home, at = HOMES[name], place_of(name, place, request)
    assert home.command
    destination, setting, value = home.command
    env = {
        f"DESTINATION__{destination.upper()}__{setting}": value.format(at=at),
        **{f"SOURCES__CF_INVOICE_SOURCE__{name.upper()}": value for name, value in home.settings.items()},
    }
    command = ("load", "--destination", destination, "--quiet")

    ended = run_at_once(
        [
            [*command, "--pipeline-name", f"p{number}", "--account", account.id]
            for number, account in enumerate(accounts)
        ],
        [env] * 3,
    )

    done = 3 if name in {"parquet", "jsonl"} else 0  # loaded, and never verified
    loaded = [account for account, each in zip(accounts, ended, strict=True) if each.exit_code == done]
    refused = [each for each in ended if each.exit_code == 1 and "takes no other one" in each.stderr]
    assert len(refused) == (2 if home.at_once == "refused" else 0), ended
    assert len(loaded) == 3 - len(refused), ended
    held = {(row["account_id"], row["id"]) for row in home.look(str(at), "invoices")}
    assert held == {(account.id, record["id"]) for account in loaded for record in account.records}


def test_two_pipelines_at_once_into_ducklake_do_what_the_page_says(
    world: World, simulator: Simulator, place: Path
) -> None:
    """The tables are there: of two loads that make the catalog itself at once, DuckLake lets one fail."""
    accounts = [world.add_account(f"Account {number}", invoices=30) for number in range(2)]
    catalog = {
        "DUCKLAKE_NAME": "lake",
        "CATALOG": f"sqlite:///{place}/lake.sqlite",
        "STORAGE__BUCKET_URL": Path(place, "lake").as_uri(),
    }
    settings = {f"DESTINATION__DUCKLAKE__CREDENTIALS__{name}": value for name, value in catalog.items()}
    env = {**os.environ, **with_ducklake(place), **settings}
    here = "from tests.destinations.homes import HOMES, trust_extensions; trust_extensions(); "
    here += f"ducklake, at = HOMES['ducklake'], {str(place)!r}; "
    pipeline = "dlt.pipeline('tables', destination=ducklake.connect(at), dataset_name='cf_invoices')"
    tables = f"import dlt; from cf_invoice_source import create_tables; {here}create_tables({pipeline})"
    subprocess.run([sys.executable, "-c", tables], env=env, check=True)
    main = f"from cf_invoice_source.cli.main import main; {here}main()"
    command = (sys.executable, "-c", main, "load", "--destination", "ducklake", "--quiet")

    begun = [
        subprocess.Popen(
            [*command, "--pipeline-name", f"p{number}", "--account", account.id],
            env=env,
            stderr=subprocess.PIPE,
        )
        for number, account in enumerate(accounts)
    ]
    ended = [(each.communicate(timeout=240)[1], each.returncode) for each in begun]

    assert [code for _, code in ended] == [0, 0], ended
    look = f"{here}print([(row['account_id'], row['id']) for row in ducklake.look(at, 'invoices')])"
    said = subprocess.run([sys.executable, "-c", look], env=env, check=True, capture_output=True, text=True)
    listed = [(account.id, record["id"]) for account in accounts for record in account.records]
    assert sorted(literal_eval(said.stdout)) == sorted(listed)


@pytest.mark.parametrize("name", ["iceberg", "delta"])
def test_iceberg_tables_take_one_pipeline_and_say_so_before_anything_is_asked_for(
    simulator: Simulator, account: Account, tmp_path: Path, name: str
) -> None:
    account.records += make_invoices(3)
    told = Told(HOMES[name], str(tmp_path), simulator, account)
    told.load("one")
    asked = len(simulator.requests)

    if name == "delta":
        told.load("another")
    else:
        with pytest.raises(SettingsError, match="loaded by the pipeline one, and takes no other one"):
            told.load("another")
        assert len(simulator.requests) == asked

    account.find("in_3")["status"] = "void"
    assert told.load("one").is_verified
    assert told.rows("invoices") == told.truth()


def test_machines_that_load_iceberg_at_once_wait_for_each_other(
    simulator: Simulator, account: Account, place: Path
) -> None:
    """The same pipeline, each with a working directory of its own: no lock of the operating system helps."""
    account.records += make_invoices(30)
    env = {
        "DESTINATION__FILESYSTEM__BUCKET_URL": f"{place}/files",
        "SOURCES__CF_INVOICE_SOURCE__TABLE_FORMAT": "iceberg",
    }
    command = ("load", "--destination", "filesystem", "--json")

    ended = run_at_once(
        [command] * 3, [env | {"DLT_DATA_DIR": f"{place}/machine_{number}"} for number in range(3)]
    )

    assert [each.exit_code for each in ended] == [0, 0, 0]
    said = [json.loads(each.stdout) for each in ended]
    assert sorted(each["accounts"][0]["sync_number"] for each in said) == [1, 2, 3]
    assert sorted(each["accounts"][0]["new"] for each in said) == [0, 0, 30]
    held = [row["id"] for row in HOMES["iceberg"].look(str(place), "invoices")]
    assert sorted(held) == sorted(record["id"] for record in account.records)


def test_on_s3_too_one_of_many_gets_the_lease(s3: S3) -> None:
    system, start, made = s3.fsspec(), Barrier(8), list[int]()

    def run(number: int) -> None:
        start.wait()
        if make_once(system, f"{BUCKET}/dataset/claim", b"x"):
            made.append(number)

    threads = [Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with lease(system, f"{BUCKET}/dataset", wait_s=0):
        pass

    assert len(made) == 1
    assert sorted(system.ls(f"{BUCKET}/dataset", detail=False)) == [
        f"{BUCKET}/dataset/_cf_invoices_load_1",
        f"{BUCKET}/dataset/claim",
    ]


# What a load says of it


@pytest.mark.parametrize("command_line", ["load", "check"])
def test_a_destination_that_only_adds_rows_is_told_of_before_anything_is_asked_for(
    simulator: Simulator, account: Account, command: Command, tmp_path: Path, command_line: str
) -> None:
    """So the notice stands before the error of the first request."""
    simulator.denied.add(account.id)
    url = (tmp_path / "files").as_uri()

    ended = command(
        command_line, "--destination", "filesystem", env={"DESTINATION__FILESYSTEM__BUCKET_URL": url}
    )

    said = " ".join(ended.output.split())
    notice = said.index("This destination only adds rows")
    assert ended.exit_code == 1
    assert command_line == "check" or notice < said.index("Error:")


def test_a_load_that_only_adds_rows_is_not_verified(
    simulator: Simulator, account: Account, command: Command, tmp_path: Path
) -> None:
    account.records += make_invoices(3)
    url = (tmp_path / "files").as_uri()

    ended = command("load", "--destination", "filesystem", env={"DESTINATION__FILESYSTEM__BUCKET_URL": url})

    assert ended.exit_code == 3
    assert "this destination only adds rows" in ended.output


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"table_format": "hudi"}, "no such table_format"),
        ({"table_format": "delta"}, "The tables are there already, in the format native, not delta"),
    ],
)
def test_a_format_that_cannot_be_is_a_setting_to_mend(
    simulator: Simulator, account: Account, tmp_path: Path, settings: dict[str, str], words: str
) -> None:
    account.records += make_invoices(1)
    told = Told(HOMES["jsonl"], str(tmp_path), simulator, account)
    told.load()

    with pytest.raises(SettingsError, match=words):
        told.load(**settings)


def test_a_database_knows_no_table_format(simulator: Simulator, account: Account, tmp_path: Path) -> None:
    told = Told(HOMES["duckdb"], str(tmp_path), simulator, account)

    with pytest.raises(SettingsError, match="keeps no tables in the format delta"):
        told.load(table_format="delta")
    assert simulator.requests == []


def test_a_delta_table_that_somebody_deleted_is_written_again(
    simulator: Simulator, account: Account, tmp_path: Path
) -> None:
    account.records += make_invoices(3)
    told = Told(HOMES["delta"], str(tmp_path), simulator, account)
    told.load()
    rmtree(tmp_path / "files" / "cf_invoices" / "invoices")

    report = told.load()

    assert told.rows("invoices") == told.truth()
    assert report.is_verified


def test_where_nothing_can_be_read_back_all_rows_are_written_and_nothing_is_verified(
    simulator: Simulator, account: Account
) -> None:
    account.records += make_invoices(3)
    taken: dict[str, list[Any]] = defaultdict(list)

    @dlt.destination(batch_size=100)
    def sink(items: Any, table: Any, /) -> None:
        taken[table["name"]] += [item["id"] for item in items if "id" in item]

    pipeline = dlt.pipeline("cloudflare_invoices", destination=sink, dataset_name="cf_invoices")

    reports = [load(pipeline), load(pipeline)]

    assert [report.is_verified for report in reports] == [False, False]
    assert {each.unverified_reason for report in reports for each in report.accounts} == {
        "this destination cannot be read back"
    }
    assert sorted(taken["invoices"]) == ["in_1", "in_1", "in_2", "in_2", "in_3", "in_3"]
    assert taken["invoice_changes"] == []


def without_versions(text: str) -> str:
    """Drivers go on; what the page says must hold with each."""
    return re.sub(r"\d+(\.\d+)+", "N", text)


def write(written: str) -> None:
    """Put a line into the page's table, in place of the one of the same destination."""
    title = written[: written.index(" | ") + 3]
    lines = [row for row in PAGE.read_text().splitlines() if not row.startswith(title)]
    first = lines.index(next(row for row in lines if row.startswith("| destination | ran with |")))
    end = next(number for number in range(first, len(lines)) if not lines[number].startswith("|"))
    PAGE.write_text("\n".join([*lines[:end], written, *lines[end:], ""]))
