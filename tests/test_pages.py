"""The pages: their code runs as pasted, their tables are the code's, their links lead somewhere."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import click
import dlt
import pytest

from cf_invoice_source import load as load_into
from cf_invoice_source import settings
from cf_invoice_source.cli.main import cli
from cf_invoice_source.cloudflare.rate_limit import LONGEST_WAIT_S
from cf_invoice_source.exact_json import MAX_VALUES
from cf_invoice_source.invoices.record import MAX_DEPTH, MAX_FIELDS
from cf_invoice_source.invoices.tables import DICTIONARY
from cf_invoice_source.simulator import Account, Simulator
from tests.conftest import Warehouse, run_warm
from tests.support.exact import Query
from tests.support.make import make_invoices
from tests.support.pages import PAGES, ROOT, Block, Shell, blocks, read_page, without_moments
from tests.support.postgres import Database

REFERENCE = "cf_invoice_source/README.md"


# What a page looks like


def test_the_first_page_is_short() -> None:
    assert len(read_page("README.md").splitlines()) <= 250


def test_every_page_is_looked_at() -> None:
    pages = {str(path.relative_to(ROOT)) for path in ROOT.glob("*.md")}
    for folder in (".github", "cf_invoice_source", "pipelines", "tests"):
        pages |= {str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob("*.md")}

    assert pages - {"pipelines/dbt/models/docs.md", "tests/benchmarks/results/results.md"} == set(PAGES)


def _links() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        text = re.sub(r"^ *```.*?^ *```$", "", read_page(page), flags=re.MULTILINE | re.DOTALL)
        yield from ((page, found) for found in re.findall(r"\]\(([^)\s]+)\)", text))


@pytest.mark.parametrize(("page", "link"), [each for each in _links() if not each[1].startswith("https://")])
def test_a_link_leads_to_a_file_and_a_heading_that_are_there(page: str, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = ((ROOT / page).parent / path).resolve() if path else ROOT / page

    assert target.exists()

    if anchor:
        headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), flags=re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}
        assert anchor in anchors


# Tables that are those of the code


def _written(page: str, head: str, rows: list[str]) -> str:
    """Put these rows below the head of a table, in place of what is there, and give the page."""
    before, begun, after = read_page(page).partition(f"{head}\n")
    assert begun, f"{page} has no table {head}"
    table = re.match(r"(\|.*\n)*", after)
    assert table
    return "\n".join([f"{before}{head}", "|---|---|---|", *rows, after[table.end() :]])


@pytest.mark.parametrize("table", DICTIONARY)
def test_the_columns_on_the_page_are_those_of_the_tables(table: str) -> None:
    """To write them anew: WRITE_PAGES=1."""
    head = f"| column of `{table}` | type | meaning |"
    shown = {"decimal": "decimal(38, 9)", "bool": "boolean"}
    columns = {
        name: column
        for name, column in DICTIONARY[table].columns.items()
        if table != "invoice_changes" or name not in DICTIONARY["invoices"].columns
    }
    rows = [
        f"| `{name}` | {shown.get(column.type, column.type)} | {column.description} |"
        for name, column in columns.items()
    ]
    page = _written(REFERENCE, head, rows)
    if os.environ.get("WRITE_PAGES"):
        (ROOT / REFERENCE).write_text(page, encoding="utf-8")

    assert page == read_page(REFERENCE)
    assert all(f"`{name}`" in read_page(REFERENCE) for name in DICTIONARY[table].key)


@pytest.mark.parametrize(
    ("command", "page", "begin"),
    [
        ("load", "README.md", "| option of `load` |"),
        ("check", REFERENCE, "| option of `check` |"),
        ("status", REFERENCE, "| option of `status` |"),
        ("report", REFERENCE, "| option of `report` |"),
        ("documents", REFERENCE, "| option of `documents` |"),
    ],
)
def test_the_options_on_the_page_are_those_of_the_command(command: str, page: str, begin: str) -> None:
    _, _, table = read_page(page).partition(begin)
    rows = table.partition("\n\n")[0].splitlines()[2:]
    told = {name for row in rows for name in re.findall(r"`(--[a-z-]+)", row.split(" | ")[0])}

    options = [each for each in cli.commands[command].params if isinstance(each, click.Option)]

    assert told == {name for each in options for name in each.opts if name.startswith("--")}


def test_the_bounds_on_the_page_are_those_of_the_code() -> None:
    _, _, table = read_page(REFERENCE).partition("| what | bound |\n|---|---|\n")
    told = [row.split(" | ")[1].removesuffix(" |") for row in table.partition("\n\n")[0].splitlines()]

    assert told == [
        f"{settings.LONGEST_ATTEMPT_S:,.0f} seconds",
        f"{settings.LONGEST_STANDSTILL_S:,.0f} seconds",
        f"{LONGEST_WAIT_S:,.0f} seconds",
        f"{settings.LARGEST_ANSWER_BYTES / 2**20:.0f} MiB",
        f"{MAX_VALUES:,}",
        f"{settings.MAX_PAGE_RECORDS:,}; {MAX_FIELDS:,}; {MAX_DEPTH}",
        f"{settings.MAX_PAGES:,}",
        f"{settings.MAX_ACCOUNTS:,}; {settings.MAX_ACCOUNT_PAGES:,}",
        f"{settings.MAX_COLUMNS}; {settings.MAX_TABLES}",
        f"{settings.LARGEST_DOCUMENT_BYTES / 2**20:.0f} MiB; {settings.MAX_REDIRECTS}",
        f"{settings.DOCUMENTS_AT_ONCE}; {settings.MOST_UNANSWERED}",
    ]


# Code


def test_every_block_is_of_a_kind_that_is_run_here_or_only_read() -> None:
    told = {block.language for page in PAGES for block in _all_blocks(page)}

    assert told == {"sh", "sql", "python", "toml", "yaml", "json", "text"}


def _all_blocks(page: str) -> Iterator[Block]:
    for language in set(re.findall(r"^ *```(\w+)$", read_page(page), flags=re.MULTILINE)):
        yield from blocks(language, page)


@pytest.fixture
def told(simulator: Simulator, account: Account) -> Callable[[str], str]:
    """Fills in what a reader has to: three dots are a value of his own."""

    def fill_in(text: str) -> str:
        text = re.sub(r"(CLOUDFLARE_API_TOKEN=)\.\.\.", rf"\g<1>{simulator.token}", text)
        return re.sub(r"(CLOUDFLARE_ACCOUNT_ID=)\.\.\.", rf"\g<1>{account.id}", text)

    return fill_in


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A directory that has the name of a clone."""
    path = tmp_path / "cf_invoice_source"
    path.mkdir()
    return path


