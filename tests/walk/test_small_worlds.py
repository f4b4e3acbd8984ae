"""Every small list, with every change at every gap: a verified walk has missed nothing and made nothing up.

SMALL_RECORDS and SMALL_CHANGES make them larger: 3 records and 3 changes are some millions of walks.
"""

import os

import pytest

from tests.walk.small import explore, lists

RECORDS = int(os.environ.get("SMALL_RECORDS", "2"))
CHANGES = int(os.environ.get("SMALL_CHANGES", "2"))


@pytest.mark.parametrize("is_second", [False, True], ids=["first run", "second run"])
@pytest.mark.parametrize("per_page", [1, 2, 3])
def test_what_is_verified_equals_the_list_as_it_was_during_the_walk(per_page: int, is_second: bool) -> None:
    explored = [
        (walked, wrong)
        for start in lists(RECORDS)
        for walked, wrong in explore(start, per_page, CHANGES, is_second=is_second)
    ]

    assert [(walked.states, wrong) for walked, wrong in explored if wrong] == []
    assert sum(walked.is_verified for walked, _ in explored) > len(explored) // 2
    assert len(explored) > 200
