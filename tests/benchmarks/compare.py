"""The contenders side by side: each loads the same lists into a DuckDB file of its own, round after round."""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.benchmarks.contenders import CONTENDERS, Contender
from tests.benchmarks.measure import FailedError, run
from tests.benchmarks.results import Result
from tests.benchmarks.rig import Server, look_into, serving


def compare(
    names: Sequence[str], *, size: int, latency_ms: float, rounds: int, runs: Sequence[str], limit_s: float
) -> Iterator[Result]:
    """Let them load in turn, in another order in each round; who failed once is left out from then on."""
    left = []
    for name in names:
        if size <= (most := CONTENDERS[name].most):
            left.append(name)
        else:
            yield Result(name, size, latency_ms, runs[0], failed=f"not tried beyond {most:,}: memory")
    with serving(invoices=size, latency=latency_ms) as server:
        for turn in range(rounds):
            for name in _ordered(left, turn):
                for run_name, measured in _round(server, name, runs, limit_s):
                    if "failed" in measured:
                        left.remove(name)
                    yield Result(name, size, latency_ms, run_name, **measured)


def _round(
    server: Server, name: str, runs: Sequence[str], limit_s: float
) -> Iterator[tuple[str, dict[str, Any]]]:
    contender = CONTENDERS[name]
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        place = Path(folder)
        env = server.environment(place, **contender.prepare(place))
        for run_name in runs:
            expected = server.move_to(0 if run_name == "first" else 1)
            server.take()
            try:
                cost = run(contender.command, place=place, env=env, limit_s=limit_s)
                requests = server.take()["requests"]
                amounts = judge(contender, place, expected)
            except FailedError as error:
                yield run_name, {"failed": str(error)}
                return
            yield run_name, {**asdict(cost), "requests": requests, "amounts": amounts}


def judge(contender: Contender, place: Path, expected: Mapping[str, Any]) -> str:
    """Look into the file, and say how good the amounts are.

    Raises:
        FailedError: Not all rows are there, or the amounts of a contender that has to be exact are not.
    """
    if not contender.table:
        return ""
    found = look_into(place, contender.table)
    if (found["invoices"], found["paid"]) != (expected["invoices"], expected["paid"]):
        raise FailedError(f"the table is wrong: {json.dumps(found)} instead of {json.dumps(expected)}")
    is_right = Decimal(found["amount_due"]) == Decimal(expected["amount_due"])
    amounts = "wrong" if not is_right else "exact" if found["type"].startswith("DECIMAL") else "float"
    if contender.is_exact and amounts != "exact":
        raise FailedError(f"the amounts are {amounts}: {json.dumps(found)} instead of {json.dumps(expected)}")
    return amounts


def _ordered(names: Sequence[str], turn: int) -> list[str]:
    """Begin with another one in each round, and go the other way in every second one."""
    start = turn % max(1, len(names))
    order = [*names[start:], *names[:start]]
    return order[::-1] if turn % 2 else order
