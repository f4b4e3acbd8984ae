"""What a walk yields: batches of records, each with the bookmark to store when it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

from cf_invoice_source.walk.bookmark import Bookmark
from cf_invoice_source.walk.page import Record

R = TypeVar("R", bound=Record)


class PackageEnd(Enum):
    """Whether a load package ends after a batch."""

    NEVER = "never"
    """No: more of the same package follows."""
    IF_FULL = "if full"
    ALWAYS = "always"
    """Yes: the walk begins again, and no package may have two rows with one key."""


@dataclass(frozen=True, slots=True)
class WalkFigures:
    """What a walk has done so far, named as in `invoice_syncs`."""

    sync_mode: str = "full"
    full_reason: str = ""
    total_count: int = 0
    records_read: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class WalkEnd:
    """How a walk ended. If `unverified_reason` is set, it verified nothing.

    Attributes:
        is_listed: Tells whether the list has a key. Set only after a full walk that was not resumed: then all
            other invoices in the destination are gone from the list.
        rejects: The id of each rejected record in the list, by its key; None if nothing is verified.
    """

    unverified_reason: str = ""
    is_listed: Callable[[str], bool] | None = None
    rejects: Mapping[str, str | None] | None = None


@dataclass(frozen=True, slots=True)
class WalkBatch(Generic[R]):
    """Records for one load package, or for a part of one: invoices and rejects, each by key.

    If `bookmark` is None, the stored one stays. Only the last batch has an `end`.
    """

    records: dict[str, R]
    rejects: dict[str, R]
    figures: WalkFigures
    bookmark: Bookmark | None = None
    end: WalkEnd | None = None
    package_end: PackageEnd = PackageEnd.IF_FULL

    def __len__(self) -> int:
        return len(self.records) + len(self.rejects)


@dataclass(slots=True)
class Collected(Generic[R]):
    """Records that were read and are in no batch yet. A package is yielded in parts, to save memory."""

    package_rows: int
    part_rows: int
    has_given: bool = False
    _records: dict[str, R] = field(default_factory=dict)
    _rejects: dict[str, R] = field(default_factory=dict)
    _in_package: int = 0

    def add(self, key: str, record: R) -> None:
        """Add a record; one with the same key is replaced."""
        (self._rejects if record.is_reject else self._records)[key] = record

    def clear(self) -> None:
        """Drop the records that are in no batch yet."""
        self._records, self._rejects = {}, {}

    def enough(self) -> PackageEnd | None:
        """Say whether there is enough for a package (`IF_FULL`) or for a part of one (`NEVER`); else None."""
        waiting = len(self._records) + len(self._rejects)
        if self._in_package + waiting >= self.package_rows:
            return PackageEnd.IF_FULL
        return PackageEnd.NEVER if waiting >= self.part_rows else None

    def take(
        self, figures: WalkFigures, bookmark: Bookmark | None, end: WalkEnd | None, package_end: PackageEnd
    ) -> WalkBatch[R]:
        """Make a batch of the records collected so far."""
        batch = WalkBatch(self._records, self._rejects, figures, bookmark, end, package_end)
        self.clear()
        self._in_package = self._in_package + len(batch) if package_end is PackageEnd.NEVER else 0
        self.has_given = self.has_given or len(batch) > 0
        return batch
