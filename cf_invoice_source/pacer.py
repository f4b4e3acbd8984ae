"""Keeps requests within the rate limit, before it is spent."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic, sleep

from cf_invoice_source.decide.pace import Quota

# A child of dlt's logger: its handlers and format apply, but a wait is told whatever dlt's level is.
_logger = logging.getLogger("dlt.cf_invoice_source")
_logger.setLevel(logging.WARNING)

_WORTH_TELLING_S = 5.0


@dataclass(slots=True)
class Pacer:
    """Holds back requests while nothing is left of the rate limit.

    Args:
        clock: Seconds from any start.
        sleep: Waits for so many seconds.

    Attributes:
        waited_s: Seconds waited so far.
    """

    clock: Callable[[], float] = field(default_factory=lambda: monotonic)
    sleep: Callable[[float], None] = field(default_factory=lambda: sleep)
    waited_s: float = 0.0
    _left: int | None = None
    _resets_at: float = 0.0
    _lock: Lock = field(default_factory=Lock)

    def before_request(self) -> None:
        """Wait until the rate limit leaves room for another request, and count it."""
        with self._lock:
            if self._left is not None and self._left <= 0:
                self.wait(self._resets_at - self.clock())
            elif self._left is not None:
                self._left -= 1

    def after_answer(self, quota: Quota | None) -> None:
        """Take over what an answer says about the rate limit."""
        if quota:
            with self._lock:
                self._left, self._resets_at = quota.left, self.clock() + quota.reset_s

    def wait(self, seconds: float) -> None:
        """Wait, and say so if it is long. What was left of the limit before is not known after it."""
        self._left = None
        if seconds <= 0:
            return
        if seconds >= _WORTH_TELLING_S:
            _logger.warning("Cloudflare's rate limit is reached: waiting %.0f seconds", seconds)
        self.sleep(seconds)
        self.waited_s += seconds
