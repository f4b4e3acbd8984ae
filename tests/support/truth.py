"""A list of records as Cloudflare would keep it, and what an exact copy of it must hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import Any

from cf_invoice_source.invoices.record import Invoice, Item, Reject, read_record
from cf_invoice_source.walk.page import Page


@dataclass
class Truth:
    """One account's list, newest first, and its changes; answers pages like the API.

    Attributes:
        records: The list.
        per_page: Records on a page.
        asked: Pages asked for so far.
        states: What the list held at each of these requests: row hashes by key.
        unreadable: Ids of invoices that could not be read at one of these requests.
        between: Called before each answer with the number of the request in this run: here the list can
            change while it is walked.
    """

    per_page: int = 3
    records: list[Any] = field(default_factory=list)
    asked: int = 0
    states: list[dict[str, str]] = field(default_factory=list)
    unreadable: set[str] = field(default_factory=set)
    between: Callable[[int], None] = lambda _number: None
    _ids: int = 0
    _clock: int = 1_700_000_000
    _read: dict[str, Item] = field(default_factory=dict, repr=False, compare=False)

    def page(self, number: int) -> Page[Any]:
        self.asked += 1
        self.between(self.asked)
        self.states.append(self.invoices())
        self.unreadable |= self.broken()
        first = (number - 1) * self.per_page
        records = tuple(dict(each) if isinstance(each, dict) else each for each in self.records)
        total = len(records)
        return Page(
            number,
            records[first : first + self.per_page],
            first + self.per_page < total,
            number,
            self.per_page,
            total,
        )

    def arrive(
        self, *, status: str | None = "open", has_id: bool = True, later_s: int = 0, amount: Any = 100
    ) -> None:
        """Put an invoice in front; `later_s` is 0 for the same second as the one before it."""
        self._clock += later_s
        self.records.insert(0, self._record(status, self._clock, has_id=has_id, amount=amount))

    def arrive_broken(self) -> None:
        """Put a record in front that is no invoice."""
        self.records.insert(0, "no invoice")

    def arrive_late(self, place: int, *, status: str | None = "open", has_id: bool = True) -> None:
        """Put an invoice deep into the list, as old as the one that stands there."""
        place %= len(self.records) + 1
        older = [each for each in self.records[place:] if isinstance(each, dict)]
        created = older[0]["created"] if older else 1_600_000_000 - self._ids
        self.records.insert(place, self._record(status, created, has_id=has_id, amount=100))

    def set_status(self, place: int, status: str) -> None:
        """Move an invoice that may still change to another status."""
        self._pick(
            place,
            lambda each: each["status"] not in {"paid", "void"},
            lambda each: each.update(status=status),
        )

    def swap(self, drop: int, place: int) -> None:
        """Delete a draft and let an invoice turn up late in one step, so that the total stays the same."""
        self.delete_draft(drop)
        self.arrive_late(place)

    def delete_draft(self, place: int) -> None:
        drafts = [
            each
            for each in self.records
            if isinstance(each, dict) and each["status"] == "draft" and each["id"]
        ]
        if drafts:
            chosen = drafts[place % len(drafts)]
            self.records = [each for each in self.records if each is not chosen]

    def correct(self, place: int) -> None:
        """Give a broken amount its number."""
        self._pick(place, lambda each: each["amount_due"] == "broken", lambda each: each.update(amount_due=7))

    def break_amount(self, place: int) -> None:
        """Break the amount of an invoice that may still change."""
        self._pick(
            place,
            lambda each: each["status"] not in {"paid", "void"} and each["id"],
            lambda each: each.update(amount_due="broken"),
        )

    def invoices(self) -> dict[str, str]:
        """What the table must hold: row hashes by key."""
        equal = Counter[str]()
        hashes = {}
        for item in map(self._item, reversed(self.records)):
            if isinstance(item, Invoice):
                if item.id is None:
                    equal[item.identity] += 1
                key = item.id or f"{item.identity}:{equal[item.identity]}"
                hashes[key] = item.row_hash
        return hashes

    def broken(self) -> set[str]:
        """Ids of what cannot be read now: a row of it that is held stays as it was."""
        return {item.id for item in map(self._item, self.records) if isinstance(item, Reject) and item.id}

    def reject_count(self) -> int:
        return len(self.records) - len(self.invoices())

    def _item(self, record: Any) -> Item:
        """Read a record; once, for it is looked at with every answer."""
        said = repr(record)
        if said not in self._read:
            self._read[said] = read_record(record)
        return self._read[said]

    def _record(self, status: str | None, created: int, *, has_id: bool, amount: Any) -> dict[str, Any]:
        self._ids += 1
        return {
            "id": f"in_{self._ids}" if has_id else None,
            "amount_due": amount,
            "amount_paid": 0,
            "amount_remaining": 0,
            "currency": "usd",
            "status": status,
            "created": created,
        }

    def _pick(self, place: int, fits: Callable[[Any], Any], change: Callable[[Any], object]) -> None:
        chosen = [each for each in self.records if isinstance(each, dict) and fits(each)]
        if chosen:
            change(chosen[place % len(chosen)])


def second_look(records: Sequence[Any], seen: Container[int], per_page: int) -> list[int]:
    """The pages that end a walk over a list at rest, when several of these pages had something new.

    First page 1, then each that has what can be deleted, or what has no id.
    """
    pages = {
        index // per_page + 1
        for index, item in enumerate(map(read_record, records))
        if item.is_deletable or item.id is None
    }
    return [1, *sorted((page for page in pages - {1} if page in seen), reverse=True)]


def budget_at_rest(records: Sequence[Any], per_page: int) -> tuple[str, int]:
    """The walk, and its requests, over a list that is as it was when it was copied.

    Page 1, and each page with something that may still change. If another record equals the newest, then no
    check can tell them apart: all pages.
    """
    items = [read_record(record) for record in records]
    identities = [item.identity for item in items]
    if items and identities.count(identities[0]) > 1:
        pages = range(1, (len(items) - 1) // per_page + 2)
        return "full", len(pages) + (len(second_look(records, pages, per_page)) if len(pages) > 1 else 0)
    may_change = {place for place, item in enumerate(items) if item.is_reject or not item.is_final}
    return "incremental", len({0} | {place // per_page for place in may_change})
