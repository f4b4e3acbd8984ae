"""Shows the progress of a load: one line that changes, or a log line now and then."""

from __future__ import annotations

from collections import Counter
from time import monotonic
from types import TracebackType
from typing import Any

from dlt.common.runtime.collector import NullCollector
from rich.console import Console
from rich.status import Status as StatusLine
from rich.text import Text

from cf_invoice_source.loading.counters import ACCOUNTS, PAGES, RECORDS

LINE_EVERY_S = 10.0
"""How often a line is printed if there is no terminal."""

_JOBS = "Jobs"
_DOING = {"extract": "Asking Cloudflare", "normalize": "Preparing rows", "load": "Loading"}


class Progress(NullCollector):
    """Shows how far a load has come: on a terminal in one line that changes, else in log lines."""

    def __init__(self, console: Console, *, is_shown: bool) -> None:
        self._console = console
        self._is_shown = is_shown and not console.quiet
        self._status: StatusLine | None = None
        self._doing = ""
        self._counts = Counter[str]()
        self._totals: dict[str, int] = {}
        self._shown_at = monotonic()

    def update(self, name: str, inc: int = 1, total: int | None = None, *_more: Any, **named: Any) -> None:
        """Count, and show the progress. dlt's counters whose names begin with a small letter are tables."""
        if named.get("label") or (name not in _SHOWN and not name.islower()):
            return
        name = _ROWS if name.islower() else name
        self._counts[name] += inc
        self._totals[name] = total or self._totals.get(name, 0) + (named.get("inc_total") or 0)
        if name == _ROWS and self._doing == _DOING["extract"]:
            return  # dlt counts them at the end of a package
        text = f"{self._doing}: {self._figures()}"
        if self._status:
            self._status.update(Text(text, no_wrap=True, overflow="ellipsis"))
        elif self._is_shown and monotonic() - self._shown_at >= LINE_EVERY_S:
            self._shown_at = monotonic()
            self._console.print(text, soft_wrap=True)

    def _figures(self) -> str:
        if self._doing != _DOING["extract"]:
            return self._so_far(_JOBS, "job") or f"{self._counts[_ROWS]:,} rows"
        accounts = self._so_far(ACCOUNTS, "accounts") if self._totals.get(ACCOUNTS, 0) > 1 else ""
        records = f"{self._counts[RECORDS]:,} records"
        return ", ".join(filter(None, (self._so_far(PAGES, "page"), accounts, records)))

    def _so_far(self, name: str, one: str) -> str:
        """Say "page 3 of 56" or "2 of 3 accounts"; empty if no total is known."""
        count, total = self._counts[name], self._totals.get(name, 0)
        if not total:
            return ""
        return f"{count:,} of {total:,} {one}" if name == ACCOUNTS else f"{one} {count:,} of {total:,}"

    def _start(self, step: str) -> None:
        for name in (_ROWS, _JOBS):
            self._counts[name] = self._totals[name] = 0
        self._doing = next((text for name, text in _DOING.items() if name in step.lower()), step)
        if self._is_shown and self._console.is_terminal:
            self._status = self._console.status(self._doing)
            self._status.start()

    def _stop(self) -> None:
        if self._status:
            self._status.stop()
            self._status = None


_ROWS = "rows"
_SHOWN = {ACCOUNTS, PAGES, RECORDS, _JOBS}


class Line:
    """Shows how many of some things are done: on a terminal in one line that changes, else now and then."""

    def __init__(self, console: Console, doing: str, *, is_shown: bool) -> None:
        self._console = console
        self._doing = doing
        self._is_shown = is_shown and not console.quiet
        self._status = console.status(doing) if self._is_shown and console.is_terminal else None
        self._shown_at = monotonic()

    def __enter__(self) -> Line:  # noqa: PYI034 - typing.Self came with Python 3.11
        if self._status:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status:
            self._status.stop()

    def update(self, done: int, total: int) -> None:
        """Show how many are done."""
        text = f"{self._doing}: {done:,} of {total:,}"
        if self._status:
            self._status.update(Text(text))
        elif self._is_shown and monotonic() - self._shown_at >= LINE_EVERY_S:
            self._shown_at = monotonic()
            self._console.print(text, soft_wrap=True)
