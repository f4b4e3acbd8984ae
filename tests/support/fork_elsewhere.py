"""Runs a program in forks of one process, in its own Python: to import it takes longer than the rest.

    python fork_elsewhere.py FILE

FILE is imported once. Each line on stdin is a run of its `main` in JSON: arguments, directory, environment,
and the file of what it says. The answer is a line with the exit code.
"""

import gc
import json
import os
import runpy
import signal
import sys
from typing import Any

LONGEST_S = 300


def become(run: dict[str, Any]) -> None:
    said = os.open(run["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(said, stream)
    signal.alarm(LONGEST_S)
    os.chdir(run["directory"])
    os.environ.clear()
    os.environ.update(run["environment"])
    sys.argv[1:] = run["arguments"]


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # for what is said while FILE is imported
    del sys.path[0]  # in this directory is a dbt, too
    program = runpy.run_path(sys.argv[1])["main"]
    gc.freeze()  # what was imported is no garbage of a run
    for line in sys.stdin:
        child = os.fork()
        if not child:
            become(json.loads(line))
            program()
            return
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


if __name__ == "__main__":
    main()
