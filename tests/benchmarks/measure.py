"""Runs a program, and says what it cost."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from threading import Timer
from time import perf_counter


@dataclass(frozen=True)
class Cost:
    """What a program cost, from its start to its end.

    Attributes:
        wall_s: Seconds that went by.
        cpu_s: Seconds of processor time, user and system, of the process and those that it started.
        peak_mib: The most memory (resident set) that the process had, or the largest of those it started.
    """

    wall_s: float
    cpu_s: float
    peak_mib: float


class FailedError(Exception):
    """The program failed, or took longer than it may."""


def run(command: Sequence[str], *, place: Path, env: Mapping[str, str], limit_s: float) -> Cost:
    """Run a program in a directory. What it prints goes into `output.txt` there.

    Raises:
        FailedError: It did not end well, or not in time.
    """
    output = place / "output.txt"
    with output.open("wb") as file:
        start = perf_counter()
        process = subprocess.Popen(
            command,
            cwd=place,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
        timer = Timer(limit_s, os.killpg, (process.pid, SIGKILL))
        timer.start()
        try:
            _, status, used = os.wait4(process.pid, 0)
        except KeyboardInterrupt:
            os.killpg(process.pid, SIGKILL)
            raise
        finally:
            timer.cancel()
        wall_s = perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if wall_s >= limit_s:
        raise FailedError(f"took more than {limit_s:.0f} s")
    if process.returncode:
        raise FailedError(f"exit code {process.returncode}\n{output.read_text()[-2_000:]}")
    return Cost(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
