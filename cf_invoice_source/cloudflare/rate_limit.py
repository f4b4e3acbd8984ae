"""Decides how long to wait, by the rate limit's header and by what an answer 429 asks for.

Cloudflare sends `Ratelimit: "default";r=50;t=30` with every answer: 50 requests left, 30 seconds to the next
window. With a 429 it also sends `retry-after`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from math import inf

MAX_REFUSALS = 5
"""How many answers 429 one request may get before it fails."""

LONGEST_WAIT_S = 900.0
"""The longest single wait: three of Cloudflare's windows of 5 minutes."""

_LONGEST_HEADER = 1_000
"""How many characters of a header are read: a search in 64 kB of spaces would take seconds."""

_LIMIT = re.compile(r";\s*r=([0-9]{1,9})\s*;\s*t=([0-9]{1,9})")

_SAME_END_S = 2.0
"""Two ends of a window that are no further apart are the same: the header counts in whole seconds."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left of the rate limit: how many requests, and how many seconds until the next window."""

    left: int
    reset_s: float


@dataclass(frozen=True, slots=True)
class Window:
    """How many requests may still be sent, as far as the answers so far tell. Several may be on their way.

    At the beginning, when a window ends, and after a 429, one request is sent first and the others wait for
    its answer: others may use the token, too, and a server with a sliding window still counts some requests
    of the last one. Where answers do not tell what is left, requests are sent at once from then on. Times are
    seconds of the caller's clock.
    """

    begun_at: float = -inf  # when the first request of a window was sent
    is_probing: bool = False  # whether its answer is still missing
    reported: float = 0  # what is left by the answer that was counted last; infinity if it did not tell
    ends_at: float = -inf  # when the window ends by that answer
    held_until: float = -inf  # until when a 429 asked to send nothing
    on_their_way: int = 0  # sent and not answered: the server may not have counted them yet

    @property
    def left(self) -> float:
        """How many requests can surely be sent before the window ends."""
        return self.reported - self.on_their_way

    def wait_s(self, now: float) -> float:
        """Say how many seconds to wait before the next request; infinity means until an answer comes."""
        if self.is_probing:
            return inf
        spent_until = self.ends_at if self.left <= 0 else -inf
        return max(0.0, spent_until - now, self.held_until - now)

    def sent(self, now: float) -> Window:
        """Count a request that is sent now. The first one, or one after an end or a 429, begins a window."""
        on_their_way = self.on_their_way + 1
        is_over = self.reported < inf and now >= self.ends_at
        if is_over or self.held_until > -inf:
            return Window(begun_at=now, is_probing=True, on_their_way=on_their_way)
        return replace(self, on_their_way=on_their_way)

    def retried(self, sent_at: float) -> Window:
        """Count a retried request again, as the server may have. A retry of the first is the first now."""
        is_probing = self.is_probing and sent_at < self.begun_at
        return replace(self, reported=self.reported - 1, is_probing=is_probing)

    def answered(self, quota: Quota | None, sent_at: float) -> Window:
        """Take over what an answer says is left."""
        # Even without an answer, the request may have been counted. If it was the first, nothing is known.
        after = replace(self.retried(sent_at), on_their_way=self.on_their_way - 1)
        if quota is None:
            return replace(after, reported=inf) if self.is_probing and not after.is_probing else after
        # Answers may come in another order than the server counted the requests. A request was counted later
        # if its answer names a later end of the window, or the same end with less left.
        ends_at = sent_at + quota.reset_s
        if ends_at > self.ends_at + _SAME_END_S:
            return replace(after, reported=quota.left, ends_at=ends_at)
        if ends_at < self.ends_at - _SAME_END_S:
            return after
        reported, ends_at = min(self.reported, quota.left), max(self.ends_at, ends_at)
        return replace(after, reported=reported, ends_at=ends_at)

    def refused(self, wait_s: float, now: float) -> Window:
        """Send nothing for `wait_s` seconds, as a 429 asks; after that, it is unknown what is left."""
        held_until = max(self.held_until, now + wait_s)
        return Window(held_until=held_until, on_their_way=self.on_their_way)


def read_quota(header: str) -> Quota | None:
    """Read the header `Ratelimit`; None if it says nothing. Of several limits, the tightest counts.

    A window that ends later than the longest wait is taken to end with that wait; then one request is tried.
    """
    limits = _LIMIT.findall(header[:_LONGEST_HEADER])
    quotas = [Quota(int(left), min(float(reset_s), LONGEST_WAIT_S)) for left, reset_s in limits]
    return min(quotas, key=lambda quota: (quota.left, -quota.reset_s), default=None)


def wait_after_refusal(retry_after: str, quota: Quota | None, *, refusals: int, now_s: float) -> float | None:
    """Say how many seconds to wait after a request's `refusals`-th answer 429; None to give up."""
    if refusals >= MAX_REFUSALS:
        return None
    asked_s = retry_after_s(retry_after, now_s)  # it takes precedence over the quota
    if asked_s is None:
        asked_s = quota.reset_s if quota and not quota.left else 2.0**refusals
    return None if asked_s > LONGEST_WAIT_S else max(1.0, asked_s)  # even if the server says 0 seconds


def retry_after_s(header: str, now_s: float) -> float | None:
    """Read from the header `Retry-After` in how many seconds to ask again; None if it does not say."""
    text = header[:_LONGEST_HEADER].strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return parsedate_to_datetime(text).timestamp() - now_s
    except (ValueError, OverflowError, TypeError, OSError):  # all the ways in which a date can be wrong
        return None
