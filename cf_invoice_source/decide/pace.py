"""How long to wait: what the rate limit's headers say, and what an answer 429 asks for.

Cloudflare sends `Ratelimit: "default";r=50;t=30` (50 requests left, 30 seconds to the next window) with every
answer, and `retry-after` with a 429.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

MAX_REFUSALS = 5
"""How many answers 429 one request may get before it is given up."""

LONGEST_WAIT_S = 900.0
"""More than this is not waited for at once: three of Cloudflare's windows of 5 minutes."""

_SHORTEST_WAIT_S = 1.0
"""What follows a 429 at least, even if it says that no wait is needed."""

_LIMIT = re.compile(r";\s*r=(\d{1,9})\s*;\s*t=(\d{1,9})")


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left of the rate limit.

    Attributes:
        left: Requests left in this window.
        reset_s: Seconds until the next window.
    """

    left: int
    reset_s: float


@dataclass(frozen=True, slots=True)
class Meter:
    """Trouble that requests have had.

    Attributes:
        retries: Answers, or failures to get one, after which the same was asked again.
        rate_limited: Answers 429.
        waited_s: Seconds waited for the rate limit.
    """

    retries: int = 0
    rate_limited: int = 0
    waited_s: float = 0.0

    def since(self, earlier: Meter) -> Meter:
        """Say what has come since an earlier reading."""
        return Meter(
            self.retries - earlier.retries,
            self.rate_limited - earlier.rate_limited,
            self.waited_s - earlier.waited_s,
        )


def read_quota(header: str) -> Quota | None:
    """Read a `Ratelimit` header; of several limits, the one with the least left. None if it says nothing."""
    limits = [Quota(int(left), float(reset)) for left, reset in _LIMIT.findall(header)]
    return min(limits, key=lambda quota: (quota.left, -quota.reset_s), default=None)


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
