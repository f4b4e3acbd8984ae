"""What was known of an invoice, and when: pure rules over its versions in `invoice_changes`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from itertools import groupby

_LONG_AGO = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice as a table holds it, without its links. Amounts are in minor units, times in UTC."""

    account_id: str
    id: str
    currency: str
    status: str | None
    created: datetime | None
    amount_due: Decimal
    amount_paid: Decimal
    amount_remaining: Decimal
    invoice_origin: str | None = None
    description: str | None = None
    attempt_count: int = 0
    attempted: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Account and ID."""
        return self.account_id, self.id

    @property
    def is_purchase(self) -> bool:
        """Whether it counts as a purchase: neither a draft nor void."""
        return self.status not in {"draft", "void"}

    @property
    def is_failing(self) -> bool:
        """Whether it was tried to be paid, and money remains to be paid."""
        is_tried = self.attempt_count > 0 or self.attempted
        return is_tried and self.status in {"open", "uncollectible"} and self.amount_remaining > 0


@dataclass(frozen=True, slots=True)
class Version:
    """A row of `invoice_changes`: an invoice as a run saw it."""

    invoice: Invoice
    version: int
    change: str
    observed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Span:
    """A version, and how long it was the newest: from `valid_from` until before `valid_to`."""

    version: Version
    valid_from: datetime
    valid_to: datetime | None

    @property
    def is_deleted(self) -> bool:
        """Whether the invoice had left the list."""
        return self.version.change == "deleted"


def histories(versions: Iterable[Version]) -> Iterator[tuple[Span, ...]]:
    """Give each invoice's versions with their spans; they come sorted by account, ID and number.

    A span begins with the latest `observed_at` so far: a clock that jumped back makes no negative spans.
    """
    for _, group in groupby(versions, key=lambda each: each.invoice.key):
        ordered = list(group)
        begins, latest = [], _LONG_AGO
        for version in ordered:
            latest = max(latest, version.observed_at or _LONG_AGO)
            begins.append(latest)
        ends = [*begins[1:], None]
        yield tuple(map(Span, ordered, begins, ends))


def known_before(history: Sequence[Span], end: datetime) -> tuple[Span, ...]:
    """Give what was known before this moment."""
    return tuple(span for span in history if span.valid_from < end)


def listed_at_the_end(history: Sequence[Span]) -> Invoice | None:
    """Give the invoice as the last version has it; None if it had left the list, or was not known."""
    return history[-1].version.invoice if history and not history[-1].is_deleted else None


def failing_since(history: Sequence[Span]) -> datetime | None:
    """Say when the payment was first seen to fail without a break until the last version."""
    since = None
    for span in reversed(history):
        if span.is_deleted or not span.version.invoice.is_failing:
            break
        since = span.valid_from
    return since


@dataclass(frozen=True, slots=True)
class Change:
    """A change that a run saw, and what the version before said."""

    span: Span
    before: Span | None

    @property
    def status_before(self) -> str | None:
        """The status before; None if there was none, or the invoice was not listed."""
        is_there = self.before and not self.before.is_deleted
        return self.before.version.invoice.status if self.before and is_there else None

    @property
    def fields(self) -> tuple[str, ...]:
        """Which of the fields that the report reads differ from the version before."""
        if not self.before or self.span.version.change != "updated":
            return ()
        old, new = self.before.version.invoice, self.span.version.invoice
        names = [name for name in Invoice.__dataclass_fields__ if name not in {"account_id", "id"}]
        return tuple(name for name in names if getattr(old, name) != getattr(new, name))


def changes_since(history: Sequence[Span], begin: datetime) -> Iterator[Change]:
    """Give the changes seen from this moment on."""
    for before, span in zip((None, *history), history, strict=False):
        if span.valid_from >= begin:
            yield Change(span, before)
