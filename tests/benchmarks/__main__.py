"""How fast, against other ways to do the same.

Made-up invoices from a server on this machine are loaded by each contender in turn, each in its own process.
The results go into tests/benchmarks/results/, beside those of earlier commands: JSON, tables and a plot.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.benchmarks.compare import compare
from tests.benchmarks.contenders import CONTENDERS, is_installed, versions
from tests.benchmarks.experiments import EXPERIMENTS, Options
from tests.benchmarks.plot import svg
from tests.benchmarks.report import markdown
from tests.benchmarks.results import FOLDER, RUNS, Results, read, write


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure as the command line says."""
    words = sys.argv[1:] if arguments is None else arguments
    given = _parser().parse_args(words)
    given.into.mkdir(parents=True, exist_ok=True)
    results = read(given.into / "results.json")
    for _ in _measure(results, given):
        command = " ".join(["python -m tests.benchmarks", *words])
        write(given.into / "results.json", results, command=command, versions=versions())
    (given.into / "results.md").write_text(markdown(results))
    (given.into / "plot.svg").write_text(svg(results))
    print(markdown(results))


def _measure(results: Results, given: argparse.Namespace) -> Iterator[None]:
    """Measure, and pause whenever there is something to keep."""
    if given.what == "compare":
        yield from _compare(results, given)
    elif given.what != "report":
        options = Options(
            rounds=given.rounds,
            sizes=given.sizes or [100_000, 1_000_000],
            latency_ms=(given.latency or [50])[-1],
            quota=given.quota,
            window_s=given.window,
            accounts=given.accounts,
            limit_s=given.limit,
        )
        results.more[given.what] = EXPERIMENTS[given.what](options)
        yield


def _compare(results: Results, given: argparse.Namespace) -> Iterator[None]:
    missing = [name for name in given.only if not is_installed(name)]
    for name in missing:
        print(f"{name} is left out: see its program in tests/benchmarks/contenders", file=sys.stderr)
    for latency_ms in given.latency or [0]:
        for size in given.sizes or [1_000, 10_000, 100_000]:
            print(f"{size:,} invoices, {latency_ms:g} ms ", end="", flush=True, file=sys.stderr)
            new = []
            for result in compare(
                [name for name in given.only if name not in missing],
                size=size,
                latency_ms=latency_ms,
                rounds=given.rounds,
                runs=RUNS[: RUNS.index(given.until) + 1],
                limit_s=given.limit,
            ):
                new.append(result)
                print(".", end="", flush=True, file=sys.stderr)
            print(file=sys.stderr)
            results.add(new)
            yield


def _parser() -> argparse.ArgumentParser:
    experiments = "\n".join(f"  {name:9} {run.__doc__}" for name, run in EXPERIMENTS.items())
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = f"beside compare and report:\n{experiments}"
    add = parser.add_argument
    what = ["compare", *EXPERIMENTS, "report"]
    add(
        "what",
        nargs="?",
        choices=what,
        default="compare",
        help="compare by default; report only writes again",
    )
    add(
        "--sizes",
        type=int,
        nargs="+",
        metavar="N",
        help="invoices (1000 10000 100000; for growth 100000 1000000)",
    )
    add("--latency", type=float, nargs="+", metavar="MS", help="of each answer (0; for ahead and quota 50)")
    add("--rounds", type=int, default=3, help="how often; medians count")
    add("--only", type=lambda text: text.split(","), default=list(CONTENDERS), metavar="A,B", help="who")
    add("--until", choices=RUNS, default=RUNS[-1], help="the last of the runs of each round")
    add("--limit", type=float, default=1_800, metavar="S", help="seconds that one run may take")
    add("--quota", type=int, default=1_200, metavar="N", help="requests in a window, for quota")
    add("--window", type=float, default=300, metavar="S", help="seconds of a window, for quota")
    add("--accounts", type=int, nargs="+", default=[1_000, 10_000], metavar="N", help="for accounts")
    add("--into", type=Path, default=FOLDER, metavar="FOLDER", help="where the results go")
    return parser


if __name__ == "__main__":
    main()
