"""Which invoices can still change: taking an open one for settled would lose its payment."""

import pytest

from cf_invoice_source.invoices.settle import is_settled


@pytest.mark.parametrize("status", ["paid", "void"])
def test_stripes_final_states_are_settled(status: str) -> None:
    assert is_settled(status)


@pytest.mark.parametrize("status", ["draft", "open", "uncollectible", "PAID", "refunded", "", None])
def test_every_other_status_may_still_change(status: str | None) -> None:
    assert not is_settled(status)
