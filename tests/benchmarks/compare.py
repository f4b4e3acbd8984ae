"""The contenders side by side: each loads the same lists into a DuckDB file of its own, round after round."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.benchmarks.measure import FailedError, run
from tests.benchmarks.rig import ROOT, Server, file_in, look_into, serving

RUNS = ("first", "changed", "quiet")
"""What each contender does in one round: load all, load what 1 % of changes left, load with nothing new."""

CONFIG = ROOT / ".dlt" / "config.toml"
_HERE = Path(__file__).parent / "contenders"


@dataclass(frozen=True)
class Contender:
    """A way to load the invoices.

    Attributes:
        label: What the table calls it.
        command: The words that start it.
        table: Where its rows are; empty if it loads none.
        is_exact: Whether a wrong sum of amounts is a failure.
        env: What it is told beside what all are told.
        config: A dlt configuration to put beside it.
    """

    label: str
    command: Sequence[str]
    table: str = ""
    is_exact: bool = False
    env: Callable[[Path], dict[str, str]] = lambda _place: {}
    config: Path | None = None


def _script(label: str, name: str, table: str = "", **more: Any) -> Contender:
    return Contender(label, [sys.executable, str(_HERE / f"{name}.py")], table, **more)


def _ours(label: str, config: Path | None = None) -> Contender:
    command = [str(Path(sys.executable).with_name("cf-invoices")), "load"]
    return Contender(
        label,
        command,
        table="cf_invoices.invoices",
        is_exact=True,
        env=lambda place: {"DESTINATION__DUCKDB__CREDENTIALS": str(file_in(place))},
        config=config,
    )


CONTENDERS: dict[str, Contender] = {
    "floor": _script("the floor: 4 threads, orjson, Arrow, DuckDB", "floor", "invoices"),
    "ours": _ours("cf-invoices load"),
    "ours-config": _ours("cf-invoices load, with this repository's .dlt/config.toml", CONFIG),
    "rest_api": _script("dlt rest_api_source, defaults", "rest_api", "cloudflare.invoices"),
    "bare": _script("a bare dlt pipeline: one page asked, nothing yielded", "bare_dlt"),
}


@dataclass(frozen=True)
class Result:
    """One program measured once, or why it was not.

    Attributes:
        contender: Its name in `CONTENDERS`.
        size: Invoices of the first load.
        latency_ms: Of each answer.
        run: One of `RUNS`.
        wall_s, cpu_s, peak_mib: See `measure.Cost`.
        requests: As the server counted.
        is_exact: Whether the amounts add up to the last digit.
        failed: Why there are no figures.
    """

    contender: str
    size: int
    latency_ms: float
    run: str
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_mib: float = 0.0
    requests: int = 0
    is_exact: bool = False
    failed: str = ""


def compare(
    names: Sequence[str], *, size: int, latency_ms: float, rounds: int, runs: Sequence[str], limit_s: float
) -> Iterator[Result]:
    """Let them load in turn, in another order in each round; who failed once is left out from then on."""
    with serving(invoices=size, latency=latency_ms) as server:
        out: set[str] = set()
        for turn in range(rounds):
            for name in _rotated(names, turn):
                if name in out:
                    continue
                for run_name, measured in zip(runs, _round(server, name, runs, limit_s), strict=False):
                    result = Result(name, size, latency_ms, run_name, **measured)
                    if result.failed:
                        out.add(name)
                    yield result


def _round(server: Server, name: str, runs: Sequence[str], limit_s: float) -> Iterator[dict[str, Any]]:
    contender = CONTENDERS[name]
    with tempfile.TemporaryDirectory(prefix="benchmark-") as text:
        place = Path(text)
        if contender.config:
            (place / ".dlt").mkdir()
            shutil.copy(contender.config, place / ".dlt")
        env = server.environment(place, **contender.env(place))
        for run_name in runs:
            expected = server.move_to(0 if run_name == "first" else 1)
            server.take()
            try:
                cost = run(contender.command, place=place, env=env, limit_s=limit_s)
                requests = server.take()["requests"]
                yield {**asdict(cost), "requests": requests, "is_exact": _is_exact(contender, place, expected)}
            except FailedError as error:
                yield {"failed": str(error)}
                return


def _is_exact(contender: Contender, place: Path, expected: dict[str, Any]) -> bool:
    """Look into the file: the rows must be all there, and say whether the amounts are, too."""
    if not contender.table:
        return True
    found = look_into(place, contender.table)
    if (found["invoices"], found["paid"]) != (expected["invoices"], expected["paid"]):
        raise FailedError(f"the table is wrong: {json.dumps(found)} instead of {json.dumps(expected)}")
    is_exact = Decimal(found["amount_due"]) == Decimal(expected["amount_due"])
    if contender.is_exact and not is_exact:
        raise FailedError(f"the amounts are wrong: {json.dumps(found)} instead of {json.dumps(expected)}")
    return is_exact


def _rotated(names: Sequence[str], turn: int) -> Sequence[str]:
    """Begin with another one in each round, and go the other way in every second one."""
    start = turn % len(names)
    order = [*names[start:], *names[:start]]
    return order[::-1] if turn % 2 else order


def usable_cores() -> int:
    """Count the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
