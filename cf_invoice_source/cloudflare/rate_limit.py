"""How long to wait: what the rate limit's headers say, and what an answer 429 asks for.

With every answer, Cloudflare sends `Ratelimit: "default";r=50;t=30` (50 requests left, 30 seconds to the next
window) and `Ratelimit-Policy: "default";q=1200;w=300` (1,200 requests in each window of 300 seconds); with a
429, `retry-after`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime

MAX_REFUSALS = 5
"""How many answers 429 one request may get before it is given up."""

LONGEST_WAIT_S = 900.0
"""More than this is not waited for at once: three of Cloudflare's windows of 5 minutes."""

_SHORTEST_WAIT_S = 1.0
"""What follows a 429 at least, even if it says that no wait is needed."""

_LIMIT = re.compile(r"([^;,]*);\s*r=(\d{1,9})\s*;\s*t=(\d{1,9})")
_POLICY = re.compile(r"([^;,]*);\s*q=(\d{1,9})\s*;\s*w=(\d{1,9})")

_SAME_WINDOW_S = 2.0
"""Ends of a window that lie no further apart are the same one: the header counts in whole seconds, and a
window begins only when its first request arrives."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The rate limit itself.

    Attributes:
        requests: Requests in each window.
        window_s: Its length in seconds.
    """

    requests: int
    window_s: float


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left of the rate limit.

    Attributes:
        left: Requests left in this window.
        reset_s: Seconds until the next window.
        policy: The limit itself; None if that is not said.
    """

    left: int
    reset_s: float
    policy: Policy | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """What may still be sent, as far as all answers so far tell. Several requests may be on their way.

    Times are seconds of the caller's clock.

    Attributes:
        reported: The least that an answer said is left in this window; None while nothing is known.
        begun_at: When this window began, if an earlier one was known.
        ends_at: When this window ends.
        held_until: Until when an answer 429 asked to send nothing.
        policy: The limit itself, if known.
        on_their_way: Requests sent and not answered: the server may not have counted them yet.
    """

    reported: int | None = None
    begun_at: float = 0.0
    ends_at: float = 0.0
    held_until: float = 0.0
    policy: Policy | None = None
    on_their_way: int = 0

    @property
    def left(self) -> int | None:
        """How many requests may be sent before the window ends, for certain; None while nothing is known.

        Whatever was answered is counted in the least that any answer said.
        """
        return None if self.reported is None else self.reported - self.on_their_way

    def wait_s(self, now: float) -> float:
        """Say how many seconds to wait before the next request."""
        spent_until = self.ends_at if self.left is not None and self.left <= 0 else 0.0
        return max(0.0, spent_until - now, self.held_until - now)

    def sent(self, now: float) -> Window:
        """Count a request. In a new window, the policy says what may be sent until an answer does."""
        window = self
        if now >= self.ends_at:
            window = replace(self, reported=None)
            if policy := self.policy:
                ends_at = now + policy.window_s + _SAME_WINDOW_S
                window = replace(self, reported=policy.requests, begun_at=now, ends_at=ends_at)
        return replace(window, on_their_way=self.on_their_way + 1)

    def answered(self, quota: Quota | None, *, sent_at: float, now: float) -> Window:
        """Take over what an answer says; without a word, the request may have been counted all the same.

        Answers may be late, and in another order than the server counted them: within a window, what is left
        only falls, and the earliest end that any of them allows is the true one.
        """
        after = replace(self, on_their_way=self.on_their_way - 1)
        if quota is None:
            return replace(after, reported=None if self.reported is None else self.reported - 1)
        ends_at = sent_at + quota.reset_s
        if sent_at < self.begun_at and ends_at <= self.begun_at + _SAME_WINDOW_S:
            return after  # it tells of the window before
        reported, policy = quota.left, quota.policy or self.policy
        if self.reported is not None and ends_at <= self.ends_at + _SAME_WINDOW_S:
            reported = min(reported, self.reported)
            return replace(
                after, reported=reported, ends_at=min(now + quota.reset_s, self.ends_at), policy=policy
            )
        return replace(after, reported=reported, ends_at=now + quota.reset_s, policy=policy)

    def refused(self, wait_s: float, now: float) -> Window:
        """Send nothing for so many seconds, as an answer 429 asks; after that, what is left is not known."""
        held_until = max(self.held_until, now + wait_s)
        return replace(self, reported=None, ends_at=held_until, held_until=held_until)


@dataclass(frozen=True, slots=True)
class Counts:
    """Trouble that requests have had.

    Attributes:
        retries: Answers, or failures to get one, after which the same was asked again.
        rate_limited: Answers 429.
        waited_s: Seconds waited for the rate limit.
    """

    retries: int = 0
    rate_limited: int = 0
    waited_s: float = 0.0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.retries + other.retries,
            self.rate_limited + other.rate_limited,
            self.waited_s + other.waited_s,
        )


def read_quota(limits: str, policies: str = "") -> Quota | None:
    """Read the headers `Ratelimit` and `Ratelimit-Policy`; None if they say nothing.

    Of several limits, the one with the least left counts. The policy is the one of its name, or else the
    tightest.
    """
    named = {
        name.strip(): Policy(int(size), float(window)) for name, size, window in _POLICY.findall(policies)
    }
    tightest = min(named.values(), key=lambda policy: policy.requests, default=None)
    quotas = [
        Quota(int(left), float(reset), named.get(name.strip(), tightest))
        for name, left, reset in _LIMIT.findall(limits)
    ]
    return min(quotas, key=lambda quota: (quota.left, -quota.reset_s), default=None)


def wait_after_refusal(retry_after: str, quota: Quota | None, *, refusals: int, now_s: float) -> float | None:
    """Say how many seconds to wait after an answer 429; None to give up.

    Args:
        retry_after: The header: whole seconds, an HTTP date, or empty.
        quota: What the `Ratelimit` header says, for want of `retry-after`.
        refusals: How many answers 429 this request has had, this one included.
        now_s: The time, in unix seconds, for an HTTP date.
    """
    if refusals >= MAX_REFUSALS:
        return None
    asked_s = _seconds(retry_after, now_s)
    if asked_s is None:
        asked_s = quota.reset_s if quota and not quota.left else 2.0**refusals
    return None if asked_s > LONGEST_WAIT_S else max(_SHORTEST_WAIT_S, asked_s)


def _seconds(retry_after: str, now_s: float) -> float | None:
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:_DIGITS])
    try:
        return parsedate_to_datetime(text).timestamp() - now_s
    except (ValueError, OverflowError):
        return None


_DIGITS = 9
