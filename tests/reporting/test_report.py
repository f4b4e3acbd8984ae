"""`cf-invoices report`: value for value what the simulator's lists say, on several days; and its page."""

from __future__ import annotations

import json
import os
import re
import sys
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from shutil import copyfile
from typing import Any, cast

import dlt
import pytest
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient

from cf_invoice_source import SettingsError, TryLaterError, load, report
from cf_invoice_source.loading.report import problems_of
from cf_invoice_source.reporting.accounts import accounts_then, sorted_by_need
from cf_invoice_source.reporting.book import Book
from cf_invoice_source.reporting.figures import Figures
from cf_invoice_source.reporting.page import html_of
from cf_invoice_source.reporting.reading import read_at_rest
from cf_invoice_source.reporting.rows import ReportQueries
from cf_invoice_source.simulator import Account, Simulator
from tests.conftest import Command, Load, Warehouse, run_python, tree
from tests.reporting import make
from tests.reporting.story import AGO, LINK, ages, failed, owed, rows_of, story, unpaid
from tests.support import answers
from tests.support.answers import History, Look, Row
from tests.support.days import Days
from tests.support.full_disk import FULL_DISK
from tests.support.make import make_invoices

Document = dict[str, Any]


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Days]:
    with story(tmp_path_factory.mktemp("report")) as days:
        yield days


@pytest.fixture
def told(days: Days, command: Command, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Document]:
    """What the command tells as JSON."""
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(days.file))

    def tell(*arguments: str) -> Document:
        document: Document = json.loads(command(*(arguments or ("report",)), "--json").stdout)
        return document

    return tell


def today() -> date:
    return datetime.now(timezone.utc).date()


def history_until(days: Days, day: int) -> History:
    """What the loads saw until a day, but for the record that is none."""
    now = datetime.now(timezone.utc)
    looks = [
        Look(
            days.accounts[case].id,
            now - timedelta(days=AGO[number]),
            [record for record in records if isinstance(record, dict)],
        )
        for number, listed in enumerate(days.listed[: day + 1])
        for case, records in listed.items()
    ]
    return answers.history_of(looks)


MOMENTS = {"now": None, **{f"as of day {day}": day for day in range(len(AGO))}}


@pytest.fixture(params=list(MOMENTS.values()), ids=list(MOMENTS))
def moment(
    request: pytest.FixtureRequest, days: Days, told: Callable[..., Document]
) -> tuple[Document, History, date]:
    """What is told at a moment, what was known then, and the day."""
    if request.param is None:
        return told(), history_until(days, len(AGO)), today()
    day = today() - timedelta(days=max(AGO[request.param] - 5, 0))
    return told("report", "--as-of", day.isoformat()), history_until(days, request.param), day


def purchases(rows: Iterable[Row]) -> dict[tuple[str, str, str], Fraction]:
    """What was bought by currency, month and origin, in the unit in which the report tells it."""
    found: dict[tuple[str, str, str], Fraction] = {}
    for row in answers.purchases_monthly(rows):
        month = f"{row['created_month']:%Y-%m}" if row["created_month"] else "without a date"
        amount = row["amount_due_minor"] if row["amount_due"] is None else row["amount_due"]
        key = (row["currency"], month, row["invoice_origin"] or "")
        found[key] = found.get(key, Fraction(0)) + Fraction(amount)
    return found


