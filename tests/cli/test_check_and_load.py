"""Where `check` is green, `load` does not fail for its settings: check builds what load builds."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from cf_invoice_source.simulator import Account, Simulator
from tests.conftest import Command
from tests.support.make import make_invoices

PLACE = "DESTINATION__DUCKDB__CREDENTIALS"

Prepare = Callable[[Path, pytest.MonkeyPatch], object]
"""Makes what is odd, in an empty directory."""


def named(file_name: str, make: Callable[[Path], object] = lambda _path: None) -> Prepare:
    def prepare(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        make(directory / file_name)
        monkeypatch.setenv(PLACE, str(directory / file_name))

    return prepare


def made_by(sql: str) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        with duckdb.connect(str(path)) as database:
            database.execute(sql)

    return make


def made_by_sqlite(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE mine (a INTEGER)")
    database.close()


def damaged(path: Path) -> None:
    """A few bytes of its head are others."""
    duckdb.connect(str(path)).close()
    content = bytearray(path.read_bytes())
    content[12:20] = (2**30).to_bytes(8, "little")
    path.write_bytes(content)


def locked_by(name: str) -> Prepare:
    """A directory stands where the lock of the file would be: not even root can open that."""

    def prepare(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (directory / name).mkdir(parents=True)
        monkeypatch.setenv(PLACE, str(directory / "mine.duckdb"))
        monkeypatch.setenv("DLT_DATA_DIR", str(directory / "dlt"))

    return prepare


def loaded_by_another_source(pipeline_name: str, table: str) -> Prepare:
    """The dataset is that of another dlt pipeline, or of one of the same name."""

    def prepare(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import dlt

        file = str(directory / "mine.duckdb")
        monkeypatch.setenv(PLACE, file)
        pipeline = dlt.pipeline(
            pipeline_name,
            destination=dlt.destinations.duckdb(file),
            dataset_name="cf_invoices",
            pipelines_dir=str(directory / "pipelines"),
        )
        pipeline.run([{"id": "in_1", "currency": "usd"}], table_name=table)
        pipeline.deactivate()

    return prepare


def without_directories(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory / "file").touch()
    monkeypatch.setenv("DLT_DATA_DIR", str(directory / "file"))


def set_to(name: str, value: str) -> Prepare:
    return lambda _directory, monkeypatch: monkeypatch.setenv(name, value)


def nothing(_directory: Path, _monkeypatch: pytest.MonkeyPatch) -> None:
    pass


FOREIGN = "CREATE SCHEMA cf_invoices; CREATE TABLE cf_invoices.{}; INSERT INTO cf_invoices.{} VALUES ({})"

ODD: dict[str, tuple[Prepare, list[str], bool]] = {
    "nothing odd": (nothing, [], True),
    "a pipeline with a hyphen": (nothing, ["--pipeline-name", "cloudflare-invoices"], True),
    "a pipeline with a space": (nothing, ["--pipeline-name", "cloudflare invoices"], True),
    "a pipeline of digits": (nothing, ["--pipeline-name", "2026"], True),
    "a pipeline with a long name": (nothing, ["--pipeline-name", "a" * 100], True),
    "a dataset with a hyphen": (nothing, ["--dataset", "my-invoices"], True),
    "a dataset of digits": (nothing, ["--dataset", "2026"], True),
    "a file named like the dataset": (named("cf_invoices.duckdb"), [], False),
    "the same in capitals": (named("CF_Invoices.db"), [], False),
    "a file named like another dataset": (named("finance.duckdb"), ["--dataset", "finance"], False),
    "a file in no directory": (named("no/such.duckdb"), [], False),
    "a file that is a directory": (named("dir.duckdb", Path.mkdir), [], False),
    "a file of SQLite": (named("mine.db", made_by_sqlite), [], False),
    "a file that is damaged": (named("mine.duckdb", damaged), [], False),
    "a file with a table of its own": (
        named("mine.duckdb", made_by("CREATE TABLE mine (a INTEGER)")),
        [],
        True,
    ),
    "a table of somebody else": (
        named("mine.duckdb", made_by(FOREIGN.format("invoices (id TEXT)", "invoices", "'in_1'"))),
        [],
        False,
    ),
    "an audit trail of somebody else": (
        named("mine.duckdb", made_by(FOREIGN.format("invoice_changes (a INTEGER)", "invoice_changes", "1"))),
        [],
        False,
    ),
    "a table of somebody else in the dataset": (
        named("mine.duckdb", made_by(FOREIGN.format("customers (a INTEGER)", "customers", "1"))),
        [],
        True,
    ),
    "a table of another source": (loaded_by_another_source("stripe", "invoices"), [], False),
    "a dataset of another source": (loaded_by_another_source("stripe", "customers"), [], True),
    "a dataset of a pipeline of that name": (
        loaded_by_another_source("cloudflare_invoices", "customers"),
        [],
        True,
    ),
    "a table of a pipeline of that name": (
        loaded_by_another_source("cloudflare_invoices", "invoices"),
        [],
        False,
    ),
    "a lock of the file that cannot be taken": (locked_by("mine.duckdb.lock"), [], False),
    "a lock of the pipeline that cannot be taken": (
        locked_by("dlt/pipelines/cloudflare_invoices.lock"),
        [],
        False,
    ),
    "working files where there are none": (without_directories, [], False),
    "a format that DuckDB does not have": (
        set_to("SOURCES__CF_INVOICE_SOURCE__TABLE_FORMAT", "iceberg"),
        [],
        False,
    ),
    "a database that is read only": (set_to(f"{PLACE}__READ_ONLY", "true"), [], False),
}
"""What is odd, with which arguments, and whether a load works all the same."""


@pytest.mark.quick("a table of somebody else")
@pytest.mark.parametrize(("prepare", "arguments", "works"), ODD.values(), ids=ODD)
def test_where_check_is_green_load_does_not_fail_for_its_settings(
    simulator: Simulator,
    account: Account,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: Command,
    prepare: Prepare,
    arguments: list[str],
    works: bool,
) -> None:
    account.records += make_invoices(2)
    directory = tmp_path / "odd"
    directory.mkdir()
    prepare(directory, monkeypatch)

    checked = command("check", "--json", *arguments)
    loaded = command("load", "--json", *arguments)

    assert (checked.exit_code, loaded.exit_code) == ((0, 0) if works else (1, 1)), (
        checked.output + loaded.output
    )
    if not works:
        [cross] = [row for row in json.loads(checked.stdout)["rows"] if row["state"] == "failed"]
        error = json.loads(loaded.stdout)["error"]
        assert error["type"] != "UnexpectedError"
        assert cross["said"].partition(":")[0] == error["cause"].partition(":")[0]


def test_a_file_of_sqlite_says_so(
    simulator: Simulator, account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    named("mine.db", made_by_sqlite)(tmp_path, monkeypatch)

    ended = command("load")

    assert f"The file {tmp_path / 'mine.db'} is a database of SQLite, not of DuckDB." in ended.stderr
    assert "--destination sqlalchemy" in ended.stderr
    assert not (tmp_path / "mine.db.lock").exists()
