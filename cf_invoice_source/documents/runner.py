"""Archives documents, verifies an archive, and writes its manifest: what the command and Python call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import dlt

from cf_invoice_source.cloudflare.accounts import read_account_ids
from cf_invoice_source.cloudflare.credentials import is_on_this_machine
from cf_invoice_source.documents.archive import Archiver, Listing, Progress
from cf_invoice_source.documents.fetcher import DocumentFetcher
from cf_invoice_source.documents.ledger import Wanted
from cf_invoice_source.documents.links import read_hosts
from cf_invoice_source.documents.manifest import manifest_of
from cf_invoice_source.documents.naming import folder_of
from cf_invoice_source.documents.report import DocumentReport, Verification, compare
from cf_invoice_source.documents.store import Store, open_store
from cf_invoice_source.documents.tables import Tables
from cf_invoice_source.errors import DestinationError, InvoiceSourceError
from cf_invoice_source.invoices.money import money_of
from cf_invoice_source.invoices.tables import DICTIONARY, DOCUMENTS
from cf_invoice_source.loading.job import Job, prepare
from cf_invoice_source.loading.lookup import find
from cf_invoice_source.settings import LOCK_WAIT_S, REQUESTS_AT_ONCE
from cf_invoice_source.warehouse.dataset_ref import DatasetRef, location_of
from cf_invoice_source.warehouse.dlt_errors import translated_errors
from cf_invoice_source.warehouse.documents import DocumentQueries
from cf_invoice_source.warehouse.locks import pipeline_lock
from cf_invoice_source.warehouse.staging import dataset_name_in
from cf_invoice_source.warehouse.umask import written_whole


def archive_documents(  # noqa: PLR0913 - each is a choice
    pipeline: dlt.Pipeline,
    to: str,
    *,
    drafts: bool = False,
    document_hosts: Sequence[str] | str | None = None,
    wait_s: float = LOCK_WAIT_S,
    progress: Progress | None = None,
    **settings: Any,
) -> DocumentReport:
    """Archive the PDF of each invoice that is loaded and has none since its last change.

    It asks Cloudflare for a fresh link, fetches the PDF, stores it, and notes it in `invoice_documents`. It
    may run beside a load. After an interruption, the next run does what is left.

    Args:
        pipeline: The dlt pipeline that loads the invoices.
        to: A directory, or an address that fsspec knows, such as s3://bucket/folder.
        drafts: Whether drafts get a document, too.
        document_hosts: The hosts that links may lead to, each with its sub-domains; Stripe's by default.
        wait_s: How many seconds to wait for another run, and each time for a load into the same DuckDB file.
        progress: Called with the number of documents that are done, and of those that are wanted.
        settings: Arguments of `cf_invoice_source`. What is not given comes from dlt's configuration.

    Raises:
        SettingsError: A setting is missing or wrong, or Cloudflare refused every account.
        TryLaterError: Cloudflare did not answer for any account, or another run or load did not end.
        ApiChangedError: Cloudflare answered in an unknown shape for every account.
        DestinationError: The archive or the table could not be read or written.
    """
    try:
        ref = DatasetRef.of_pipeline(pipeline)
        return archive(
            ref, to, settings, drafts=drafts, document_hosts=document_hosts, wait_s=wait_s, progress=progress
        )
    finally:
        pipeline.activate()  # the table has a pipeline of its own, and dlt makes a new one the active one


def verify_documents(
    pipeline: dlt.Pipeline, to: str, account_ids: str | Sequence[str] | None = None
) -> Verification:
    """Hash every file of an archive, and compare it with `invoice_documents`; nothing is written.

    Args:
        pipeline: Any dlt pipeline with the destination and the dataset.
        to: The archive, as it was given to `archive_documents`.
        account_ids: Look at these accounts only.

    Raises:
        DestinationError: The archive or the table could not be read.
    """
    return verify(DatasetRef.of_pipeline(pipeline), to, account_ids)


def write_manifest(
    pipeline: dlt.Pipeline, file: str | Path, account_ids: str | Sequence[str] | None = None
) -> int:
    """Write a CSV file with a line for each invoice and its document; return how many lines it has.

    Args:
        pipeline: Any dlt pipeline with the destination and the dataset.
        file: Where to write it; a file that is there is replaced as a whole.
        account_ids: Write these accounts only.

    Raises:
        DestinationError: The tables could not be read, or the file not written.
    """
    return manifest(DatasetRef.of_pipeline(pipeline), file, account_ids)


def archive(  # noqa: PLR0913 - as above
    ref: DatasetRef,
    to: str,
    settings: dict[str, Any],
    *,
    drafts: bool = False,
    document_hosts: Sequence[str] | str | None = None,
    wait_s: float = LOCK_WAIT_S,
    progress: Progress | None = None,
) -> DocumentReport:
    """Do what `archive_documents` does, for a pipeline that need not exist here."""
    job, client = prepare(settings, ref.pipeline_name)
    settings.clear()  # so that a report of local variables after an error has no credentials
    job.access.announce()
    with translated_errors():
        hosts = read_hosts(_hosts(ref.pipeline_name) if document_hosts is None else document_hosts)
        fetcher = DocumentFetcher(hosts, is_here_allowed=is_on_this_machine(job.access.base_url.value))
        store, tables = open_store(to), Tables(ref, wait_s=wait_s)
        with pipeline_lock(
            tables.own.pipeline_name, wait_s=wait_s, pipelines_dir=str(tables.own.working_dir.parent)
        ):
            wanted, listing = _read_wanted(tables, store, job, drafts=drafts)
            store.tidy()
            archiver = Archiver(
                client,
                fetcher,
                store,
                tables,
                wanted,
                listing,
                progress=progress or (lambda _done, _total: None),
            )
            accounts = tuple(archiver.run())
    if archiver.errors and len(archiver.errors) == len(accounts):
        raise archiver.errors[0]
    return DocumentReport(
        *_names(ref, store),
        accounts=accounts,
        absent=len(set(job.account_ids) - wanted.held.keys()),
        stopped=archiver.stopped,
    )


def verify(ref: DatasetRef, to: str, account_ids: str | Sequence[str] | None = None) -> Verification:
    """Do what `verify_documents` does, for a pipeline that need not exist here."""
    wanted = read_account_ids(account_ids)
    with translated_errors():
        store = open_store(to)
        with _reading(ref) as queries:
            rows = [row for row in queries.documents() if not wanted or row["account_id"] in wanted]
        known = {row["path"] or "": row["sha256"] for row in rows}
        folders = {folder_of(account_id) for account_id in wanted}
        there = {path for path in store.paths() if not folders or path.partition("/")[0] in folders}
        with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
            paths = list(known.keys() & there)  # one that leads out of the archive is not there
            hashed = dict(zip(paths, pool.map(store.digest, paths), strict=True))
        changed, missing, unknown = compare(known, dict.fromkeys(there) | hashed)
        intact = len(known) - len(changed) - len(missing)
        return Verification(*_names(ref, store), len(known), intact, changed, missing, unknown)


def manifest(ref: DatasetRef, file: str | Path, account_ids: str | Sequence[str] | None = None) -> int:
    """Do what `write_manifest` does, for a pipeline that need not exist here."""
    wanted = read_account_ids(account_ids)

    def is_wanted(row: Mapping[str, Any]) -> bool:
        return not wanted or row["account_id"] in wanted

    with translated_errors(), _reading(ref) as queries:
        documents = [row for row in queries.documents() if is_wanted(row)]
        invoices = filter(is_wanted, queries.invoices())
        lines = manifest_of(invoices, documents, lambda currency, minor: money_of(currency, [minor]))
        return _write_whole(Path(file), lines)


@contextmanager
def _reading(ref: DatasetRef) -> Iterator[DocumentQueries]:
    with ref.reading() as dataset:
        if not dataset:
            cause = "No invoices are loaded yet."
            raise DestinationError(cause, remedy=f"run cf-invoices load into {location_of(ref.client())}")
        yield DocumentQueries(dataset)


def _write_whole(file: Path, lines: Iterator[str]) -> int:
    """Write a text file as a whole or not at all; return how many lines follow its head."""
    count = -1
    try:
        with written_whole(file) as written:
            for line in lines:
                written.write(line)
                count += 1
    except InvoiceSourceError:
        raise
    except OSError as error:
        raise DestinationError(
            f"The manifest {file} cannot be written: {error.strerror}.",
            remedy="make its directory, or name another file",
        ) from None
    return count


def _hosts(pipeline_name: str) -> Any:
    found = find(pipeline_name, "document_hosts", Any)
    return found.value if found else None


def _names(ref: DatasetRef, store: Store) -> tuple[str, str, str, str]:
    """Give the names of pipeline and dataset, where the dataset is, and where the archive."""
    client = ref.client()
    dataset_name = dataset_name_in(client, ref.dataset_name)
    return ref.pipeline_name, dataset_name, location_of(client), str(store)


def _read_wanted(tables: Tables, store: Store, job: Job, *, drafts: bool) -> tuple[Wanted, Listing]:
    """Read which invoices need a document, and how they are listed."""
    wanted, accounts = Wanted(), set(job.account_ids)
    stored = store.paths()
    with tables.reading() as queries:
        if not queries:
            return wanted, Listing(job.type)
        queries.check_owner({DOCUMENTS: DICTIONARY[DOCUMENTS]})
        for row in queries.failures():
            key = (row["account_id"], row["id"])
            wanted.attempts[key] = row["attempts"] or 0
            if row["error"] is not None:
                wanted.failing.add(key)
        for account_id, rows in groupby(queries.invoices(), itemgetter("account_id")):
            if not accounts or account_id in accounts:
                wanted.add(account_id, rows, stored, drafts=drafts)
        # What the tables hold is what was listed for them, whatever the settings say now.
        return wanted, Listing(queries.invoice_type() or job.type, queries.capabilities.digits)
