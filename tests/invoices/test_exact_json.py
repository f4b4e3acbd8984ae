"""Every number as it was sent, however long and in whatever encoding."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cf_invoice_source.exact_json import decode


@given(
    st.lists(st.tuples(st.sampled_from(["", "-"]), st.integers(1, 5_000)), min_size=1, max_size=3),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-16-le", "utf-32", "utf-32-be"]),
)
def test_a_whole_number_is_an_int_up_to_99_digits_whatever_stands_beside_it(
    numbers: list[tuple[str, int]], encoding: str
) -> None:
    texts = [f"{sign}{'7' * digits}" for sign, digits in numbers]
    read = decode(f"[{', '.join(texts)}]".encode(encoding))

    assert [type(number) for number in read] == [int if digits < 100 else Decimal for _, digits in numbers]
    assert [str(number) for number in read] == texts


@pytest.mark.parametrize("text", ["19.99", "1e2", "0.10", "-0.0", "1E+400", "NaN", "Infinity"])
def test_any_other_number_is_a_decimal_with_the_digits_that_were_sent(text: str) -> None:
    [read] = decode(f"[{text}]".encode())

    assert isinstance(read, Decimal)
    assert str(read) == str(Decimal(text))
