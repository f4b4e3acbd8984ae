"""dlt's progress, drawn by rich."""

from __future__ import annotations

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

    def update(  # noqa: PLR0913, PLR0917 - the signature is dlt's
        self,
        name: str,
        inc: int = 1,
        total: int | None = None,
        inc_total: int | None = None,
        message: str | None = None,
        label: str | None = None,
    ) -> None:
        """Count rows of tables; dlt's own counters begin with a capital letter."""
        del total, inc_total, message, label
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
