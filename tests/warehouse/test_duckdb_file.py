"""A DuckDB file during a load: open, and with no more memory than it needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest
from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials

from cf_invoice_source.simulator import Account
from cf_invoice_source.warehouse import duckdb_file as module
from cf_invoice_source.warehouse.duckdb_file import open_database
from tests.conftest import Load, Warehouse
from tests.support.exact import assert_exact
from tests.support.make import make_invoices

Database = duckdb.DuckDBPyConnection


@pytest.fixture
def file(dlt_here: None, tmp_path: Path) -> Path:
    return tmp_path / "invoices.duckdb"


@pytest.fixture
def mine(file: Path) -> Iterator[Database]:
    """A connection that a user of the same process has to the same file, as in a notebook."""
    with duckdb.connect(str(file)) as connection:
        yield connection


def client_of(credentials: Any) -> Any:
    destination = dlt.destinations.duckdb(credentials)
    return dlt.pipeline("loads", destination=destination, dataset_name="cf_invoices").destination_client()


def log_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.wal")


_BREAKS_DOWN = "SET GLOBAL debug_checkpoint_abort = 'before_header'"
"""Then the next CHECKPOINT is a fatal error, as it is when memory runs out in the middle of one."""


def settings(database: Database) -> tuple[str, int]:
    query = "SELECT current_setting('memory_limit'), current_setting('threads')"
    [(memory_limit, threads)] = database.execute(query).fetchall()
    return memory_limit, threads


def test_duckdb_has_little_memory_during_a_load_and_what_it_had_afterwards(
    file: Path, mine: Database
) -> None:
    mine.execute("SET memory_limit = '2GiB'; SET threads = 3")

    with open_database(client_of(str(file))):
        assert settings(mine) == ("122.0 MiB", 1)

    assert settings(mine) == ("2.0 GiB", 3)


def test_nothing_is_left_to_tidy_up_without_a_limit(file: Path, mine: Database) -> None:
    with open_database(client_of(str(file))):
        mine.execute("CREATE TABLE numbers AS SELECT * FROM range(100000)")
        assert log_of(file).stat().st_size

    assert not log_of(file).exists()


def test_a_database_that_cannot_be_tidied_up_keeps_what_was_loaded(file: Path, mine: Database) -> None:
    with open_database(client_of(str(file))):
        mine.execute("CREATE TABLE numbers AS SELECT * FROM range(100000)")
        mine.execute(_BREAKS_DOWN)
    mine.close()

    with duckdb.connect(str(file)) as again:
        assert again.execute("SELECT count(*) FROM numbers").fetchall() == [(100_000,)]


def test_a_limit_of_the_users_own_stays(file: Path, mine: Database) -> None:
    credentials = DuckDbCredentials(str(file), global_config={"memory_limit": "1GB"})

    with open_database(client_of(credentials)):
        assert settings(mine) == ("953.6 MiB", 1)


@pytest.mark.slow
def test_rows_that_need_more_memory_get_it(
    monkeypatch: pytest.MonkeyPatch, warehouse: Warehouse, account: Account, load: Load
) -> None:
    """DuckDB reads no JSON at all with so little: it fails, again and again, until the limit is lifted."""
    monkeypatch.setitem(module.WHILE_LOADING, "memory_limit", "10MB")
    account.records += make_invoices(3)

    report = load()

    assert report.is_verified
    assert_exact(warehouse.query, account)


@pytest.mark.slow
def test_a_database_that_breaks_down_is_opened_anew(
    monkeypatch: pytest.MonkeyPatch, warehouse: Warehouse, account: Account, load: Load, held: Database
) -> None:
    held.close()
    account.records += make_invoices(3)
    normalize = dlt.Pipeline.normalize
    broken: list[BaseException] = []

    def normalize_and_break(pipeline: dlt.Pipeline, *args: Any, **settings: Any) -> Any:
        info = normalize(pipeline, *args, **settings)
        if not broken:
            with duckdb.connect(str(warehouse.path)) as mine, pytest.raises(duckdb.FatalException) as error:
                mine.execute(f"CREATE TABLE more AS SELECT 1; {_BREAKS_DOWN}; CHECKPOINT")
            broken.append(error.value)
        return info

    monkeypatch.setattr(dlt.Pipeline, "normalize", normalize_and_break)
    report = load()

    assert broken
    assert report.is_verified
    assert_exact(warehouse.query, account)
