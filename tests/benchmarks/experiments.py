"""What a comparison does not show: growth, start-up, fetching ahead, the rate limit, many accounts."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.compare import judge
from tests.benchmarks.contenders import CONTENDERS, HERE, OURS, Contender, script
from tests.benchmarks.data import PER_PAGE
from tests.benchmarks.measure import Cost, run
from tests.benchmarks.rig import Server, file_in, serving

_STATE = """
import base64, json, sys, zlib, duckdb
[(state,)] = duckdb.connect(sys.argv[1], read_only=True).execute(
    "SELECT state FROM cf_invoices._dlt_pipeline_state ORDER BY version DESC LIMIT 1"
).fetchall()
print(json.dumps([len(state), len(zlib.decompress(base64.b64decode(state)))]))
"""


@dataclass(frozen=True)
class Options:
    """What the command line may change.

    Attributes:
        rounds: How often each program is measured.
        sizes: Invoices, for each of several measurements.
        latency_ms: Of each answer.
        quota: Requests in a window.
        window_s: Seconds.
        accounts: How many, for each of several measurements.
        limit_s: How long one program may take.
    """

    rounds: int
    sizes: Sequence[int]
    latency_ms: float
    quota: int
    window_s: float
    accounts: Sequence[int]
    limit_s: float


def growth(options: Options) -> dict[str, Any]:
    """Load longer and longer lists; then compare every row, in a second run over the same list."""
    return {"rounds": options.rounds, "runs": [_grown(size, options) for size in options.sizes]}


def _grown(size: int, options: Options) -> dict[str, Any]:
    costs: dict[str, list[Cost]] = {"first": [], "full": []}
    with serving(invoices=size) as server:
        for _ in range(options.rounds):
            with _ready(CONTENDERS["ours"], server) as start:
                costs["first"].append(start(options))
                costs["full"].append(start(options, "--full"))
    return {
        "invoices": size,
        **{
            f"{name}_{figure}": median(getattr(cost, figure) for cost in measured)
            for name, measured in costs.items()
            for figure in ("wall_s", "cpu_s", "peak_mib")
        },
    }


def startup(options: Options) -> dict[str, Any]:
    """Measure the least that our command can do: help, and a run with nothing new, beside a bare pipeline."""
    quiet: dict[str, list[Cost]] = {"ours": [], "bare": []}
    with (
        serving(invoices=1_000) as server,
        _ready(CONTENDERS["ours"], server) as ours,
        _ready(CONTENDERS["bare"], server) as bare,
    ):
        ours(options), bare(options)  # the first load
        for _ in range(options.rounds):
            quiet["ours"].append(ours(options))
            quiet["bare"].append(bare(options))
    with tempfile.TemporaryDirectory() as folder:
        helped = Contender("help", (OURS[0], "--help"))
        helps = [run(helped.command, place=Path(folder), env={}, limit_s=60) for _ in range(options.rounds)]
    walls = {name: median(cost.wall_s for cost in costs) for name, costs in quiet.items()}
    return {
        "rounds": options.rounds,
        "quiet_s": walls["ours"],
        "bare_s": walls["bare"],
        "ratio": walls["ours"] / walls["bare"],
        "help_s": median(cost.wall_s for cost in helps),
    }


def ahead(options: Options) -> dict[str, Any]:
    """Load 1,000 pages whose answers take their time, beside two programs that ask in turn."""
    pages = 1_000
    in_turn = replace(CONTENDERS["ours"], command=(sys.executable, str(HERE / "ours_in_turn.py"), "load"))
    contenders = {
        "ours_s": CONTENDERS["ours"],
        "in_turn_s": in_turn,
        "one_by_one_s": script("one request after the other, nothing loaded", "one_by_one"),
    }
    found: dict[str, Any] = {"pages": pages, "latency_ms": options.latency_ms, "rounds": options.rounds}
    with serving(invoices=pages * PER_PAGE, latency=options.latency_ms) as server:
        walls: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(options.rounds):
            for name, contender in contenders.items():
                with _ready(contender, server) as start:
                    walls[name].append(start(options).wall_s)
    found |= {name: median(measured) for name, measured in walls.items()}
    return found | {
        "ratio": found["ours_s"] / found["in_turn_s"],
        "ratio_to_asking": found["ours_s"] / found["one_by_one_s"],
    }


def quota(options: Options) -> dict[str, Any]:
    """Load as many pages as three windows of the rate limit allow; the second look takes one request more."""
    invoices = 3 * options.quota * PER_PAGE
    limits = {"latency": options.latency_ms, "quota": options.quota, "window": options.window_s}
    with serving(invoices=invoices, **limits) as server, _ready(CONTENDERS["ours"], server) as start:
        cost = start(options)
        taken = server.take()
    return {
        "quota": options.quota,
        "window_s": options.window_s,
        "latency_ms": options.latency_ms,
        "requests": taken["requests"],
        "refused": taken["refused"],
        "in_each_window": _windows(taken["at_s"], options.window_s),
        "wall_s": cost.wall_s,
        "at_best_s": (taken["requests"] - 1) // options.quota * options.window_s,
    }


def accounts(options: Options) -> dict[str, Any]:
    """Load many accounts with five invoices each: first load, nothing new, size of the state."""
    return {"invoices_each": 5, "runs": [_accounts(count, options) for count in options.accounts]}


def _accounts(count: int, options: Options) -> dict[str, Any]:
    with (
        serving(accounts=count, invoices=5) as server,
        _ready(CONTENDERS["ours"], server, CLOUDFLARE_ACCOUNT_ID=None) as start,
    ):
        first, asked = start(options), server.take()
        quiet = start(options)
        command = [sys.executable, "-c", _STATE, str(file_in(start.place))]
        found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        stored, unpacked = json.loads(found)
        return {
            "accounts": count,
            "requests": asked["requests"],
            "first_s": first.wall_s,
            "first_cpu_s": first.cpu_s,
            "first_mib": first.peak_mib,
            "quiet_s": quiet.wall_s,
            "quiet_mib": quiet.peak_mib,
            "state_bytes": stored,
            "state_bytes_unpacked": unpacked,
        }


@dataclass(frozen=True)
class _Start:
    """Starts a contender in its place, as often as it is called."""

    contender: Contender
    place: Path
    env: Mapping[str, str]

    def __call__(self, options: Options, *words: str) -> Cost:
        return run([*self.contender.command, *words], place=self.place, env=self.env, limit_s=options.limit_s)


@contextmanager
def _ready(contender: Contender, server: Server, **more: str | None) -> Iterator[_Start]:
    """Give a contender a place of its own; in the end, all must be loaded. None takes a setting away."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        place = Path(folder)
        env = {**server.environment(place), **contender.prepare(place), **more}
        yield _Start(contender, place, {name: value for name, value in env.items() if value is not None})
        judge(contender, place, server.move_to(0))


def _windows(at_s: Sequence[float], window_s: float) -> list[int]:
    """Count requests by windows, each of which begins with its first request."""
    counts: list[int] = []
    ends = 0.0
    for at in sorted(at_s):
        if at >= ends:
            counts.append(0)
            ends = at + window_s
        counts[-1] += 1
    return counts


EXPERIMENTS: Mapping[str, Callable[[Options], dict[str, Any]]] = {
    "growth": growth,
    "startup": startup,
    "ahead": ahead,
    "quota": quota,
    "accounts": accounts,
}
