"""Converts minor units to major units, such as cents to dollars, exactly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow

STRIPE_EXPONENTS: Mapping[str, int] = {"ISK": 2, "MGA": 0, "UGX": 2}
"""Currencies whose minor unit at Stripe is not that of ISO 4217.

See https://docs.stripe.com/currencies#special-cases."""

_EXACT = Context(prec=1_000, traps=[Inexact, InvalidOperation, Overflow])
"""More digits than any column holds, so nothing is rounded. If it ever were, this context would raise."""


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount in major units; in minor units if ISO 4217 does not know the currency."""

    currency: str
    amount: Decimal
    is_minor: bool = False


def money_of(currency: str, minor: Iterable[Decimal]) -> Money:
    """Add amounts of one currency, given in minor units."""
    exponent = exponent_of(currency)
    if exponent is None:
        return Money(currency, total(minor), is_minor=True)
    return Money(currency.upper(), to_major(total(minor), exponent))


def exponent_of(currency: str) -> int | None:
    """Say how many decimals a currency has at Stripe; None if ISO 4217 does not know it."""
    from iso4217 import Currency

    code = currency.upper()
    try:
        return STRIPE_EXPONENTS.get(code, Currency(code).exponent)
    except ValueError:
        return None


def add(amount: Decimal, more: Decimal) -> Decimal:
    """Add two amounts; Python's own + rounds to 28 digits."""
    return _EXACT.add(amount, more)


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Add amounts of one currency, without the zeros that a column pads them with."""
    added = Decimal(0)
    for amount in amounts:
        added = add(added, amount)
    return _EXACT.normalize(added)


def to_major(minor: Decimal, exponent: int) -> Decimal:
    """Convert minor units to major ones, with at least the currency's own decimals: 1999 to 19.99."""
    major = _EXACT.normalize(_EXACT.scaleb(minor, -exponent))
    own = Decimal(1).scaleb(-exponent)
    return major if _EXACT.remainder(major, own) else _EXACT.quantize(major, own)
