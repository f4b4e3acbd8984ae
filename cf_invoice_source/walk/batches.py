"""What a walk gives on: batches of records, each with what to remember once it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

from cf_invoice_source.walk.bookmark import Bookmark
from cf_invoice_source.walk.page import Record

R = TypeVar("R", bound=Record)


class PackageEnd(Enum):
    """Whether a load package ends behind a batch."""

    NEVER = "never"
    """More follows that belongs to it."""
    IF_FULL = "if full"
    ALWAYS = "always"
    """Records may be read again, and no package may have two rows by one key."""


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
    """How a walk ended; nothing is verified where it says why not.

    Attributes:
        is_listed: Tells whether the list still has a key. Set only after a full walk from the beginning:
            whatever else the destination holds is gone.
        rejects: The ids of the rejected records that the list has, by key; None where nothing is verified.
    """

    unverified_reason: str = ""
    is_listed: Callable[[str], bool] | None = None
    rejects: Mapping[str, str | None] | None = None


@dataclass(frozen=True, slots=True)
class WalkBatch(Generic[R]):
    """Records for one load package, or for a part of one: invoices by key, and rejects by theirs.

    Where `bookmark` is None, the stored one stays. Only the last batch has an `end`.
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
    """Records that were read and are in no batch yet. Parts of a package go on early, to save memory."""

    package_rows: int
    part_rows: int
    has_given: bool = False
    _records: dict[str, R] = field(default_factory=dict)
    _rejects: dict[str, R] = field(default_factory=dict)
    _in_package: int = 0

    def add(self, key: str, record: R) -> None:
        """Put in a record; the same key again replaces it."""
        (self._rejects if record.is_reject else self._records)[key] = record

    def clear(self) -> None:
        """Drop what was not handed on."""
        self._records, self._rejects = {}, {}

    def enough(self) -> PackageEnd | None:
        """Say whether there is enough for a package (`IF_FULL`), or for a part of one (`NEVER`)."""
        waiting = len(self._records) + len(self._rejects)
        if self._in_package + waiting >= self.package_rows:
            return PackageEnd.IF_FULL
        return PackageEnd.NEVER if waiting >= self.part_rows else None

    def take(
        self, figures: WalkFigures, bookmark: Bookmark | None, end: WalkEnd | None, package_end: PackageEnd
    ) -> WalkBatch[R]:
        """Hand over what there is."""
        batch = WalkBatch(self._records, self._rejects, figures, bookmark, end, package_end)
        self.clear()
        self._in_package = self._in_package + len(batch) if package_end is PackageEnd.NEVER else 0
        self.has_given = self.has_given or len(batch) > 0
        return batch
