"""What must hold after every healthy run, in any database: the copy is exact; its changes replay to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from cf_invoice_source.simulator import Account
from tests.support.make import expected_row, make_invoice

Query = Callable[..., list[tuple[Any, ...]]]

COLUMNS = [name for name in expected_row("", make_invoice()) if name != "deleted"]


def assert_exact(query: Query, *accounts: Account) -> None:
    """The table equals the lists, and its changes replay to it with nothing twice and nothing left out."""
    truth = {
        (account.id, record["id"]): {
            name: value for name, value in expected_row(account.id, record).items() if name != "deleted"
        }
        for account in accounts
        for record in account.records
    }
    rows = read(query, "invoices")

    assert {key(row): row for row in rows} == truth
    assert len(rows) == len(truth)
    assert replayed(query) == truth


def replayed(query: Query) -> dict[tuple[str, str], dict[str, Any]]:
    """What the changes, one after the other, make of an empty table."""
    state: dict[tuple[str, str], dict[str, Any]] = {}
    versions: dict[tuple[str, str], int] = defaultdict(int)
    for row in sorted(
        read(query, "invoice_changes", "version", "change"), key=lambda row: int(row["version"])
    ):
        version, change = row.pop("version"), row.pop("change")
        versions[key(row)] += 1
        assert version == versions[key(row)]
        assert (change == "new") == (key(row) not in state)
        if change == "deleted":
            del state[key(row)]
        else:
            assert state.get(key(row)) != row, "the same change twice"
            state[key(row)] = row
    return state


def read(query: Query, table: str, *more: str) -> list[dict[str, Any]]:
    columns = [*COLUMNS, *more]
    names = ", ".join(f'"{name}"' for name in columns)
    rows = query(f"SELECT {names} FROM cf_invoices.{table}")  # noqa: S608 - names of ours
    return [dict(zip(columns, row, strict=True)) for row in rows]


def key(row: dict[str, Any]) -> tuple[str, str]:
    return row["account_id"], row["id"]
