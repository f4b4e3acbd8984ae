"""The page in a real browser, Debian's Chromium: on screens, on paper, and for who cannot see it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from shutil import which
from threading import Thread
from time import perf_counter
from typing import Any

import dlt
import pytest

from cf_invoice_source import load, report
from cf_invoice_source.simulator import Simulator, World
from tests.conftest import Command
from tests.reporting.story import HOSTILE, owed, story
from tests.support.days import days_of
from tests.support.pages import ROOT
from tests.support.places import settled

pytestmark = pytest.mark.slow

PICTURE = ROOT / ".github" / "report.png"
OPEN_INVOICES = 120
WIDTHS = (400, 800, 1600)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium. Where it is not installed, its tests are skipped, but never in CI."""
    api = pytest.importorskip("playwright.sync_api")
    program = next(filter(None, map(which, ("chromium", "google-chrome"))), None)
    if program is None:
        missing = "Chromium is not installed (Debian: apt-get install chromium)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], str]]:
    """Serves a page from this machine, where a request for anything else would be seen."""
    folder = tmp_path_factory.mktemp("served")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()

        def serve(page: Path) -> str:
            (folder / page.name).write_bytes(page.read_bytes())
            return f"http://127.0.0.1:{server.server_address[1]}/{page.name}"

        yield serve
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the story: hostile texts, problems, all kinds of currencies."""
    with story(tmp_path_factory.mktemp("odd")) as days:
        file = dlt.destinations.duckdb(str(days.file))
        report(dlt.pipeline("page", destination=file, dataset_name="cf_invoices"), days.place / "odd.html")
        return days.place / "odd.html"


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with open invoices on several sheets; each has an amount of its own."""
    with days_of(tmp_path_factory.mktemp("long")) as days:
        records = [
            owed(
                f"in_open{place:04}x",
                place,
                amount=10_000 + place,
                description="words " * 9,
                invoice_origin=f"{'words ' * 5}end{place:04}x",
            )
            for place in range(OPEN_INVOICES)
        ]
        days.open("one", records)
        days.load()
        days.database.close()
        file = dlt.destinations.duckdb(str(days.file))
        report(dlt.pipeline("page", destination=file, dataset_name="cf_invoices"), days.place / "long.html")
        return days.place / "long.html"


