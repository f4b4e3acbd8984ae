"""What the rate limit's headers say, and how long a 429 is waited for."""

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cf_invoice_source.cloudflare.rate_limit import (
    LONGEST_WAIT_S,
    MAX_REFUSALS,
    Policy,
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


@given(st.text(), st.integers(1, 10))
def test_no_header_makes_it_hammer_or_wait_for_ever(retry_after: str, refusals: int) -> None:
    waits_s = wait_after_refusal(retry_after, None, refusals=refusals, now_s=1.7e9)

    assert waits_s is None or 1 <= waits_s <= LONGEST_WAIT_S


# The policy


@pytest.mark.parametrize(
    ("limits", "policies", "policy"),
    [
        ('"default";r=5;t=3', '"default";q=1200;w=300', Policy(1200, 300)),
        ('"default";r=5;t=3', '"default"; q=1200 ; w=300', Policy(1200, 300)),
        ('"default";r=5;t=3', '"burst";q=9;w=1, "default";q=1200;w=300', Policy(1200, 300)),
        ('"default";r=5;t=3', '"other";q=1200;w=300, "burst";q=9;w=1', Policy(9, 1)),
        ('"default";r=5;t=3', "", None),
        ('"default";r=5;t=3', '"default";q=many;w=300', None),
    ],
    ids=["its own", "with spaces", "of its name", "else the tightest", "none", "nonsense"],
)
def test_the_policy_belongs_to_the_limit_of_its_name(
    limits: str, policies: str, policy: Policy | None
) -> None:
    assert read_quota(limits, policies) == Quota(5, 3, policy)


# The budget


def test_while_nothing_is_known_requests_are_not_held_back() -> None:
    budget = Window().sent(0).sent(0)

    assert budget.wait_s(0) == 0
    assert budget.on_their_way == 2


def answered(budget: Window, quota: Quota | None, now: float = 0) -> Window:
    """An answer that comes at once."""
    return budget.answered(quota, sent_at=now, now=now)


def test_requests_on_their_way_count_as_spent() -> None:
    budget = answered(Window().sent(0).sent(0).sent(0), Quota(2, 30))

    assert (budget.left, budget.wait_s(0), budget.wait_s(10)) == (0, 30, 20)


def test_an_answer_that_was_overtaken_does_not_raise_what_is_left() -> None:
    budget = answered(Window().sent(0).sent(0), Quota(8, 30))

    late = budget.answered(Quota(9, 30), sent_at=0, now=12)

    assert (budget.left, late.left, late.ends_at) == (7, 8, 30)


def test_once_all_is_answered_the_least_that_was_said_is_left_whatever_the_order() -> None:
    budget = Window().sent(0).sent(0).sent(0)

    for left in (5, 7, 6):
        budget = answered(budget, Quota(left, 30))

    assert budget.left == 5


def test_an_answer_of_the_window_before_does_not_count_in_the_next() -> None:
    spent = answered(Window().sent(0).sent(0), Quota(1, 30, Policy(40, 30)))

    late = spent.sent(31).answered(Quota(0, 30, Policy(40, 30)), sent_at=0, now=31.2)

    assert late.left == 39


def test_a_new_window_begins_with_what_the_policy_says() -> None:
    spent = answered(Window().sent(0), Quota(0, 30, Policy(2, 30)))

    after_two = spent.sent(30).sent(30)

    assert (spent.wait_s(29.5), spent.wait_s(30)) == (0.5, 0)
    assert after_two.wait_s(30) >= 30


def test_a_new_window_of_an_unknown_policy_is_not_held_back() -> None:
    assert answered(Window().sent(0), Quota(0, 30)).sent(30).wait_s(30) == 0


def test_a_request_without_an_answer_or_with_one_without_headers_counts_as_spent() -> None:
    budget = Window(reported=5, ends_at=9, on_their_way=2)

    after = answered(budget, None, now=1)

    assert after == Window(reported=4, ends_at=9, on_their_way=1)
    assert after.left == budget.left == 3


def test_a_refusal_holds_back_everything_whatever_other_answers_say() -> None:
    budget = answered(Window().sent(0).sent(0), Quota(0, 300)).refused(17, 0)

    assert budget.wait_s(0) == 17
    assert answered(budget, Quota(50, 10), now=1).wait_s(1) == 16
    assert budget.wait_s(17) == 0


def test_the_longer_of_two_refusals_counts() -> None:
    assert Window().refused(60, 0).refused(1, 0).wait_s(0) == 60


@dataclass
class Server:
    """Counts requests in windows of 60 seconds, as Cloudflare does, and refuses those over its quota."""

    quota: int
    ends_at: float = -math.inf
    spent: int = 0
    refused: int = 0
    answers: list[Quota] = field(default_factory=list)

    def receive(self, now: float) -> None:
        if now >= self.ends_at:
            self.ends_at, self.spent = now + 60, 0
        self.spent += 1
        self.refused += self.spent > self.quota
        left = max(self.quota - self.spent, 0)
        self.answers.append(Quota(left, math.ceil(self.ends_at - now), Policy(self.quota, 60)))


@given(quota=st.integers(4, 20), events=st.lists(st.integers(0, 9), max_size=200))
def test_no_order_of_requests_and_answers_spends_more_than_the_quota(quota: int, events: list[int]) -> None:
    """Up to four requests are on their way; 0 to 2 send one, 3 to 8 bring an answer, 9 lets time pass."""
    server, budget, now, sent_at = Server(quota), Window(), 0.0, list[float]()
    for event in events:
        if event <= 2 and budget.on_their_way < 4:
            now += budget.wait_s(now)
            budget = budget.sent(now)
            sent_at.append(now)
            server.receive(now + 0.05)
        elif 3 <= event <= 8 and server.answers:
            which = event % len(server.answers)
            budget = budget.answered(server.answers.pop(which), sent_at=sent_at.pop(which), now=now + 0.1)
        else:
            now += 7.3

    assert server.refused == 0
