"""What the rate limit's headers say, and how long a 429 is waited for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cf_invoice_source.decide.pace import (
    LONGEST_WAIT_S,
    MAX_REFUSALS,
    Quota,
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
