"""Money in the units that people count in: exact, whatever its size."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cf_invoice_source.invoices.money import STRIPE_EXPONENTS, Money, add, money_of, to_major, total

AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**29), max_value=10**29)
"""What a column may hold."""


@pytest.mark.parametrize(
    ("minor", "exponent", "major"),
    [
        ("1999", 2, "19.99"),
        ("1999.000000000", 2, "19.99"),
        ("2000", 2, "20.00"),
        ("1", 2, "0.01"),
        ("0", 2, "0.00"),
        ("-5", 2, "-0.05"),
        ("500", 0, "500"),
        ("500.5", 0, "500.5"),
        ("1005", 3, "1.005"),
        ("12", 4, "0.0012"),
        ("0.5", 2, "0.005"),
        ("1E+3", 2, "10.00"),
        ("99999999999999999999999999999.999999999", 2, "999999999999999999999999999.99999999999"),
    ],
)
def test_minor_units_become_major_ones_with_the_decimals_of_the_currency(
    minor: str, exponent: int, major: str
) -> None:
    assert f"{to_major(Decimal(minor), exponent):f}" == major


@given(minor=AMOUNTS, exponent=st.integers(0, 4))
def test_no_digit_is_lost_and_none_is_made_up(minor: Decimal, exponent: int) -> None:
    major = to_major(minor, exponent)

    assert Fraction(major) * 10**exponent == Fraction(minor)
    assert max(-int(major.as_tuple().exponent), 0) >= exponent


@given(st.lists(AMOUNTS, max_size=20))
def test_a_total_is_the_exact_sum(amounts: list[Decimal]) -> None:
    assert Fraction(total(amounts)) == sum(map(Fraction, amounts))


def test_the_total_of_nothing_is_zero() -> None:
    assert str(total([])) == "0"


def test_these_are_the_currencies_whose_minor_unit_is_another_at_stripe() -> None:
    assert STRIPE_EXPONENTS == {"ISK": 2, "MGA": 0, "UGX": 2}


@pytest.mark.parametrize(
    ("currency", "minor", "money"),
    [
        ("usd", ["1999", "1"], Money("USD", Decimal("20.00"), is_minor=False)),
        ("ISK", ["500"], Money("ISK", Decimal("5.00"))),
        ("jpy", [], Money("JPY", Decimal(0))),
        ("doge", ["1999", "1"], Money("doge", Decimal("2E+3"), is_minor=True)),
        ("xau", ["7"], Money("xau", Decimal(7), is_minor=True)),
        ("", ["7"], Money("", Decimal(7), is_minor=True)),
    ],
)
def test_money_is_in_major_units_unless_the_currency_is_unknown(
    currency: str, minor: list[str], money: Money
) -> None:
    assert money_of(currency, map(Decimal, minor)) == money


def test_two_amounts_are_added_with_all_their_digits() -> None:
    assert str(add(Decimal("1E+29"), Decimal("0.000000001"))) == "100000000000000000000000000000.000000001"
