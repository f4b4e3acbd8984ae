"""What was measured: kept as JSON, asked for as medians."""

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import Any

FOLDER = Path(__file__).parent / "results"
RUNS = ("first", "changed", "quiet")
"""What each contender does in one round: load all, load what 1 % of changes left, load with nothing new."""


@dataclass(frozen=True)
class Result:
    """One program measured once, or why it was not.

    Attributes:
        contender: Its name in `contenders.CONTENDERS`.
        size: Invoices of the first load.
        latency_ms: Of each answer.
        run: One of `RUNS`.
        wall_s, cpu_s, peak_mib: See `measure.Cost`.
        requests: As the server counted.
        amounts: exact, or "float" where they are right to a cent but no decimals, or wrong.
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
    amounts: str = ""
    failed: str = ""

    @property
    def case(self) -> tuple[str, int, float, str]:
        """What it is a measurement of."""
        return self.contender, self.size, self.latency_ms, self.run


@dataclass
class Results:
    """All results, also of earlier commands.

    Attributes:
        commands: Each command that measured some of them, and when.
        machine: Where.
        versions: Of the packages that matter.
        results: Single measurements.
        more: What the experiments found, by their name.
    """

    commands: list[str] = field(default_factory=list)
    machine: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)

    def add(self, new: Sequence[Result]) -> None:
        """Put in results; they replace those of the same cases."""
        cases = {result.case for result in new}
        self.results = [result for result in self.results if result.case not in cases] + list(new)

    def typical(self, contender: str, size: int, latency_ms: float, run: str) -> Result | None:
        """Give the median of each figure, or the failure; None if it was not measured."""
        case = (contender, size, latency_ms, run)
        mine = [result for result in self.results if result.case == case]
        good = [result for result in mine if not result.failed]
        if not good or len(good) < len(mine):
            return next((result for result in mine if result.failed), None)
        return Result(
            *case,
            wall_s=median(result.wall_s for result in good),
            cpu_s=median(result.cpu_s for result in good),
            peak_mib=median(result.peak_mib for result in good),
            requests=int(median(result.requests for result in good)),
            amounts=" or ".join(sorted({result.amounts for result in good})),
        )

    def settings(self) -> list[tuple[int, float]]:
        """List what was measured: sizes and latencies."""
        return sorted(
            {(result.size, result.latency_ms) for result in self.results}, key=lambda s: (s[1], s[0])
        )


def read(path: Path) -> Results:
    """Read the file, if there is one."""
    if not path.exists():
        return Results()
    document = json.loads(path.read_text())
    return Results(**document | {"results": [Result(**each) for each in document["results"]]})


def write(path: Path, results: Results, *, command: str, versions: dict[str, str]) -> None:
    """Write the file, with what this command and this machine are."""
    now = datetime.now(timezone.utc)
    results.commands = [*_without(results.commands, command), f"{now:%Y-%m-%d} {command}"]
    results.machine = (
        f"{cores()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )
    results.versions |= versions
    path.write_text(json.dumps(asdict(results), indent=1) + "\n")


def cores() -> int:
    """Count the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _without(commands: Iterable[str], command: str) -> list[str]:
    return [line for line in commands if line.partition(" ")[2] != command]
