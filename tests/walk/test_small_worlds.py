"""Every small list, with every change at every gap: a verified walk has missed nothing and made nothing up.

SMALL_RECORDS and SMALL_CHANGES make them larger: 3 records and 3 changes are some millions of walks.
"""

import os
from collections.abc import Callable, Iterable, Sequence

import pytest

from cf_invoice_source.walk.second_look import SecondLook
from tests.walk.small import a_list, every_kinds, explore

RECORDS = int(os.environ.get("SMALL_RECORDS", "2"))
CHANGES = int(os.environ.get("SMALL_CHANGES", "2"))


@pytest.mark.parametrize("is_second", [False, True], ids=["first run", "second run"])
@pytest.mark.parametrize("per_page", [1, 2, 3])
@pytest.mark.parametrize("kinds", every_kinds(RECORDS), ids=lambda kinds: " ".join(kinds) or "empty")
def test_what_is_verified_equals_the_list_as_it_was_during_the_walk(
    kinds: Sequence[str], per_page: int, is_second: bool
) -> None:
    explored = list(explore(a_list(kinds), per_page, CHANGES, is_second=is_second))

    assert [(walked.states, wrong) for walked, wrong in explored if wrong] == []
    assert sum(walked.is_verified for walked, _ in explored) > len(explored) // 2


ALIKE = [kinds for kinds in every_kinds(RECORDS, ["draft", "alike", "similar"]) if {*kinds} - {"draft"}]


@pytest.mark.parametrize("is_second", [False, True], ids=["first run", "second run"])
@pytest.mark.parametrize("per_page", [1, 2])
@pytest.mark.parametrize("kinds", ALIKE, ids=" ".join)
def test_what_is_verified_equals_the_list_though_some_records_have_no_id_and_are_alike(
    kinds: Sequence[str], per_page: int, is_second: bool
) -> None:
    start = a_list(kinds)
    explored = list(explore(start, per_page, CHANGES, is_second=is_second, kinds=["paid", "alike"]))

    assert [(walked.states, wrong) for walked, wrong in explored if wrong] == []
    assert sum(walked.is_verified for walked, _ in explored) > len(explored) // 2


Begin = Callable[[SecondLook, int, Iterable[int]], None]


def nothing(_begin: Begin) -> Begin:
    return lambda _look, _lowest, _deletable: None


def only_the_lowest_of_page_1(begin: Begin) -> Begin:
    return lambda look, lowest, _deletable: begin(look, lowest, [])


def only_what_can_be_deleted(begin: Begin) -> Begin:
    return lambda look, _lowest, deletable: begin(look, min(deletable, default=1), deletable)


@pytest.mark.parametrize(
    ("kinds", "look_at"),
    [
        pytest.param(["paid", "paid"], nothing, id="nothing"),
        pytest.param(["paid", "paid", "draft"], only_the_lowest_of_page_1, id="the lowest of page 1"),
        pytest.param(["paid", "paid"], only_what_can_be_deleted, id="what can be deleted"),
    ],
)
def test_less_than_the_whole_second_look_would_verify_a_walk_that_has_lost_an_invoice(
    kinds: list[str], look_at: Callable[[Begin], Begin], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the test above can fail."""
    monkeypatch.setattr(SecondLook, "begin", look_at(SecondLook.begin))

    assert any(wrong for _, wrong in explore(a_list(kinds), 1, 2, is_second=False))
