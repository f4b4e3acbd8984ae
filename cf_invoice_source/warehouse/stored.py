"""What the destination holds of our tables: counts, ids, row hashes; and repairs them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import dlt

from cf_invoice_source.invoices.changes import Stored
from cf_invoice_source.invoices.record import FINAL_STATUSES
from cf_invoice_source.invoices.tables import CHANGES, INVOICES, MORE_FIELDS, REJECTS, TABLES
from cf_invoice_source.schema.capabilities import TableFormat
from cf_invoice_source.settings import SECTION
from cf_invoice_source.warehouse.collation import check_collation
from cf_invoice_source.warehouse.dataset_ref import client_of
from cf_invoice_source.warehouse.destination import check_file_format, check_format
from cf_invoice_source.warehouse.dlt_names import FilesystemClient, JobClientBase, dataset_path_of
from cf_invoice_source.warehouse.lease import lease
from cf_invoice_source.warehouse.ownership import claim_dataset
from cf_invoice_source.warehouse.questions import Held, Question
from cf_invoice_source.warehouse.reader import MOST, TableReader, bookmarks_in, can_be_asked
from cf_invoice_source.warehouse.state import check_state

_AS_ONE_LIST: Mapping[str | None, tuple[str, Callable[[list[str]], Any]]] = {
    # JSON, because DuckDB 1.5 looks for a module, in vain, for each value of a list.
    "duckdb": ("""SELECT unnest(from_json(%s, '["VARCHAR"]'))""", json.dumps),
    "postgres": ("SELECT unnest(%s)", list),
}
"""Dialects that look up a long list of keys in one pass over a table: how, and the list as they take it."""

_MOST_VALUES, _MOST_IN_ONE_LIST = 1_000, 50_000
"""How many values one query gets, so that its text stays short; and where they are one list."""


class StoredRows(TableReader):
    """Reads the tables of one pipeline's dataset. A missing table reads as empty."""

    def __init__(self, pipeline: dlt.Pipeline, table_format: TableFormat | None = None) -> None:
        super().__init__(self._connect_to_ours, table_format)
        self._pipeline = pipeline

    def _connect_to_ours(self) -> JobClientBase:
        schema = self._pipeline.schemas.get(SECTION)  # the default schema may be another source's
        if schema and INVOICES in schema.tables:
            return self._pipeline.destination_client(SECTION)
        client = client_of(self._pipeline)
        if not isinstance(client, FilesystemClient):
            return client
        # Files are tables only by a schema, which is stored beside them; a database knows its own.
        dataset = dlt.dataset(self._pipeline.destination, self._pipeline.dataset_name, schema=SECTION)
        return dataset.destination_client

    def missing_schema(self) -> str:
        """Say which table or column that was loaded once is missing now; empty when none is."""
        schema = self._pipeline.schemas.get(SECTION)
        with self.connected() as client:
            if not (client and schema):
                return ""
            selects = {}
            for table in schema.data_tables(seen_data_only=True):
                name = table["name"] or ""
                columns = ", ".join(map(client.escape_column_name, table["columns"]))
                rows = client.make_qualified_table_name(name)
                selects[name] = f"SELECT 1 FROM (SELECT {columns} FROM {rows} WHERE 1 = 0) AS t"
            if not selects or can_be_asked(client, " UNION ALL ".join(selects.values())):
                return ""
            missing = next((name for name in selects if not can_be_asked(client, selects[name])), "")
        return missing and f"the table {missing}, or a column of it, is missing"

    def recreate_tables(self) -> None:
        """Create missing tables and columns again; touches no data."""
        with self._pipeline.destination_client(SECTION) as client:
            client.update_stored_schema(force=True)

    def purge_deleted(self) -> None:
        """Delete the invoices that are marked deleted: Iceberg keeps them."""
        client = None if self.capabilities.deletes else self._connect_to_ours()
        if isinstance(client, FilesystemClient):
            from cf_invoice_source.warehouse.open_tables import purge  # noqa: PLC0415 - it needs DuckDB's

            purge(client, INVOICES)

    def has_older_state(self) -> bool:
        """Whether the destination's state is older than the one on this machine: a backup was restored."""
        if not self._pipeline.config.restore_from_destination:
            return False  # then no state goes to the destination
        stored = self.stored_states().get(self._pipeline.pipeline_name)
        return stored is not None and _version(stored) < _version(self._pipeline.state)

    def is_overtaken(self) -> bool:
        """Whether another load has written what a pending package would overwrite."""
        # That is this pipeline on another machine, as its state tells, or another one with the same accounts.
        # Versions decide: the clocks of machines differ.
        ours, others = self._pipeline.state, self.stored_states()
        stored = others.pop(self._pipeline.pipeline_name, None)
        if stored and _version(stored) >= _version(ours):
            return bool(stored.get("_version_hash") != ours["_version_hash"])
        accounts = bookmarks_in(ours).keys()
        return any(accounts & bookmarks_in(state).keys() for state in others.values())

    def check_tables(self, file_format: str | None) -> None:
        """Check that the tables, and the files of rows, can be as the user chose, and are ours."""
        client = self._job_client()
        check_format(client, self.table_format)
        check_file_format(client, file_format, self.table_format)
        check_collation(client)
        if isinstance(client, FilesystemClient) and not self.capabilities.shares:
            claim_dataset(client, self._pipeline.pipeline_name)
        if SECTION not in self._pipeline.schemas:  # this pipeline knows nothing of the tables yet
            self.check_owner()

    def check_state(self, bookmarks: Mapping[str, Any], account_ids: Collection[str] = ()) -> None:
        """Check that the destination can store these bookmarks, and those that other accounts will have."""
        if self._pipeline.config.restore_from_destination:  # if not, no state goes to the destination
            state: Any = self._pipeline.state
            check_state(state, self.capabilities.text_bytes, bookmarks, account_ids)

    def one_load_at_a_time(self, destination: JobClientBase, wait_s: float) -> AbstractContextManager[None]:
        """Make other loads wait where two at once would lose rows, whatever machine they run on.

        `destination` is any client of it: only where it has files, one that knows our tables is made.

        Raises:
            SettingsError: The dataset is another pipeline's.
            TryLaterError: Another load did not end in time.
        """
        client = self._job_client() if isinstance(destination, FilesystemClient) else None
        if not isinstance(client, FilesystemClient) or self.capabilities.shares:
            return nullcontext()
        claim_dataset(client, self._pipeline.pipeline_name)
        return lease(client.fs_client, dataset_path_of(client), wait_s=wait_s)

    def held(self, questions: Sequence[Question]) -> dict[str, Held]:
        """Look up what is held of several accounts. The number of queries does not depend on how many."""
        invoices = self._invoices(questions)
        rejects = defaultdict[str, set[str]](set)
        for row in self._rejects(_REJECT, [each.account_id for each in questions if each.needs_rejects]):
            rejects[row["account_id"]].add(_key(row))
        unlisted = self._unlisted({each.account_id: each.is_listed for each in questions if each.is_listed})
        return {
            each: Held(invoices[each], rejects[each], unlisted[each])
            for each in (question.account_id for question in questions)
        }

    def rows(self, account_id: str, ids: AbstractSet[str]) -> dict[str, dict[str, Any]]:
        """Fetch the documented columns of these invoices."""
        return {row["id"]: row for row in self._by_id(_ROW, INVOICES, {account_id: ids})}

    def accounts(self) -> set[str]:
        """Name the accounts of which anything is held beside invoices."""
        selects = [f"SELECT DISTINCT {{account_id}} FROM {{{each}}}" for each in (CHANGES, REJECTS)]
        return {row[0] for row in self._query_all(*selects)}

    def reject_rows(self, account_id: str, keys: AbstractSet[str]) -> list[dict[str, Any]]:
        """Fetch the rows of these current rejects."""
        found = self._rejects(TABLES[REJECTS].columns, [account_id] if keys else ())
        return [row for row in found if _key(row) in keys]

    def _invoices(self, questions: Sequence[Question]) -> defaultdict[str, dict[str, Stored]]:
        row_hashes: dict[tuple[str, str], str] = {}
        final = set[tuple[str, str]]()
        checks = {each.account_id: each.is_as_listed for each in questions}
        by_hash = [each for each in questions if each.is_as_listed is None]
        by_value = [each for each in questions if each.is_as_listed]
        for columns, asked in ((_HASH, by_hash), (self._values if by_value else _ROW, by_value)):
            for row in self._by_id(columns, INVOICES, {each.account_id: each.keys for each in asked}):
                key, row_hash = (row["account_id"], row["id"]), row["row_hash"] or ""
                if row["status"] in FINAL_STATUSES:
                    final.add(key)
                is_as_listed = checks[row["account_id"]]
                # A row that is there twice, or that was made by hand, is not the one that we wrote.
                is_ours = key not in row_hashes and (is_as_listed is None or is_as_listed(row))
                row_hashes[key] = row_hash if is_ours else ""
        none: tuple[int, str | None] = (0, None)
        latest: dict[tuple[str, str], tuple[int, str | None]] = {}
        for change in self._by_id(_CHANGE, CHANGES, {each.account_id: each.keys for each in questions}):
            key, version = (change["account_id"], change["id"]), min(change["version"] or 0, MOST - 1)
            if version > latest.get(key, none)[0]:
                change_hash = None if change["change"] == "deleted" else change["row_hash"]
                latest[key] = (version, change_hash)
        found = defaultdict[str, dict[str, Stored]](dict)
        for key in row_hashes.keys() | latest.keys():
            stored = Stored(row_hashes.get(key), *latest.get(key, none), key in final)
            found[key[0]][key[1]] = stored
        return found

    @property
    def _values(self) -> tuple[str, ...]:
        """The columns to compare with a record. `more_fields` is not in every dataset."""
        schema = self._pipeline.schemas.get(SECTION)
        columns = schema.tables.get(INVOICES, {}).get("columns", {}) if schema else {}
        return (*_ROW, MORE_FIELDS) if MORE_FIELDS in columns else _ROW

    def _unlisted(self, are_listed: Mapping[str, Callable[[str], bool]]) -> defaultdict[str, set[str]]:
        """Find the invoices that the list lacks: most come twice, by their row and by their latest change."""
        rows = f"SELECT {{account_id}}, {{id}} FROM {{invoices}} WHERE {_ACCOUNTS}"
        live = (
            "SELECT c.{account_id}, c.{id} FROM {invoice_changes} c JOIN (SELECT {account_id}, {id}, "
            f"max({{version}}) AS newest FROM {{invoice_changes}} WHERE {_ACCOUNTS} "
            "GROUP BY {account_id}, {id}) latest ON c.{account_id} = latest.{account_id} "
            "AND c.{id} = latest.{id} AND c.{version} = latest.newest WHERE c.{change} <> 'deleted'"
        )
        unlisted = defaultdict[str, set[str]](set)
        for select in (rows, live):
            for account_id, key in self._of_accounts(select, tuple(are_listed)):
                if not are_listed[account_id](key):
                    unlisted[account_id].add(key)
        return unlisted

    def _rejects(self, columns: Collection[str], account_ids: Sequence[str]) -> Iterator[dict[str, Any]]:
        select = f"SELECT {_names(columns)} FROM {{invoice_rejects}} WHERE {{resolved_at}} IS NULL"
        for row in self._of_accounts(f"{select} AND {_ACCOUNTS}", account_ids):
            yield dict(zip(columns, row, strict=True))

    def _of_accounts(self, select: str, account_ids: Sequence[str]) -> Iterator[Any]:
        """Yield the rows of a SELECT that has `_ACCOUNTS` where it names the accounts."""
        for start in range(0, len(account_ids), self._most_values):
            condition, values = self._is_in("account_id", account_ids[start : start + self._most_values])
            yield from self._stream(select.replace(_ACCOUNTS, condition), *values)

    def _by_id(
        self, columns: Collection[str], table: str, wanted: Mapping[str, AbstractSet[str]]
    ) -> Iterator[dict[str, Any]]:
        """Yield the rows of these invoices of each account."""
        for piece in self._pieces(wanted):
            is_account, accounts = self._is_in("account_id", piece)
            is_id, ids = self._is_in("id", set[str]().union(*piece.values()))
            select = f"SELECT {_names(columns)} FROM {{{table}}} WHERE {is_account} AND {is_id}"
            for values in self._stream(select, *accounts, *ids):
                row = dict(zip(columns, values, strict=True))
                if row["id"] in piece.get(row["account_id"], ()):  # it may be the ID of another account's
                    yield row

    def _pieces(self, wanted: Mapping[str, AbstractSet[str]]) -> Iterator[dict[str, set[str]]]:
        """Divide what is wanted, so that each query has only so many values."""
        piece: dict[str, set[str]] = {}
        values = 0
        for account_id, keys in wanted.items():
            for key in keys:
                if values >= self._most_values:
                    yield piece
                    piece, values = {}, 0
                values += 1 + (account_id not in piece)
                piece.setdefault(account_id, set()).add(key)
        if piece:
            yield piece

    @property
    def _one_list(self) -> tuple[str, Callable[[list[str]], Any]] | None:
        return _AS_ONE_LIST.get(self._job_client().capabilities.sqlglot_dialect)

    @property
    def _most_values(self) -> int:
        return _MOST_IN_ONE_LIST if self._one_list else _MOST_VALUES

    def _is_in(self, column: str, values: Collection[str]) -> tuple[str, list[Any]]:
        """Write the condition that a column has one of these values, and give the parameters for it."""
        if self._one_list:
            keys, written = self._one_list
            return f"{{{column}}} IN ({keys})", [written(list(values))]
        return f"{{{column}}} IN ({', '.join(['%s'] * len(values))})", list(values)


_ROW = tuple(TABLES[INVOICES].columns)
_HASH = ("account_id", "id", "row_hash", "status")
_CHANGE = ("account_id", "id", "version", "change", "row_hash")
_REJECT = ("account_id", "record_hash", "occurrence")
_ACCOUNTS = "ACCOUNTS"
"""Stands in a query for the condition that a row is of one of some accounts."""


def _names(columns: Collection[str]) -> str:
    return ", ".join(f"{{{column}}}" for column in columns)


def _version(state: Any) -> int:
    """Read the version of a pipeline's state; 0 if it has none."""
    version = state.get("_state_version") if isinstance(state, Mapping) else None
    return version if isinstance(version, int) else 0


def _key(reject: Mapping[str, Any]) -> str:
    return f"{reject['record_hash']}:{reject['occurrence']}"
