"""How fast, against other ways to do the same.

Loads made-up invoices from a server on this machine, with each contender in turn, and writes what it cost.
"""

import argparse
import sys
from collections.abc import Sequence
from statistics import median

from tests.benchmarks.compare import CONTENDERS, RUNS, Result, compare


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000], metavar="N")
    parser.add_argument("--latency", type=float, nargs="+", default=[0], metavar="MS")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=RUNS)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(CONTENDERS), metavar="A,B")
    parser.add_argument("--limit", type=float, default=600, help="seconds for one run", metavar="S")
    given = parser.parse_args(arguments)
    for latency_ms in given.latency:
        for size in given.sizes:
            results = []
            print(f"\n{size:,} invoices, {latency_ms:g} ms")
            for result in compare(
                given.only,
                size=size,
                latency_ms=latency_ms,
                rounds=given.rounds,
                runs=given.runs,
                limit_s=given.limit,
            ):
                results.append(result)
                print(".", end="", flush=True, file=sys.stderr)
            print(file=sys.stderr)
            show(results, given.only, given.runs)


def show(results: Sequence[Result], names: Sequence[str], runs: Sequence[str]) -> None:
    """Print medians."""
    for run_name in runs:
        for name in names:
            mine = [result for result in results if (result.contender, result.run) == (name, run_name)]
            good = [result for result in mine if not result.failed]
            if not good:
                print(f"  {run_name:8} {name:12} {mine[0].failed if mine else 'left out'}")
                continue
            wall, cpu, peak = (median(getattr(r, what) for r in good) for what in ("wall_s", "cpu_s", "peak_mib"))
            exact = "exact" if all(result.is_exact for result in good) else "amounts wrong"
            print(
                f"  {run_name:8} {name:12} {wall:8.2f} s wall {cpu:8.2f} s cpu {peak:7.0f} MiB"
                f" {good[0].requests:7,} requests  {exact}"
            )


if __name__ == "__main__":
    main()
