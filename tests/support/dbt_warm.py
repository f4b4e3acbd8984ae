"""Runs dbt in forks of one process, in dbt's own Python: to import it takes longer than to build the models.

Each line on stdin is a run in JSON: its arguments, directory, environment, and the file of what it says.
The answer is a line with the exit code.
"""

import json
import os
import signal
import sys
from importlib import import_module
from typing import Any

from dbt.cli.main import cli

for adapter in ("duckdb", "postgres"):
    import_module(f"dbt.adapters.{adapter}")

LONGEST_S = 180


def become(run: dict[str, Any]) -> None:
    said = os.open(run["said"], os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(said, stream)
    signal.alarm(LONGEST_S)
    os.chdir(run["directory"])
    os.environ.clear()
    os.environ.update(run["environment"])
    cli(run["arguments"], prog_name="dbt")


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if not child:
            become(json.loads(line))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
