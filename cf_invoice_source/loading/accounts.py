"""All accounts of one load, side by side, and the verification afterwards."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from cf_invoice_source.cloudflare.client import Client
from cf_invoice_source.cloudflare.prefetch import PageFetcher, RequestPool, first_ready
from cf_invoice_source.cloudflare.rate_limiter import RequestStats
from cf_invoice_source.errors import InvoiceSourceError
from cf_invoice_source.invoices.record import Item, read_record
from cf_invoice_source.invoices.tables import SYNCS
from cf_invoice_source.loading.account import Account, RowBatch, SyncRequest
from cf_invoice_source.loading.comparison import Compare
from cf_invoice_source.loading.counters import Counters
from cf_invoice_source.loading.job import Job, account_ids_of
from cf_invoice_source.notices import notify
from cf_invoice_source.settings import REQUESTS_AT_ONCE
from cf_invoice_source.walk.batches import PackageEnd
from cf_invoice_source.walk.bookmark import difference, from_dict
from cf_invoice_source.walk.page import Page
from cf_invoice_source.walk.walker import WalkRequest
from cf_invoice_source.warehouse.stored import StoredRows

_PARTS = 20
"""Into how many parts a package is divided where nothing of it has to be compared."""


class Accounts:
    """All accounts of one load, over as many packages as it takes.

    Whichever account answers first is walked first, so that a slow one does not hold up the others. Once
    done, it begins anew: a source can be loaded again and again.

    Args:
        counters: Where progress is counted.
        package_rows: Rows in one package, at least; None for all in one.
        isolate_accounts: Whether an account that cannot be read leaves the others alone.
        bypass_normalizer: Whether rows may go past dlt's normalizer: no user has added steps of dlt's.
        full_reason: Why no account's tables can be trusted before they were compared; empty if they can.
    """

    def __init__(  # noqa: PLR0913 - a load and the ways in which `load` differs from a plain run
        self,
        job: Job,
        client: Client,
        stored: StoredRows,
        counters: Counters,
        *,
        package_rows: int | None = None,
        isolate_accounts: bool = False,
        bypass_normalizer: bool = False,
        full_reason: str = "",
    ) -> None:
        self.job = job
        self.stored = stored
        self._counters = counters
        self.bypass_normalizer = bypass_normalizer
        self.accounts: list[Account] = []
        self.unlisted: tuple[str, ...] = ()
        self._client = client
        self._package_rows = package_rows or sys.maxsize
        self._isolate_accounts = isolate_accounts
        self._full_reason = full_reason
        self._waiting: list[tuple[Account, SyncRequest]] | None = None
        self._running: Iterator[RowBatch] | None = None
        self._pool: RequestPool | None = None

    @property
    def is_done(self) -> bool:
        """Whether every account's walk has ended, and all its rows were handed on."""
        return self._waiting == [] and self._running is None

    def row_batches(self, bookmarks: Mapping[str, Any], *, is_range: bool = False) -> Iterator[RowBatch]:
        """Give what is to be loaded, up to the size of one package; call again for the next one."""
        rows = 0
        try:
            if self._waiting is None or self.is_done:
                self._begin(bookmarks, is_range=is_range)
            while self._waiting or self._running:
                self._running = self._running or self._next(bookmarks)
                for batch in self._running:
                    yield batch
                    rows += len(batch)
                    is_full = batch.package_end is PackageEnd.IF_FULL and rows >= self._package_rows
                    if is_full or batch.package_end is PackageEnd.ALWAYS:
                        return
                self._running = None
            self.close()
        except BaseException:  # what was given so far is lost with the package: begin again next time
            self._waiting = self._running = None
            self.close()
            raise

    def verify(self) -> list[Account]:
        """Compare the tables with what the walks found, and give the accounts where they differ."""
        self.stored.purge_deleted()
        counts = self.stored.counts()
        wrong = []
        for account in self.accounts:
            reason = difference(account.bookmark, counts[account.account_id])
            if reason and account.outcome.verified:
                account.mark_unverified(reason)
                wrong.append(account)
        return wrong

    def repair(self, wrong: list[Account]) -> None:
        """Walk these accounts once more, and compare every row."""
        self._waiting = [
            (account, self._request(account.outcome.unverified_reason, Compare.ROWS)) for account in wrong
        ]

    def note(self, wrong: list[Account]) -> None:
        """Write the rows of `invoice_syncs` of these accounts again, with the reason that came later."""
        self._running = iter([RowBatch(each.account_id, {SYNCS: [each.outcome.row()]}) for each in wrong])

    def close(self) -> None:
        """Drop the pages that nobody took, and end the threads that ask for them."""
        for account in self.accounts:
            account.pages.drop()
        if self._pool:
            self._pool.close()
            self._pool = None

    def _begin(self, bookmarks: Mapping[str, Any], *, is_range: bool) -> None:
        """Find the accounts, and what is to be done for each."""
        capabilities = self.stored.capabilities
        if capabilities.limit:
            notify(capabilities.limit)
        wrong, compare = self._examine()
        asked = "a range was asked for" if is_range else "asked for" * self.job.full
        account_ids = account_ids_of(self.job, self._client)
        self.unlisted = ()
        if not self.job.account_ids:
            self.unlisted = tuple(sorted(bookmarks.keys() - set(account_ids)))
        numbers = self.stored.sync_numbers()
        self.accounts = [self._account(each, numbers.get(each, 0) + 1) for each in account_ids]
        self._counters.begin(len(self.accounts))
        counts, held = self.stored.counts(), self.stored.accounts()
        self._waiting = []
        lost = set()
        for account in self.accounts:
            bookmark = from_dict(bookmarks.get(account.account_id))
            lost |= {bookmark.lost} - {""}
            accepting = "deletions are accepted" if self.job.accept_deletions and bookmark.unlisted else ""
            reason = asked or wrong or accepting
            if not reason and capabilities.is_readable:
                reason = difference(bookmark, counts[account.account_id])
            mode = compare if account.account_id in held else Compare.NOTHING
            self._waiting.append((account, self._request(reason, mode, is_range=is_range)))
        for why in sorted(lost):
            notify(f"All invoices are read again: {why}.", is_passing=True)

    def _examine(self) -> tuple[str, Compare]:
        """Say why every account's list is read as a whole, if it is, and how rows are then compared."""
        self.stored.check_type(self.job.type)
        missing = self.stored.missing_schema()
        if missing:
            self.stored.recreate_tables()  # and all rows have to be written, whatever their hash says
        outdated = self.stored.has_older_state()
        reason = missing or ("the destination holds an older state than was loaded" if outdated else "")
        return self._full_reason or reason, Compare.REWRITE if missing else Compare.ROWS

    def _account(self, account_id: str, sync_number: int) -> Account:
        stats, digits = RequestStats(), self.stored.capabilities.digits

        def fetch_page(page: int) -> Page[Item]:
            answered = self._client.invoice_page(account_id, self.job.type, page, stats)
            return replace(answered, records=tuple(read_record(each, digits) for each in answered.records))

        def count(page: Page[Item]) -> None:
            self._counters.add_page(account_id, page.records, account.expected_pages(page))

        pages = PageFetcher(fetch_page, self._submit, on_page=count)
        account = Account(account_id, self.job.type, sync_number, pages, stats)
        return account

    def _submit(self, fetch: Callable[[], Page[Item]]) -> Future[Page[Item]]:
        self._pool = self._pool or RequestPool(REQUESTS_AT_ONCE)
        return self._pool.submit(fetch)

    def _request(self, full_reason: str, compare: Compare, *, is_range: bool = False) -> SyncRequest:
        rows = self._package_rows
        part_rows = max(1, rows // _PARTS) if compare is Compare.NOTHING else rows
        walk = WalkRequest(full_reason, int(time.time()), self.job.full_sync_every_s, rows, part_rows)
        return SyncRequest(walk, compare, self.job.accept_deletions, is_range)

    def _next(self, bookmarks: Mapping[str, Any]) -> Iterator[RowBatch]:
        account, request = self._take_first_ready(self._waiting or [])
        bookmark = from_dict(bookmarks.get(account.account_id))
        try:
            yield from account.row_batches(self.stored, bookmark, request)
        except InvoiceSourceError as error:
            if not self._isolate_accounts:
                raise
            yield account.fail(error)
        self._counters.end_account()

    def _take_first_ready(self, waiting: list[tuple[Account, SyncRequest]]) -> tuple[Account, SyncRequest]:
        """Have page 1 of the next accounts asked for, and take the account whose answer is there first."""
        coming = [account.pages.expect(1) for account, _ in waiting[:REQUESTS_AT_ONCE]]
        return waiting.pop(first_ready(coming))