@pytest.fixture(params=["odd", "long"])
def page(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("colors", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_loaded_nothing_is_complained_of_and_nothing_is_too_wide(
    browser: Any, served: Callable[[Path], str], page: Path, width: int, colors: str
) -> None:
    url = served(page)
    asked, said = [], []
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=colors)
    view = context.new_page()
    view.on("request", lambda request: asked.append(request.url))
    view.on("console", lambda message: said.append(message.text))
    view.on("pageerror", lambda error: said.append(str(error)))
    view.on("dialog", lambda dialog: said.append(dialog.message))
    view.goto(url, wait_until="networkidle")
    widest = view.evaluate(
        "() => Math.max(...[...document.querySelectorAll('body *')]"
        ".filter(e => !e.closest('.scroll table, .aside'))"
        ".map(e => e.getBoundingClientRect().right))"
    )
    scrolls = view.evaluate("() => document.documentElement.scrollWidth")
    context.close()

    assert asked == [url]
    assert said == []
    assert widest <= width
    assert scrolls == width


def test_the_policy_holds_against_what_would_get_in(
    browser: Any, served: Callable[[Path], str], long: Path, tmp_path: Path
) -> None:
    """Else nobody would know whether it is the policy that keeps requests back."""
    spoilt = tmp_path / "spoilt.html"
    bad = "<img src='/x.png'><script>document.title = 'run'</script><p style='color: red'>red</p>"
    spoilt.write_text(
        long.read_text(encoding="utf-8").replace("<header>", f"<header>{bad}"), encoding="utf-8"
    )
    url = served(spoilt)
    asked: list[str] = []
    view = browser.new_page()
    view.on("request", lambda request: asked.append(request.url))
    view.on("requestfailed", lambda request: asked.remove(request.url))
    view.goto(url, wait_until="networkidle")

    assert asked == [url]
    assert view.title() == "AI Gateway invoices"
    assert (
        view.evaluate("() => getComputedStyle(document.querySelector('header > p')).color")
        != "rgb(255, 0, 0)"
    )
    view.close()


_CONTRAST = """() => {
    const rgb = text => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
        .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
    const behind = e => {
        for (; e; e = e.parentElement) {
            const color = rgb(getComputedStyle(e).backgroundColor);
            if (color.length < 4 || color[3] > 0) return color;
        }
    };
    const contrast = (a, b) => (Math.max(light(a), light(b)) + .05) / (Math.min(light(a), light(b)) + .05);
    const ofText = [...document.querySelectorAll('body *')]
        .filter(e => !e.closest('.aside'))
        .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()))
        .map(e => contrast(rgb(getComputedStyle(e)[e.closest('svg') ? 'fill' : 'color']), behind(e)));
    const ofBars = [...document.querySelectorAll('.mark-rect path')]
        .map(e => contrast(rgb(getComputedStyle(e).fill), behind(e)));
    return [Math.min(...ofText), Math.min(...ofBars)];
}"""


@pytest.mark.parametrize("colors", ["light", "dark"])
def test_text_and_bars_can_be_told_from_what_is_behind_them(browser: Any, odd: Path, colors: str) -> None:
    """The bounds of WCAG 2, level AA: 4.5 for text, 3 for pictures."""
    context = browser.new_context(color_scheme=colors)
    view = context.new_page()
    view.goto(odd.as_uri())
    text, bars = view.evaluate(_CONTRAST)
    context.close()

    assert text >= 4.5
    assert bars >= 3


def test_who_cannot_see_it_is_told_everything_and_can_reach_it_by_keyboard(browser: Any, odd: Path) -> None:
    view = browser.new_page()
    view.goto(odd.as_uri())
    told = view.locator("body").aria_snapshot()
    reached = set()
    for _ in range(30):
        view.keyboard.press("Tab")
        reached.add(view.evaluate("() => document.activeElement.getAttribute('aria-label')"))
    view.close()

    assert 'heading "AI Gateway invoices" [level=1]' in told
    assert re.search(r'heading "(✗ )?Not verified: 2 of 6 accounts" \[level=2\]', told)
    for name in (
        "Open invoices",
        "Payments that failed",
        "Changes, newest first",
        "Bought in USD by month and origin",
    ):
        assert f'table "{name}"' in told
    assert 'columnheader "To be paid"' in told
    assert 'rowheader "Sep 20' in told or 'rowheader "Oct 20' in told
    assert 'img "Bars: what was bought in USD' in told
    assert re.search(r'img "\d of the last \d+ syncs? verified"', told)
    assert {"Open invoices", "Payments that failed", "Bought in USD by month"} <= reached


def test_on_paper_every_open_invoice_is_whole_and_headers_come_again(browser: Any, long: Path) -> None:
    pypdf = pytest.importorskip("pypdf")
    view = browser.new_page()
    view.goto(long.as_uri())
    sheets = pypdf.PdfReader(BytesIO(view.pdf(prefer_css_page_size=True))).pages
    view.close()
    texts = ["".join(sheet.extract_text().split()) for sheet in sheets]
    with_open = [text for text in texts if "in_open" in text]

    assert [round(float(side)) for side in sheets[0].mediabox[2:]] == [595, 842]  # A4, in points
    assert len(with_open) > 2
    assert all("Madeon,age" in text for text in with_open)
    for place in range(OPEN_INVOICES):
        row = (f"in_open{place:04}x", f"end{place:04}x", f"{(10_000 + place) / 100:.2f}USD")
        assert any(all(part in text for part in row) for text in texts), place
    assert any("Bars" not in text and "Nov" in text for text in texts)  # the charts' text is text


def test_hostile_texts_are_shown_as_they_are(browser: Any, odd: Path) -> None:
    view = browser.new_page()
    view.goto(odd.as_uri())
    shown = view.locator("body").inner_text()
    view.close()

    for name in ("script", "quotes", "style", "template"):
        assert HOSTILE[name] in shown


def test_two_hundred_accounts_and_ten_thousand_invoices_are_a_small_page_in_seconds(tmp_path: Path) -> None:
    world = World(seed=3)
    for _ in range(200):
        world.add_account(invoices=50)
    with settled(tmp_path), Simulator(world) as simulator:
        file = dlt.destinations.duckdb(str(tmp_path / "many.duckdb"))
        pipeline = dlt.pipeline("many", destination=file, dataset_name="cf_invoices")
        for _ in range(2):
            credentials = {"api_token": simulator.token}
            load(
                pipeline,
                account_id=list(world.accounts),
                base_url=simulator.base_url,
                credentials=credentials,
            )
            world.live(500)
        begun = perf_counter()
        figures = report(pipeline, tmp_path / "many.html")
        took_s = perf_counter() - begun
    size = (tmp_path / "many.html").stat().st_size
    print(f"{figures.invoices:,} invoices, {len(figures.accounts)} accounts: {size:,} bytes, {took_s:.1f} s")  # noqa: T201

    assert len(figures.accounts) == 200
    assert figures.invoices >= 10_000
    assert size < 2_000_000
    assert took_s < 15  # a third of that on a machine that does nothing else


def test_the_picture_of_the_first_page_is_small_and_can_be_made_anew(
    browser: Any, process: Command, place: Path
) -> None:
    """To make it: WRITE_PAGES=1."""
    for _ in range(2):
        assert process("load", "--demo").exit_code == 0
    assert process("report", "--demo").exit_code == 0
    view = browser.new_page(viewport={"width": 1240, "height": 1130})
    view.goto((place / "invoices.html").as_uri())
    picture = view.screenshot()
    view.close()
    if os.environ.get("WRITE_PAGES"):
        PICTURE.write_bytes(picture)

    assert len(picture) < 150_000
    assert PICTURE.stat().st_size < 150_000
