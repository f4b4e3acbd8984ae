"""Keeps the requests of all accounts and threads within the rate limit, before it is spent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from threading import Lock
from time import monotonic, sleep

from cf_invoice_source.cloudflare.rate_limit import Counts, Quota, Window
from cf_invoice_source.notices import notify

_WORTH_A_NOTICE_S = 5.0


@dataclass(slots=True)
class RequestStats:
    """Adds up the trouble that one account's requests have had, in whatever thread."""

    counts: Counts = field(default_factory=Counts)
    _lock: Lock = field(default_factory=Lock)

    def add(self, *, retries: int = 0, rate_limited: int = 0, waited_s: float = 0.0) -> None:
        """Count more of it."""
        with self._lock:
            self.counts += Counts(retries, rate_limited, waited_s)


@dataclass(slots=True)
class RateLimiter:
    """Holds back requests while nothing is left of the rate limit. All threads share one.

    Args:
        clock: Seconds from any start.
        sleep: Waits for so many seconds.
    """

    clock: Callable[[], float] = field(default_factory=lambda: monotonic)
    sleep: Callable[[float], None] = field(default_factory=lambda: sleep)
    _window: Window = field(default_factory=Window)
    _notified: float = -inf
    _lock: Lock = field(default_factory=Lock)

    def before_request(self, stats: RequestStats) -> float:
        """Wait until the rate limit leaves room for another request, count it, and say when that was."""
        while wait_s := self._take():
            self.sleep(wait_s)
            stats.add(waited_s=wait_s)
        return self.clock()

    def retried(self) -> None:
        """Count a request that is sent again, for want of an answer or of a usable one."""
        with self._lock:
            now = self.clock()
            self._window = self._window.answered(None, sent_at=now, now=now).sent(now)

    def after_answer(self, quota: Quota | None, sent_at: float) -> None:
        """Take over what an answer says of the rate limit; None if there was none, or it says nothing."""
        with self._lock:
            self._window = self._window.answered(quota, sent_at=sent_at, now=self.clock())

    def after_refusal(self, wait_s: float) -> None:
        """Let nobody send for so many seconds: an answer 429 asked for it."""
        with self._lock:
            self._window = self._window.refused(wait_s, self.clock())

    def _take(self) -> float:
        """Count a request if there is room for it now; else say how many seconds to wait."""
        with self._lock:
            now = self.clock()
            wait_s = self._window.wait_s(now)
            if not wait_s:
                self._window = self._window.sent(now)
            elif wait_s >= _WORTH_A_NOTICE_S and now + wait_s > self._notified + _WORTH_A_NOTICE_S:
                self._notified = now + wait_s
                notify(f"Cloudflare's rate limit is reached: waiting {wait_s:.0f} seconds")
            return wait_s
