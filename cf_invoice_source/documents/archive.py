"""Archives the documents of one run: asks for fresh links, fetches, stores, and notes what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from time import monotonic
from typing import Any

from cf_invoice_source.cloudflare.client import Client
from cf_invoice_source.cloudflare.prefetch import RequestPool, first_ready
from cf_invoice_source.cloudflare.rate_limiter import RequestStats
from cf_invoice_source.documents.fetcher import Document, DocumentFetcher, Refusal
from cf_invoice_source.documents.ledger import Held, LedgerRow, Wanted
from cf_invoice_source.documents.naming import path_of
from cf_invoice_source.documents.report import AccountDocuments, Failure
from cf_invoice_source.documents.search import Search, key_of
from cf_invoice_source.documents.store import Store
from cf_invoice_source.documents.tables import Tables
from cf_invoice_source.errors import DestinationError, InvoiceSourceError
from cf_invoice_source.invoices.record import Invoice, Item, read_record
from cf_invoice_source.settings import (
    DOCUMENT_ROWS,
    DOCUMENT_ROWS_EVERY_S,
    DOCUMENTS_AT_ONCE,
    MOST_UNANSWERED,
    InvoiceType,
)
from cf_invoice_source.walk.page import Page

Progress = Callable[[int, int], object]
"""Told how many documents are done, and how many are wanted."""

_Pair = tuple[Held, Invoice]
_NOT_LISTED = "it is not where Cloudflare's list should have it, or not listed any more"


@dataclass(frozen=True, slots=True)
class Listing:
    """How a load has read the list: which type of invoices, and how many digits the destination keeps."""

    type: InvoiceType
    digits: int | None = None


class Archiver:
    """Archives the documents of all accounts, one account after the other.

    Attributes:
        stopped: Why not all were tried; empty if they were.
        errors: Why accounts could not be read.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a run
        self,
        client: Client,
        fetcher: DocumentFetcher,
        store: Store,
        tables: Tables,
        wanted: Wanted,
        listing: Listing,
        *,
        progress: Progress,
    ) -> None:
        self.stopped = ""
        self.errors: list[InvoiceSourceError] = []
        self._client = client
        self._fetcher = fetcher
        self._store = store
        self._tables = tables
        self._wanted = wanted
        self._listing = listing
        self._progress = progress
        self._pool = RequestPool(DOCUMENTS_AT_ONCE)
        self._rows: list[LedgerRow] = []
        self._written_at = monotonic()
        self._done = self._unanswered = 0

    def run(self) -> Iterator[AccountDocuments]:
        """Archive what is wanted, and say of each account what was done."""
        self._progress(0, self._wanted.total)
        try:
            for account_id in self._wanted.held:
                yield self._account(account_id)
        except BaseException:
            self._write_quietly()
            raise
        self._write()

    def _account(self, account_id: str) -> AccountDocuments:
        wanted = self._wanted.invoices.get(account_id, [])
        search, stats = Search(wanted, self._wanted.held[account_id]), RequestStats()
        failures: list[Failure] = []
        archived = requests = 0
        try:
            while not self.stopped and (number := search.next_page()) is not None:
                requests += 1
                page = self._page(account_id, number, stats)
                expired: list[_Pair] = []
                for held, invoice, outcome in self._fetched(search.take(page)):
                    if isinstance(outcome, Refusal) and outcome.kind == "expired":
                        expired.append((held, invoice))
                    else:
                        archived += self._note(held, invoice, outcome, failures)
                if expired and not self.stopped:  # once more, with links of this moment
                    requests += 1
                    page = self._page(account_id, number, stats)
                    for held, invoice, outcome in self._fetched(_again(expired, page.records)):
                        archived += self._note(held, invoice, outcome, failures)
            for held in search.missing:
                self._note(held, None, Refusal(_NOT_LISTED), failures)
        except DestinationError:
            raise
        except InvoiceSourceError as error:
            self.errors.append(error)
            return AccountDocuments(account_id, len(wanted), archived, requests, tuple(failures), str(error))
        return AccountDocuments(account_id, len(wanted), archived, requests, tuple(failures))

    def _page(self, account_id: str, number: int, stats: RequestStats) -> Page[Item]:
        page = self._client.invoice_page(account_id, self._listing.type, number, stats)
        return replace(page, records=tuple(read_record(each, self._listing.digits) for each in page.records))

    def _fetched(self, pairs: Sequence[_Pair]) -> Iterator[tuple[Held, Invoice, Document | Refusal]]:
        """Fetch documents, a few at a time, in the order in which they arrive."""
        waiting = iter(pairs)
        coming: list[tuple[_Pair, Future[Document | Refusal]]] = []
        try:
            while True:
                while len(coming) < DOCUMENTS_AT_ONCE and not self.stopped and (pair := next(waiting, None)):
                    coming.append((pair, self._pool.submit(_fetching(self._fetcher, pair[1]))))
                if not coming:
                    return
                pair, future = coming.pop(first_ready([each for _, each in coming]))
                outcome = future.result()
                self._count_unanswered(outcome)
                yield *pair, outcome
        finally:
            for _, future in coming:
                future.add_done_callback(_close)

    def _count_unanswered(self, outcome: Document | Refusal) -> None:
        is_unanswered = isinstance(outcome, Refusal) and outcome.kind == "unanswered"
        self._unanswered = self._unanswered + 1 if is_unanswered else 0
        if self._unanswered >= MOST_UNANSWERED:
            self.stopped = f"of the last {MOST_UNANSWERED} documents, no host has answered."

    def _note(
        self, held: Held, invoice: Invoice | None, outcome: Document | Refusal, failures: list[Failure]
    ) -> bool:
        """Store a document, and note what came of it; say whether it is archived."""
        status, row_hash = (
            (invoice.values["status"], invoice.row_hash) if invoice else (held.status, held.row_hash)
        )
        key = (held.account_id, held.id)
        row = LedgerRow(
            account_id=held.account_id,
            id=held.id,
            fetched_at=datetime.now(timezone.utc),
            status=status,
            row_hash=row_hash,
            attempts=self._wanted.attempts.get(key, 0) + 1,
        )
        if isinstance(outcome, Document):
            created = invoice.values["created"] if invoice else held.created
            noted = self._stored(row, outcome, created)
        elif outcome.kind == "unkept":
            raise DestinationError(
                f"A document cannot be fetched: {outcome.reason}.",
                remedy="make room there, or name another directory in TMPDIR, then run again",
            )
        else:
            noted = replace(row, error=outcome.reason)
        if noted.error is not None:
            failures.append(Failure(held.id, noted.error))
        elif key in self._wanted.failing:  # it can be had by now
            self._rows.append(row)
        self._rows.append(noted)
        self._done += 1
        self._progress(self._done, self._wanted.total)
        if len(self._rows) >= DOCUMENT_ROWS or monotonic() - self._written_at > DOCUMENT_ROWS_EVERY_S:
            self._write()
        return noted.error is None

    def _stored(self, row: LedgerRow, document: Document, created: datetime | None) -> LedgerRow:
        path = path_of(row.account_id, row.id, created, document.sha256)
        with document.body as body:
            is_there = self._store.put(path, body, document.sha256)
        if not is_there:
            return replace(row, error=f"another file has its name, and is never overwritten: {path}")
        return replace(
            row,
            sha256=document.sha256,
            path=path,
            bytes=document.size,
            content_type=document.content_type,
        )

    def _write(self) -> None:
        if self._rows:
            # One row for each key: the same document may have come twice.
            unique = {(row.account_id, row.id, row.sha256): row for row in self._rows}
            self._tables.write(unique.values())
        self._rows.clear()
        self._written_at = monotonic()

    def _write_quietly(self) -> None:
        """Note what is stored although something else went wrong, which is what to say."""
        with suppress(Exception):
            self._write()


def _fetching(fetcher: DocumentFetcher, invoice: Invoice) -> Callable[[], Document | Refusal]:
    link = invoice.values["invoice_pdf"]
    return lambda: fetcher.fetch(link) if link else Refusal("Cloudflare lists no PDF for it")


def _again(pairs: Iterable[_Pair], records: Iterable[Item]) -> list[_Pair]:
    """Pair invoices with the records that have fresh links; with the old ones if they have moved on."""
    fresh: Mapping[str, Invoice] = {key_of(each): each for each in records if isinstance(each, Invoice)}
    return [(held, fresh.get(key_of(invoice), invoice)) for held, invoice in pairs]


def _close(future: Future[Any]) -> None:
    if not future.cancelled() and not future.exception() and isinstance(future.result(), Document):
        future.result().body.close()
