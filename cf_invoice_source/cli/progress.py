"""dlt's progress, drawn by rich."""

from __future__ import annotations

from typing import Any

from dlt.common.runtime.collector import NullCollector
from rich.console import Console
from rich.status import Status

_DOING = {"extract": "Asking Cloudflare", "normalize": "Preparing rows", "load": "Loading"}


class Spinner(NullCollector):
    """Shows the step and the rows so far on one line, which goes away at the end; nothing off a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._rows = 0

    def update(self, name: str, inc: int = 1, *_more: Any, **_named: Any) -> None:
        """Count rows of tables; dlt's own counters begin with a capital letter."""
        if self._status and name.islower():
            self._rows += inc
            self._status.update(f"{self._what()}: {self._rows:,} rows")

    def _start(self, step: str) -> None:
        self._rows = 0
        self.step = step
        self._status = self._console.status(self._what())
        self._status.start()

    def _stop(self) -> None:
        if self._status:
            self._status.stop()
            self._status = None

    def _what(self) -> str:
        return next((text for step, text in _DOING.items() if step in self.step.lower()), self.step)
