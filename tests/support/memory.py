"""A warehouse in memory, which merges packages as dlt does: for tests of the walk without a database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any

from cf_invoice_source.invoices.changes import Stored
from cf_invoice_source.invoices.record import FINAL_STATUSES
from cf_invoice_source.invoices.tables import TABLES
from cf_invoice_source.loading.account import RowBatch
from cf_invoice_source.schema.capabilities import EVERYTHING
from cf_invoice_source.warehouse.questions import Held, Question
from cf_invoice_source.warehouse.stored import StoredRows

ACCOUNT = "a" * 32
"""The one account that it holds."""


class MemoryRows(StoredRows):
    """Holds the tables as dicts by key, and reads like `cf_invoice_source.warehouse.stored.StoredRows`."""

    capabilities = EVERYTHING

    def __init__(self) -> None:
        self.tables: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {table: {} for table in TABLES}

    def load(self, package: RowBatch) -> None:
        for table, rows in package.tables.items():
            for row in rows:
                key = _key(table, row)
                if row.get("deleted"):
                    self.tables[table].pop(key, None)
                else:
                    self.tables[table][key] = row

    @contextmanager
    def connected(self) -> Iterator[Any]:
        yield None

    def purge_deleted(self) -> None:
        pass

    def check_state(self, *_: Any) -> None:
        pass

    def missing_schema(self) -> str:
        return ""

    def has_older_state(self) -> bool:
        return False

    def sync_numbers(self) -> dict[str, int]:
        numbers: dict[str, int] = {}
        for row in self.tables["invoice_syncs"].values():
            numbers[row["account_id"]] = max(numbers.get(row["account_id"], 0), row["sync_number"])
        return numbers

    def types(self) -> set[str]:
        return {row["type"] for row in self.tables["invoice_syncs"].values()}

    def accounts(self) -> set[str]:
        tables = ("invoices", "invoice_changes", "invoice_rejects")
        return {row["account_id"] for name in tables for row in self.tables[name].values()}

    def counts(self) -> dict[str, tuple[int, int]]:
        return defaultdict(lambda: (0, 0), {ACCOUNT: (len(self.tables["invoices"]), len(self.rejects()))})

    def held(self, questions: Sequence[Question]) -> dict[str, Held]:
        return {each.account_id: self._held(each) for each in questions}

    def _held(self, question: Question) -> Held:
        account_id, is_as_listed, found = question.account_id, question.is_as_listed, {}
        for key in question.keys:
            row = self.tables["invoices"].get((account_id, key))
            change = self._latest(account_id, key)
            if row or change:
                live = change is not None and change["change"] != "deleted"
                is_right = row is not None and (is_as_listed is None or is_as_listed(row))
                found[key] = Stored(
                    (row["row_hash"] if is_right else "") if row else None,
                    change["version"] if change else 0,
                    change["row_hash"] if change and live else None,
                    row is not None and row["status"] in FINAL_STATUSES,
                )
        is_listed = question.is_listed
        unlisted = {key for key in self._ids(account_id) if not is_listed(key)} if is_listed else set()
        return Held(found, self.rejects() if question.needs_rejects else set(), unlisted)

    def rows(self, account_id: str, ids: AbstractSet[str]) -> dict[str, dict[str, Any]]:
        rows = self.tables["invoices"]
        return {key: rows[account_id, key] for key in ids if (account_id, key) in rows}

    def _ids(self, account_id: str) -> set[str]:
        live = {
            key
            for _, key, _ in self.tables["invoice_changes"]
            if (change := self._latest(account_id, key)) and change["change"] != "deleted"
        }
        return live | {key for _, key in self.tables["invoices"]}

    def rejects(self) -> set[str]:
        return {f"{row['record_hash']}:{row['occurrence']}" for row in self._current()}

    def reject_rows(self, account_id: str, keys: AbstractSet[str]) -> list[dict[str, Any]]:
        return [row for row in self._current() if f"{row['record_hash']}:{row['occurrence']}" in keys]

    def replayed(self) -> dict[str, str]:
        """What the changes, one after the other, make of an empty table: row hashes by key."""
        state: dict[str, str] = {}
        for (_, key, _), change in sorted(self.tables["invoice_changes"].items()):
            if change["change"] == "deleted":
                del state[key]
            else:
                assert (change["change"] == "new") == (key not in state)
                state[key] = change["row_hash"]
        return state

    def _latest(self, account_id: str, key: str) -> dict[str, Any] | None:
        changes = self.tables["invoice_changes"]
        version = 0
        while (account_id, key, version + 1) in changes:
            version += 1
        return changes.get((account_id, key, version))

    def _current(self) -> list[dict[str, Any]]:
        return [row for row in self.tables["invoice_rejects"].values() if not row.get("resolved_at")]


def keys_of(package: RowBatch) -> list[tuple[Any, ...]]:
    """Name each row of a package by its table and its key."""
    return [(table, *_key(table, row)) for table, rows in package.tables.items() for row in rows]


def _key(table: str, row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[column] for column in TABLES[table].key)
