"""`cf-invoices documents`, as a user runs it: what is archived, noted, verified and told."""

from __future__ import annotations

import csv
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cf_invoice_source import Verification, archive_documents, load, verify_documents, write_manifest
from cf_invoice_source.documents.report import DocumentReport
from cf_invoice_source.simulator import Fault, Simulator, World
from cf_invoice_source.simulator.faults import edit, html, redirect, status
from tests.conftest import Naps, Warehouse, tree
from tests.support.make import CREATED_S, make_invoice, make_invoices
from tests.support.places import begin_anew, settled

LONG = 120
"""Invoices of the account that several tests share: three pages."""


class Loaded:
    """An account that is loaded, and its archive, of which each test has a copy."""

    def __init__(self, folder: Path) -> None:
        import dlt

        self.world = World(seed=1)
        self.account = self.world.add_account("Test")
        self.account.records += [
            make_invoice(id="in_draft", status="draft", created=CREATED_S + LONG * 3600 + 1),
            make_invoice(id=None, created=CREATED_S + LONG * 3600),
            *make_invoices(LONG),
            make_invoice(id="in_none", invoice_pdf=None, created=CREATED_S),
        ]
        self.simulator = Simulator(self.world)
        self.simulator.__enter__()
        self.simulator.serve_pdfs()
        self.warehouse = Warehouse(folder / "warehouse.duckdb")
        file = dlt.destinations.duckdb(str(self.warehouse.path))
        self.pipeline = dlt.pipeline("shared", destination=file, dataset_name="cf_invoices")
        self.settings: dict[str, Any] = {
            "account_id": self.account.id,
            "base_url": self.simulator.base_url,
            "credentials": {"api_token": self.simulator.token},
        }
        load(self.pipeline, **self.settings)
        self.folder = folder
        self.report = self.archive(folder / "archive")
        self.first_requests = list(self.simulator.requests)

    def archive(self, to: Path, **more: Any) -> DocumentReport:
        self.simulator.requests.clear()
        return archive_documents(self.pipeline, str(to), **self.settings, **more)

    def verify(self, to: Path) -> Verification:
        return verify_documents(self.pipeline, str(to))

    def pages(self) -> list[int | None]:
        """The pages of the list that were asked for."""
        asked = [each for each in self.simulator.requests if each.path.endswith("invoice-history")]
        return [each.page for each in asked]

    def reasons(self) -> dict[str, str]:
        """Why documents could not be had, by invoice."""
        rows = self.warehouse.rows("invoice_documents")
        return {row["id"]: row["error"] for row in rows if row["error"]}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    folder = tmp_path_factory.mktemp("documents")
    with settled(folder):
        loaded = Loaded(folder)
        yield loaded
        loaded.simulator.__exit__(None, None, None)


@pytest.fixture
def loaded(shared: Loaded, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loaded]:
    begin_anew(shared.folder)
    monkeypatch.setenv("DLT_DATA_DIR", str(shared.folder / "dlt"))
    yield shared
    shared.simulator.faults.clear()
    shared.simulator.link_life = None


@pytest.fixture
def archive(loaded: Loaded, place: Path) -> Path:
    return Path(shutil.copytree(loaded.folder / "archive", place / "archive"))


def of(invoice_id: str, archive: Path) -> Path:
    """The file of an invoice's document."""
    [path] = archive.rglob(f"*_{invoice_id}_*.pdf")
    return path


