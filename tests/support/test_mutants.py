"""The mistakes that mutants are made of, and the list of those that nobody could notice."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.mutants import (
    EQUIVALENT,
    ROOMS,
    TOP,
    Mutant,
    equivalent_mutants,
    mutants_in,
    mutants_of,
    survivors_of,
)


@pytest.mark.parametrize(
    ("source", "mutants"),
    [
        ("a < b", ["a <= b"]),
        ("a == b <= c", ["a != b <= c", "a == b < c"]),
        ("a is not b", ["a is b"]),
        ("a + b * c", ["a - b * c", "a + b / c"]),
        ("a // b", ["a * b"]),
        ("a += b", ["a -= b"]),
        ("a and b", ["a or b"]),
        ("not a", ["a"]),
        ("a(0)", ["pass", "a(1)"]),
        ("a = [1, 7, True, 'text', None]", ["a = [0, 7, True, 'text', None]"]),
        ("if a: b", ["if not a: b"]),
        ("if a == b: c", ["if a != b: c"]),
        ("a: int | None = b", []),
    ],
)
def test_a_mutant_is_the_source_with_one_mistake(source: str, mutants: list[str]) -> None:
    made = [" ".join(mutant.source.split()) for mutant in mutants_of("a.py", source)]

    assert made[: len(mutants)] == mutants


def test_a_mutant_is_named_by_its_file_its_function_and_what_is_changed() -> None:
    source = "class A:\n    def b(self):\n        return c\n"
    [mutant] = mutants_of("a.py", source)

    assert mutant.key == "a.py A.b: return c -> return None"
    assert mutant.line == 3


@pytest.mark.slow
def test_every_mutant_that_cannot_be_caught_is_there_and_has_a_reason() -> None:
    names = {mutant.key for room in ROOMS for mutant in mutants_in(room)}
    lines = EQUIVALENT.read_text().splitlines()

    unexplained = [
        line for line, below in pairwise([*lines, ""]) if line in names and not below.startswith("    ")
    ]

    assert equivalent_mutants() <= names
    assert unexplained == []


@pytest.mark.slow
def test_a_mutant_is_caught_and_what_is_no_mutant_survives() -> None:
    path = "cf_invoice_source/invoices/money.py"
    source = Path(TOP, path).read_text()
    mutant, same = mutants_of(path, source), Mutant(path, 1, "module", "nothing", source)

    assert list(survivors_of([next(mutant), same], "tests/invoices")) == [same]