def test_what_was_bought_is_that_of_the_lists_by_currency_month_and_origin(
    moment: tuple[Document, History, date],
) -> None:
    document, known, day = moment
    bought = purchases(rows_of(known))
    by_origin = {name: 0 for _, _, name in bought}
    first = document["currencies"][0]["months"]
    shown = [row["label"] for row in first if row["label"][:1].isdigit()]

    assert shown[-1] == f"{day:%Y-%m}"
    assert len(shown) == 13
    assert set(document["origins"][:-1]) < by_origin.keys()
    assert document["origins"][-1] is None

    found = {
        (sums["currency"].upper(), row["label"], origin): Fraction(amount)
        for sums in document["currencies"]
        for row in sums["months"]
        for origin, amount in zip(document["origins"], row["by_origin"], strict=True)
        if Fraction(amount)
    }
    expected: dict[tuple[str, str, str | None], Fraction] = {}
    for (currency, month, name), amount in bought.items():
        label = "earlier" if month[:1].isdigit() and month < shown[0] else month
        key = (currency, label, name if name in document["origins"] else None)
        expected[key] = expected.get(key, Fraction(0)) + amount
    assert found == expected

    for sums in document["currencies"]:
        of_months = {
            label: sum(
                each
                for (code, month, _), each in bought.items()
                if (code, month) == (sums["currency"].upper(), label)
            )
            for label in shown
        }
        assert Fraction(sums["this_month"]) == of_months[shown[-1]]
        assert Fraction(sums["last_month"]) == of_months[shown[-2]]
        assert Fraction(sums["last_12_months"]) == sum(of_months[label] for label in shown[1:])


def test_what_is_open_or_uncollectible_is_that_of_the_lists(
    moment: tuple[Document, History, date],
) -> None:
    document, known, day = moment
    rows = rows_of(known)
    sums = {each["currency"].upper(): each for each in document["currencies"]}

    for status in ("open", "uncollectible"):
        expected = unpaid(rows, status)
        found = {
            code: (each[f"{status}_invoices"], Fraction(each[status]))
            for code, each in sums.items()
            if each[f"{status}_invoices"]
        }
        assert found == expected
    assert {(each["account_id"], each["id"]) for each in document["open"]} == {
        (row["account_id"], row["id"]) for row in rows if row["status"] == "open"
    }
    assert {each["label"]: each["invoices"] for each in document["ages"]} == ages(rows, day)
    assert {(each["account_id"], each["id"]) for each in document["failed"]} == failed(known)
    assert document["invoices"] == len(rows)


def test_unknown_currencies_are_in_minor_units_and_say_so(told: Callable[..., Document]) -> None:
    marked = {each["currency"]: each["is_minor"] for each in told()["currencies"]}

    assert marked == {"USD": False, "EUR": False, "JPY": False, "KWD": False, "doge": True}


def test_a_failed_payment_was_seen_since_the_first_of_its_versions(
    days: Days, told: Callable[..., Document]
) -> None:
    since = {each["id"]: each["failing_since"] for each in told()["failed"]}
    ago = {id_: (today() - datetime.fromisoformat(at).date()).days for id_, at in since.items()}

    assert ago == {"in_failing": 60, "in_written_off": 60, "in_failed_later": 20}


def test_what_changed_in_30_days_is_told_and_what_the_first_load_saw_is_not(
    days: Days, told: Callable[..., Document]
) -> None:
    now = told()["changes"]
    then = told("report", "--as-of", (today() - timedelta(days=55)).isoformat())["changes"]

    assert now["counts"] == {"first_load": 0, "new": 2, "updated": 3, "deleted": 1}
    assert [
        (each["id"], each["change"], each["status_before"], each["status"]) for each in now["newest"]
    ] == [
        ("in_new", "new", None, "open"),
        ("in_failed_later", "updated", "open", "open"),
        ("in_draft", "new", None, "draft"),
        ("in_late", "updated", "open", "paid"),
        ("in_failed_later", "updated", "open", "open"),
        ("in_draft", "deleted", "draft", None),
    ]
    assert now["newest"][1]["fields"] == ["attempt_count"]
    assert now["begin"] == (today() - timedelta(days=29)).isoformat()
    assert then["counts"] == {
        "first_load": sum(len(each) for each in days.listed[0].values()) - 1,
        "new": 0,
        "updated": 0,
        "deleted": 0,
    }
    assert then["newest"] == []


