"""The benchmarks work; what they measure is not judged here."""

import sys
from pathlib import Path
from xml.dom.minidom import parseString

import pytest

from tests.benchmarks.compare import compare
from tests.benchmarks.contenders import CONTENDERS, Contender
from tests.benchmarks.plot import svg
from tests.benchmarks.report import markdown
from tests.benchmarks.results import Result, Results, read, write
from tests.benchmarks.server import Limit

HALF = """
import duckdb, os
duckdb.connect(os.environ["DUCKDB_FILE"]).execute(
    "CREATE TABLE invoices AS SELECT 'paid' AS status, 1.0 AS amount_due FROM range(50)"
)
"""


def measure(*names: str) -> list[Result]:
    return list(compare(names, size=400, latency_ms=0, rounds=1, runs=("first", "changed"), limit_s=60))


@pytest.mark.slow
def test_our_command_is_measured_with_the_requests_that_the_server_saw_and_the_rows_that_the_file_has() -> (
    None
):
    first, changed = measure("ours")

    assert (first.failed, changed.failed) == ("", "")
    assert (first.amounts, changed.amounts) == ("exact", "exact")
    assert first.requests == 9
    assert 1 <= changed.requests <= 4
    assert min(first.wall_s, first.cpu_s, first.peak_mib) > 0


def test_who_loses_rows_or_breaks_down_has_no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONTENDERS, "half", Contender("half", (sys.executable, "-c", HALF), "invoices"))
    monkeypatch.setitem(
        CONTENDERS, "broken", Contender("broken", (sys.executable, "-c", "1 / 0"), "invoices")
    )

    half, broken = measure("half", "broken")

    assert half.failed.startswith("the table is wrong: ")
    assert "ZeroDivisionError" in broken.failed
    assert (half.wall_s, broken.wall_s) == (0, 0)


def test_the_servers_rate_limit_is_a_window_that_begins_with_its_first_request() -> None:
    limit = Limit(2, 10)

    answers = [limit.headers(now) for now in (100, 104, 109, 110)]

    assert [is_within for is_within, _ in answers] == [True, True, False, True]
    assert 'Ratelimit: "default";r=0;t=7\r\n' in answers[1][1]
    assert "Retry-After: 2\r\n" in answers[2][1]


def test_results_of_several_commands_make_one_report_of_medians(tmp_path: Path) -> None:
    path, results = tmp_path / "results.json", Results()
    results.add([Result("ours", 1_000, 0, "first", 9.0, 9.0, 9.0, 20, "exact")])
    results.add([Result("ours", 1_000, 0, "first", wall, 1.5, 150, 20, "exact") for wall in (1, 2.5, 3)])
    write(path, results, command="first", versions={})
    results = read(path)
    results.add([Result("floor", 1_000, 0, "first", 0.5, 0.5, 100, 20, "float")])
    results.add([Result("sdk", 1_000, 0, "first", failed="took too long")])
    write(path, results, command="second", versions={})

    report = markdown(read(path))

    assert "| **cf-invoices** | 2.50 s | 1.00 x | 1.50 s | 150 MiB | 20 | exact |" in report
    assert "| 0.50 s | 0.20 x | 0.50 s | 100 MiB | 20 | float |" in report
    assert "| took too long |" in report
    assert [line.split()[-1] for line in results.commands] == ["first", "second"]
    assert "2.50" in parseString(svg(results)).toxml()  # noqa: S318 - our own
