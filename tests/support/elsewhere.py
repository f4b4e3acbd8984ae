"""Programs of another Python that need not import what they run anew each time."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent


class Elsewhere:
    """A process of another Python that has imported a program of this directory."""

    def __init__(self, python: Path, program: str, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [python, HERE / "fork_elsewhere.py", HERE / program],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, directory: Path, environment: Mapping[str, str]) -> tuple[int, str]:
        """Run the program to its end; give its exit code and what it said."""
        said = directory.with_name(f"{directory.name}.said")
        run = {"directory": str(directory), "environment": dict(environment), "said": str(said)}
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps({"arguments": arguments, **run}), file=self._process.stdin, flush=True)
        exit_code = int(self._process.stdout.readline())
        return exit_code, said.read_text(encoding="utf-8")

    def end(self) -> None:
        self._process.communicate()
