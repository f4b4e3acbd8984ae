"""All accounts of one load, side by side, and the proof afterwards."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from cf_invoice_source.cloudflare.answers import Page
from cf_invoice_source.cloudflare.prefetch import Pages, Pool, first_ready
from cf_invoice_source.cloudflare.rate_limiter import Tally
from cf_invoice_source.errors import InvoiceSourceError
from cf_invoice_source.invoices.record import Item, read_items
from cf_invoice_source.invoices.tables import WALKS
from cf_invoice_source.loading.account import Account, Package
from cf_invoice_source.notices import tell
from cf_invoice_source.schema.capabilities import TableFormat
from cf_invoice_source.settings import REQUESTS_AT_ONCE, InvoiceType
from cf_invoice_source.walk.bookmark import Bookmark, from_dict
from cf_invoice_source.walk.walker import Cut
from cf_invoice_source.warehouse.stored import Warehouse


@dataclass(frozen=True, slots=True)
class Order:
    """What a load is about.

    Attributes:
        find: Names the accounts; may ask Cloudflare, so it is called when the load begins.
        is_discovered: Whether that asks Cloudflare for all there are.
        ask: Asks for a page of invoices: account, page, and where to count the trouble it has.
        invoice_type: Which invoices; the dataset may hold no other.
        is_full: Whether full walks were asked for.
        is_refresh: Whether every row is to be written anew.
        full_walk_every_s: How old the last full walk may be, in seconds.
        table_format: In which format a destination of files is to keep the tables; None for its own.
    """

    find: Callable[[], Sequence[str]]
    is_discovered: bool
    ask: Callable[[str, int, Tally], Page[Any]]
    invoice_type: InvoiceType
    is_full: bool
    is_refresh: bool
    full_walk_every_s: int
    table_format: TableFormat | None = None


@dataclass(slots=True)
class Accounts:
    """All accounts of one load, over as many packages as it takes.

    Requests of several accounts are on their way at the same time; whichever answers first is walked first,
    so that a slow account does not hold up the others. Once done, it begins anew: a source can be loaded
    again and again.

    Args:
        order: What the load is about.
        package_rows: Rows in one package, at least; None for all in one.
        is_forgiving: Whether an account that cannot be read leaves the others alone, instead of ending all.
        is_untouched: Whether what is given goes to the destination as it is, and nobody has put dlt's own
            steps in between.
        doubt: Why no account's tables can be trusted before they were compared; empty if they can.

    Attributes:
        warehouse: What the last package was made for.
        accounts: Those of the load that is under way, or of the last one.
        unlisted: Accounts that were loaded once and that Cloudflare does not list any more.
    """

    order: Order
    package_rows: int | None = None
    is_forgiving: bool = False
    is_untouched: bool = False
    doubt: str = ""
    warehouse: Warehouse = field(init=False)
    accounts: list[Account] = field(default_factory=list)
    unlisted: tuple[str, ...] = ()
    _waiting: list[tuple[Account, str]] | None = None
    _running: Iterator[Package] | None = None
    _pool: Pool | None = None
    _rewrites: bool = False
    _held: set[str] | None = None

    @property
    def is_done(self) -> bool:
        """Whether every account's walk has ended, and all that came of it was given."""
        return self._waiting == [] and self._running is None

    def packages(
        self, warehouse: Warehouse, bookmarks: Mapping[str, Any], *, is_range: bool
    ) -> Iterator[Package]:
        """Give what is to be loaded, up to the size of one package; call again for the next one.

        Args:
            warehouse: What the destination holds.
            bookmarks: The stored bookmarks by account.
            is_range: Whether dlt cuts out a range of `created`: then nothing is remembered or proven.
        """
        self.warehouse = warehouse
        rows = 0
        limit = self.package_rows or sys.maxsize
        try:
            if self._waiting is None or self.is_done:
                self._begin(warehouse, bookmarks)
                if self.order.is_refresh and self.package_rows:
                    self._running = iter(self._marked(bookmarks))
            while self._waiting or self._running:
                self._running = self._running or self._next(warehouse, bookmarks, limit, is_range=is_range)
                for package in self._running:
                    yield package
                    rows += len(package)
                    if package.cut is Cut.MUST or (package.cut is Cut.MAY and rows >= limit):
                        return
                self._running = None
            self.close()
        except BaseException:  # what was given so far is lost with the package: begin again next time
            self._waiting = self._running = None
            self.close()
            raise

    def prove(self) -> list[Account]:
        """Compare the tables with what the walks proved, and give the accounts where they differ."""
        self.warehouse.sweep()
        with self.warehouse.connected():
            counts = self.warehouse.counts()
        wrong = []
        for account in self.accounts:
            if not account.outcome.doubt and (
                why := difference(account.bookmark, counts[account.account_id])
            ):
                account.outcome.doubt = why
                wrong.append(account)
        return wrong

    def repair(self, wrong: list[Account]) -> None:
        """Walk these accounts once more, and compare every row."""
        self._waiting = [(account, account.outcome.doubt) for account in wrong]
        self._held = None

    def note(self, wrong: list[Account]) -> None:
        """Write the rows of `invoice_walks` of these accounts again, with the doubt that came later."""
        self._running = iter([Package(each.account_id, {WALKS: [each.row()]}, None) for each in wrong])

    def close(self) -> None:
        """Let go of the pages that nobody took, and of the threads that ask for them."""
        for account in self.accounts:
            account.pages.drop()
        if self._pool:
            self._pool.close()
            self._pool = None

    def _begin(self, warehouse: Warehouse, bookmarks: Mapping[str, Any]) -> None:
        """Find the accounts, and what is known of each."""
        if warehouse.abilities.limit:
            tell(warehouse.abilities.limit)
        damage = self._examine(warehouse)
        asked = "a refresh was asked for" if self.order.is_refresh else "asked for" * self.order.is_full
        account_ids = tuple(self.order.find())
        self.unlisted = ()
        if self.order.is_discovered:
            self.unlisted = tuple(sorted(bookmarks.keys() - set(account_ids)))
        self.accounts = [self.account(account_id, warehouse.abilities.digits) for account_id in account_ids]
        counts = warehouse.counts()
        self._waiting, self._held = [], None
        lost = set()
        for account in self.accounts:
            bookmark = from_dict(bookmarks.get(account.account_id))
            lost |= {bookmark.lost} - {""}
            why = ""
            if bookmark.is_refreshing:
                why = "" if bookmark.unfinished else "an earlier refresh was interrupted"
            elif warehouse.abilities.is_readable:
                why = difference(bookmark, counts[account.account_id])
            self._waiting.append((account, asked or damage or why))
        for why in sorted(lost):
            tell(f"All invoices are read again: {why}.")

    def _marked(self, bookmarks: Mapping[str, Any]) -> list[Package]:
        """Note in a package of its own that a refresh has begun, so that the next load completes it."""
        packages = [
            Package(account.account_id, {}, replace(from_dict(bookmarks[account.account_id]), **_REFRESHING))
            for account in self.accounts
            if account.account_id in bookmarks
        ]
        return [*packages[:-1], *(replace(package, cut=Cut.MUST) for package in packages[-1:])]

    def account(self, account_id: str, digits: int | None = None) -> Account:
        """Make one account's part in this load.

        Args:
            account_id: Cloudflare account ID.
            digits: How many significant digits of a number the destination keeps; None for all.
        """
        tally = Tally()
        pages = Pages(lambda page: read_items(self.order.ask(account_id, page, tally), digits), self._submit)
        return Account(account_id, self.order.invoice_type, pages, self.order.full_walk_every_s, tally)

    def _submit(self, ask: Callable[[], Page[Item]]) -> Future[Page[Item]]:
        self._pool = self._pool or Pool(REQUESTS_AT_ONCE)
        return self._pool.submit(ask)

    def _next(
        self, warehouse: Warehouse, bookmarks: Mapping[str, Any], package_rows: int, *, is_range: bool
    ) -> Iterator[Package]:
        account, why = self._take_first_ready(self._waiting or [])
        bookmark = from_dict(bookmarks.get(account.account_id))
        if self._held is None:
            self._held = warehouse.accounts()
        packages = account.packages(
            warehouse,
            bookmark,
            why_full="a range was asked for" if is_range else why,
            rewrite=self._rewrites,
            refresh=not is_range and (self.order.is_refresh or bookmark.is_refreshing),
            package_rows=package_rows,
            is_empty=account.account_id not in self._held,
            is_range=is_range,
        )
        try:
            yield from packages
        except InvoiceSourceError as error:
            if not self.is_forgiving:
                raise
            yield account.fail(error)

    def _take_first_ready(self, waiting: list[tuple[Account, str]]) -> tuple[Account, str]:
        """Have page 1 of the next accounts asked for, and take the account whose answer is there first."""
        coming = [account.pages.expect(1) for account, _ in waiting[:REQUESTS_AT_ONCE]]
        return waiting.pop(first_ready(coming))

    def _examine(self, warehouse: Warehouse) -> str:
        """Say what is wrong with the tables that calls for a full walk of every account; mend them before."""
        warehouse.check_type(self.order.invoice_type)
        damage = warehouse.damage()
        self._rewrites = bool(damage) and warehouse.loaded_as() == "merge"
        if damage:
            warehouse.restore()
        outdated = "the destination holds an older state than was loaded" if warehouse.is_restored() else ""
        return self.doubt or damage or outdated


_REFRESHING: Mapping[str, Any] = {"is_refreshing": True, "unfinished": None}


def difference(bookmark: Bookmark, held: tuple[int, int]) -> str:
    """Say how the tables differ from what was proven; empty if they do not, or nothing was proven."""
    if bookmark.invoices is None or (bookmark.invoices, bookmark.rejects) == held:
        return ""
    return (
        f"the tables hold {held[0]:,} invoices and {held[1]:,} rejected records, "
        f"proven were {bookmark.invoices:,} and {bookmark.rejects:,}"
    )
