"""The second look at the end of a walk: what it asks for, and when."""

from __future__ import annotations

from cf_invoice_source.walk.second_look import SecondLook


def test_a_round_begins_when_the_one_before_it_has_been_seen() -> None:
    look = SecondLook()

    look.begin(5, [1, 3])

    assert (look.round, list(look.wanted())) == (1, [5])
    look.saw([4, 5])
    assert (look.round, list(look.wanted())) == (2, [1, 3])
    look.saw([3])
    assert (look.round, list(look.wanted())) == (2, [1])
    look.saw([1])
    assert (look.round, list(look.wanted())) == (3, [])
