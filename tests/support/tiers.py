"""The two tiers: `pytest` runs the quick tests, `pytest -m slow` the others, `pytest -m ""` all of them.

A test is slow by its room or by the marker `slow`. The marker `quick` makes an exception of a test in a slow
room. With the ids of rows, or patterns of them, it keeps these rows of a table quick and makes the rest slow.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

SLOW_ROOMS = {"crashes", "dbt", "destinations", "orchestrators"}


def pytest_itemcollected(item: pytest.Item) -> None:
    """Give a test the marker `slow` if it is to have it; the option -m is applied later."""
    quick = item.get_closest_marker("quick")
    rows = quick.args if quick else ()
    callspec = getattr(item, "callspec", None)
    if rows and callspec:
        is_slow = not any(fnmatchcase(callspec.id, row) for row in rows)
    else:
        is_slow = quick is None and item.path.relative_to(TESTS).parts[0] in SLOW_ROOMS
    if is_slow:
        item.add_marker(pytest.mark.slow)
