"""Results as Markdown."""

from collections.abc import Iterator, Sequence

from tests.benchmarks.contenders import CONTENDERS
from tests.benchmarks.results import RUNS, Result, Results

TITLES = {
    "first": "First load",
    "changed": "1 % changed (half of it new, half paid since, anywhere in the list)",
    "quiet": "Nothing new",
}
_HEAD = ("", "wall", "of ours", "CPU", "peak memory", "requests", "amounts")


def markdown(results: Results) -> str:
    """Write all tables, and under them what they were measured with."""
    return "\n".join([*_lines(results), ""])


def _lines(results: Results) -> Iterator[str]:
    yield "# Benchmarks"
    yield ""
    yield f"Medians. {results.machine}; " + ", ".join(f"{k} {v}" for k, v in results.versions.items()) + "."
    for size, latency_ms in results.settings():
        yield ""
        yield f"## {size:,} invoices, {latency_ms:g} ms for each answer"
        for run in RUNS:
            yield from _table(results, size, latency_ms, run)
    yield from _experiments(results)
    yield ""
    yield "## How"
    yield ""
    yield "Wall and CPU time are those of a fresh process, start-up included; memory is that of its largest"
    yield "process. Amounts: `exact` is a decimal column with the right sum, `float` a float column whose sum"
    yield "rounds to it; `wrong` means that those with decimals went into a column beside it. Measured with"
    yield ""
    yield "```text"
    yield from results.commands
    yield "```"


def _table(results: Results, size: int, latency_ms: float, run: str) -> Iterator[str]:
    rows = {name: results.typical(name, size, latency_ms, run) for name in CONTENDERS}
    if run != "quiet":
        del rows["bare"]  # it loads nothing
    measured = {name: row for name, row in rows.items() if row}
    if not measured:
        return
    yield ""
    yield f"{TITLES[run]}:"
    yield ""
    yield _row(_HEAD)
    yield "|---|" + "---:|" * (len(_HEAD) - 2) + "---|"
    for name, row in measured.items():
        yield _row((CONTENDERS[name].label, *_cells(row, measured.get("ours"))))


def _cells(row: Result, ours: Result | None) -> Sequence[str]:
    if row.failed:
        return (row.failed.splitlines()[0], "", "", "", "", "")
    ratio = f"{row.wall_s / ours.wall_s:.2f} x" if ours and not ours.failed else ""
    return (
        f"{row.wall_s:.2f} s",
        ratio,
        f"{row.cpu_s:.2f} s",
        f"{row.peak_mib:.0f} MiB",
        f"{row.requests:,}",
        row.amounts,
    )


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _experiments(results: Results) -> Iterator[str]:
    found = results.more
    if found:
        yield ""
        yield "## Beside that"
        yield ""
    for run in found.get("growth", {}).get("runs", []):
        yield (
            "- **{invoices:,} invoices.** First load {first_wall_s:.1f} s, {each:.0f} µs each,"
            " {first_peak_mib:.0f} MiB; every row compared: {full_wall_s:.1f} s, {full_peak_mib:.0f} MiB."
        ).format(**run, each=run["first_wall_s"] / run["invoices"] * 1e6)
    if "startup" in found:
        yield (
            "- **Start-up.** A run with nothing new takes {quiet_s:.2f} s, {ratio:.2f} times a bare dlt"
            " pipeline that asks for one page and yields nothing ({bare_s:.2f} s); `--help` {help_s:.2f} s."
        ).format(**found["startup"])
    if "ahead" in found:
        yield (
            "- **Fetching ahead.** {pages:,} pages at {latency_ms:g} ms are loaded in {ours_s:.1f} s. The"
            " same load that asks for one after the other takes {in_turn_s:.1f} s, a ratio of {ratio:.2f};"
            " only to ask, and to load nothing, {one_by_one_s:.1f} s, a ratio of {ratio_to_asking:.2f}."
        ).format(**found["ahead"])
    if "quota" in found:
        yield (
            "- **Rate limit.** With {quota:,} requests in each {window_s:g} s, {requests:,} requests took"
            " {wall_s:.0f} s, {refused} of them refused; the windows had {in_each_window};"
            " {at_best_s:g} s of waiting are the least."
        ).format(**found["quota"])
    for run in found.get("accounts", {}).get("runs", []):
        yield (
            "- **{accounts:,} accounts**, five invoices each: at first {first_s:.1f} s, {first_mib:.0f} MiB;"
            " nothing new {quiet_s:.1f} s, {quiet_mib:.0f} MiB; state {each:.0f} bytes for each account"
            " ({each_unpacked:.0f} unpacked)."
        ).format(
            **run,
            each=run["state_bytes"] / run["accounts"],
            each_unpacked=run["state_bytes_unpacked"] / run["accounts"],
        )
