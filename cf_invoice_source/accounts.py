"""All accounts of one load, one after the other, and the proof afterwards."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cf_invoice_source.account import Account, Package
from cf_invoice_source.decide.bookmark import Bookmark, from_dict
from cf_invoice_source.errors import InvoiceSourceError, MixedTypesError
from cf_invoice_source.hints import WALKS
from cf_invoice_source.settings import InvoiceType
from cf_invoice_source.warehouse import Warehouse


@dataclass(slots=True)
class Accounts:
    """All accounts of one load, one after the other, over as many packages as it takes.

    Once done, it begins anew: a source can be loaded again and again.

    Args:
        accounts: In the order in which they are walked.
        invoice_type: Which invoices; the dataset may hold no other.
        is_full: Whether full walks were asked for.
        package_rows: Rows in one package, at least; None for all in one.
        is_forgiving: Whether an account that cannot be read leaves the others alone, instead of ending all.
    """

    accounts: list[Account]
    invoice_type: InvoiceType
    is_full: bool
    package_rows: int | None = None
    is_forgiving: bool = False
    _waiting: list[tuple[Account, str]] | None = None
    _running: Iterator[Package] | None = None
    _damage: str = ""

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
        if self._waiting is None or self.is_done:
            self._waiting = self._orders(warehouse, bookmarks)
        rows = 0
        limit = self.package_rows or sys.maxsize
        try:
            while self._waiting or self._running:
                self._running = self._running or self._next(warehouse, bookmarks, limit, is_range=is_range)
                for package in self._running:
                    yield package
                    rows += len(package)
                    if rows >= limit:
                        return
                self._running = None
        except BaseException:  # what was given so far is lost with the package: begin again next time
            self._waiting = self._running = None
            raise

    def prove(self, warehouse: Warehouse) -> list[Account]:
        """Compare the tables with what the walks proved, and give the accounts where they differ."""
        with warehouse.connected():
            counts = warehouse.counts()
        wrong = []
        for account in self.accounts:
            if not account.outcome.doubt and (
                why := _difference(account.bookmark, counts[account.account_id])
            ):
                account.outcome.doubt = why
                wrong.append(account)
        return wrong

    def repair(self, wrong: list[Account]) -> None:
        """Walk these accounts once more, and compare every row."""
        self._waiting = [(account, account.outcome.doubt) for account in wrong]

    def note(self, wrong: list[Account]) -> None:
        """Write the rows of `invoice_walks` of these accounts again, with the doubt that came later."""
        self._running = iter([Package(each.account_id, {WALKS: [each.row()]}, None) for each in wrong])

    def _next(
        self, warehouse: Warehouse, bookmarks: Mapping[str, Any], package_rows: int, *, is_range: bool
    ) -> Iterator[Package]:
        account, order = (self._waiting or []).pop(0)
        packages = account.packages(
            warehouse,
            from_dict(bookmarks.get(account.account_id)),
            order="a range was asked for" if is_range else order,
            rewrite=bool(self._damage),
            package_rows=package_rows,
            is_range=is_range,
        )
        try:
            yield from packages
        except InvoiceSourceError as error:
            if not self.is_forgiving:
                raise
            yield account.fail(error)

    def _orders(self, warehouse: Warehouse, bookmarks: Mapping[str, Any]) -> list[tuple[Account, str]]:
        """Say for each account why it needs a full walk, as far as its list need not be asked."""
        others = warehouse.types() - {self.invoice_type}
        if others:
            raise MixedTypesError(
                f"The dataset holds invoices of type {', '.join(sorted(others))}, not {self.invoice_type}.",
                remedy="load each type into a dataset of its own, with --dataset",
            )
        self._damage = warehouse.damage()
        if self._damage:
            warehouse.restore()
        outdated = "the destination holds an older state than was loaded" if warehouse.is_restored() else ""
        counts = warehouse.counts()
        orders = []
        for account in self.accounts:
            account.begin()
            held = counts[account.account_id]
            order = "asked for" if self.is_full else self._damage or outdated
            order = order or _difference(from_dict(bookmarks.get(account.account_id)), held)
            orders.append((account, order))
        return orders


def _difference(bookmark: Bookmark, held: tuple[int, int]) -> str:
    """Say how the tables differ from what was proven; empty if they do not, or nothing was proven."""
    if bookmark.invoices is None or (bookmark.invoices, bookmark.rejects) == held:
        return ""
    return (
        f"the tables hold {held[0]:,} invoices and {held[1]:,} rejected records, "
        f"proven were {bookmark.invoices:,} and {bookmark.rejects:,}"
    )
