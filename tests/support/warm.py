"""Processes that need not import dlt, which takes longer than a load does: forked from one that has."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

STREAMS = ("stdout", "stderr")

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        "cf_invoice_source.cli.main",
        "cf_invoice_source.runner",
        "dlt.common.libs.sql_alchemy_compat",  # a connection string makes dlt import SQLAlchemy
        "dlt.destinations.impl.duckdb.duck",
        "dlt.destinations.impl.postgres.postgres",
        "tests.support.quicker",
    ]
)


@dataclass(frozen=True)
class Begun:
    """A process that is under way, and the folder of its two streams."""

    process: BaseProcess
    folder: TemporaryDirectory[str]

    def end(self, timeout_s: float) -> tuple[int, str, str]:
        """Wait for its end; give its exit code and its two streams.

        Raises:
            TimeoutError: It took too long; it is ended then.
        """
        with self.folder as folder:
            self.process.join(timeout_s)
            if self.process.exitcode is None:
                self.process.kill()
                self.process.join()
                raise TimeoutError(timeout_s)
            stdout, stderr = (Path(folder, name).read_text(encoding="utf-8") for name in STREAMS)
            return self.process.exitcode, stdout, stderr


def begin(arguments: Sequence[str], environment: Mapping[str, str]) -> Begun:
    """Begin what `python ARGUMENTS` would run, in this directory."""
    folder = TemporaryDirectory(prefix="streams-")
    streams = [str(Path(folder.name, name)) for name in STREAMS]
    process = _FORKS.Process(target=_become, args=(arguments, environment, str(Path.cwd()), streams))
    process.start()
    return Begun(process, folder)


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
    import tests.support.quicker  # noqa: F401 - for what it does to dlt

    first, *rest = arguments
    sys.argv = rest if first in {"-m", "-c"} else [*arguments]
    if first == "-m":
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.modules["__main__"] = main = ModuleType("__main__")
        exec(rest[0], main.__dict__)  # noqa: S102 - that is what -c means
    else:
        runpy.run_path(first, run_name="__main__")