def test_accounts_open_amounts_and_problems_are_those_of_status(told: Callable[..., Document]) -> None:
    report, status = told(), told("status")
    opened: dict[str, Fraction] = {}
    for account in status["accounts"]:
        for money in account["open"]:
            opened[money["currency"]] = opened.get(money["currency"], Fraction(0)) + Fraction(money["amount"])

    assert {
        each["currency"]: Fraction(each["open"]) for each in report["currencies"] if each["open_invoices"]
    } == opened
    same = (
        "account_id",
        "invoices",
        "rejected",
        "problem",
        "remedy",
        "last_verified_sync_at",
        "last_full_sync_at",
    )
    assert sorted([each[name] for name in same] for each in report["accounts"]) == sorted(
        [each[name] for name in same] for each in status["accounts"]
    )
    assert (report["verified"], report["loaded"]) == (status["verified"], status["loaded"])


def test_accounts_come_with_their_last_syncs(days: Days, told: Callable[..., Document]) -> None:
    accounts = {each["account_id"]: each for each in told()["accounts"]}
    many = accounts[days.accounts["many"].id]["syncs"]

    assert list(accounts)[:2] == [days.accounts["refused"].id, days.accounts["rejected"].id]
    assert [(each["sync_number"], each["new"], each["updated"], each["deleted"]) for each in many] == [
        (1, 17, 0, 0),
        (2, 0, 2, 1),
        (3, 2, 1, 0),
    ]


def test_only_the_accounts_asked_for_are_told(days: Days, told: Callable[..., Document]) -> None:
    document = told("report", "--account", days.accounts["other"].id)

    assert document["verified"]
    assert document["invoices"] == 1
    assert [each["account_id"] for each in document["accounts"]] == [days.accounts["other"].id]
    assert document["changes"]["counts"]["first_load"] == 0
    assert [each["purchased"] for each in document["currencies"]] == ["0.01"]


def test_before_the_first_load_nothing_was_known(days: Days, told: Callable[..., Document]) -> None:
    document = told("report", "--as-of", (today() - timedelta(days=61)).isoformat())

    assert (document["verified"], document["loaded"], document["invoices"]) == (None, False, 0)
    assert document["problems"][0]["text"].startswith("Nothing was loaded yet on ")


def test_no_link_is_told(days: Days, told: Callable[..., Document]) -> None:
    document = json.dumps(told())
    links = {row["invoice_pdf"] for row in days.held[-1]["invoices"] if row["invoice_pdf"]}

    assert links
    assert "invoice_pdf" not in document
    assert not any(link in document for link in links)


# The page


