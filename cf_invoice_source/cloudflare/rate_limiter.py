"""Keeps the requests of all accounts and threads within the rate limit, so that no 429 is needed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from threading import Condition, Lock
from time import monotonic, sleep
from weakref import WeakValueDictionary

from cf_invoice_source.cloudflare.rate_limit import Quota, Window
from cf_invoice_source.errors import SettingsError, TryLaterError
from cf_invoice_source.notices import notify
from cf_invoice_source.settings import LONGEST_STANDSTILL_S

_WORTH_A_NOTICE_S = 5.0


@dataclass(slots=True)
class Counts:
    """How often requests were retried or answered 429, and how long they waited for the rate limit."""

    retries: int = 0
    rate_limited: int = 0
    waited_s: float = 0.0


@dataclass(slots=True)
class RequestStats:
    """The counts of one account's requests, added up over all threads."""

    counts: Counts = field(default_factory=Counts)
    _waiting: int = 0
    _noted_at: float = 0.0
    _lock: Lock = field(default_factory=Lock)

    def add(self, *, retries: int = 0, rate_limited: int = 0) -> None:
        """Add to the counts."""
        with self._lock:
            self.counts.retries += retries
            self.counts.rate_limited += rate_limited

    def note_waiting(self, more: int, now: float) -> None:
        """Note that `more` more requests wait from now on. Seconds in which several wait count once."""
        with self._lock:
            if self._waiting:
                self.counts.waited_s += now - self._noted_at
            self._waiting += more
            self._noted_at = now


@dataclass(slots=True)
class Standstill:
    """How long requests have gone without any usable answer. Times are seconds of the caller's clock.

    Requests at the same time count once. The time between requests, which a load needs itself, does not
    count.
    """

    _failed_s: float = 0.0  # in failed requests that have ended
    _counted_to: float = -inf

    def give_up_at(self, begun_at: float) -> float:
        """Say until when a request may go on that began at `begun_at`, if none is answered meanwhile."""
        return max(begun_at, self._counted_to) + LONGEST_STANDSTILL_S - self._failed_s

    def ended(self, begun_at: float, now: float, *, is_answered: bool) -> None:
        """Count a request that has ended."""
        failed_s = max(0.0, now - max(begun_at, self._counted_to))
        self._failed_s = 0.0 if is_answered else self._failed_s + failed_s
        self._counted_to = max(self._counted_to, now)


@dataclass(eq=False)
class RateLimiter:
    """Makes requests wait while nothing is left of the rate limit. All threads share one."""

    clock: Callable[[], float] = field(default_factory=lambda: monotonic)
    sleep: Callable[[float], None] = field(default_factory=lambda: sleep)
    _window: Window = field(default_factory=Window)
    _notified: float = -inf
    _standstill: Standstill = field(default_factory=Standstill)
    _answered: Condition = field(default_factory=Condition)

    @contextmanager
    def request(self) -> Iterator[float]:
        """Note whether the request inside gets an answer (a refusal is one, too); yield when it began."""
        begun_at, is_answered = self.clock(), False
        try:
            yield begun_at
            is_answered = True
        except SettingsError:
            is_answered = True
            raise
        finally:
            with self._answered:
                self._standstill.ended(begun_at, self.clock(), is_answered=is_answered)

    def is_too_late(self, begun_at: float, wait_s: float = 0.0) -> bool:
        """Whether to give up a request that began at `begun_at`, now or after waiting `wait_s` seconds."""
        with self._answered:
            return self.clock() + wait_s > self._standstill.give_up_at(begun_at)

    def before_request(self, stats: RequestStats, begun_at: float) -> float:
        """Wait until the rate limit allows another request, count it, and return the time.

        Raises:
            TryLaterError: The wait would be too long for a request that began at `begun_at`.
        """
        while True:
            with self._answered:
                now = self.clock()
                wait_s = self._window.wait_s(now)
                if (now if wait_s == inf else now + wait_s) > self._standstill.give_up_at(begun_at):
                    minutes = round(LONGEST_STANDSTILL_S / 60)
                    cause = f"Cloudflare has given no usable answer for {minutes} minutes."
                    raise TryLaterError(cause, remedy="run again later: what is loaded stays")
                if not wait_s:
                    self._window = self._window.sent(now)
                    return now
                stats.note_waiting(+1, now)
                if wait_s == inf:
                    self._answered.wait()
                elif wait_s >= _WORTH_A_NOTICE_S and now + wait_s > self._notified + _WORTH_A_NOTICE_S:
                    self._notified = now + wait_s
                    text = f"Cloudflare's rate limit is reached: waiting {wait_s:.0f} seconds"
                    notify(text, is_passing=True)
            if wait_s < inf:
                self.sleep(wait_s)
            stats.note_waiting(-1, self.clock())

    def retried(self, sent_at: float) -> float:
        """Count a request that is sent again because it had no usable answer, and return the time."""
        with self._answered:
            self._window = self._window.retried(sent_at)
            self._answered.notify_all()
            return self.clock()

    def after_answer(self, quota: Quota | None, sent_at: float, hold_s: float | None = None) -> None:
        """Take over how much an answer says is left, if it does, and how long a 429 asks to send nothing."""
        with self._answered:
            self._window = self._window.answered(quota, sent_at)
            if hold_s:
                self._window = self._window.refused(hold_s, self.clock())
            self._answered.notify_all()


_SHARED: WeakValueDictionary[Hashable, RateLimiter] = WeakValueDictionary()
_SHARING = Lock()


def shared_rate_limiter(signed_by: Hashable, base_url: str) -> RateLimiter:
    """Give the one rate limiter of all who sign in alike there, so that loads side by side share it."""
    with _SHARING:
        return _SHARED.setdefault((signed_by, base_url), RateLimiter())