def pdfs(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.pdf"))


# What is archived


def test_every_invoice_with_a_link_that_is_no_draft_has_its_pdf(loaded: Loaded, archive: Path) -> None:
    assert loaded.report.is_verified
    assert [(each.wanted, each.archived, each.requests) for each in loaded.report.accounts] == [
        (LONG + 1, LONG + 1, 3)
    ]
    found = pdfs(archive)
    assert len(found) == LONG + 1
    assert all(path.read_bytes().startswith(b"%PDF-") for path in found)
    name = rf"{loaded.account.id}/2026/2026-01-06_in_{LONG}_[0-9a-f]{{16}}\.pdf"
    assert re.fullmatch(name, of(f"in_{LONG}", archive).relative_to(archive).as_posix())
    assert {stat.S_IMODE(path.stat().st_mode) for path in found} == {0o600}


def test_the_table_names_each_of_them_and_has_no_link(loaded: Loaded, archive: Path) -> None:
    rows = [row for row in loaded.warehouse.rows("invoice_documents") if row["status"] == "paid"]
    invoices = {row["id"]: row for row in loaded.warehouse.rows()}

    assert {row["id"] for row in rows if row["sha256"]} == invoices.keys() - {"in_draft", "in_none"}
    for row in rows:
        assert row["row_hash"] == invoices[row["id"]]["row_hash"]
        if row["sha256"]:
            assert (archive / row["path"]).stat().st_size == row["bytes"]
            assert (row["content_type"], row["error"]) == ("application/pdf", None)
    assert "127.0.0.1" not in str(rows)


def test_a_second_run_asks_nobody_for_anything(loaded: Loaded, archive: Path) -> None:
    before = tree(archive)

    report = loaded.archive(archive)

    assert report.is_verified
    assert loaded.simulator.requests == []
    assert tree(archive) == before


def test_a_file_that_is_gone_is_fetched_again_with_the_one_page_that_lists_it(
    loaded: Loaded, archive: Path
) -> None:
    before = tree(archive)
    of("in_3", archive).unlink()

    loaded.archive(archive)

    assert loaded.pages() == [3]
    assert tree(archive) == before
    assert loaded.verify(archive).is_verified


@pytest.mark.slow
def test_a_changed_file_is_not_overwritten(loaded: Loaded, archive: Path) -> None:
    changed = of("in_3", archive)
    changed.write_bytes(b"%PDF-another")
    loaded.warehouse.query("DELETE FROM cf_invoices.invoice_documents WHERE id = 'in_3'")

    report = loaded.archive(archive)

    assert not report.is_verified
    assert "is never overwritten" in report.accounts[0].reasons[0]
    assert changed.read_bytes() == b"%PDF-another"
    changed.unlink()
    assert loaded.archive(archive).is_verified
    assert not {"in_3", "in_7"} & loaded.reasons().keys()


def test_a_file_that_is_there_and_not_noted_is_only_noted(loaded: Loaded, archive: Path) -> None:
    """As after a crash."""
    loaded.warehouse.query("DELETE FROM cf_invoices.invoice_documents WHERE id IN ('in_3', 'in_100')")
    before = tree(archive)

    report = loaded.archive(archive)

    assert report.accounts[0].archived == 2
    assert tree(archive) == before
    assert loaded.verify(archive).is_verified


@pytest.mark.slow
def test_drafts_on_request(loaded: Loaded, archive: Path) -> None:
    assert loaded.archive(archive, drafts=True).accounts[0].archived == 1
    assert of("in_draft", archive).exists()
    loaded.warehouse.query("DELETE FROM cf_invoices.invoice_documents WHERE id = 'in_draft'")


@pytest.mark.slow
def test_a_link_that_dies_with_the_next_answer_is_used_before(loaded: Loaded, place: Path) -> None:
    loaded.simulator.link_life = 0

    assert loaded.archive(place / "another").is_verified
    assert loaded.pages() == [1, 2, 3]


def test_a_link_that_is_too_old_is_replaced_once(loaded: Loaded, archive: Path) -> None:
    for invoice_id in ("in_100", "in_99", "in_3"):
        of(invoice_id, archive).unlink()
    loaded.simulator.faults.append(status(403).only(times=2, path="/pdf"))

    assert loaded.archive(archive).is_verified
    assert loaded.pages() == [1, 1, 3]


def hostile(link: str) -> Fault:
    """Let the list have this link for one invoice."""

    def change(document: Any) -> None:
        for record in document["result"]["invoices"]:
            if record["id"] == "in_7":
                record["invoice_pdf"] = link

    return edit(change)


NOT_HAD = {
    "403": (status(403).only(path="in_7/pdf"), "its host answered with status 403"),
    "HTML": (html().only(path="in_7/pdf"), "it is not a PDF"),
    "away": (redirect("https://evil.example/x").only(path="in_7/pdf"), "not on the list: evil.example"),
    "a hostile link": (hostile("https://evil.example/SECRET"), "not on the list: evil.example"),
    "no link": (hostile(""), "Cloudflare lists no PDF for it"),
}


@pytest.mark.quick("403")
@pytest.mark.parametrize(("fault", "reason"), NOT_HAD.values(), ids=NOT_HAD)
def test_a_document_that_cannot_be_had_is_noted_and_tried_again(
    loaded: Loaded, archive: Path, fault: Fault, reason: str
) -> None:
    of("in_7", archive).unlink()
    loaded.simulator.faults.append(fault)

    report = loaded.archive(archive)

    [problem] = report.problems
    assert problem.text == f"Account {loaded.account.id}: 1 of 1 documents could not be had"
    assert reason in str(problem)
    assert reason in loaded.reasons()["in_7"]
    assert "SECRET" not in str(report) + str(loaded.warehouse.rows("invoice_documents"))
    assert not report.has_failed

    loaded.simulator.faults.clear()

    assert loaded.archive(archive).is_verified
    assert not {"in_3", "in_7"} & loaded.reasons().keys()
    attempts = "SELECT attempts FROM cf_invoices.invoice_documents WHERE id = 'in_7' AND sha256 <> ''"
    [(tried,)] = loaded.warehouse.query(attempts)
    assert tried >= 2


def test_a_host_that_is_down_is_not_asked_for_all_documents(
    loaded: Loaded, place: Path, naps: Naps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", "1")
    loaded.simulator.faults.append(status(503).only(path="/pdf"))

    report = loaded.archive(place / "archive")

    assert len(loaded.simulator.requests) <= 16
    assert "The rest was not tried" in report.problems[-1].text
    assert not report.is_verified


def test_the_credential_goes_to_cloudflare_only(loaded: Loaded) -> None:
    for request in loaded.first_requests:
        assert ("authorization" in request.headers) == (not request.path.endswith("/pdf"))


# Proof


def tamper_byte(archive: Path) -> str:
    victim = pdfs(archive)[5]
    content = bytearray(victim.read_bytes())
    content[100] ^= 1
    victim.write_bytes(content)
    return victim.relative_to(archive).as_posix()


def take_away(archive: Path) -> str:
    victim = pdfs(archive)[5]
    victim.unlink()
    return victim.relative_to(archive).as_posix()


def add(archive: Path) -> str:
    more = pdfs(archive)[5].with_name("extra.pdf")
    more.write_bytes(b"%PDF-")
    return more.relative_to(archive).as_posix()


def add_at_the_top(archive: Path) -> str:
    (archive / "extra.pdf").write_bytes(b"")
    return "extra.pdf"


@pytest.mark.parametrize(
    ("tamper", "kind"),
    [(tamper_byte, "changed"), (take_away, "missing"), (add, "unknown"), (add_at_the_top, "unknown")],
)
def test_verification_finds_a_changed_byte_a_file_gone_and_a_file_too_many(
    loaded: Loaded, archive: Path, tamper: Any, kind: str
) -> None:
    (archive / "manifest.csv").write_text("")
    (archive / ".DS_Store").write_text("")
    whole = loaded.verify(archive)

    path = tamper(archive)
    found = loaded.verify(archive)

    assert whole.is_verified
    assert whole.documents == whole.intact == LONG + 1
    assert getattr(found, kind) == (path,)
    assert [str(problem.text) for problem in found.problems] == [f"1 file {kind}: {path}"]
    with pytest.raises(Exception, match="not intact"):
        found.raise_on_failed()


def test_verification_opens_nothing_outside_the_archive(loaded: Loaded, archive: Path) -> None:
    (archive.parent / "outside.pdf").write_bytes(b"%PDF-")
    change = "UPDATE cf_invoices.invoice_documents SET path = ? WHERE id = 'in_9'"
    loaded.warehouse.query(change, "../outside.pdf")

    found = loaded.verify(archive)

    assert found.missing == ("../outside.pdf",)
    name = of("in_9", archive).relative_to(archive).as_posix()
    loaded.warehouse.query(change, name)


def test_a_manifest_matches_the_invoices_to_the_cent(loaded: Loaded, archive: Path) -> None:
    file = archive / "manifest.csv"
    first = write_manifest(loaded.pipeline, file)
    modes = [stat.S_IMODE(file.stat().st_mode)]
    file.write_text("an older one")
    file.chmod(0o640)

    count = write_manifest(loaded.pipeline, file)
    modes.append(stat.S_IMODE(file.stat().st_mode))

    with file.open(newline="", encoding="utf-8") as written:
        lines = list(csv.DictReader(written))
    assert len(lines) == count
    documents = {line["file"]: line["sha256"] for line in lines if line["document"] == "current"}
    assert documents.keys() == {path.relative_to(archive).as_posix() for path in pdfs(archive)}
    total = sum(row["amount_due"] for row in loaded.warehouse.rows() if row["status"] != "draft")
    assert sum(Decimal(line["amount"] or 0) for line in lines) == total / 100
    assert first == count
    assert modes == [0o600, 0o640]  # a mode given later is kept
    assert loaded.verify(archive).is_verified


def test_the_simulators_pdfs_open_in_a_reader(loaded: Loaded, archive: Path) -> None:
    reader = shutil.which("pdftotext")
    if not reader:
        missing = "poppler is not installed (Debian: apt-get install poppler-utils)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    arguments = [str(reader), str(of("in_7", archive)), "-"]
    read = subprocess.run(arguments, capture_output=True, text=True, check=True)

    assert "in_7" in read.stdout.split()
    assert read.stderr == ""
