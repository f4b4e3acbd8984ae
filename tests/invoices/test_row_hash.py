"""The hash of what an invoice cannot be, and of what only a reject holds."""

from __future__ import annotations

import json
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cf_invoice_source.exact_json import DuplicateKeys, HugeNumber
from cf_invoice_source.invoices.row_hash import row_hash_of


def twice(*pairs: tuple[str, Any]) -> DuplicateKeys:
    return DuplicateKeys(pairs)


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        "in_1",
        1,
        Decimal("NaN"),
        Decimal("1E+400"),
        HugeNumber("1e9999999999999999999"),
        twice(("a", 1), ("a", 1)),
    ],
    ids=repr,
)
def test_every_value_has_a_hash_of_32_digits(value: Any) -> None:
    assert len(row_hash_of(value)) == 32
    assert int(row_hash_of(value), 16) >= 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (twice(("a", 1), ("a", 2)), twice(("a", 2), ("a", 1))),
        (twice(("a", 1), ("a", 1)), {"a": 1}),
        (twice(("a", 1), ("a", 1)), {"\x00pairs": 1}),
        (twice(("a", 1), ("a", 1)), twice(("a", 1), ("a", 1), ("a", 1))),
        (HugeNumber("1e9999999999999999999"), HugeNumber("2e9999999999999999999")),
        (HugeNumber("1e9999999999999999999"), "1e9999999999999999999"),
        (Decimal("1E+400"), Decimal("1E+401")),
        (Decimal("NaN"), Decimal("Infinity")),
        (Decimal(f"0.{'1' * 120}1"), Decimal(f"0.{'1' * 120}2")),
        (Decimal("1E-999999999"), 0),
        ([None], []),
        ({"a": {"b": None}}, {"a": {}}),
    ],
    ids=repr,
)
def test_values_that_differ_have_different_hashes(one: Any, other: Any) -> None:
    assert row_hash_of(one) != row_hash_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": {"b": 2, "a": 1}}, {"a": {"a": 1, "b": 2}}),
        ({"a": None}, {}),
        ({"invoice_pdf": "one"}, {"invoice_pdf": "other"}),
        ({"invoice_pdf": "one"}, {}),
        (twice(("invoice_pdf", 1), ("a", 1), ("a", 2)), twice(("a", 1), ("invoice_pdf", 2), ("a", 2))),
        ([1], [Decimal("1.00")]),
        ([10**28], [Decimal("1E+28")]),
        ([Decimal("1.5")], [Decimal("1.50")]),
        ([Decimal("1E+400")], [Decimal("10E+399")]),
        ([Decimal(f"0.{'1' * 120}")], [Decimal(f"0.{'1' * 120}0")]),
    ],
    ids=repr,
)
def test_the_same_written_otherwise_has_the_same_hash(one: Any, other: Any) -> None:
    assert row_hash_of(one) == row_hash_of(other)


@pytest.mark.parametrize(
    ("value", "digest"),
    [
        (Decimal("1.5"), "27dc4e1afc94592357d1dd94c3ee15c6"),
        (Decimal("1E+999999999"), "bab683461a0c4ef971757ea9c16a41da"),  # as an int, a billion digits
        (Decimal("1E+29"), "a45bc1caa324a7ec01d7c24846879b82"),
        (HugeNumber("1e9999999999999999999"), "91baf949913222414310ef802bf21a10"),
        (twice(("a", 1), ("a", 2)), "5254efd60a52d265cc04a7c5434f36c3"),
        ([10**29 - 1, 10**29, Decimal(10**29)], "b870a1515600a4a7884ec83644adfc61"),
    ],
    ids=repr,
)
def test_the_hash_stays_the_same_between_versions_of_this_package(value: Any, digest: str) -> None:
    assert row_hash_of(value) == digest


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(value=JSON)
@example(value=[chr(code) for code in range(128)])
@example(value=[chr(code) for code in range(256)])
@example(value={chr(code): code for code in range(256)})
def test_the_hash_is_that_of_pythons_json_in_ascii_however_it_is_written(value: Any) -> None:
    written = json.dumps([value], sort_keys=True, separators=(",", ":"))

    assert row_hash_of([value]) == sha256(written.encode()).hexdigest()[:32]
