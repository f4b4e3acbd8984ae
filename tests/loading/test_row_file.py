"""Which texts DuckDB would take for something else, and rewrite."""

from typing import Any

import pytest

from cf_invoice_source.loading.row_file import duckdb_sniffs

UUID = "6f0c1d7b-e5a9-4c2a-b3d8-e9017f4426aa"


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-01",
        "2026-01-01T00:00:00Z",
        " 2026/1/1",
        "12:30",
        "epoch",
        "-Infinity",
        UUID.upper(),
        f"{{{UUID}}}",
        f"{UUID} ",
        {"description": "2026-01-01"},
        {"lines": [{"period": {"end": "2026-01-01"}}]},
    ],
    ids=repr,
)
def test_what_looks_like_a_time_or_is_another_way_to_write_a_uuid(value: Any) -> None:
    assert duckdb_sniffs(value)


@pytest.mark.parametrize(
    "value",
    [
        UUID,
        UUID.replace("-", ""),
        "in_1abc",
        "usd",
        "AI Gateway credits",
        "",
        None,
        7,
        True,
        {"id": "in_1"},
        [],
    ],
    ids=repr,
)
def test_what_stays_as_it_is(value: Any) -> None:
    assert not duckdb_sniffs(value)
