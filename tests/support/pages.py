"""The pages of the project: their blocks of code, and a place in which those of the shell run as pasted."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

PAGES = (
    "README.md",
    "cf_invoice_source/README.md",
    "cf_invoice_source/warehouse/README.md",
    "pipelines/README.md",
    "pipelines/dbt/README.md",
    "tests/README.md",
    "tests/benchmarks/README.md",
    ".github/CONTRIBUTING.md",
    ".github/SECURITY.md",
    "CHANGELOG.md",
)

_BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```\n"
    r"(?:\n *```text\n(?P<shown>.*?)^ *```\n)?",
    re.MULTILINE | re.DOTALL,
)
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of code, its heading, and the text that the page shows as what comes of it."""

    page: str
    heading: str
    language: str
    text: str
    shown: str

    def __str__(self) -> str:
        return f"{self.page}, {self.heading}: {self.text.splitlines()[0]}"


def read_page(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(language: str, *pages: str) -> list[Block]:
    """The blocks in this language, in the order of the pages."""
    return [block for page in pages or PAGES for block in _blocks(page) if block.language == language]


def _blocks(page: str) -> Iterator[Block]:
    said = read_page(page)
    headings = [(found.start(), found[1]) for found in _HEADING.finditer(said)]
    for found in _BLOCK.finditer(said):
        heading = max((each for each in headings if each[0] < found.start()), default=(0, ""))[1]
        text = re.sub(rf"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
        yield Block(page, heading, found["language"], text, found["shown"] or "")


class Shell:
    """Runs blocks as somebody would who pastes them into a terminal.

    `pip install` and `python3 -m venv` do nothing: what they would install is there, in the environment of
    the tests, or of `python` where that is another one. The gate installs for real.
    """

    def __init__(self, directory: Path, python: str = sys.executable) -> None:
        self.directory = directory
        self.programs = directory.with_name(f"{directory.name}-programs")
        self.programs.mkdir()
        self._write("pip", "exit 0")
        for program in ("airflow", "cf-invoices", "dagster", "dlt", "pytest", "python"):
            self._write(program, f'exec {Path(python).parent / program} "$@"')
        make = f'mkdir -p "$3" && ln -sfn {self.programs} "$3/bin"'
        self._write("python3", f'if [ "$1 $2" = "-m venv" ]; then {make}; else exec {python} "$@"; fi')

    def offer(self, program: Path) -> None:
        """Let blocks run a program of another environment."""
        self._write(program.name, f'exec {program} "$@"')

    def start(self, text: str, env: Mapping[str, str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["/bin/bash", "-euo", "pipefail", "-c", text],
            cwd=self.directory,
            env={**env, "PATH": f"{self.programs}:{env['PATH']}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, text: str, env: Mapping[str, str]) -> str:
        """Run it to its end, which is a good one; give what stands in the terminal then."""
        with self.start(text, env) as process:
            said, _ = process.communicate(timeout=180)
        assert process.returncode == 0, said
        return said

    def _write(self, name: str, script: str) -> None:
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


def without_moments(text: str) -> str:
    """Dates and times differ from run to run, and so does the place."""
    text = re.sub(r"\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d(\.\d+)?)?)?", "DATE", text)
    return re.sub(r"/\S*/(?=[\w.]+\.(?:duckdb|html)|invoices,)", "/DIRECTORY/", text)
