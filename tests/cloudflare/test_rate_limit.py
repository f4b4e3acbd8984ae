"""What the rate limit's header says, and how long a 429 is waited for."""

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cf_invoice_source.cloudflare.rate_limit import (
    LONGEST_WAIT_S,
    MAX_REFUSALS,
    Quota,
    Window,
    read_quota,
    wait_after_refusal,
)


@pytest.mark.parametrize(
    ("header", "quota"),
    [
        ('"default";r=50;t=30', Quota(50, 30)),
        ('"default"; r=0 ; t=7', Quota(0, 7)),
        ('"default";r=50;t=30, "burst";r=2;t=5', Quota(2, 5)),
        ('"burst";r=0;t=5, "default";r=0;t=300', Quota(0, 300)),
        ("", None),
        ('"default"', None),
        ('"default";r=-1;t=30', None),
        ('"default";r=x;t=30', None),
    ],
)
def test_the_tightest_limit_counts(header: str, quota: Quota | None) -> None:
    assert read_quota(header) == quota


@pytest.mark.parametrize(
    ("retry_after", "quota", "refusals", "waits_s"),
    [
        pytest.param("17", None, 1, 17, id="to the second"),
        pytest.param(" 17 ", None, 1, 17, id="with spaces around"),
        pytest.param("17", Quota(0, 300), 1, 17, id="retry-after beats ratelimit"),
        pytest.param("0", None, 1, 1, id="0 is still not at once"),
        pytest.param("Thu, 01 Jan 1970 00:01:40 GMT", None, 1, 60, id="a date"),
        pytest.param("Thu, 01 Jan 1970 00:00:10 GMT", None, 1, 1, id="a date that is past"),
        pytest.param("", Quota(0, 12), 1, 12, id="absent: until the window ends"),
        pytest.param("", Quota(5, 12), 1, 2, id="absent, something left: a little"),
        pytest.param("", None, 1, 2, id="absent: a little"),
        pytest.param("", None, 3, 8, id="absent: longer each time"),
        pytest.param("soon", None, 1, 2, id="nonsense counts as absent"),
        pytest.param("900", None, 1, 900, id="as long as three windows"),
        pytest.param("901", None, 1, None, id="no longer"),
        pytest.param("99999999999999999999", None, 1, None, id="for ever"),
        pytest.param("1", None, MAX_REFUSALS, None, id="not again and again"),
    ],
)
def test_a_refusal_is_waited_for(
    retry_after: str, quota: Quota | None, refusals: int, waits_s: float | None
) -> None:
    assert wait_after_refusal(retry_after, quota, refusals=refusals, now_s=40) == waits_s


@pytest.mark.slow
@given(st.text(), st.integers(1, 10))
def test_no_header_makes_it_hammer_or_wait_for_ever(retry_after: str, refusals: int) -> None:
    waits_s = wait_after_refusal(retry_after, None, refusals=refusals, now_s=1.7e9)

    assert waits_s is None or 1 <= waits_s <= LONGEST_WAIT_S


# What is left


def test_while_nothing_is_known_one_request_goes_first_and_the_others_wait_for_its_answer() -> None:
    assert Window().wait_s(0) == 0
    assert Window().sent(0).wait_s(0) == math.inf


def test_where_answers_do_not_tell_what_is_left_requests_are_not_held_back() -> None:
    window = answered(Window().sent(0), None)

    assert window.wait_s(0) == window.sent(0).wait_s(0) == window.sent(0).sent(1).wait_s(2) == 0


def answered(window: Window, quota: Quota | None, now: float = 0) -> Window:
    """An answer that comes at once."""
    return window.answered(quota, now)


def test_requests_on_their_way_count_as_spent() -> None:
    window = answered(Window().sent(0).sent(0).sent(0), Quota(2, 30))

    assert (window.left, window.wait_s(0), window.wait_s(10)) == (0, 30, 20)


def test_an_answer_that_was_overtaken_does_not_raise_what_is_left() -> None:
    window = answered(Window().sent(0).sent(0), Quota(8, 30))

    late = window.answered(Quota(9, 30), sent_at=0)

    assert (window.left, late.left, late.ends_at) == (7, 8, 30)


def test_once_all_is_answered_the_least_that_was_said_is_left_whatever_the_order() -> None:
    window = Window().sent(0).sent(0).sent(0)

    for left in (5, 7, 6):
        window = answered(window, Quota(left, 30))

    assert window.left == 5


# A new window


def probing() -> Window:
    """Another window has begun, and the first request of it is on its way."""
    return answered(Window().sent(0), Quota(0, 30)).sent(30)


def test_when_a_window_ends_one_request_goes_first_and_the_others_wait_for_its_answer() -> None:
    spent = answered(Window().sent(0), Quota(0, 30))

    assert (spent.wait_s(29.5), spent.wait_s(30)) == (0.5, 0)
    assert probing().wait_s(30) == probing().wait_s(1e9) == math.inf


@pytest.mark.parametrize(("left", "waits_s"), [(2, 0), (1, 0), (0, 17)])
def test_its_answer_says_what_is_left_in_the_new_window(left: int, waits_s: float) -> None:
    known = answered(probing(), Quota(left, 17), now=30)

    assert (known.left, known.wait_s(30)) == (left, waits_s)


def test_a_window_of_which_something_is_left_ends_in_the_same_way() -> None:
    known = answered(Window().sent(0), Quota(9, 30))

    assert known.sent(29).sent(29).wait_s(29) == 0
    assert known.sent(31).wait_s(31) == math.inf


