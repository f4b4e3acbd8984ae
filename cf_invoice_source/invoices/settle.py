"""Which invoices can still change."""

from __future__ import annotations

SETTLED = frozenset({"paid", "void"})
"""Stripe's final states. An uncollectible invoice can still become either."""


def is_settled(status: str | None) -> bool:
    """Say whether an invoice of this status stays as it is. An unknown or missing status may still change."""
    return status in SETTLED