def lines(text: str) -> set[str]:
    """The lines of a text, without what differs from run to run."""
    return {line.rstrip() for line in without_moments(text).splitlines()}


@pytest.mark.slow
def test_the_shell_of_the_first_page_does_what_it_shows(
    clone: Path, account: Account, told: Callable[[str], str]
) -> None:
    account.records += make_invoices(3)
    shell = Shell(clone)
    demo, *others, tests = blocks("sh", "README.md")
    [second] = [block.text for block in blocks("text", "README.md") if block.text.startswith("780241c2")]
    assert "pytest" in tests.text  # which the gate runs
    env = {**os.environ, "COLUMNS": "120"}
    exports = ""

    assert lines(demo.shown) - lines(shell.run(demo.text, env)) == set()
    assert lines(second) - lines(shell.run(demo.text, env)) == set()
    for block in others:
        said = shell.run(exports + told(block.text), env)
        if block.text.startswith("export"):
            exports += told(block.text)

        assert lines(block.shown) - lines(said) == set(), said


@pytest.mark.slow
def test_the_night_of_the_first_page_loads_two_accounts_into_postgres(
    clone: Path, simulator: Simulator, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (simulator.world.add_account(name, invoices=2) for name in ("First", "Second"))
    simulator.world.add_account("Third", invoices=2)
    for name in ("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_ACCOUNT_ID", "DESTINATION__POSTGRES__CREDENTIALS"):
        monkeypatch.delenv(name)
    [secrets] = blocks("toml", "README.md")
    filled_in = {"FIRST": first.id, "SECOND": second.id, '"TOKEN"': f'"{simulator.token}"'}
    text = re.sub(r"postgresql://[^\"]+", database.dsn, secrets.text)
    for words, value in filled_in.items():
        text = text.replace(words, value)
    (clone / ".dlt").mkdir()
    (clone / ".dlt" / "secrets.toml").write_text(text)
    shell = Shell(clone)

    said = shell.run(
        secrets.shown.removeprefix("0 4 * * *  ")
        .replace("/srv/invoices", str(clone))
        .replace(".venv/bin/", f"{shell.programs}/"),
        os.environ,
    )

    assert said == ""
    assert database.query("SELECT count(*), count(DISTINCT account_id) FROM cf_invoices.invoices") == [(4, 2)]


@pytest.mark.slow
def test_the_shell_of_the_reference_runs(clone: Path, account: Account, simulator: Simulator) -> None:
    account.records += make_invoices(3)
    shell = Shell(clone)
    shell.run("cf-invoices load", os.environ)

    for block in blocks("sh", REFERENCE):
        assert "invoices" in shell.run(block.text, os.environ)


@pytest.mark.slow
def test_the_shell_of_the_destinations_runs(
    clone: Path, account: Account, database: Database, told: Callable[[str], str]
) -> None:
    account.records += make_invoices(3)
    shell = Shell(clone)

    for number, block in enumerate(blocks("sh", "cf_invoice_source/warehouse/README.md")):
        env = {
            **os.environ,
            "DLT_DATA_DIR": str(clone / f"pipelines of {number}"),
        }  # each is a user of its own
        text = re.sub(r"postgresql://\S+", database.dsn, block.text)
        text = text.replace("s3://finance/invoices", str(clone / "files"))  # a server of S3 is not here
        assert "verified" in shell.run(told(text), env)

    assert database.query("SELECT count(*) FROM cf_invoices.invoices") == [(3,)]


def _section(heading: str) -> str:
    return "".join(block.text for block in blocks("sh", "pipelines/README.md") if block.heading == heading)


@pytest.fixture
def beside(tmp_path: Path, account: Account) -> Path:
    """An empty directory beside a clone of this repository."""
    account.records += make_invoices(3)
    (tmp_path / "cf_invoice_source").symlink_to(ROOT)
    path = tmp_path / "here"
    path.mkdir()
    return path


@pytest.mark.slow
def test_the_shell_of_airflow_runs(beside: Path, told: Callable[[str], str]) -> None:
    python = os.environ.get("AIRFLOW_PYTHON")
    if python is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("AIRFLOW_PYTHON is not set")
    text = told(_section("Pipelines") + _section("Airflow 3"))

    Shell(beside, python).run(text, os.environ)

    assert len(Warehouse(beside / "cloudflare_invoices.duckdb").ids()) == 3


@pytest.mark.slow
def test_the_shell_of_dagster_starts_its_page(beside: Path, told: Callable[[str], str]) -> None:
    pytest.importorskip("dagster")
    pytest.importorskip("dagster_webserver")
    text = told(_section("Pipelines") + _section("Dagster"))

    with Shell(beside).start(text, os.environ) as process:
        ends_at = monotonic() + 60
        try:
            while not _is_served("http://127.0.0.1:3000/server_info"):
                assert process.poll() is None
                assert monotonic() < ends_at
                sleep(0.2)  # it needs the processor
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def _is_served(url: str) -> bool:
    try:
        with urlopen(url, timeout=1) as answer:  # noqa: S310 - on this machine
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


@pytest.mark.slow
def test_the_shell_of_cron_runs(
    beside: Path, account: Account, database: Database, told: Callable[[str], str]
) -> None:
    text = told(_section("Pipelines") + _section("cron and Kubernetes"))

    said = Shell(beside).run(re.sub(r"postgresql://\S+", database.dsn, text), os.environ)

    assert ", 3 new, 0 updated, 0 deleted: postgresql://" in said


@pytest.mark.slow
@pytest.mark.parametrize("block", blocks("sh", "tests/README.md"), ids=str)
def test_the_tests_that_a_page_names_are_there(block: Block, tmp_path: Path) -> None:
    shell = Shell(tmp_path / "programs")
    shell.directory = ROOT
    text = block.text.replace(".venv/bin/", f"{shell.programs}/")

    one = "tests/support/test_mutants.py"  # where a line means all tests, one file of both tiers will do
    said = shell.run(
        text, {**os.environ, "PYTEST_ADDOPTS": f"--collect-only -q -n 0 -p no:cacheprovider {one}"}
    )

    assert "tests/" in said


@pytest.mark.slow
def test_the_shell_for_contributors_runs(clone: Path) -> None:
    [block] = blocks("sh", ".github/CONTRIBUTING.md")

    Shell(clone).run(block.text, os.environ)


@pytest.mark.slow
def test_the_shell_of_the_benchmarks_measures(clone: Path) -> None:
    pytest.importorskip("orjson")
    for name in ("__init__.py", "benchmarks", "support"):
        (clone / "tests").mkdir(exist_ok=True)
        (clone / "tests" / name).symlink_to(ROOT / "tests" / name)
    text = "".join(block.text for block in blocks("sh", "tests/benchmarks/README.md"))

    said = Shell(clone).run(
        f"{text.rstrip()} --into results --sizes 100 --rounds 1 --only ours --until first", os.environ
    )

    assert "cf-invoices" in said


@pytest.mark.slow
@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_runs_as_pasted(block: Block, account: Account, simulator: Simulator) -> None:
    simulator.serve_pdfs()
    account.records += make_invoices(3)
    run_warm("-m", "cf_invoice_source", "load")

    ended = run_warm("-c", block.text)

    assert ended.exit_code == 0, ended.output


# SQL


@dataclass(frozen=True)
class Store:
    """A destination, by dlt's name of it, and how to ask it."""

    destination: str
    query: Query

    def load(self, **settings: Any) -> None:
        pipeline = dlt.pipeline(
            "cloudflare_invoices", destination=self.destination, dataset_name="cf_invoices"
        )
        assert load_into(pipeline, **settings).is_verified


@pytest.fixture(params=["duckdb", "postgres"])
def store(request: pytest.FixtureRequest, dlt_here: None, simulator: Simulator) -> Store:
    fixture = "warehouse" if request.param == "duckdb" else "database"
    return Store(request.param, request.getfixturevalue(fixture).query)


def queries() -> list[str]:
    """The blocks of SQL; plain files and dbt have tests of their own."""
    found = (block for block in blocks("sql") if block.page != "pipelines/dbt/README.md")
    return [block.text for block in found if "FROM read_" not in block.text]


def query_with(words: str) -> str:
    """The one block of SQL that has these words."""
    [found] = [query for query in queries() if words in query]
    return found


@pytest.fixture
def listed(account: Account) -> Account:
    account.records += make_invoices(4)
    for number in (1, 2):
        account.find(f"in_{number}").update(status="open", amount_paid=0, amount_remaining=2178)
    account.find("in_3")["status"] = "draft"
    return account


def answers(store: Store) -> Mapping[str, list[tuple[Any, ...]]]:
    """What every query answers, by its text on the page."""
    return {query: store.query(query.rstrip().rstrip(";")) for query in queries()}


@pytest.mark.quick("duckdb")
def test_every_query_answers_what_the_page_says(store: Store, listed: Account) -> None:
    store.load()
    listed.pay("in_1")
    for record in listed.records:  # which changes every invoice, and pays none
        record["new_field"] = 1
    store.load()

    found = answers(store)

    def answer(words: str) -> list[tuple[Any, ...]]:
        return found[query_with(words)]

    [(seen,)] = store.query("SELECT max(started_at) FROM cf_invoices.invoice_syncs")
    [(account_id, paid, paid_at)] = answer("AS seen_paid_at")
    assert (account_id, paid) == (listed.id, "in_1")
    assert paid_at >= seen

    [sync] = answer("verified, unverified_reason\nFROM (")
    assert (sync[0], sync[2], sync[5:]) == (listed.id, "full", (0, 4, 0, 0, True, ""))

    assert [(row[1], row[3], str(row[4])[:5]) for row in answer("END AS remaining")] == [
        ("in_2", "USD", "21.78")
    ]
    assert [row[0] for row in answer("WHERE version > 1")] == [
        f"in_{number}" for number in (1, 1, 2, 2, 3, 3, 4, 4)
    ]
    assert answer("resolved_at IS NULL") == []
    assert answer("INTERVAL '1 month'") == []


@pytest.mark.slow
def test_last_month_is_the_calendars(store: Store, listed: Account) -> None:
    store.load()
    this_month = datetime.now(timezone.utc).replace(day=1, hour=12, minute=0, second=0, microsecond=0)
    last_month = this_month - timedelta(days=2)
    moment = "TIMESTAMPTZ '{:%Y-%m-%d %H:%M:%S}+00'"
    store.query(
        "UPDATE cf_invoices.invoice_changes SET observed_at = "  # noqa: S608 - moments of ours
        f"CASE id WHEN 'in_1' THEN {moment.format(last_month)} ELSE {moment.format(this_month)} END "
        "RETURNING 1"
    )

    [row] = store.query(query_with("INTERVAL '1 month'").rstrip().rstrip(";"))

    assert row[2] == "in_1"
