"""The order of requests: carries out what `decide` decides, and cuts what was seen into packages."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum

from cf_invoice_source.cloudflare.answers import Page
from cf_invoice_source.cloudflare.prefetch import Pages
from cf_invoice_source.errors import ApiChangedError
from cf_invoice_source.invoices.record import Invoice, Item, Reject
from cf_invoice_source.settings import MAX_PAGES, MAX_RESTARTS
from cf_invoice_source.walk.bookmark import Bookmark
from cf_invoice_source.walk.has_more import Listing
from cf_invoice_source.walk.ordinals import Trouble, Walk, plan
from cf_invoice_source.walk.paging import Ask, Refuse, Stop, is_same, next_step


class Cut(Enum):
    """Whether a load package ends behind what is given."""

    NO = "no"
    """More follows that belongs to it."""
    MAY = "may"
    MUST = "must"
    """What was given may come once more, and no package may have two rows by one key."""


@dataclass(slots=True)
class Batch:
    """What goes into one load package, or a part of that.

    Attributes:
        invoices: By key.
        rejects: By key, "<record_hash>:<n>".
        bookmark: What to remember once this is loaded; None to leave it as it was.
        end: How the walk ended, in its last batch.
        cut: Whether the package ends behind it.
    """

    invoices: dict[str, Invoice] = field(default_factory=dict)
    rejects: dict[str, Reject] = field(default_factory=dict)
    bookmark: Bookmark | None = None
    end: End | None = None
    cut: Cut = Cut.MAY

    def add(self, key: str, item: Item) -> None:
        """Put in a record; the same key again replaces it."""
        if isinstance(item, Invoice):
            self.invoices[key] = item
        else:
            self.rejects[key] = item

    def __len__(self) -> int:
        return len(self.invoices) + len(self.rejects)


@dataclass(frozen=True, slots=True)
class End:
    """How a walk ended.

    Attributes:
        doubt: Why it proves nothing; empty when it does.
        is_listed: Says of a key whether the list still has it. Only after a full walk that went through
            from its beginning: what the destination holds beyond that is gone.
        rejects: The keys of all rejected records that the list has; None where the walk proves nothing.
    """

    doubt: str = ""
    is_listed: Callable[[str], bool] | None = None
    rejects: frozenset[str] | None = None


@dataclass(slots=True)
class Walker:
    """Walks one account's list once.

    Args:
        pages: The pages of the list.
        bookmark: What is remembered of the account.
        why_full: Why a full walk is wanted; empty where the bookmark decides.
        now_s: The time, in unix seconds.
        full_walk_every_s: How old the last full walk may be, in seconds.
        package_rows: Records in one package, at least; fewer only in the last, or before a walk begins anew.
        part_rows: Records after which a part of a package is given, so that it need not be kept.

    Attributes:
        kind: full, incremental or has_more.
        why: Why a full walk was needed; empty for an incremental one.
        requests: Pages taken.
        total_count: Length of the list by page 1.
        seen: Records looked at.
        rejected: Those of them that were rejected.
    """

    pages: Pages
    bookmark: Bookmark
    why_full: str
    now_s: int
    full_walk_every_s: int
    package_rows: int
    part_rows: int
    kind: str = "full"
    why: str = ""
    requests: int = 0
    total_count: int = 0
    seen: int = 0
    rejected: int = 0
    _batch: Batch = field(default_factory=Batch)
    _given: int = 0
    _has_given: bool = False
    _is_compared: bool = True
    """Whether every value is compared if this becomes a full walk, not only the hash of a row."""

    def batches(self) -> Iterator[Batch]:
        """Walk, and give what was seen in batches; the last one has its `end`.

        Raises:
            InvoiceSourceError: A request failed, or the server's paging makes no sense.
        """
        for _ in range(1 + MAX_RESTARTS):
            first = self._ask(1)
            trouble = yield from self._by_ordinals(first)
            if trouble is None:
                return
            yield from self._abandon()
            if trouble is Trouble.PAGING:
                yield from self._by_has_more(first)
                return
        yield from self._by_has_more(self._ask(1), doubt="the list did not come to rest while it was read")

    def _by_ordinals(self, first: Page[Item]) -> Generator[Batch, None, Trouble | None]:
        start = plan(
            self.bookmark,
            first.total_count,
            why_full=self.why_full,
            now_s=self.now_s,
            full_walk_every_s=self.full_walk_every_s,
        )
        self.kind, self.why = "full" if start.why else "incremental", start.why
        self.total_count = first.total_count
        is_whole = bool(start.why) and not start.is_resumed
        walk = Walk(first, start.mark)
        page: Page[Item] | None = first
        while page is not None:
            trouble = walk.take(page)
            if trouble is Trouble.MARK:
                walk.widen()
                self.kind, self.why, is_whole = "full", walk.why_troubled, True
            elif trouble:
                self.why = walk.why_troubled
                return trouble
            self._collect(walk)
            if not walk.is_ordered:
                self.why = "the list is not ordered by created, newest first"
                return Trouble.PAGING
            if self.pages.on_their_way <= self.pages.ahead // 2:
                for number in walk.wanted(self.pages.ahead):
                    self.pages.expect(number)
            wanted = walk.wanted(1)
            if wanted:
                yield from self._give(walk)
            page = self._ask(wanted[0]) if wanted else None
        yield from self._finish(walk, is_full=bool(start.why), is_whole=is_whole)
        return None

    def _finish(self, walk: Walk, *, is_full: bool, is_whole: bool) -> Iterator[Batch]:
        mark = walk.mark()
        is_compared = self._is_compared and (is_full or is_whole)
        end = End("", walk.has_seen if is_whole else None, frozenset(r.key for r in mark.rejected.values()))
        yield from self._flush(
            Bookmark(
                mark=mark,
                invoices=mark.ordinal - len(mark.rejected),
                rejects=len(mark.rejected),
                full_walk_at=self.now_s if is_compared else self.bookmark.full_walk_at,
            ),
            end,
        )

    def _give(self, walk: Walk) -> Iterator[Batch]:
        """Give what was seen, where it is enough for a package, or for a part of one."""
        is_package = self._given + len(self._batch) >= self.package_rows
        if not is_package and len(self._batch) < self.part_rows:
            return
        bookmark = None
        if walk.is_past_checks():
            bookmark = self._on_the_way(walk)
        elif self.kind == "incremental":
            self._is_compared = False
        yield from self._flush(bookmark, cut=Cut.MAY if is_package else Cut.NO)

    def _abandon(self) -> Iterator[Batch]:
        """Let go of what was seen, to begin anew. What was given already has to be loaded before."""
        self._batch = Batch()
        self.bookmark = replace(self.bookmark, unfinished=None)
        self.pages.drop()
        self.part_rows, self._is_compared = self.package_rows, True
        if self._has_given:
            yield from self._flush(self.bookmark, cut=Cut.MUST)

    def _collect(self, walk: Walk) -> None:
        for key, item in walk.release():
            self._batch.add(key, item)
            self.seen += 1
            self.rejected += isinstance(item, Reject)

    def _on_the_way(self, walk: Walk) -> Bookmark:
        """Say what to remember after a package that is not the last."""
        mark = walk.mark()
        if self.kind == "full":
            return replace(self.bookmark, unfinished=mark)
        rejects = len(mark.rejected)
        return replace(self.bookmark, mark=mark, invoices=mark.ordinal - rejects, rejects=rejects)

    def _by_has_more(self, first: Page[Item], *, doubt: str = "") -> Iterator[Batch]:
        """Walk page by page, newest first: slower, but right whatever the server counts.

        Args:
            first: Page 1.
            doubt: Why it proves nothing in any case; empty if it may.
        """
        self.kind, self.seen, self.rejected = "has_more", 0, 0
        listing = Listing()
        previous = page = first
        step: Ask | Stop | Refuse = Ask(1)
        while isinstance(step, Ask):
            if step.page > 1:
                if len(self._batch) >= self.package_rows:
                    yield from self._flush(None)
                previous, page = page, self._ask(step.page)
            taken = listing.take(page)
            for key, item in taken.items:
                self._batch.add(key, item)
            step = next_step(previous, page, seen=listing.seen, new=taken.new, max_pages=MAX_PAGES)
        if isinstance(step, Refuse):
            raise ApiChangedError(
                f"The server's paging makes no sense: {step.why}.",
                remedy="run again; if it stays so, report it",
            )
        for key, item in listing.anonymous():
            self._batch.add(key, item)
        self.seen, self.rejected = listing.seen, len(listing.rejects)
        doubt = step.doubt or listing.doubt or doubt
        if not doubt and not is_same(first, self._ask(1)):
            doubt = "the list changed while it was read by has_more"
        if doubt:
            yield from self._flush(None, End(doubt))
            return
        invoices = listing.seen - len(listing.rejects)
        bookmark = Bookmark(invoices=invoices, rejects=len(listing.rejects), full_walk_at=self.now_s)
        yield from self._flush(bookmark, End("", listing.has_seen, frozenset(listing.rejects)))

    def _flush(
        self, bookmark: Bookmark | None, end: End | None = None, cut: Cut = Cut.MAY
    ) -> Iterator[Batch]:
        batch, self._batch = self._batch, Batch()
        batch.bookmark, batch.end, batch.cut = bookmark, end, cut
        self._given = self._given + len(batch) if cut is Cut.NO else 0
        self._has_given = self._has_given or len(batch) > 0
        if bookmark:
            self.bookmark = bookmark
        yield batch

    def _ask(self, page: int) -> Page[Item]:
        self.requests += 1
        if self.requests > MAX_PAGES:
            raise ApiChangedError(
                f"The list does not end: {MAX_PAGES:,} pages were read.",
                remedy="run again; if it stays so, report it",
            )
        return self.pages(page)
