"""Killed, a full disk, two at once, another destination, an object store, many documents."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import dlt
import pytest

from cf_invoice_source import archive_documents, load, read_status, verify_documents, write_manifest
from cf_invoice_source.documents.store import open_store
from cf_invoice_source.simulator import Account, Simulator
from cf_invoice_source.simulator.faults import body, encoded
from tests.conftest import Command, Warehouse, run_at_once, run_warm, tree
from tests.support.full_disk import FULL_DISK
from tests.support.make import make_invoice, make_invoices
from tests.support.mariadb import MariaDB
from tests.support.postgres import Database
from tests.support.s3 import S3, running

pytestmark = pytest.mark.slow


@pytest.fixture
def listed(simulator: Simulator, account: Account) -> Account:
    simulator.serve_pdfs()
    account.records += make_invoices(30)
    return account


def assert_whole(warehouse: Warehouse, archive: Path, count: int = 30) -> None:
    """Each invoice has one document, which is noted and there; nothing else is there."""
    rows = [row for row in warehouse.rows("invoice_documents") if row["sha256"]]
    assert len(rows) == len({row["id"] for row in rows}) == count
    found = {path: content for path, content in tree(archive).items() if path.endswith(".pdf")}
    assert found.keys() == {row["path"] for row in rows}
    for row in rows:
        assert sha256(found[row["path"]]).hexdigest() == row["sha256"]


@pytest.mark.parametrize("number", [1, 7, 20, 45, 70, 105, 150, 220, 290, 100_000])
def test_after_a_kill_the_next_run_is_exact(
    number: int, dlt_here: None, listed: Account, command: Command, warehouse: Warehouse, place: Path
) -> None:
    command("load")

    killed = run_warm("-m", "tests.documents.killed", str(number), "archive")
    healthy = command("documents", "--to", "archive")
    again = command("load")

    assert killed.exit_code == -signal.SIGKILL, killed.output
    assert healthy.exit_code == 0, healthy.output
    assert_whole(warehouse, place / "archive")
    assert command("documents", "--to", "archive", "--verify").exit_code == 0
    assert again.exit_code == 0
    assert " 1  yes" in again.stdout  # the incremental load that it would have been


def test_after_a_full_disk_the_next_run_is_exact(
    dlt_here: None, listed: Account, command: Command, simulator: Simulator, warehouse: Warehouse, place: Path
) -> None:
    command("load")
    long = body(b"%PDF-" + bytes(500_000) + b"%%EOF", {"content-type": "application/pdf"})
    simulator.faults.append(long.only(path="in_9/pdf"))
    full = run_warm("-c", FULL_DISK, "100000", "documents", "--to", "archive")
    left = [path for path in tree(place) if "partial" in path]

    healthy = command("documents", "--to", "archive")

    assert full.exit_code == 1
    assert full.stderr.startswith(f"Error: The archive {place}/archive cannot be used: File too large.")
    assert left == []
    assert healthy.exit_code == 0, healthy.output
    assert_whole(warehouse, place / "archive")


def test_what_was_stored_before_an_error_is_noted(
    dlt_here: None, listed: Account, simulator: Simulator, command: Command, warehouse: Warehouse, place: Path
) -> None:
    other = simulator.world.add_account("Other")
    other.records += make_invoices(2)
    first, second = sorted([listed, other], key=lambda account: account.id)
    accounts = {"CLOUDFLARE_ACCOUNT_ID": f"{first.id},{second.id}"}
    command("load", env=accounts)
    (place / "archive").mkdir()
    (place / "archive" / second.id).write_text("in the way")

    ended = command("documents", "--to", "archive", env=accounts)

    assert ended.exit_code == 1
    assert ended.stderr.startswith("Error: The archive ")
    noted = [row["account_id"] for row in warehouse.rows("invoice_documents")]
    assert noted == [first.id] * len(first.records)


def test_no_room_for_the_table_leaves_the_files_and_the_next_run_notes_them(
    dlt_here: None, listed: Account, command: Command, warehouse: Warehouse, place: Path
) -> None:
    command("load")
    full = run_warm("-c", FULL_DISK, "5000", "documents", "--to", "archive")

    healthy = command("documents", "--to", "archive")

    assert full.exit_code == 1
    assert full.stderr.startswith("Error: ")
    assert "Traceback" not in full.stderr
    assert healthy.exit_code == 0, healthy.output
    assert_whole(warehouse, place / "archive")


def test_of_two_at_once_the_second_waits_and_finds_nothing_to_do(
    dlt_here: None, listed: Account, command: Command, warehouse: Warehouse, place: Path
) -> None:
    command("load")
    said = run_at_once([("documents", "--to", "archive")] * 2, [{}] * 2)

    assert [each.exit_code for each in said] == [0, 0], said
    assert sorted(each.stdout.partition(" ")[0] for each in said) == ["30", "Nothing"]
    assert_whole(warehouse, place / "archive")


def test_of_two_that_store_the_same_document_one_stores_it(place: Path) -> None:
    from io import BytesIO

    store, digest = open_store(str(place / "archive")), sha256(b"%PDF-").hexdigest()
    path = "a/2026/2026-01-01_in_1_0123456789abcdef.pdf"

    assert store.put(path, BytesIO(b"%PDF-"), digest)
    assert store.put(path, BytesIO(b"%PDF-"), digest)
    assert not store.put(path, BytesIO(b"%PDF-another"), sha256(b"%PDF-another").hexdigest())
    assert tree(place / "archive")[path] == b"%PDF-"


def test_what_a_killed_run_left_half_written_is_deleted_once_it_is_old(place: Path) -> None:
    folder = place / "archive" / "a" / "2026"
    folder.mkdir(parents=True)
    old, young = folder / ".x.pdf.01.partial", folder / ".y.pdf.02.partial"
    for path in (old, young):
        path.write_bytes(b"")
    os.utime(old, (0, 0))

    open_store(str(place / "archive")).tidy()

    assert list(folder.iterdir()) == [young]


# Object stores, and other destinations


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with running() as server:
        yield server


@pytest.fixture
def bucket(s3: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    for name, value in s3.settings.items():
        monkeypatch.setenv(name, value)
    return s3


def test_an_object_store_takes_them_and_overwrites_nothing(
    dlt_here: None, bucket: S3, listed: Account, command: Command, warehouse: Warehouse
) -> None:
    to = "s3://finance/invoices"
    command("load")
    ended = command("documents", "--to", to)
    again = command("documents", "--to", to)
    proof = command("documents", "--to", to, "--verify")
    fs = bucket.fsspec()
    [row, other, *_] = [row for row in warehouse.rows("invoice_documents") if row["sha256"]]
    fs.pipe_file(f"finance/invoices/{row['path']}", b"%PDF-another")
    fs.rm_file(f"finance/invoices/{other['path']}")
    fs.pipe_file("finance/invoices/extra.pdf", b"")
    fs.pipe_file("finance/invoices-of-others/extra.pdf", b"")
    found = command("documents", "--to", to, "--verify")
    warehouse.query("DELETE FROM cf_invoices.invoice_documents WHERE id = ?", row["id"])
    refused = command("documents", "--to", to)

    assert (ended.exit_code, again.exit_code, proof.exit_code) == (0, 0, 0), ended.output
    assert ended.stdout.startswith("30 documents archived in s3://finance/invoices, with 1 request")
    assert again.stdout.startswith("Nothing to do")
    assert proof.stdout == "30 of 30 documents intact in s3://finance/invoices.\n"
    assert found.exit_code == 3
    assert f"1 file changed: {row['path']}\n" in found.stderr
    assert f"1 file missing: {other['path']}\n" in found.stderr
    assert "1 file unknown: extra.pdf\n" in found.stderr
    assert refused.exit_code == 3
    assert "never overwritten" in refused.stderr
    assert fs.cat_file(f"finance/invoices/{row['path']}") == b"%PDF-another"


def test_a_bucket_that_is_not_there_is_one_error(
    dlt_here: None, bucket: S3, listed: Account, command: Command
) -> None:
    command("load")

    ended = command("documents", "--to", "s3://nobody/invoices")

    assert ended.exit_code == 1
    assert ended.stderr.startswith("Error: The archive s3://nobody/invoices cannot be used")
    assert "made-up" not in ended.stderr


HOMES = ("postgres", "mariadb", "sqlite", "delta", "iceberg", "parquet", "jsonl")


@pytest.mark.parametrize("home", HOMES)
def test_every_kind_of_destination_has_the_table(
    dlt_here: None,
    home: str,
    request: pytest.FixtureRequest,
    listed: Account,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings: dict[str, Any] = {}
    if home == "postgres":
        database: Database = request.getfixturevalue("database")
        destination: Any = dlt.destinations.postgres(database.dsn)
    elif home == "mariadb":
        server: MariaDB = request.getfixturevalue("mariadb")
        destination = dlt.destinations.sqlalchemy(server.exact_dsn())
    elif home == "sqlite":
        destination = dlt.destinations.sqlalchemy(f"sqlite:///{place / 'invoices.db'}")
    else:
        destination = dlt.destinations.filesystem(str(place / "files"))
        key = "table_format" if home in {"delta", "iceberg"} else "file_format"
        settings[key] = home
    listed.find("in_2").update(status="open", amount_paid=0, amount_remaining=2178)
    pipeline = dlt.pipeline("cloudflare_invoices", destination=destination, dataset_name="cf_invoices")
    load(pipeline, **settings)
    first = archive_documents(pipeline, str(place / "archive"), **settings)
    listed.pay("in_2")
    listed.records.insert(0, make_invoice(id="in_new", created=2_000_000_000))
    load(pipeline, **settings)
    lacking = read_status(pipeline).accounts[0].undocumented
    second = archive_documents(pipeline, str(place / "archive"), **settings)
    quiet = archive_documents(pipeline, str(place / "archive"), **settings)
    proof = verify_documents(pipeline, str(place / "archive"))
    lines = write_manifest(pipeline, place / "manifest.csv")
    after = load(pipeline, **settings)

    assert first.is_verified
    assert [each.archived for each in (*first.accounts, *second.accounts, *quiet.accounts)] == [30, 2, 0]
    assert lacking == 2
    assert read_status(pipeline).accounts[0].undocumented == 0
    assert (proof.is_verified, proof.documents) == (True, 32)
    assert lines == 32
    assert [account.requests for account in after.accounts] == [1]


# Many


MEMORY = """
import re, sys
from pathlib import Path
from cf_invoice_source.cli.main import cli
try:
    cli.main(["documents", "--to", sys.argv[1], "--quiet"])
except SystemExit as ended:
    peak_kib = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
    print(ended.code, peak_kib // 1024)
"""


def test_hundreds_of_documents_take_no_more_memory_than_a_few(
    dlt_here: None,
    simulator: Simulator,
    account: Account,
    command: Command,
    warehouse: Warehouse,
    place: Path,
) -> None:
    """Each of 1 MiB: all of them together would take 300 MiB more."""
    simulator.serve_pdfs()
    account.records += make_invoices(300)
    command("load")
    simulator.faults.append(encoded(lambda pdf: pdf[:-6] + bytes(2**20) + pdf[-6:], None).only(path="/pdf"))

    ended = subprocess.run(
        [sys.executable, "-c", MEMORY, "archive"], capture_output=True, text=True, check=True, timeout=300
    )

    exit_code, peak_mib = map(int, ended.stdout.split())
    assert exit_code == 0, ended.stderr
    assert_whole(warehouse, place / "archive", 300)
    assert peak_mib < 220  # 139 with 30 of 1 kB