def test_if_it_has_to_be_sent_again_the_next_one_goes_first() -> None:
    after = probing().retried(30)

    assert after.wait_s(31) == 0
    assert after.sent(31).wait_s(31) == math.inf
    assert after.sent(31).answered(None, 30).wait_s(31) == math.inf


def test_if_its_answer_says_nothing_nothing_is_known_again() -> None:
    after = answered(probing(), None, now=30)

    assert after.sent(31).sent(31).wait_s(31) == 0


def test_an_answer_to_an_earlier_request_does_not_end_the_wait_and_says_nothing_of_the_new_window() -> None:
    late = answered(Window().sent(0).sent(0), Quota(1, 30)).sent(30)

    still_probing = late.answered(Quota(0, 30), sent_at=0)

    assert still_probing.wait_s(31) == math.inf
    assert late.retried(0).wait_s(31) == math.inf
    assert still_probing.answered(Quota(9, 30), sent_at=30).left == 9


def test_an_earlier_request_may_have_been_counted_in_the_new_window() -> None:
    known = answered(answered(Window().sent(0).sent(0), Quota(1, 30)).sent(30), Quota(9, 30), now=30)

    after = known.answered(Quota(0, 30), sent_at=0)

    assert known.left == after.left == 8


def test_after_a_refusal_one_request_goes_first() -> None:
    held = Window().sent(0).sent(0).refused(17, 0)
    overtaken = answered(held, Quota(50, 300), now=1)

    assert held.sent(17).wait_s(17) == overtaken.sent(17).wait_s(17) == math.inf


def test_a_refusal_of_the_first_request_holds_back_the_others() -> None:
    refused = answered(probing(), None, now=30).refused(17, 30)

    assert (refused.wait_s(30), refused.wait_s(47)) == (17, 0)


def test_the_answer_that_tells_of_the_later_end_was_counted_later() -> None:
    """In a sliding window, that end is when the oldest request no longer counts: by then it was another."""
    begun = answered(probing(), Quota(8, 1), now=30).sent(30).sent(30)
    newer = begun.answered(Quota(8, 59), sent_at=30)

    for after in (newer, begun.answered(Quota(7, 58), 30).answered(Quota(8, 59), 30)):
        assert after.ends_at == 89
    assert (newer.left, newer.answered(Quota(7, 1), sent_at=30).left) == (7, 7)


def test_a_window_that_ended_before_it_was_thought_to_does_not_hold_back_the_next() -> None:
    known = answered(Window().sent(0), Quota(5, 30)).sent(29).sent(29)

    assert known.answered(Quota(99, 60), sent_at=29).left == 98


# Spent without a word


def test_a_request_without_an_answer_or_with_one_without_headers_counts_as_spent() -> None:
    window = Window(reported=5, ends_at=9, on_their_way=2)

    after = answered(window, None, now=1)

    assert after == Window(reported=4, ends_at=9, on_their_way=1)
    assert after.left == window.left == 3
    assert window.retried(0).left == 2


def test_a_refusal_holds_back_everything_whatever_other_answers_say() -> None:
    window = answered(Window().sent(0).sent(0), Quota(0, 300)).refused(17, 0)

    assert window.wait_s(0) == 17
    assert answered(window, Quota(50, 10), now=1).wait_s(1) == 16
    assert window.wait_s(17) == 0


def test_the_longer_of_two_refusals_counts() -> None:
    assert Window().refused(60, 0).refused(1, 0).wait_s(0) == 60


@dataclass
class Server:
    """Counts requests in windows of 60 seconds, one after the other or sliding; refuses what is too much."""

    quota: int
    is_sliding: bool
    refused: int = 0
    answers: list[Quota] = field(default_factory=list)
    counted_at: list[float] = field(default_factory=list)

    def receive(self, now: float) -> None:
        if self.is_sliding:
            self.counted_at = [at for at in self.counted_at if at > now - 60]
        elif self.counted_at and self.counted_at[0] <= now - 60:
            self.counted_at = []
        self.counted_at.append(now)
        left = self.quota - len(self.counted_at)
        self.refused += left < 0
        self.answers.append(Quota(max(left, 0), math.ceil(self.counted_at[0] + 60 - now)))


@pytest.mark.parametrize("is_sliding", [False, True], ids=["windows one after the other", "a sliding window"])
@given(quota=st.integers(4, 20), spent=st.integers(0, 19), events=st.lists(st.integers(0, 9), max_size=200))
def test_no_order_of_requests_and_answers_spends_more_than_the_quota(
    is_sliding: bool, quota: int, spent: int, events: list[int]
) -> None:
    """Up to four requests are on their way; 0 to 2 send one, 3 to 8 bring an answer, 9 lets time pass.

    Somebody else has spent a part of the quota before.
    """
    before = [0.0] * min(spent, quota - 1)
    server, window, now, sent_at = Server(quota, is_sliding, counted_at=before), Window(), 0.0, list[float]()
    for event in events:
        if event <= 2 and window.on_their_way < 4 and (wait_s := window.wait_s(now)) < math.inf:
            now += wait_s
            window = window.sent(now)
            sent_at.append(now)
            server.receive(now + 1 / 16)
        elif 3 <= event <= 8 and server.answers:
            which = event % len(server.answers)
            window = window.answered(server.answers.pop(which), sent_at.pop(which))
        else:
            now += 7.25

    assert server.refused == 0
