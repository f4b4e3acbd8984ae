"""The page about dbt: what it says to run runs, and its queries answer what it shows."""

from __future__ import annotations

import os
import re
from pathlib import Path

import duckdb
import pytest

from tests.support.dbt import dbt_programs
from tests.support.pages import ROOT, Shell, blocks, read_page, without_moments

PAGE = "pipelines/dbt/README.md"


@pytest.mark.usefixtures("dlt_here")
def test_the_page_shows_what_the_models_answer(tmp_path: Path) -> None:
    """To write the answers anew: WRITE_PAGES=1."""
    (tmp_path / "cf_invoice_source").symlink_to(ROOT)
    here = tmp_path / "here"
    here.mkdir()
    shell = Shell(here)
    shell.offer(dbt_programs() / "dbt")
    build, build_for_a_day = blocks("sh", PAGE)
    shell.run(build.text + build_for_a_day.text, os.environ)

    with duckdb.connect(str(here / "cloudflare_invoices_demo.duckdb"), read_only=True) as connection:
        answers = {block: str(connection.sql(block.text)).rstrip() + "\n" for block in blocks("sql", PAGE)}

    if os.environ.get("WRITE_PAGES"):
        page = read_page(PAGE)
        for block, answer in answers.items():
            page = page.replace(
                f"{block.text}```\n\n```text\n{block.shown}", f"{block.text}```\n\n```text\n{answer}"
            )
        (ROOT / PAGE).write_text(page, encoding="utf-8")
    shown = {block.text: block.shown for block in blocks("sql", PAGE)}
    assert len(answers) == 4
    for block, answer in answers.items():
        assert without_figures(answer, block.text) == without_figures(shown[block.text], block.text)


def without_figures(answer: str, query: str) -> str:
    """What falls into which month depends on the day on which the demo was loaded first."""
    return re.sub(r"\d", "0", answer) if "created_month" in query else without_moments(answer)
