"""Results as an SVG that is readable on a light and on a dark page."""

from collections.abc import Iterator, Sequence
from html import escape

from tests.benchmarks.contenders import CONTENDERS
from tests.benchmarks.results import Result, Results

_PANELS = {
    ("first", "wall_s"): "First load, seconds",
    ("changed", "wall_s"): "1 % changed, seconds",
    ("quiet", "wall_s"): "Nothing new, seconds",
    ("first", "peak_mib"): "First load, MiB of memory",
    ("changed", "requests"): "1 % changed, requests",
    ("quiet", "requests"): "Nothing new, requests",
}
_LEFT_OUT = ("bare", "ours_config")
_WIDTH, _LABELS, _GAP, _TOP, _BAR, _STEP = 1110, 240, 18, 64, 16, 24
_STYLE = """
  .card { fill: #ffffff; stroke: #d0d7de }
  text { fill: #1f2328; font: 12px -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif }
  .title { font-size: 15px; font-weight: 600 } .panel { font-weight: 600 } .quiet { fill: #59636e }
  .bar { fill: #8c959f } .ours { fill: #d9730d }
  @media (prefers-color-scheme: dark) {
    .card { fill: #0d1117; stroke: #3d444d } text { fill: #f0f6fc } .quiet { fill: #9198a1 }
    .bar { fill: #656c76 } .ours { fill: #f0883e }
  }
"""


def svg(results: Results) -> str:
    """Draw bars for the longest list that was read without latency by most contenders."""
    size = _size(results)
    names = [name for name in CONTENDERS if name not in _LEFT_OUT and results.typical(name, size, 0, "first")]
    height = _TOP + 2 * (len(names) * _STEP + 44) - 8
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        f"<style>{_STYLE}</style>",
        f'<rect class="card" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{height - 1}" rx="8"/>',
        _text(16, 28, f"{size:,} invoices into DuckDB", "title"),
        _text(
            16,
            46,
            f"Shorter is better, x is times ours; {_exact(results, names, size)}. {results.machine}.",
            "quiet",
        ),
    ]
    width = (_WIDTH - _LABELS - 16) // 3
    for place, ((run, figure), title) in enumerate(_PANELS.items()):
        top = _TOP + place // 3 * (len(names) * _STEP + 44)
        left = _LABELS + place % 3 * width
        rows = {name: results.typical(name, size, 0, run) for name in names}
        lines += _panel(rows, figure, title, left, top, width - _GAP)
        if place % 3 == 0:
            lines += [
                _text(_LABELS - 10, top + 31 + row * _STEP, _plain(CONTENDERS[name].label), anchor="end")
                for row, name in enumerate(names)
            ]
    return "\n".join([*lines, "</svg>", ""])


def _panel(
    rows: dict[str, Result | None], figure: str, title: str, left: int, top: int, width: int
) -> Iterator[str]:
    values = {name: float(getattr(row, figure)) for name, row in rows.items() if row and not row.failed}
    most, room = max(values.values(), default=1.0), width - 84
    yield _text(left, top + 10, title, "panel")
    for place, name in enumerate(rows):
        y = top + 18 + place * _STEP
        if name not in values:
            yield _text(left, y + 13, "not measured" if not rows[name] else "failed", "quiet")
            continue
        value = values[name]
        length = max(1.5, value / most * room)
        kind = "bar ours" if name == "ours" else "bar"
        yield f'<rect class="{kind}" x="{left}" y="{y}" width="{length:.1f}" height="{_BAR}" rx="2"/>'
        ratio = f" · {_ratio(value / values['ours'])} x" if name != "ours" and values.get("ours") else ""
        yield _text(left + length + 6, y + 13, f"{_number(value)}{ratio}")


def _exact(results: Results, names: Sequence[str], size: int) -> str:
    """Say who stores amounts as they were sent."""
    rows = {name: results.typical(name, size, 0, "first") for name in names}
    exact = [_plain(CONTENDERS[name].label) for name, row in rows.items() if row and row.amounts == "exact"]
    return f"exact amounts: {' and '.join(exact)}"


def _size(results: Results) -> int:
    """Choose the longest list that the most contenders have loaded."""
    counts = {
        size: len(
            {r.contender for r in results.results if (r.size, r.latency_ms) == (size, 0) and not r.failed}
        )
        for size, _ in results.settings()
    }
    return max(counts, key=lambda size: (counts[size], size), default=0)


def _number(value: float) -> str:
    return (
        f"{value:,.0f}"
        if value >= 100 or value == int(value)
        else f"{value:.1f}"
        if value >= 10
        else f"{value:.2f}"
    )


def _ratio(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    shown = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{shown} text-anchor="{anchor}">{escape(words)}</text>'


def _plain(label: str) -> str:
    """Take Markdown's marks off."""
    return label.replace("**", "").replace("`", "").partition(":")[0]
