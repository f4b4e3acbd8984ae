"""The bars: heights in proportion to amounts, the same picture each time, and no foreign text."""

from __future__ import annotations

import re
from datetime import date, datetime, timezone
from decimal import Decimal

import pytest

from cf_invoice_source.reporting.charts import NARROW, WIDE, bars, month_name
from cf_invoice_source.reporting.sums import CurrencySums, Sums
from tests.reporting.make import invoice

TODAY = date(2026, 3, 15)


def sums_of(*amounts: int | str, months: int = 13, **fields: str) -> CurrencySums:
    """One purchase in each of the last months, the newest first."""
    sums = Sums()
    for ago, amount in enumerate(amounts):
        created = datetime(2026 + (2 - ago) // 12, (2 - ago) % 12 + 1, 1, tzinfo=timezone.utc)
        sums.add(invoice(amount_due=amount, created=created, **fields))
    [found] = sums.until(TODAY, months)
    return found


def heights(svg: str) -> list[float]:
    """Those of the bars, from the oldest month on, in pixels."""
    marks = svg.partition("mark-rect role-mark")[2].partition("</g>")[0]
    found = re.findall(r'd="M([\d.-]+),[\d.-]+h[\d.-]+v([\d.-]+)', marks)
    return [float(height) for _, height in sorted(found, key=lambda each: float(each[0]))]


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_bars_are_as_high_as_the_amounts_are_large(size: tuple[int, int]) -> None:
    oldest, middle, newest = heights(bars(sums_of(1000, 4000, 2000), size))

    assert middle / newest == pytest.approx(4, rel=0.02)
    assert oldest / newest == pytest.approx(2, rel=0.02)
    assert middle > size[1] / 2


def test_the_same_sums_are_the_same_picture() -> None:
    assert bars(sums_of(1000, 4000), WIDE) == bars(sums_of(1000, 4000), WIDE)


def test_the_picture_has_no_foreign_text_no_amount_and_no_fixed_colour() -> None:
    svg = bars(sums_of(123_456, invoice_origin="<script>x</script>", currency='d"><b>'), WIDE)
    texts = re.findall(r"<(?:text|tspan)[^>]*>([^<]+)<", svg)

    assert "<script" not in svg
    assert "123456" not in svg
    assert "style=" not in svg
    assert set(re.findall(r"#[0-9a-f]{3,6}", svg)) == set()
    assert {each for each in texts if not re.fullmatch(r"[A-Z][a-z]{2}|20\d\d|[\d,.]+[kMB]?", each)} == set()


def test_credits_go_below_the_line_and_huge_amounts_are_drawn() -> None:
    assert len(heights(bars(sums_of("-5", "5"), WIDE))) == 2
    assert heights(bars(sums_of(str(Decimal(10) ** 29)), WIDE))[0] > 100


def test_years_of_months_are_drawn() -> None:
    assert len(heights(bars(sums_of(*range(1, 61), months=60), NARROW))) == 60


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("2026-11", "Nov 2026"),
        ("0001-01", "Jan 1"),
        ("earlier", "earlier"),
        ("without a date", "without a date"),
    ],
)
def test_a_month_has_its_name(label: str, name: str) -> None:
    assert month_name(label) == name
