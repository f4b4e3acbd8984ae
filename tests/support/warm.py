"""Processes that need not import dlt, which takes longer than a load does: forked from one that has."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        "cf_invoice_source.cli.main",
        "cf_invoice_source.runner",
        "dlt.destinations.impl.duckdb.duck",
        "dlt.destinations.impl.postgres.postgres",
    ]
)


def run(arguments: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> tuple[int, str, str]:
    """Run what `python ARGUMENTS` would, in this directory; give its exit code and its two streams.

    Raises:
        TimeoutError: It took too long; it is ended then.
    """
    with TemporaryDirectory(prefix="streams-") as folder:
        streams = [str(Path(folder, name)) for name in ("stdout", "stderr")]
        process = _FORKS.Process(target=_become, args=(arguments, environment, str(Path.cwd()), streams))
        process.start()
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(arguments)
        stdout, stderr = (Path(stream).read_text(encoding="utf-8") for stream in streams)
        return process.exitcode, stdout, stderr


def _become(
    arguments: Sequence[str], environment: Mapping[str, str], place: str, streams: Sequence[str]
) -> None:
    for number, name in enumerate(streams, 1):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT), number)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process lives
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(place)
    first, *rest = arguments
    sys.argv = rest if first in {"-m", "-c"} else [*arguments]
    if first == "-m":
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.modules["__main__"] = main = ModuleType("__main__")
        exec(rest[0], main.__dict__)  # noqa: S102 - that is what -c means
    else:
        runpy.run_path(first, run_name="__main__")
