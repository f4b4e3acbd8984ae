"""What the destination holds of our tables: counts, ids, row hashes; and repairs them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
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
from cf_invoice_source.warehouse.reader import TableReader, bookmarks_in, can_be_asked

_AS_ONE_LIST: Mapping[str | None, tuple[str, Callable[[list[str]], Any]]] = {
    # JSON, because DuckDB 1.5 looks for a module, in vain, for each value of a list.
    "duckdb": ("""SELECT unnest(from_json(%s, '["VARCHAR"]'))""", json.dumps),
    "postgres": ("SELECT unnest(%s)", list),
}
"""Dialects that look up any number of keys in one pass over a table: how, and the list as they take it."""


MOST = 2**63 - 1
"""What a BIGINT holds: a number that was counted further by hand stays where it can be written."""


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
            for table in schema.data_tables(seen_data_only=True):
                name = table["name"] or ""
                columns = ", ".join(map(client.escape_column_name, table["columns"]))
                rows = client.make_qualified_table_name(name)
                if not can_be_asked(client, f"SELECT {columns} FROM {rows} WHERE 1 = 0"):
                    return f"the table {name}, or a column of it, is missing"
        return ""

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

    def one_load_at_a_time(self, wait_s: float) -> AbstractContextManager[None]:
        """Make other loads wait where two at once would lose rows, whatever machine they run on.

        Raises:
            SettingsError: The dataset is another pipeline's.
            TryLaterError: Another load did not end in time.
        """
        client = self._job_client()
        if self.capabilities.shares or not isinstance(client, FilesystemClient):
            return nullcontext()
        claim_dataset(client, self._pipeline.pipeline_name)
        return lease(client.fs_client, dataset_path_of(client), wait_s=wait_s)

    def sync_numbers(self) -> dict[str, int]:
        """Give the number of the last sync of each account."""
        syncs = "SELECT {account_id}, max({sync_number}) FROM {invoice_syncs} GROUP BY {account_id}"
        return {account_id: min(number or 0, MOST - 1) for account_id, number in self._query(syncs)}

    def stored(
        self,
        account_id: str,
        ids: Collection[str],
        is_as_listed: Callable[[Mapping[str, Any]], bool] | None = None,
    ) -> dict[str, Stored]:
        """Look up what is held of these invoices. Invoices of which nothing is held are left out.

        `is_as_listed` says of a row whether its values are right; without it, its `row_hash` is believed.
        """
        row_hashes: dict[str, str] = {}
        final = set[str]()
        columns = self._values if is_as_listed else ("id", "row_hash", "status")
        for row in self._by_id(columns, INVOICES, account_id, ids):
            invoice_id, row_hash = row["id"], row["row_hash"] or ""
            if row["status"] in FINAL_STATUSES:
                final.add(invoice_id)
            # A row that is there twice, or that was made by hand, is not the one that we wrote.
            is_ours = invoice_id not in row_hashes and (is_as_listed is None or is_as_listed(row))
            row_hashes[invoice_id] = row_hash if is_ours else ""
        none: tuple[int, str | None] = (0, None)
        latest: dict[str, tuple[int, str | None]] = {}
        for change in self._by_id(("id", "version", "change", "row_hash"), CHANGES, account_id, ids):
            version = min(change["version"] or 0, MOST - 1)
            if version > latest.get(change["id"], none)[0]:
                change_hash = None if change["change"] == "deleted" else change["row_hash"]
                latest[change["id"]] = (version, change_hash)
        return {
            each: Stored(row_hashes.get(each), *latest.get(each, none), each in final)
            for each in row_hashes.keys() | latest.keys()
        }

    @property
    def _values(self) -> tuple[str, ...]:
        """The columns to compare with a record. `more_fields` is not in every dataset."""
        schema = self._pipeline.schemas.get(SECTION)
        columns = schema.tables.get(INVOICES, {}).get("columns", {}) if schema else {}
        return (*_ROW, MORE_FIELDS) if MORE_FIELDS in columns else _ROW

    def rows(self, account_id: str, ids: Collection[str]) -> dict[str, dict[str, Any]]:
        """Fetch the documented columns of these invoices."""
        return {row["id"]: row for row in self._by_id(_ROW, INVOICES, account_id, ids)}

    def accounts(self) -> set[str]:
        """Name the accounts of which anything is held."""
        selects = [f"SELECT DISTINCT {{account_id}} FROM {{{each}}}" for each in (INVOICES, CHANGES, REJECTS)]
        return {row[0] for select in selects for row in self._query(select)}

    def ids(self, account_id: str) -> Iterator[str]:
        """List an account's invoices, by rows and by latest changes: most come twice. See `_stream`."""
        rows = "SELECT {id} FROM {invoices} WHERE {account_id} = %s"
        live = (
            "SELECT c.{id} FROM {invoice_changes} c JOIN (SELECT {id}, max({version}) AS newest "
            "FROM {invoice_changes} WHERE {account_id} = %s GROUP BY {id}) latest "
            "ON c.{id} = latest.{id} AND c.{version} = latest.newest "
            "WHERE c.{account_id} = %s AND c.{change} <> 'deleted'"
        )
        yield from (row[0] for row in self._stream(rows, account_id))
        yield from (row[0] for row in self._stream(live, account_id, account_id))

    def rejects(self, account_id: str) -> set[str]:
        """List the keys, "<record_hash>:<occurrence>", of an account's current rejects."""
        return {_key(row) for row in self._rows(("record_hash", "occurrence"), REJECTS, _CURRENT, account_id)}

    def reject_rows(self, account_id: str, keys: Collection[str]) -> list[dict[str, Any]]:
        """Fetch the rows of these rejects."""
        found = self._rows(TABLES[REJECTS].columns, REJECTS, _CURRENT, account_id) if keys else ()
        return [row for row in found if _key(row) in keys]

    def _rows(self, columns: Collection[str], table: str, where: str, *args: Any) -> Iterator[dict[str, Any]]:
        names = ", ".join(f"{{{column}}}" for column in columns)
        for row in self._stream(f"SELECT {names} FROM {{{table}}} WHERE {where}", *args):
            yield dict(zip(columns, row, strict=True))

    def _by_id(
        self, columns: Collection[str], table: str, account_id: str, ids: Collection[str]
    ) -> Iterator[dict[str, Any]]:
        if not ids:
            return
        where = "{account_id} = %s AND {id} IN "
        if one_list := _AS_ONE_LIST.get(self._job_client().capabilities.sqlglot_dialect):
            keys, written = one_list
            yield from self._rows(columns, table, f"{where}({keys})", account_id, written(list(ids)))
            return
        remaining = iter(ids)
        while chunk := list(islice(remaining, 1_000)):
            markers = ", ".join(["%s"] * len(chunk))
            yield from self._rows(columns, table, f"{where}({markers})", account_id, *chunk)


_ROW = tuple(TABLES[INVOICES].columns)
_CURRENT = "{account_id} = %s AND {resolved_at} IS NULL"


def _version(state: Any) -> int:
    """Read the version of a pipeline's state; 0 if it has none."""
    version = state.get("_state_version") if isinstance(state, Mapping) else None
    return version if isinstance(version, int) else 0


def _key(reject: Mapping[str, Any]) -> str:
    return f"{reject['record_hash']}:{reject['occurrence']}"