class Page(HTMLParser):
    """Its tags with their attributes, its text, and the rows of its tables by caption."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.texts: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self._cell: list[str] | None = None
        self._caption: list[str] | None = None
        self._rows: list[list[str]] = []
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "caption":
            self._caption = []
        elif tag == "table":
            self._rows = []
        elif tag == "tr":
            self._rows.append([])
        elif tag in {"td", "th"}:
            self._cell = []

    def handle_endtag(self, tag: str) -> None:
        if tag == "caption" and self._caption is not None:
            self.tables["".join(self._caption)] = self._rows
            self._caption = None
        elif tag in {"td", "th"} and self._cell is not None:
            self._rows[-1].append(" ".join(" ".join(self._cell).split()))
            self._cell = None

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        for into in (self._cell, self._caption):
            if into is not None:
                into.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="module")
def page(days: Days) -> Page:
    file = dlt.destinations.duckdb(str(days.file))
    written = days.place / "page.html"
    report(dlt.pipeline("page", destination=file, dataset_name="cf_invoices"), written)
    return Page(written)


def written(amount: str, currency: str, *, is_minor: bool = False) -> str:
    return f"{Decimal(amount):,f} {currency}{'*' * is_minor}"


def test_the_tables_of_the_page_have_the_figures_of_the_document(
    page: Page, told: Callable[..., Document]
) -> None:
    document = told()
    month, *_ = [
        row for row in page.tables["Bought in USD by month and origin"] if row[0] == "Without a date"
    ]

    assert [row[2] for row in page.tables["Open invoices"][1:]] == [
        written(**each["remaining"]) for each in document["open"]
    ]
    assert all(
        row[0].startswith(each["id"])
        for row, each in zip(page.tables["Open invoices"][1:], document["open"], strict=True)
    )
    assert [(row[0].split()[0], row[2]) for row in page.tables["Payments that failed"][1:]] == [
        (each["id"], written(**each["remaining"])) for each in document["failed"]
    ]
    assert [row[0].split()[0] for row in page.tables["Changes, newest first"][1:]] == [
        each["id"] for each in document["changes"]["newest"]
    ]
    assert [row[0] for row in page.tables["Accounts and their last syncs"][1:]] == [
        each["account_id"] for each in document["accounts"]
    ]
    assert month[:3] == ["Without a date", "21.78", "1"]
    for sums in document["currencies"]:
        name = {"currency": sums["currency"], "is_minor": sums["is_minor"]}
        for amount in ("last_12_months", "this_month", "last_month", "purchased", "open"):
            assert written(sums[amount], **name) in page.text


def test_the_page_says_what_changed(page: Page) -> None:
    changes = [row[1] for row in page.tables["Changes, newest first"][1:]]

    assert [each.rsplit(" ", 3)[0] for each in changes] == [
        "new, open",
        "attempt count",
        "new, draft",
        "open → paid",
        "attempt count, attempted",
        "draft → deleted",
    ]


def test_the_page_says_first_what_is_not_verified_and_what_to_do(page: Page, days: Days) -> None:
    text = page.text

    assert "✗ Not verified: 2 of 6 accounts" in text
    assert f"Account {days.accounts['refused'].id}: failed: Cloudflare refused the request" in text
    assert "What to do: give the token the permission 'AI Gateway Read' for this account" in text
    assert f"Account {days.accounts['rejected'].id}: 1 record rejected" in text
    assert "Request:" not in text


def test_a_strangers_text_is_text_and_nothing_else(page: Page) -> None:
    names = {name for _, attributes in page.tags for name in attributes}

    assert {tag for tag, _ in page.tags} == TAGS
    assert not {name for name in names if name.startswith("on") or name in {"src", "style", "srcdoc"}}
    assert [attributes["href"] for _, attributes in page.tags if "href" in attributes] == ["data:,"]
    assert "<script>alert(1)</script>" in page.text
    assert "{{ figures.page }}{% raw %}" in page.text
    assert "W" * 60 + "…" in page.text
    assert "W" * 61 not in page.source
    assert "one two [31mthree" in page.text
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f\x7f]", page.source)
    assert "<bdi>" in page.source


TAGS = {
    *(
        "article",
        "bdi",
        "body",
        "br",
        "caption",
        "code",
        "dd",
        "div",
        "dl",
        "dt",
        "figcaption",
        "figure",
        "footer",
    ),
    *("g", "h1", "h2", "h3", "head", "header", "html", "i", "li", "line", "link", "meta", "ol", "p", "path"),
    *(
        "section",
        "span",
        "style",
        "svg",
        "table",
        "tbody",
        "td",
        "text",
        "tfoot",
        "th",
        "thead",
        "title",
        "tr",
    ),
    *("tspan", "ul"),
}


@pytest.mark.slow
def test_the_page_is_small_whatever_is_in_it() -> None:
    """10,000 open invoices of 200 accounts in 8 currencies; all texts are long, and longer once escaped."""
    evil = "<\"'&>" * 2_000
    accounts = [f"{number:032x}" for number in range(200)]
    book = Book(today(), is_past=False)
    book.read_invoices(
        make.invoice(
            account_id=accounts[number % 200],
            id=f"in_{number}{evil}",
            currency=("usd", "eur", "jpy", "kwd", "gbp", "chf", "doge", evil)[number % 8],
            description=evil,
            invoice_origin=evil[number % 7 :],
            created=datetime.now(timezone.utc) - timedelta(days=number % 800),
            attempted=True,
        )
        for number in range(10_000)
    )
    syncs = (
        make.sync(number, make.DAY_0, account_id=each, error=evil)
        for each in accounts
        for number in range(40)
    )
    found = sorted_by_need(accounts_then(book.invoices, syncs, datetime.now(timezone.utc)))
    figures = Figures(
        pipeline_name=evil,
        dataset_name=evil,
        destination=evil,
        page="",
        as_of=today(),
        is_past=False,
        invoices=10_000,
        undocumented=10_000,
        accounts=found,
        origins=book.origins(),
        currencies=book.currencies(13),
        ages=book.ages(),
        open=book.open(),
        failed=book.failed(),
        changes=book.changes(),
        problems=problems_of(found),
    )

    assert len(html_of(figures, datetime.now(timezone.utc)).encode()) < 2_000_000


def test_no_link_is_on_the_page(page: Page, days: Days) -> None:
    links = {row["invoice_pdf"] for row in days.held[-1]["invoices"] if row["invoice_pdf"]}

    assert not any(link in page.source for link in links)
    assert LINK not in page.source
    assert "pay at (address)" in page.text


def test_the_page_forbids_itself_to_load_anything(page: Page) -> None:
    [policy] = [
        each["content"] or ""
        for tag, each in page.tags
        if each.get("http-equiv") == "Content-Security-Policy"
    ]
    style = page.source.partition("<style>")[2].partition("</style>")[0]
    allowed = dict(directive.strip().split(" ", 1) for directive in policy.split(";"))

    assert allowed.pop("style-src") == f"'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'"
    assert allowed == {
        "default-src": "'none'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert "url(" not in style
    assert "@import" not in style


def test_the_page_has_headings_captions_and_headers_for_who_cannot_see_it(page: Page) -> None:
    headings = [tag for tag, _ in page.tags if tag in {"h1", "h2", "h3"}]

    assert headings[0] == "h1"
    assert headings.count("h1") == 1
    assert len(page.tables) == sum(tag == "table" for tag, _ in page.tags)
    assert all(each.get("scope") in {"row", "col"} for tag, each in page.tags if tag == "th")
    assert all(
        each.get("tabindex") == "0" for _, each in page.tags if "scroll" in (each.get("class") or "").split()
    )
    assert ("html", {"lang": "en"}) in page.tags


def test_an_earlier_day_is_said_and_has_its_own_verdict(
    days: Days, command: Command, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(days.file))
    account = days.accounts["many"].id

    ended = command("report", "--account", account, "--as-of", (today() - timedelta(days=1)).isoformat())
    page = Page(place / "invoices.html")

    assert ended.exit_code == 0
    assert "as known at the end of" in page.text
    assert "Verified: the copy equalled Cloudflare's list" in page.text
    assert "Made-up data" not in page.text


# The file


@pytest.mark.slow
def test_the_page_is_for_one_user_and_a_mode_given_later_is_kept(
    days: Days, command: Command, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(days.file))
    file = place / "invoices.html"

    ended = command("report")
    mode = file.stat().st_mode & 0o777
    file.chmod(0o644)
    file.write_text("old")
    command("report")

    assert ended.stdout == f"Written to {file}.\n"
    assert ended.exit_code == 1
    assert "failed: Cloudflare refused the request" in ended.stderr
    assert mode == 0o600
    assert file.stat().st_mode & 0o777 == 0o644
    assert file.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [each.name for each in place.iterdir() if each.suffix != ".duckdb"] == ["invoices.html"]


def test_a_link_is_followed(
    days: Days, command: Command, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(days.file))
    (place / "wiki").mkdir()
    (place / "here.html").symlink_to(place / "wiki" / "page.html")

    command("report", "--output", "here.html")

    assert (place / "here.html").is_symlink()
    assert (place / "wiki" / "page.html").is_file()


@pytest.mark.parametrize(
    ("output", "cause"),
    [
        ("folder", "is not a file"),
        ("nowhere/page.html", "There is no directory"),
        ("pipe", "is not a file"),
        ("n" * 300, "cannot be written"),
    ],
)
def test_what_cannot_be_written_is_said_in_one_screen(
    days: Days, command: Command, place: Path, monkeypatch: pytest.MonkeyPatch, output: str, cause: str
) -> None:
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(days.file))
    (place / "folder").mkdir()
    os.mkfifo(place / "pipe")
    before = tree(place / "folder")

    ended = command("report", "--output", output)

    assert ended.exit_code == 1
    assert cause in ended.stderr
    assert "--output" in ended.stderr
    assert ended.stdout == ""
    assert tree(place / "folder") == before
    assert {each.name for each in place.iterdir()} == {"folder", "pipe"}


@pytest.mark.slow
def test_a_full_disk_leaves_the_earlier_page(
    days: Days, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(days.file))
    (place / "invoices.html").write_text("old")

    ended = run_python("-c", FULL_DISK, "4096", "report")

    assert ended.exit_code == 1
    assert "The page cannot be written" in ended.stderr
    assert tree(place) == {"invoices.html": b"old"}


def test_json_needs_no_extra_and_writes_no_page_unless_one_is_named(
    days: Days, command: Command, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(days.file))
    both = json.loads(command("report", "--json", "--output", "page.html").stdout)
    (place / "page.html").unlink()
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    monkeypatch.setitem(sys.modules, "jinja2", None)

    alone = json.loads(command("report", "--json").stdout)
    refused = command("report")

    assert both["page"] == str(place / "page.html")
    assert alone["page"] == ""
    assert refused.exit_code == 1
    assert 'pip install "cf-invoice-source[report]"' in refused.stderr
    assert tree(place) == {}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--months", "0"],
        ["--months", "61"],
        ["--as-of", "9999-12-31"],
        ["--as-of", "yesterday"],
        ["--output", ""],
    ],
    ids=str,
)
def test_bad_usage_is_exit_code_2(command: Command, place: Path, arguments: list[str]) -> None:
    ended = command("report", *arguments)

    assert ended.exit_code == 2
    assert arguments[0] in ended.stderr
    assert tree(place) == {}


def test_nothing_loaded_is_a_page_in_red_and_exit_code_3(
    warehouse: Warehouse, command: Command, place: Path
) -> None:
    ended = command("report")
    page = Page(place / "invoices.html")

    assert ended.exit_code == 3
    assert "Nothing is loaded yet." in ended.stderr
    assert "✗ Nothing is loaded" in page.text
    assert "No invoice is loaded." in page.text
    assert not warehouse.path.exists()


@pytest.mark.parametrize("table", ["invoices", "invoice_changes", "invoice_syncs"])
def test_a_table_that_lacks_a_column_is_not_read_as_empty(
    days: Days, command: Command, place: Path, table: str
) -> None:
    copy = place / "copy.duckdb"
    copyfile(days.file, copy)
    column = "updated" if table == "invoice_syncs" else "description"
    Warehouse(copy).query(f"ALTER TABLE cf_invoices.{table} DROP COLUMN {column}")

    ended = command("report", env={"DESTINATION__DUCKDB__CREDENTIALS": str(copy)})

    assert ended.exit_code == 1
    assert f"The table {table} lacks a column" in ended.stderr
    assert "run cf-invoices load" in ended.stderr
    assert not (place / "invoices.html").exists()


@pytest.mark.slow
def test_fields_that_are_left_out_leave_the_rest_of_the_report(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command
) -> None:
    account.records += [owed("in_1", 3), owed("in_2", 400, status="paid")]
    left_out = ["attempt_count", "attempted", "description", "invoice_origin"]
    command("load", *(word for name in left_out for word in ("--leave-out", name)))

    ended = command("report", "--json")
    document = json.loads(ended.stdout)

    assert ended.exit_code == 0
    assert document["origins"] == [""]
    assert [each["id"] for each in document["open"]] == ["in_1"]
    assert document["currencies"][0]["purchased"] == "43.56"
    assert document["failed"] == []


# From Python, and the demo


@pytest.mark.slow
def test_python_gets_the_figures_and_can_load_afterwards(
    simulator: Simulator, account: Account, dlt_here: None, place: Path
) -> None:
    account.records += make_invoices(2)
    file = dlt.destinations.duckdb(str(place / "invoices.duckdb"))
    pipeline = dlt.pipeline("one", destination=file, dataset_name="cf_invoices")
    nothing = report(pipeline)
    load(pipeline)

    figures = report(pipeline, "page.html", [account.id], months=1)

    assert not nothing.is_verified
    assert figures.is_verified
    assert [len(each.months) for each in figures.currencies] == [2]
    assert "✓ Verified: the copy equals Cloudflare's list" in Page(place / "page.html").text
    assert load(pipeline).is_verified
    with pytest.raises(SettingsError, match="future"):
        report(pipeline, as_of=today() + timedelta(days=2))
    with pytest.raises(SettingsError, match="number of months"):
        report(pipeline, months=0)


@pytest.mark.slow
def test_the_demo_is_of_now_and_is_looked_at_with_all_commands(command: Command, place: Path) -> None:
    for _ in range(2):
        command("load", "--demo")
    unarchived = json.loads(command("report", "--demo", "--json").stdout)
    assert command("documents", "--demo", "--to", "pdfs").exit_code == 0
    document = json.loads(command("report", "--demo", "--json").stdout)
    ended = command("report", "--demo")
    page = Page(place / "invoices.html")
    status = json.loads(command("status", "--demo", "--json").stdout)
    check = command("check", "--demo")
    dollars = document["currencies"][0]

    assert ended.exit_code == 0
    assert "Made-up data." in page.text
    assert (unarchived["undocumented"], document["undocumented"]) == (None, 0)
    assert "The document of each paid or void invoice is archived." in page.text
    assert document["accounts"][0]["invoices"] == status["accounts"][0]["invoices"]
    assert sum(bool(month["invoices"]) for month in dollars["months"]) >= 12
    assert -1 <= min(each["age_days"] for each in document["open"]) <= 7
    assert check.exit_code == 0
    assert "3, named by the demo" in check.stdout
    assert command("check", "--demo", "--account", "0").exit_code == 2


@pytest.fixture
def load_one(request: pytest.FixtureRequest) -> Load:
    found: Load = request.getfixturevalue("load")
    return found


@pytest.mark.slow
def test_the_number_of_queries_does_not_depend_on_that_of_accounts(
    days: Days, load_one: Load, account: Account, held: Any, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.records += make_invoices(1)
    load_one()
    held.close()
    one = dict(os.environ)["DESTINATION__DUCKDB__CREDENTIALS"]
    asked: list[str] = []
    execute = DuckDbSqlClient.execute_query

    def counted(self: DuckDbSqlClient, query: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(query)
        return execute(self, query, *args, **kwargs)

    monkeypatch.setattr(DuckDbSqlClient, "execute_query", counted)
    counts = []
    for file in (one, str(days.file)):
        command("report", "--json", env={"DESTINATION__DUCKDB__CREDENTIALS": file})
        counts.append(len(asked))
        asked.clear()

    assert counts[0] == counts[1] < 30
    assert not any("invoice_pdf" in query for query in asked)


def test_figures_of_two_moments_are_not_given(days: Days, dlt_here: None) -> None:
    """A database without one snapshot for all queries: what another load writes in between is noticed."""
    numbers = iter([{"a": 1}, {"a": 2}, {"a": 2}, {"a": 2}])

    class Moving(ReportQueries):
        def last_numbers(self) -> dict[str, int]:
            return next(numbers)

    read = iter(["of two moments", "of one moment"])
    queries = Moving(cast("Any", None))

    found: Any = read_at_rest(queries, cast("Any", lambda: next(read)))

    assert found == "of one moment"

    numbers = iter([{"a": number} for number in range(6)])
    with pytest.raises(TryLaterError, match="not be of one moment"):
        read_at_rest(queries, cast("Any", lambda: None))
