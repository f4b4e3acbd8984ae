"""What was seen where, whatever the order and however much of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cf_invoice_source.walk import sightings
from cf_invoice_source.walk.sightings import Names, Places, name_of

NAMES = st.integers(-(2**63), 2**63 - 1).filter(bool)


@given(st.dictionaries(st.integers(1, 5000), NAMES, max_size=50), st.integers(1, 5000))
def test_a_place_has_the_name_that_was_put_there_and_others_have_none(
    there: dict[int, int], other: int
) -> None:
    places = Places()
    for ordinal, name in there.items():
        places.put(ordinal, name)

    assert {ordinal: places.get(ordinal) for ordinal in there} == there
    assert (other in places) == (other in there)


@given(st.lists(NAMES, max_size=60), NAMES)
def test_a_name_was_seen_if_it_was_added_however_many_share_its_array(added: list[int], other: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sightings, "_ARRAYS", 3)
        names = Names()
        for name in added:
            names.add(name)

        assert all(name in names for name in added)
        assert (other in names) == (other in added)


def test_the_name_of_a_key_is_never_that_of_an_empty_place() -> None:
    class Nothing(str):
        __slots__ = ()

        def __hash__(self) -> int:
            return 0

    assert name_of(Nothing("x")) != 0
    assert name_of("in_1") == name_of("in_1")
