"""`cf-invoices documents`: exit codes, screens, JSON, settings, and what it leaves alone."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event
from typing import Any

import dlt
import pytest

from cf_invoice_source import archive_documents, load, read_status
from cf_invoice_source.simulator import Account, Answer, Request, Simulator, World
from cf_invoice_source.simulator.faults import Answering, status
from tests.conftest import Command, Warehouse, tree
from tests.support.exact import assert_exact
from tests.support.make import make_invoice, make_invoices


@pytest.fixture
def listed(simulator: Simulator, account: Account) -> Account:
    simulator.serve_pdfs()
    account.records += make_invoices(3)
    account.find("in_2").update(status="open", amount_paid=0, amount_remaining=2178)
    return account


def documents(warehouse: Warehouse) -> list[tuple[str, str, str]]:
    rows = warehouse.rows("invoice_documents")
    return [(row["id"], row["status"], row["path"]) for row in rows]


def test_a_changed_invoice_gets_a_second_document_and_the_first_one_stays(
    command: Command, listed: Account, warehouse: Warehouse, place: Path
) -> None:
    command("load")
    before = command("status", "--json")
    first = command("documents", "--to", "archive", "--manifest", "archive/manifest.csv")
    kept = tree(place / "archive")
    state = warehouse.rows("_dlt_pipeline_state"), warehouse.query("FROM cf_invoices.invoice_syncs")
    listed.pay("in_2")
    again = command("load")
    lacking, page = command("status"), command("report")
    told = [(place / "invoices.html").read_text()]
    second = command("documents", "--to", "archive", "--manifest", "archive/manifest.csv")
    proof = command("documents", "--to", "archive", "--verify")
    after = json.loads(command("status", "--json").stdout)
    command("report")
    told.append((place / "invoices.html").read_text())

    where = place / "archive"
    assert first.stdout == (
        f"3 documents archived in {where}, with 1 request to Cloudflare.\n"
        "The manifest is in archive/manifest.csv.\n"
    )
    assert second.stdout.startswith("1 document archived in ")
    assert (first.exit_code, again.exit_code, second.exit_code, proof.exit_code) == (0, 0, 0, 0)
    assert first.stderr == second.stderr == proof.stderr == ""
    assert proof.stdout == f"4 of 4 documents intact in {where}.\n"
    assert json.loads(before.stdout)["accounts"][0]["undocumented"] is None
    assert "1 final invoice has no archived document: cf-invoices documents fetches them.\n" in lacking.stdout
    assert after["accounts"][0]["undocumented"] == 0
    assert page.exit_code == 0
    assert "1 paid or void invoice without an archived document." in told[0]
    assert "The document of each paid or void invoice is archived." in told[1]
    assert sorted(each[:2] for each in documents(warehouse)) == [
        ("in_1", "paid"),
        ("in_2", "open"),
        ("in_2", "paid"),
        ("in_3", "paid"),
    ]
    files = tree(where)
    assert {path: files[path] for path in kept if path.endswith(".pdf")} == {
        path: content for path, content in kept.items() if path.endswith(".pdf")
    }
    with (where / "manifest.csv").open(newline="") as written:
        lines = [(line["id"], line["document"]) for line in csv.DictReader(written)]
    assert lines == [("in_3", "current"), ("in_2", "current"), ("in_1", "current"), ("in_2", "earlier")]
    assert len(state[0]) == 1  # what pipelines remember is a load's alone
    assert len(warehouse.rows("_dlt_pipeline_state")) == 2


@pytest.mark.slow
def test_one_json_document_says_what_was_done(
    command: Command, listed: Account, simulator: Simulator, warehouse: Warehouse, place: Path
) -> None:
    command("load")
    simulator.faults.append(status(404).only(path="in_2/pdf"))

    ended = command("documents", "--to", "archive", "--json")

    assert ended.exit_code == 3
    assert json.loads(ended.stdout) == {
        "complete": False,
        "pipeline": "cloudflare_invoices",
        "dataset": "cf_invoices",
        "destination": str(warehouse.path),
        "archive": str(place / "archive"),
        "accounts": [
            {
                "account_id": listed.id,
                "wanted": 3,
                "archived": 2,
                "requests": 2,
                "failures": [{"id": "in_2", "reason": "its host answered with status 404"}],
                "error": "",
                "problem": "1 of 3 documents could not be had",
                "remedy": "run cf-invoices documents again: it tries only what is missing",
            }
        ],
        "absent": 0,
        "stopped": "",
        "error": None,
    }
    assert ended.stderr == (
        f"Account {listed.id}: 1 of 3 documents could not be had\n"
        "Reason: in_2: its host answered with status 404\n"
        "What to do: run cf-invoices documents again: it tries only what is missing\n"
    )


@pytest.mark.slow
def test_one_json_document_says_what_is_wrong_with_an_archive(
    command: Command, listed: Account, place: Path
) -> None:
    command("load")
    command("documents", "--to", "archive", "--quiet")
    [path] = (place / "archive").rglob("*_in_2_*.pdf")
    path.write_bytes(b"")

    ended = command("documents", "--to", "archive", "--verify", "--json")

    found = json.loads(ended.stdout)
    assert ended.exit_code == 3
    assert (found["verified"], found["documents"], found["intact"]) == (False, 3, 2)
    assert found["changed"] == [path.relative_to(place / "archive").as_posix()]
    assert (found["missing"], found["unknown"], found["error"]) == ([], [], None)
    assert ended.stderr.startswith("1 file changed: ")


def test_before_a_load_there_is_nothing_to_archive_and_nothing_is_made(
    command: Command, listed: Account, place: Path, tmp_path: Path
) -> None:
    ended = command("documents", "--to", "archive")

    assert ended.exit_code == 3
    assert ended.stderr.startswith("No invoices are loaded yet")
    assert "run cf-invoices load" in ended.stderr
    assert tree(place) == {}
    assert command("documents", "--to", "archive", "--verify").exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [(), ("--to", ""), ("--to", "x", "--manifest", ""), ("--to", "x", "--demo", "--account", "a" * 32)],
)
def test_bad_usage(command: Command, arguments: tuple[str, ...], place: Path) -> None:
    from click.testing import CliRunner

    from cf_invoice_source.cli.main import cli

    assert CliRunner().invoke(cli, ["documents", *arguments]).exit_code == 2
    assert tree(place) == {}


@pytest.mark.slow
def test_accounts_go_on_when_one_is_refused(
    command: Command, listed: Account, simulator: Simulator, world: World, warehouse: Warehouse
) -> None:
    other = world.add_account("Other")
    other.records += make_invoices(2)
    accounts = {"CLOUDFLARE_ACCOUNT_ID": f"{other.id},{listed.id}"}
    command("load", env=accounts)
    simulator.denied.add(other.id)

    ended = command("documents", "--to", "archive", env=accounts)
    alone = command("documents", "--to", "elsewhere", "--account", other.id)
    stranger = command("documents", "--to", "elsewhere", "--account", "f" * 32)

    assert ended.exit_code == 1
    assert f"Account {other.id}: failed: Cloudflare refused the request" in ended.stderr
    assert len(documents(warehouse)) == 3
    assert alone.exit_code == 1
    assert alone.stderr.startswith("Error: Cloudflare refused the request")
    assert stranger.exit_code == 3
    assert "No invoices are loaded yet of the accounts asked for." in stranger.stderr


@pytest.mark.slow
def test_hosts_are_a_setting(
    command: Command, listed: Account, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("load")
    simulator.pdf_origin = "https://documents.example"

    refused = command("documents", "--to", "archive")
    monkeypatch.setenv("SOURCES__CF_INVOICE_SOURCE__DOCUMENT_HOSTS", "https://x")
    wrong = command("documents", "--to", "archive")
    monkeypatch.setenv("SOURCES__CF_INVOICE_SOURCE__DOCUMENT_HOSTS", "stripe.com, documents.example")
    monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", "1")
    allowed = command("documents", "--to", "archive")

    assert "a host that is not on the list: documents.example" in refused.stderr
    assert "document_hosts makes no sense" in wrong.stderr
    assert wrong.exit_code == 1
    assert "its host did not answer" in allowed.stderr


@pytest.mark.slow
def test_another_archive_is_filled_by_itself(command: Command, listed: Account, place: Path) -> None:
    command("load")
    command("documents", "--to", "one")
    command("documents", "--to", "two")

    assert tree(place / "one") == tree(place / "two")
    assert command("documents", "--to", "two", "--verify").exit_code == 0


@pytest.mark.slow
def test_the_settings_of_the_pipeline_that_loads_are_those_of_its_documents(
    command: Command, listed: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "of_this_pipeline.duckdb"
    monkeypatch.setenv("CLOUDFLARE_INVOICES__DESTINATION__DUCKDB__CREDENTIALS", str(file))
    command("load")

    assert command("documents", "--to", "archive").exit_code == 0
    assert len(documents(Warehouse(file))) == 3


@pytest.mark.slow
def test_the_type_is_that_of_the_load(
    command: Command, listed: Account, warehouse: Warehouse, simulator: Simulator
) -> None:
    listed.find("in_1")["invoice_origin"] = "manual_topup"
    command("load", "--type", "manual")
    simulator.requests.clear()

    assert command("documents", "--to", "archive").exit_code == 0
    assert [each[0] for each in documents(warehouse)] == ["in_1"]
    assert simulator.requests[0].query["type"] == "manual"


@pytest.mark.slow
def test_what_the_links_say_is_asked_for_if_the_column_is_empty(
    command: Command, listed: Account, warehouse: Warehouse
) -> None:
    """As if links were left out of the tables."""
    command("load")
    warehouse.query("UPDATE cf_invoices.invoices SET invoice_pdf = NULL")

    assert command("documents", "--to", "archive").exit_code == 0
    assert len(documents(warehouse)) == 3


@pytest.mark.slow
def test_an_invoice_that_has_changed_since_the_load_is_archived_as_it_is(
    command: Command, listed: Account, warehouse: Warehouse
) -> None:
    command("load")
    listed.pay("in_2")
    command("documents", "--to", "archive")
    command("load")

    again = command("documents", "--to", "archive")

    assert again.stdout.startswith("Nothing to do")
    assert {each[:2] for each in documents(warehouse)} == {
        ("in_1", "paid"),
        ("in_2", "paid"),
        ("in_3", "paid"),
    }


@pytest.mark.slow
def test_a_load_goes_on_beside_it_and_knows_nothing_of_it(
    dlt_here: None, listed: Account, simulator: Simulator, warehouse: Warehouse, place: Path
) -> None:
    pipeline = dlt.pipeline("cloudflare_invoices", destination="duckdb", dataset_name="cf_invoices")
    load(pipeline)
    loads: list[Any] = []

    def load_meanwhile(request: Request) -> None:
        if request.path.endswith("/pdf") and not loads:
            loads.append(None)
            listed.pay("in_2")
            ended = subprocess.run(
                [sys.executable, "-m", "cf_invoice_source", "load", "--wait", "0"],
                env=os.environ,
                check=False,
            )
            loads[0] = ended.returncode

    simulator.before_sending = load_meanwhile
    report = archive_documents(pipeline, str(place / "archive"))
    simulator.before_sending = None

    assert loads == [0]
    assert report.is_verified
    assert dlt.pipeline().pipeline_name == pipeline.pipeline_name
    staging = (
        "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'cf_invoices_staging%'"
    )
    assert len(warehouse.query(staging)) == 2
    again = load(pipeline)
    assert again.is_verified
    assert [account.requests for account in again.accounts] == [1]
    assert read_status(pipeline).is_verified
    assert_exact(warehouse.query, listed)


@pytest.mark.slow
@pytest.mark.usefixtures("signals_arrive")
def test_ctrl_c_ends_it_at_once_and_the_next_run_goes_on(
    command: Command, listed: Account, simulator: Simulator, warehouse: Warehouse
) -> None:
    command("load")
    asked, leave = Event(), Event()

    def hang(request: Request, answering: Answering) -> Answer | None:
        asked.set()
        leave.wait(60)
        return None

    from cf_invoice_source.simulator import Fault

    simulator.faults.append(Fault(hang, path="in_1/pdf"))
    arguments = [sys.executable, "-m", "cf_invoice_source", "documents", "--to", "archive"]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert asked.wait(30)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    leave.set()
    simulator.faults.clear()

    assert (process.returncode, stdout, stderr) == (130, "", "Interrupted.\n")
    assert command("documents", "--to", "archive").exit_code == 0
    assert len(documents(warehouse)) == 3


@pytest.fixture
def demo(command: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    for name in ("CLOUDFLARE_BASE_URL", "CLOUDFLARE_API_TOKEN", "CLOUDFLARE_ACCOUNT_ID"):
        monkeypatch.delenv(name, raising=False)
    return command


@pytest.mark.slow
def test_the_demo_needs_nothing_but_a_loaded_demo(demo: Command, place: Path) -> None:
    demo("load", "--demo")
    demo("load", "--demo")

    ended = demo("documents", "--demo", "--to", "invoices", "--manifest", "invoices/manifest.csv")
    again = demo("documents", "--demo", "--to", "invoices", "--verify")

    assert (ended.exit_code, again.exit_code) == (0, 0)
    assert "Made-up data" in ended.stderr
    with (place / "invoices" / "manifest.csv").open(newline="") as written:
        lines = list(csv.DictReader(written))
    assert {line["document"] for line in lines} == {"current"}
    assert len(lines) == len(list((place / "invoices").rglob("*.pdf")))


@pytest.mark.slow
def test_an_archive_that_cannot_be_written_is_one_error(
    command: Command, listed: Account, place: Path
) -> None:
    command("load")
    (place / "file").write_text("")

    ended = command("documents", "--to", "file/archive")
    unknown = command("documents", "--to", "nosuch://bucket")

    assert ended.exit_code == unknown.exit_code == 1
    assert ended.stderr.startswith(f"Error: The archive {place}/file/archive cannot be used")
    assert "What to do" in unknown.stderr
    assert "Traceback" not in ended.output + unknown.output


@pytest.mark.slow
def test_a_record_without_a_time_or_an_id_has_its_document(
    command: Command, listed: Account, warehouse: Warehouse
) -> None:
    listed.records.insert(0, make_invoice(id=None, created=None))
    listed.records.insert(1, make_invoice(id="=../../in", created=None))
    command("load")

    assert command("documents", "--to", "archive").exit_code == 0
    assert all(path.startswith(f"{listed.id}/") for _, _, path in documents(warehouse))
    assert command("documents", "--to", "archive", "--verify").exit_code == 0
