"""A test is in one of the two tiers by its room and its markers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import run_python
from tests.support.tiers import TESTS, pytest_itemcollected

UNKNOWN_ROWS = """
import sys, pytest
from fnmatch import fnmatchcase

class Rows:
    def __init__(self):
        self.missing = {}

    def pytest_itemcollected(self, item):
        quick = item.get_closest_marker("quick")
        name = item.nodeid.partition("[")[0]
        rows = self.missing.setdefault(name, set(quick.args if quick else ()))
        rows -= {row for row in rows if fnmatchcase(item.callspec.id, row)} if rows else set()

rows = Rows()
ended = pytest.main(["--collect-only", "-q", "-m", "", sys.argv[1]], plugins=[rows])
print(int(ended), sorted((name, *missing) for name, missing in rows.missing.items() if missing))
"""


def is_slow(path: str, *marks: pytest.MarkDecorator, row: str = "") -> bool:
    given: list[pytest.MarkDecorator] = []
    found = {mark.name: mark for mark in marks}
    item: Any = SimpleNamespace(path=Path(TESTS, path), get_closest_marker=found.get, add_marker=given.append)
    if row:
        item.callspec = SimpleNamespace(id=row)
    pytest_itemcollected(item)
    return bool(given)


def test_a_room_is_slow_but_for_what_is_marked() -> None:
    assert is_slow("crashes/test_crashes.py")
    assert not is_slow("crashes/test_crashes.py", pytest.mark.quick)
    assert not is_slow("walk/test_walker.py")


@pytest.mark.parametrize("path", ["crashes/test_crashes.py", "loading/test_story.py"])
def test_of_a_table_the_rows_that_are_named_are_quick_and_no_others(path: str) -> None:
    mark = pytest.mark.quick("first", "later *")

    assert [is_slow(path, mark, row=row) for row in ("first", "later load", "other")] == [False, False, True]


@pytest.mark.slow
def test_every_row_that_is_to_be_quick_is_there() -> None:
    ended = run_python("-c", UNKNOWN_ROWS, str(TESTS), env={"PYTHONPATH": str(TESTS.parent)})

    assert ended.stdout.splitlines()[-1] == "0 []", ended.output[-2_000:]
