"""`cf-invoices status`: what is loaded, from the destination alone, and nothing created by looking."""

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from shutil import rmtree
from typing import Any

import duckdb
import pytest

from cf_invoice_source.simulator import Account, Simulator
from tests.conftest import Command, Extract, Warehouse, tree
from tests.support.make import CREATED_S, make_invoice, make_invoices


@pytest.fixture
def offline(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take credentials, accounts and Cloudflare away; the requests so far are forgotten."""
    for name in ("BASE_URL", "API_TOKEN", "ACCOUNT_ID"):
        monkeypatch.delenv(f"CLOUDFLARE_{name}")
    simulator.requests.clear()
    yield
    assert simulator.requests == []


def document(command: Command, *arguments: str, **more: Any) -> dict[str, Any]:
    """The one JSON document of `status`."""
    parsed: dict[str, Any] = json.loads(command("status", "--json", *arguments, **more).stdout)
    return parsed


def created(hours: int) -> str:
    return datetime.fromtimestamp(CREATED_S + hours * 3600, tz=timezone.utc).isoformat()


# What is loaded


def test_the_document_says_what_is_loaded_value_for_value(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command
) -> None:
    account.records += [
        make_invoice(id="in_3", created=CREATED_S + 7200, status="open", amount_remaining=1999),
        make_invoice(
            id="in_2", created=CREATED_S + 3600, status="open", amount_remaining=500, currency="jpy"
        ),
        make_invoice(id="in_1", status="draft", amount_remaining=77),
    ]
    command("load")
    started, finished = warehouse.query("SELECT started_at, finished_at FROM cf_invoices.invoice_syncs")[0]

    ended = command("status", "--json")

    assert ended.exit_code == 0
    assert ended.stderr == ""
    assert json.loads(ended.stdout) == {
        "verified": True,
        "loaded": True,
        "pipeline": "cloudflare_invoices",
        "dataset": "cf_invoices",
        "destination": str(warehouse.path),
        "pending_packages": 0,
        "accounts": [
            {
                "account_id": account.id,
                "invoices": 3,
                "rejected": 0,
                "newest": created(2),
                "open": [
                    {"currency": "JPY", "amount": "500", "is_minor": False},
                    {"currency": "USD", "amount": "19.99", "is_minor": False},
                ],
                "unbalanced": 3,
                "last_sync": {
                    "account_id": account.id,
                    "started_at": started.astimezone(timezone.utc).isoformat(),
                    "finished_at": finished.astimezone(timezone.utc).isoformat(),
                    "sync_number": 1,
                    "type": "all",
                    "sync_mode": "full",
                    "full_reason": "first run",
                    "requests": 1,
                    "retries": 0,
                    "rate_limited": 0,
                    "waited_s": 0,
                    "total_count": 3,
                    "records_read": 3,
                    "new": 3,
                    "updated": 0,
                    "deleted": 0,
                    "rejected": 0,
                    "verified": True,
                    "unverified_reason": "",
                    "error": "",
                },
                "last_verified_sync_at": finished.astimezone(timezone.utc).isoformat(),
                "last_full_sync_at": started.astimezone(timezone.utc).isoformat(),
                "unverified_reason": "",
                "reject_reasons": [],
                "undocumented": None,
                "problem": "",
                "remedy": "",
            }
        ],
        "absent": 0,
        "error": None,
    }


def test_the_screen_says_it_too(
    simulator: Simulator, account: Account, warehouse: Warehouse, process: Command
) -> None:
    account.records += [make_invoice(status="open", amount_remaining=123_456_789)]
    process("load")

    ended = process("status", env={"COLUMNS": "120"})

    assert ended.exit_code == 0
    assert ended.stderr == ""
    row = next(line for line in ended.stdout.splitlines() if account.id in line).split()
    assert row[:6] == ["✓", account.id, "1", "2026-01-01", "1,234,567.89", "USD"]
    assert row[8] == "full"
    assert str(warehouse.path) in ended.stdout


@pytest.mark.slow
def test_dataset_and_pipeline_name_mean_what_they_mean_to_load(
    simulator: Simulator, account: Account, place: Path, command: Command
) -> None:
    account.records += make_invoices(1)
    command("load", "--dataset", "finance", "--pipeline-name", "mine")

    told = document(command, "--dataset", "finance", "--pipeline-name", "mine")

    assert told["destination"] == str(place / "mine.duckdb")
    assert told["accounts"][0]["invoices"] == 1


@pytest.mark.slow
def test_settings_under_the_name_of_the_pipeline_count(
    simulator: Simulator, account: Account, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.records += make_invoices(1)
    monkeypatch.setenv("MINE__DESTINATION__DUCKDB__CREDENTIALS", str(tmp_path / "elsewhere.duckdb"))
    command("load", "--pipeline-name", "mine")

    told = document(command, "--pipeline-name", "mine")

    assert told["destination"] == str(tmp_path / "elsewhere.duckdb")
    assert told["accounts"][0]["invoices"] == 1


@pytest.mark.slow
def test_it_works_offline_and_on_a_fresh_machine(
    simulator: Simulator,
    account: Account,
    warehouse: Warehouse,
    tmp_path: Path,
    process: Command,
    offline: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    account.records += make_invoices(2)
    process(
        "load",
        env={
            "CLOUDFLARE_BASE_URL": simulator.base_url,
            "CLOUDFLARE_API_TOKEN": simulator.token,
            "CLOUDFLARE_ACCOUNT_ID": account.id,
        },
    )
    simulator.requests.clear()
    rmtree(tmp_path / "dlt")

    ended = process("status", "--json")

    assert ended.exit_code == 0
    assert json.loads(ended.stdout)["accounts"][0]["invoices"] == 2
    assert not (tmp_path / "dlt" / "pipelines").exists()


@pytest.mark.slow
def test_a_database_in_the_working_directory_of_the_pipeline_is_found(
    simulator: Simulator, account: Account, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.records += make_invoices(1)
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", ":pipeline:")
    command("load")

    assert [each["invoices"] for each in document(command)["accounts"]] == [1]


# Nothing there, or not all of it


def test_looking_creates_nothing(warehouse: Warehouse, tmp_path: Path, process: Command) -> None:
    before = tree(tmp_path)

    ended = process("status")

    assert ended.exit_code == 3
    assert ended.stdout == f"Looked into {warehouse.path}, dataset cf_invoices.\n"
    assert ended.stderr.splitlines()[0] == "Nothing is loaded yet."
    assert "What to do: run cf-invoices load" in ended.stderr
    assert tree(tmp_path) == before


def test_looking_for_an_sqlite_database_creates_nothing(tmp_path: Path, process: Command) -> None:
    pytest.importorskip("sqlalchemy")
    before = tree(tmp_path)
    env = {"DESTINATION__SQLALCHEMY__CREDENTIALS": f"sqlite:///{tmp_path / 'invoices.db'}"}

    ended = process("status", "--destination", "sqlalchemy", env=env)

    assert ended.stderr.startswith("Nothing is loaded yet.")
    assert tree(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize("kept", ["the working directory", "nothing"])
def test_files_in_a_bucket_are_read_even_on_a_fresh_machine(
    simulator: Simulator, account: Account, process: Command, tmp_path: Path, kept: str
) -> None:
    account.records += make_invoices(2)
    env = {"DESTINATION__FILESYSTEM__BUCKET_URL": str(tmp_path / "bucket")}
    process("load", "--destination", "filesystem", env=env)
    if kept == "nothing":
        rmtree(tmp_path / "dlt")
    before = tree(tmp_path)

    ended = process("status", "--json", "--destination", "filesystem", env=env)

    assert [each["invoices"] for each in json.loads(ended.stdout)["accounts"]] == [2]
    assert tree(tmp_path) == before


def test_nothing_loaded_is_a_document_too(warehouse: Warehouse, command: Command) -> None:
    assert document(command) == {
        "verified": None,
        "loaded": False,
        "pipeline": "cloudflare_invoices",
        "dataset": "cf_invoices",
        "destination": str(warehouse.path),
        "pending_packages": 0,
        "accounts": [],
        "absent": 0,
        "error": None,
    }


@pytest.mark.slow
def test_looking_at_what_is_loaded_changes_nothing(
    simulator: Simulator, account: Account, warehouse: Warehouse, tmp_path: Path, process: Command
) -> None:
    account.records += make_invoices(2)
    process("load")
    before = tree(tmp_path)

    process("status")

    assert tree(tmp_path) == before


@pytest.mark.quick("an empty database")
@pytest.mark.parametrize("found", ["an empty database", "another dataset"])
def test_a_database_without_the_dataset_has_nothing_loaded(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command, found: str
) -> None:
    if found == "an empty database":
        duckdb.connect(str(warehouse.path)).close()
    else:
        command("load", "--dataset", "finance")

    ended = command("status")

    assert ended.exit_code == 3
    assert ended.stderr.startswith("Nothing is loaded yet.")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "invoices", "reason"),
    [
        ("invoices", 0, "the tables hold 0 invoices and 0 rejected records, verified were 2 and 0"),
        ("invoice_syncs", 2, "no sync is on record"),
        ("invoice_rejects", 2, ""),
        ("_dlt_pipeline_state", 2, "not compared: no pipeline has stored a bookmark for it with the rows"),
    ],
)
def test_a_table_that_is_missing_is_told_apart_from_one_that_is_verified(
    simulator: Simulator,
    account: Account,
    warehouse: Warehouse,
    command: Command,
    table: str,
    invoices: int,
    reason: str,
) -> None:
    account.records += make_invoices(2)
    command("load")
    warehouse.query(f"DROP TABLE cf_invoices.{table}")

    ended = command("status", "--json")

    [told] = json.loads(ended.stdout)["accounts"]
    assert (told["invoices"], told["unverified_reason"]) == (invoices, reason)
    assert ended.exit_code == (3 if reason else 0)


# Not verified, failed, unreadable


@pytest.mark.slow
def test_a_copy_that_somebody_changed_is_not_verified(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command
) -> None:
    account.records += make_invoices(3)
    command("load")
    warehouse.query("DELETE FROM cf_invoices.invoices WHERE id = 'in_2'")

    ended = command("status")

    assert ended.exit_code == 3
    assert "the tables hold 2 invoices and 0 rejected records, verified were 3 and 0" in ended.stderr


def test_what_an_interrupted_load_left_behind_is_pending_and_not_verified(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command, extract: Extract
) -> None:
    account.records += make_invoices(2)
    command("load")
    extract()

    ended = command("status")

    assert ended.exit_code == 3
    assert "1 package pending" in ended.stderr
    assert document(command)["pending_packages"] == 1


def test_a_file_that_another_process_holds_is_exit_code_1(
    warehouse: Warehouse, held_elsewhere: None, command: Command
) -> None:
    ended = command("status", "--json")

    assert ended.exit_code == 1
    assert ended.stderr.startswith("Error: The destination failed")
    assert len(ended.stderr.splitlines()) <= 4
    assert json.loads(ended.stdout)["error"]["type"] == "DestinationError"


@pytest.mark.slow
def test_several_may_look_at_once(
    simulator: Simulator, account: Account, warehouse: Warehouse, process: Command
) -> None:
    account.records += make_invoices(1)
    process("load")

    with duckdb.connect(str(warehouse.path), read_only=True):
        ended = process("status")

    assert ended.exit_code == 0


def test_a_file_that_is_no_database_is_exit_code_1(warehouse: Warehouse, command: Command) -> None:
    warehouse.path.write_text("no database")

    ended = command("status")

    assert ended.exit_code == 1
    assert ended.stderr.startswith("Error: The destination failed")
    assert warehouse.path.read_text() == "no database"


def test_a_file_that_this_program_has_open_with_other_settings_says_so(
    warehouse: Warehouse, held: object, command: Command
) -> None:
    """In a notebook, say: DuckDB takes no second connection that is read-only there."""
    ended = command("status")

    assert ended.exit_code == 1
    assert "different configuration" in ended.stderr
    assert "What to do: this program has the file open with other settings" in ended.stderr
