"""What a person sees while a load goes on: one line."""

from __future__ import annotations

from typing import Any

from dlt.common.runtime.collector import NullCollector
from rich.console import Console
from rich.status import Status as StatusLine


class Spinner(NullCollector):
    """Shows the step and the rows so far on one line, which goes away at the end; nothing off a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: StatusLine | None = None
        self._doing = ""
        self._rows = 0

    def update(self, name: str, inc: int = 1, *_more: Any, **_named: Any) -> None:
        """Count rows of tables; dlt's own counters begin with a capital letter."""
        if self._status and name.islower():
            self._rows += inc
            self._status.update(f"{self._doing}: {self._rows:,} rows")

    def _start(self, step: str) -> None:
        self._rows = 0
        doing = {"extract": "Asking Cloudflare", "normalize": "Preparing rows", "load": "Loading"}
        self._doing = next((text for name, text in doing.items() if name in step.lower()), step)
        self._status = self._console.status(self._doing)
        self._status.start()

    def _stop(self) -> None:
        if self._status:
            self._status.stop()
            self._status = None
