"""Rows on disk are for one user, and gone once they are loaded; nobody else can leave a load to be run."""

from __future__ import annotations

import json
import os
import pickle
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import dlt
import pytest

from cf_invoice_source import DestinationError, SettingsError, create_tables
from cf_invoice_source import load as load_pipeline
from cf_invoice_source.simulator import Account, Simulator
from tests.conftest import Command, Load, Warehouse
from tests.support.captured import captured
from tests.support.make import make_invoices
from tests.support.postgres import Database

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="rights are those of POSIX")

LINK = "https://pay.stripe.com"


@pytest.fixture
def umask() -> Iterator[None]:
    """The umask that systems come with, whatever the developer's is."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def rights(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def open_to_others(folder: Path) -> list[str]:
    """Files below a folder that others can reach, by the rights of all directories between."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file()
        and rights(path) & 0o077
        and all(rights(parent) & 0o077 for parent in path.parents if folder in parent.parents)
    )


def with_links(folder: Path) -> list[str]:
    """Files below a folder in which a link to a PDF stands."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and LINK.encode() in path.read_bytes()
    )


def new_pipeline() -> dlt.Pipeline:
    return dlt.pipeline("cloudflare_invoices", destination="duckdb", dataset_name="cf_invoices")


def test_what_the_command_leaves_is_for_its_user_alone_and_has_no_rows_but_in_the_tables(
    simulator: Simulator,
    account: Account,
    warehouse: Warehouse,
    process: Command,
    tmp_path: Path,
    umask: None,
) -> None:
    account.records += make_invoices(3)

    assert process("load").exit_code == 0

    assert open_to_others(tmp_path / "dlt") == []
    assert rights(tmp_path / "dlt" / "pipelines") == 0o700
    assert rights(warehouse.path) == 0o600
    assert with_links(tmp_path / "dlt") == []


def test_so_it_is_in_python(
    dlt_here: None, simulator: Simulator, account: Account, warehouse: Warehouse, tmp_path: Path, umask: None
) -> None:
    account.records += make_invoices(3)
    pipeline = new_pipeline()

    load_pipeline(pipeline)

    assert rights(warehouse.path) == 0o600
    assert rights(Path(pipeline.working_dir)) == 0o700
    assert with_links(tmp_path / "dlt") == []
    assert os.umask(0o022) == 0o022


@pytest.mark.slow
def test_what_the_user_chose_stays(
    dlt_here: None,
    simulator: Simulator,
    account: Account,
    warehouse: Warehouse,
    tmp_path: Path,
    umask: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOAD__DELETE_COMPLETED_JOBS", "false")
    os.umask(0o027)
    account.records += make_invoices(3)
    pipeline = new_pipeline()
    load_pipeline(pipeline)

    assert rights(warehouse.path) == 0o640
    assert rights(Path(pipeline.working_dir)) == 0o750
    assert with_links(tmp_path / "dlt") != []

    warehouse.path.chmod(0o644)
    Path(pipeline.working_dir).chmod(0o755)
    account.records[0]["status"] = "void"
    load_pipeline(new_pipeline())

    assert rights(warehouse.path) == 0o644
    assert rights(Path(pipeline.working_dir)) == 0o755


@pytest.mark.slow
def test_tables_that_are_created_are_private_too(dlt_here: None, warehouse: Warehouse, umask: None) -> None:
    pipeline = new_pipeline()

    create_tables(pipeline)

    assert rights(warehouse.path) == 0o600
    assert rights(Path(pipeline.working_dir)) == 0o700


@pytest.mark.quick("the group's-*", "another user's-python")
@pytest.mark.parametrize("command_name", ["load", "check", "python"])
@pytest.mark.parametrize(
    "whose", ["another user's", "the group's", "everybody's", "a link to another user's"]
)
def test_a_directory_in_which_others_can_leave_a_load_is_refused(
    command: Command,
    simulator: Simulator,
    warehouse: Warehouse,
    tmp_path: Path,
    whose: str,
    command_name: str,
) -> None:
    if "user's" in whose and os.geteuid() != 0:
        pytest.skip("only root can make it")
    working_dir = tmp_path / "dlt" / "pipelines" / "cloudflare_invoices"
    if whose == "a link to another user's":
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        os.chown(elsewhere, 12345, -1)
        working_dir.parent.mkdir(parents=True)
        working_dir.symlink_to(elsewhere)
    else:
        working_dir.mkdir(parents=True)
        working_dir.chmod({"the group's": 0o770, "everybody's": 0o707}.get(whose, 0o700))
        os.chown(working_dir, 12345 if whose == "another user's" else -1, -1)

    if command_name == "python":
        from cf_invoice_source import pipeline_lock

        with (
            pytest.raises(SettingsError, match=r"leave a load in it|left a load in it"),
            pipeline_lock("cloudflare_invoices"),
        ):
            pass
    else:
        ended = command(command_name)

        assert ended.exit_code == 1
        assert "another user" in ended.output or "Other users" in ended.output
    assert command_name == "check" or simulator.requests == []
    assert not warehouse.path.exists()


def test_a_link_at_the_place_of_a_file_of_rows_is_not_followed(
    load: Load, account: Account, tmp_path: Path
) -> None:
    account.records += make_invoices(1)
    theirs = tmp_path / "theirs"
    theirs.write_text("of somebody else")
    working_dir = Path(new_pipeline().working_dir)
    (working_dir / "invoices.jsonl").symlink_to(theirs)

    assert load().is_verified

    assert theirs.read_text() == "of somebody else"


def refuse_links(warehouse: Warehouse) -> None:
    """Let the column of the links be one of numbers: the driver quotes what it cannot convert."""
    warehouse.query("ALTER TABLE cf_invoices.invoices DROP COLUMN invoice_pdf")
    warehouse.query("ALTER TABLE cf_invoices.invoices ADD COLUMN invoice_pdf BIGINT")


@pytest.mark.slow
def test_a_link_that_the_driver_quotes_is_shown_and_kept_nowhere(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command, tmp_path: Path
) -> None:
    account.records += make_invoices(1)
    assert command("load").exit_code == 0
    refuse_links(warehouse)
    account.records.insert(0, make_invoices(2)[0])

    ended = command("load", "--json", "--debug", "--full")

    assert ended.exit_code == 1
    assert "Could not convert string (***)" in ended.output
    assert "pay.stripe.com" not in ended.output
    pending = [path for path in with_links(tmp_path / "dlt") if not path.endswith("jsonl")]
    assert pending == []
    trace = tmp_path / "dlt" / "pipelines" / "cloudflare_invoices" / "trace.pickle"
    assert "pay.stripe.com" not in str(pickle.loads(trace.read_bytes()).asdict())  # noqa: S301 - made just now


@pytest.mark.slow
def test_an_error_of_the_driver_is_captured_without_rows(
    load: Load, account: Account, held: object, warehouse: Warehouse
) -> None:
    account.records += make_invoices(1)
    load()
    refuse_links(warehouse)
    account.records.insert(0, make_invoices(2)[0])

    with pytest.raises(DestinationError) as caught:
        load(full=True)

    assert "pay.stripe.com" not in captured(caught.value)
    trace = new_pipeline().last_trace
    assert trace is not None
    assert "pay.stripe.com" not in str(trace) + trace.asstr(verbosity=2) + str(trace.asdict())


@pytest.mark.slow
def test_what_postgresql_quotes_is_shown_and_kept_nowhere(
    simulator: Simulator, account: Account, database: Database, command: Command, tmp_path: Path
) -> None:
    account.records += make_invoices(1)
    to_postgres = ("load", "--destination", "postgres", "--json", "--debug")
    assert command(*to_postgres).exit_code == 0
    database.query("ALTER TABLE cf_invoices.invoices ALTER invoice_pdf TYPE bigint USING NULL")
    database.query("ALTER TABLE cf_invoices.invoice_changes ALTER invoice_pdf TYPE bigint USING NULL")
    account.records.insert(0, make_invoices(2)[0])

    ended = command(*to_postgres)

    assert ended.exit_code == 1
    assert json.loads(ended.stdout)["error"]["type"] == "DestinationError"
    assert "pay.stripe.com" not in ended.output
    kept = [path for path in with_links(tmp_path / "dlt") if "exception" in path or "trace" in path]
    assert kept == []
