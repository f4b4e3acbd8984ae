"""Walks all accounts of a load side by side, and verifies the tables afterwards."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from cf_invoice_source.cloudflare.client import Client
from cf_invoice_source.cloudflare.prefetch import PageFetcher, RequestPool, first_ready
from cf_invoice_source.cloudflare.rate_limiter import RequestStats
from cf_invoice_source.errors import InvoiceSourceError
from cf_invoice_source.invoices.record import Item, read_record
from cf_invoice_source.invoices.tables import SYNCS
from cf_invoice_source.loading.account import Account, RowBatch
from cf_invoice_source.loading.comparison import Compare, SyncRequest
from cf_invoice_source.loading.counters import Counters
from cf_invoice_source.loading.job import Job, account_ids_of
from cf_invoice_source.notices import notify
from cf_invoice_source.settings import PACKAGE_ROWS, REQUESTS_AT_ONCE
from cf_invoice_source.walk.batches import PackageEnd
from cf_invoice_source.walk.bookmark import difference, from_text
from cf_invoice_source.walk.page import Page
from cf_invoice_source.walk.walker import WalkRequest
from cf_invoice_source.warehouse.questions import Held, Question
from cf_invoice_source.warehouse.stored import StoredRows

_PARTS = 20
"""How many parts a package is divided into if its rows need not be compared."""


class Accounts:
    """All accounts of one load, over as many packages as it takes.

    The account that answers first is walked first, so that a slow one does not delay the others. When all are
    done, the next call begins anew, because a dlt source may be loaded several times.

    Args:
        counters: Where progress is counted.
        package_rows: How many rows a package has at least; None for one package with all rows.
        isolate_accounts: Whether the other accounts are still loaded if one cannot be read.
        bypass_normalizer: Whether rows may bypass dlt's normalizer: only if no user can have added steps to
            it.
        full_reason: Why every account needs a full walk; empty if it does not.
    """

    def __init__(  # noqa: PLR0913 - `load` and a plain run of dlt differ in these
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
        self._left_out = job.left_out
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
        """Whether every account's walk has ended and all its rows have been yielded."""
        return self._waiting == [] and self._running is None

    def row_batches(self, bookmarks: Mapping[str, Any], *, is_range: bool = False) -> Iterator[RowBatch]:
        """Yield the rows of one package; call again for the next one."""
        rows = 0
        try:
            if self._waiting is None or self.is_done:
                self._begin(bookmarks, is_range=is_range)
            while self._waiting or self._running:
                self._running = self._running or self._next(bookmarks, self._package_rows - rows)
                for batch in self._running:
                    yield batch
                    rows += len(batch)
                    is_full = batch.package_end is PackageEnd.IF_FULL and rows >= self._package_rows
                    if is_full or batch.package_end is PackageEnd.ALWAYS:
                        return
                self._running = None
            self.close()
        except BaseException:  # the package is lost: begin again next time
            self._waiting = self._running = None
            self.close()
            raise

    def verify(self) -> list[Account]:
        """Compare the tables with what the walks found, and return the accounts in which they differ."""
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
        """Prepare to walk these accounts once more, and to compare every row."""
        self._waiting = [
            (account, self._request(account.outcome.unverified_reason, Compare.ROWS)) for account in wrong
        ]

    def note(self, wrong: list[Account]) -> None:
        """Prepare to write these accounts' rows of `invoice_syncs` again, with the reason."""
        self._running = iter([RowBatch(each.account_id, {SYNCS: [each.outcome.row()]}) for each in wrong])

    def close(self) -> None:
        """Drop the pages that were not taken, and end the threads that fetch pages."""
        for account in self.accounts:
            account.pages.drop()
        if self._pool:
            self._pool.close()
            self._pool = None

    def _begin(self, bookmarks: Mapping[str, Any], *, is_range: bool) -> None:
        """Find the accounts, and what to do for each."""
        capabilities = self.stored.capabilities
        if capabilities.limit:
            notify(capabilities.limit)
        numbers = self.stored.syncs_so_far(self.job.type)
        wrong, compare = self._examine()
        asked = "a range of created is loaded" if is_range else "asked for" * self.job.full
        account_ids = account_ids_of(self.job, self._client)
        self.stored.check_state(bookmarks, account_ids)
        self.unlisted = ()
        if not self.job.account_ids:
            self.unlisted = tuple(sorted(bookmarks.keys() - set(account_ids)))
        self.accounts = [self._account(each, numbers.get(each, 0) + 1) for each in account_ids]
        self._counters.begin(len(self.accounts))
        counts = self.stored.counts()
        held = {account_id for account_id in account_ids if any(counts[account_id])}
        if len(held) < len(account_ids):
            held |= self.stored.accounts()
        self._waiting = []
        lost = set()
        for account in self.accounts:
            bookmark = from_text(bookmarks.get(account.account_id))
            lost |= {bookmark.lost} - {""}
            accepting = "deletions are accepted" if self.job.accept_deletions and bookmark.unlisted else ""
            reason = asked or wrong or accepting
            if not reason and capabilities.is_readable:
                reason = difference(bookmark, counts[account.account_id])
            mode = compare if account.account_id in held else Compare.NOTHING
            request = self._request(reason, mode, is_range=is_range)
            self._waiting.append((account, replace(request, has_rejects=counts[account.account_id][1] > 0)))
        self._waiting.sort(key=_is_new)
        for why in sorted(lost):
            notify(f"All invoices are read again: {why}.", is_passing=True)

    def _examine(self) -> tuple[str, Compare]:
        """Return why every account needs a full walk (empty if it does not), and how to compare rows."""
        missing = self.stored.missing_schema()
        if missing:
            self.stored.recreate_tables()  # all rows have to be written again, even if their hash is the same
        outdated = self.stored.has_older_state()
        reason = missing or ("the destination holds an older state than was loaded" if outdated else "")
        return self._full_reason or reason, Compare.REWRITE if missing else Compare.ROWS

    def _account(self, account_id: str, sync_number: int) -> Account:
        # What thousands of accounts have is small: no function for each.
        stats = RequestStats()
        pages = PageFetcher(partial(self._fetch_page, account_id, stats), self._submit)
        account = Account(account_id, self.job.type, sync_number, pages, stats)
        pages.on_page = partial(self._count, account)
        return account

    def _fetch_page(self, account_id: str, stats: RequestStats, page: int) -> Page[Item]:
        answered = self._client.invoice_page(account_id, self.job.type, page, stats)
        digits, of_item = self.stored.capabilities.digits, self._left_out.of_item
        items = tuple([of_item(read_record(each, digits)) for each in answered.records])
        return replace(answered, records=items)

    def _count(self, account: Account, page: Page[Item]) -> None:
        self._counters.add_page(account.account_id, page.records, account.expected_pages(page))

    def _submit(self, fetch: Callable[[], Page[Item]]) -> Future[Page[Item]]:
        self._pool = self._pool or RequestPool(REQUESTS_AT_ONCE)
        return self._pool.submit(fetch)

    def _request(self, full_reason: str, compare: Compare, *, is_range: bool = False) -> SyncRequest:
        rows = self._package_rows
        part_rows = max(1, rows // _PARTS) if compare is Compare.NOTHING else rows
        walk = WalkRequest(full_reason, int(time.time()), self.job.full_sync_every_s, rows, part_rows)
        return SyncRequest(walk, compare, self.job.accept_deletions, is_range, self._left_out)

    def _next(self, bookmarks: Mapping[str, Any], room: int) -> Iterator[RowBatch]:
        """Walk the next accounts until they have as many records as there is room for in a package.

        What the destination holds of them is looked up for all together: some take a second for each query.
        For a new account nothing is looked up, so its records need not be kept until others have been read.
        """
        begun: list[Account] = []
        questions: list[Question] = []
        waiting, records = self._waiting or [], 0
        is_new = _is_new(waiting[0])
        most = 1 if is_new else min(room, PACKAGE_ROWS)
        while waiting and _is_new(waiting[0]) is is_new and records < most:
            account, request = self._take_first_ready(waiting)
            bookmark = from_text(bookmarks.get(account.account_id))
            try:
                question = account.begin(self.stored, bookmark, request)
                questions += [question] if question else []
                begun.append(account)
            except InvoiceSourceError as error:
                yield self._failed(account, error)
            records += len(account.batch or ())
            if not (account.batch and account.batch.end is None):
                self._counters.end_account(account.account_id)
        held: dict[str, Held] = {}
        with suppress(InvoiceSourceError):  # one account's rows cannot be read: each is looked up on its own
            held = self.stored.held(questions)
        questions.clear()  # they keep what was read
        for account in begun:
            try:
                yield from account.row_batches(held.pop(account.account_id, None))
            except InvoiceSourceError as error:
                yield self._failed(account, error)
            self._counters.end_account(account.account_id)

    def _failed(self, account: Account, error: InvoiceSourceError) -> RowBatch:
        if not self._isolate_accounts:
            raise error
        return account.fail(error)

    def _take_first_ready(self, waiting: list[tuple[Account, SyncRequest]]) -> tuple[Account, SyncRequest]:
        """Fetch page 1 of the next accounts; of those that are alike, take the one that answers first."""
        coming = [(each, each[0].pages.expect(1)) for each in waiting[:REQUESTS_AT_ONCE]]
        alike = [future for each, future in coming if _is_new(each) is _is_new(waiting[0])]
        return waiting.pop(first_ready(alike))


def _is_new(waiting: tuple[Account, SyncRequest]) -> bool:
    """Whether the destination holds nothing of an account."""
    return waiting[1].compare is Compare.NOTHING
