"""Reads the invoices, and reads and writes `invoice_documents`, without touching what belongs to a load."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import dlt
from dlt.common.configuration.specs import BaseConfiguration
from dlt.extract import DltResource

from cf_invoice_source.documents.ledger import LedgerRow
from cf_invoice_source.invoices.tables import DICTIONARY, DOCUMENTS
from cf_invoice_source.loading.packages import finish_pending, load_package
from cf_invoice_source.schema.capabilities import FileFormat, TableFormat
from cf_invoice_source.schema.hints import hints_of
from cf_invoice_source.settings import SECTION
from cf_invoice_source.warehouse.dataset_ref import DatasetRef, client_of, database_file
from cf_invoice_source.warehouse.dlt_names import FilesystemClient, JobClientBase, dataset_path_of
from cf_invoice_source.warehouse.documents import DocumentQueries
from cf_invoice_source.warehouse.duckdb_file import open_database
from cf_invoice_source.warehouse.lease import lease
from cf_invoice_source.warehouse.locks import database_lock
from cf_invoice_source.warehouse.rights import missing_rights_named
from cf_invoice_source.warehouse.staging import beside, separate_staging
from cf_invoice_source.warehouse.working_dir import delete_rows_once_loaded, make_private

SUFFIX = "documents"
"""A pipeline of its own writes the table: what it leaves pending is not in the way of a load."""


class Tables:
    """The tables of one dataset. A lock on the database is held only while they are read or written.

    Args:
        wait_s: How many seconds to wait each time for a load into the same DuckDB file.
    """

    def __init__(self, ref: DatasetRef, *, wait_s: float) -> None:
        self.ref = ref
        self.own = beside(ref, SUFFIX)
        self._wait_s = wait_s
        self._formats: tuple[TableFormat | None, FileFormat | None] = (None, None)
        self._shares = True
        self._pipeline: dlt.Pipeline | None = None

    @contextmanager
    def reading(self) -> Iterator[DocumentQueries | None]:
        """Read what is there; None if nothing is loaded."""
        client = self.ref.client()
        file = database_file(client.config.credentials)
        if file and not file.exists():  # not even a lock beside it is made
            yield None
            return
        with database_lock(client, wait_s=self._wait_s), self.ref.reading(read_only=False) as data:
            queries = DocumentQueries(data) if data else None
            if queries:
                self._formats, self._shares = queries.formats(), queries.capabilities.shares
            yield queries

    def write(self, rows: Iterable[LedgerRow]) -> None:
        """Write rows of `invoice_documents`; call `reading` first."""
        with self._writing() as (pipeline, close_database):
            load_package(pipeline, _source([row.row() for row in rows], *self._formats), close_database)

    @contextmanager
    def _writing(self) -> Iterator[tuple[dlt.Pipeline, Any]]:
        is_new = self._pipeline is None
        pipeline = self._pipeline = self._pipeline or self._make_pipeline()
        destination = client_of(pipeline)
        with (
            missing_rights_named(partial(client_of, pipeline)),
            warnings.catch_warnings(),
            database_lock(destination, wait_s=self._wait_s),
            self._lease(destination),
            open_database(destination) as close_database,
        ):
            # About the merge that dlt writes: nobody can do anything about it.
            warnings.filterwarnings("ignore", module=r"dlt\.destinations\.impl\.sqlalchemy")
            if is_new:
                finish_pending(pipeline, close_database)
            yield pipeline, close_database

    def _lease(self, destination: JobClientBase) -> AbstractContextManager[None]:
        """Make loads wait where two writers at once would lose rows, whatever machine they run on."""
        if self._shares or not isinstance(destination, FilesystemClient):
            return nullcontext()
        return lease(destination.fs_client, dataset_path_of(destination), wait_s=self._wait_s)

    def _make_pipeline(self) -> dlt.Pipeline:
        pipeline = self.own.pipeline(pipelines_dir=str(self.own.working_dir.parent))
        # The table says all. A state in the destination would look like that of a load.
        pipeline.config.restore_from_destination = False
        make_private(pipeline)
        delete_rows_once_loaded(pipeline.pipeline_name)
        separate_staging(pipeline)
        return pipeline


@dlt.source(name=f"{SECTION}_{SUFFIX}", section=SECTION, spec=BaseConfiguration)
def _source(
    rows: list[dict[str, Any]], table_format: TableFormat | None, file_format: FileFormat | None
) -> DltResource:
    hints = hints_of(DICTIONARY[DOCUMENTS], table_format)
    resource: DltResource = dlt.resource(rows, name=DOCUMENTS, max_table_nesting=0)
    return resource.apply_hints(**hints, file_format=file_format)
