"""How long to wait: what the rate limit's header says, and what an answer 429 asks for.

With every answer, Cloudflare sends `Ratelimit: "default";r=50;t=30`: 50 requests left, 30 seconds to the next
window; with a 429, `retry-after`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from math import inf

MAX_REFUSALS = 5
"""How many answers 429 one request may get before it is given up."""

LONGEST_WAIT_S = 900.0
"""More than this is not waited for at once: three of Cloudflare's windows of 5 minutes."""

_LONGEST_HEADER = 1_000
"""Characters of a header that are read: a search in 64 kB of spaces takes seconds."""

_LIMIT = re.compile(r";\s*r=([0-9]{1,9})\s*;\s*t=([0-9]{1,9})")

_SAME_END_S = 2.0
"""Ends of a window that lie no further apart are the same one: the header counts in whole seconds."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left of the rate limit: so many requests until the next window, in so many seconds."""

    left: int
    reset_s: float


@dataclass(frozen=True, slots=True)
class Window:
    """What may still be sent, as far as all answers so far tell. Several requests may be on their way.

    While nothing is known, requests may go at once. When a window ends, and after a 429, one goes first and
    the others wait for what its answer says: a server that counts in a sliding window has not forgotten all
    that was sent in the last one. Times are seconds of the caller's clock.
    """

    begun_at: float = -inf  # when the request was sent that went first
    is_probing: bool = False  # whether it is still on its way
    reported: float = inf  # what is left, as the answer said that was counted last; infinity: not known
    ends_at: float = -inf  # when the window ends, as that answer said
    held_until: float = -inf  # until when an answer 429 asked to send nothing
    on_their_way: int = 0  # requests sent and not answered: the server may not have counted them yet

    @property
    def left(self) -> float:
        """How many requests may be sent before the window ends, for certain."""
        return self.reported - self.on_their_way

    def wait_s(self, now: float) -> float:
        """Say how many seconds to wait before the next request; infinity for until an answer comes."""
        if self.is_probing:
            return inf
        spent_until = self.ends_at if self.left <= 0 else -inf
        return max(0.0, spent_until - now, self.held_until - now)

    def sent(self, now: float) -> Window:
        """Count a request that need not wait. The first one after a window or a 429 begins another."""
        on_their_way = self.on_their_way + 1
        is_over = self.reported < inf and now >= self.ends_at
        if is_over or self.held_until > -inf:
            return Window(begun_at=now, is_probing=True, reported=0, on_their_way=on_their_way)
        return replace(self, on_their_way=on_their_way)

    def retried(self, sent_at: float) -> Window:
        """Count a request twice, for the server may have. If it went first, the next one does."""
        is_probing = self.is_probing and sent_at < self.begun_at
        return replace(self, reported=self.reported - 1, is_probing=is_probing)

    def answered(self, quota: Quota | None, sent_at: float) -> Window:
        """Take over what an answer says."""
        # Without a word, the request may have been counted all the same; if it went first, nothing is known.
        after = replace(self.retried(sent_at), on_their_way=self.on_their_way - 1)
        if quota is None:
            return replace(after, reported=inf) if self.is_probing and not after.is_probing else after
        # Answers may be late, and come in another order than the server counted the requests. The later the
        # end that one tells of, the later it was counted; with the same end, the one with the least left was.
        ends_at = sent_at + quota.reset_s
        if ends_at > self.ends_at + _SAME_END_S:
            return replace(after, reported=quota.left, ends_at=ends_at)
        if ends_at < self.ends_at - _SAME_END_S:
            return after
        reported, ends_at = min(self.reported, quota.left), max(self.ends_at, ends_at)
        return replace(after, reported=reported, ends_at=ends_at)

    def refused(self, wait_s: float, now: float) -> Window:
        """Send nothing for so many seconds, as an answer 429 asks; after that, what is left is not known."""
        held_until = max(self.held_until, now + wait_s)
        return Window(held_until=held_until, on_their_way=self.on_their_way)


def read_quota(header: str) -> Quota | None:
    """Read the header `Ratelimit`; None if it says nothing. Of several limits, the tightest counts.

    A window that is said to end later than anybody waits is taken to end then: one request finds out.
    """
    limits = _LIMIT.findall(header[:_LONGEST_HEADER])
    quotas = [Quota(int(left), min(float(reset_s), LONGEST_WAIT_S)) for left, reset_s in limits]
    return min(quotas, key=lambda quota: (quota.left, -quota.reset_s), default=None)


def wait_after_refusal(retry_after: str, quota: Quota | None, *, refusals: int, now_s: float) -> float | None:
    """Say how many seconds to wait after an answer 429, the request's `refusals`-th; None to give up."""
    if refusals >= MAX_REFUSALS:
        return None
    asked_s = retry_after_s(retry_after, now_s)  # which counts before the quota
    if asked_s is None:
        asked_s = quota.reset_s if quota and not quota.left else 2.0**refusals
    return None if asked_s > LONGEST_WAIT_S else max(1.0, asked_s)  # even if it says that no wait is needed


def retry_after_s(header: str, now_s: float) -> float | None:
    """Say in how many seconds to ask again, by the header `Retry-After`; None if it says nothing."""
    text = header[:_LONGEST_HEADER].strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return parsedate_to_datetime(text).timestamp() - now_s
    except (ValueError, OverflowError, TypeError, OSError):  # whatever a date can be wrong with
        return None
