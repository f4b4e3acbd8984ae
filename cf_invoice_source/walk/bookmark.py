"""What is remembered of each account between runs, and how it is written into dlt's state."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Any

VERSION = 1

ANONYMOUS = "anonymous:"
"""Prefix of the identity of an invoice without id."""

REJECTED = "rejected:"
"""Prefix of the identity of a rejected record without id."""


_MOST = 10**15
"""More than any list has records, and more than any time has seconds."""

_LATEST_S = 253_402_300_799
"""The last second of the year 9999, the latest that Python knows."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A rejected record: its key "<record_hash>:<occurrence>", and its id where it has one."""

    key: str
    id: str | None


@dataclass(frozen=True, slots=True)
class Equal:
    """How many invoices without an id share one identity, and when they were created (unix microseconds)."""

    count: int
    created_us: int | None


@dataclass(frozen=True, slots=True)
class HighWaterMark:
    """How far the list is known: every ordinal from 1, the oldest, up to this one.

    Attributes:
        ordinal: The newest ordinal known; 0 for none.
        identity: The id of the record there, or a hash if it has none. The next run checks that it is still
            there.
        unsettled: The key of each invoice up to here that may still change, by its ordinal.
        rejected: Each rejected record up to here, by its ordinal.
        anonymous: Invoices without an id, counted by identity. Kept only while an equal one can still follow:
            while they are as new as the mark, or have no time.
    """

    ordinal: int = 0
    identity: str = ""
    unsettled: Mapping[int, str] = field(default_factory=dict)
    rejected: Mapping[int, Rejected] = field(default_factory=dict)
    anonymous: Mapping[str, Equal] = field(default_factory=dict)

    def claims(self, ordinal: int) -> str | None:
        """Give the id or hash that must be at an ordinal if nothing has moved; None if that is not known."""
        if ordinal == self.ordinal:
            return self.identity
        if ordinal in self.unsettled:
            return bare(self.unsettled[ordinal])
        return self.rejected[ordinal].id if ordinal in self.rejected else None

    def is_ambiguous(self) -> bool:
        """Whether the record at the mark has no id and an equal one below it, and so is no check."""
        equal = self.anonymous.get(self.identity)
        hashes = [f"{REJECTED}{reject.key.rpartition(':')[0]}" for reject in self.rejected.values()]
        return hashes.count(self.identity) > 1 or (equal is not None and equal.count > 1)


NOTHING = HighWaterMark()


@dataclass(frozen=True, slots=True)
class Bookmark:
    """What is remembered of one account.

    Attributes:
        mark: Up to where the copy is verified; None if the server's counting allows no ordinals.
        unfinished: How far a full walk of several packages got; None if none is unfinished.
        unfinished_since: When that walk began, in unix seconds.
        invoices: How many invoices the list had in the last verified walk; None before the first.
        rejects: How many records could not be stored in that walk.
        unlisted: How many rows are kept although they are no longer listed, because they cannot have been
            deleted.
        unlisted_ids: Some of them, for a message.
        kept_rejects: How many rows are kept although their record can no longer be read.
        fields: Names of fields beyond the published schema that any row has had.
        full_sync_at: When the last completed full walk began, in unix seconds.
        lost: Why the stored bookmark cannot be used; empty if it can, or if there was none.
    """

    mark: HighWaterMark | None = None
    unfinished: HighWaterMark | None = None
    invoices: int | None = None
    rejects: int = 0
    full_sync_at: int | None = None
    unfinished_since: int | None = None
    unlisted: int = 0
    unlisted_ids: tuple[str, ...] = ()
    kept_rejects: int = 0
    fields: tuple[str, ...] = ()
    lost: str = field(default="", compare=False)

    @property
    def rows(self) -> int | None:
        """How many rows the table `invoices` must hold; None if nothing is verified yet."""
        return None if self.invoices is None else self.invoices + self.unlisted + self.kept_rejects


def to_text(bookmark: Bookmark) -> str:
    """Write a bookmark as one JSON text, for dlt's state: a list, in the order of its attributes.

    dlt keeps its state several times in memory, where named values take many times the room of a text: a load
    may have thousands of accounts.
    """
    values = [
        VERSION,
        _mark_to_list(bookmark.mark),
        _mark_to_list(bookmark.unfinished),
        bookmark.invoices,
        bookmark.rejects,
        bookmark.full_sync_at,
        bookmark.unfinished_since,
        bookmark.unlisted,
        bookmark.unlisted_ids,
        bookmark.kept_rejects,
        bookmark.fields,
    ]
    return json.dumps(values, separators=(",", ":"))


def from_text(stored: Any) -> Bookmark:
    """Read a bookmark; one of an unknown version or shape reads as `lost`, so that a full walk follows.

    One that contradicts itself is `lost`, too: whoever can write into the destination can write a bookmark.
    """
    if stored is None:
        return Bookmark()
    try:
        version, *values = _is(json.loads(_is(stored, str)), list)
        if _is(version, int) != VERSION:
            return Bookmark(lost=f"the bookmark is of version {version}, not {VERSION}")
        bookmark = Bookmark(*(read(value) for read, value in zip(_READERS, values, strict=True)))
    except (TypeError, ValueError, AttributeError, RecursionError):
        return Bookmark(lost="the bookmark cannot be read")
    return bookmark if _is_consistent(bookmark) else Bookmark(lost="the bookmark contradicts itself")


def _is_consistent(bookmark: Bookmark) -> bool:
    """Whether a walk can have left this bookmark. If part of it were missing, a check would be left out."""
    mark = bookmark.mark
    counted = None if bookmark.invoices is None else bookmark.invoices + bookmark.rejects
    return (
        (mark is None or (mark.ordinal, len(mark.rejected)) == (counted, bookmark.rejects))
        and bookmark.unlisted >= len(bookmark.unlisted_ids)
        and all(at is None or at <= _LATEST_S for at in (bookmark.full_sync_at, bookmark.unfinished_since))
    )


def difference(bookmark: Bookmark, held: tuple[int, int]) -> str:
    """Say how the numbers of invoices and current rejects in the tables differ from the verified ones.

    Empty if they are equal, or if nothing was verified.
    """
    if bookmark.rows is None or (bookmark.rows, bookmark.rejects) == held:
        return ""
    return (
        f"the tables hold {held[0]:,} invoices and {held[1]:,} rejected records, "
        f"verified were {bookmark.rows:,} and {bookmark.rejects:,}"
    )


def bare(key: str) -> str:
    """Remove the number from the key of an invoice without id; return any other key as it is."""
    return key.rpartition(":")[0] if key.startswith(ANONYMOUS) else key


def _mark_to_list(mark: HighWaterMark | None) -> list[Any] | None:
    if mark is None:
        return None
    return [
        mark.ordinal,
        mark.identity,
        mark.unsettled,
        {ordinal: [each.key, each.id] for ordinal, each in mark.rejected.items()},
        {identity: [each.count, each.created_us] for identity, each in mark.anonymous.items()},
    ]


def _mark_from_list(stored: Any) -> HighWaterMark | None:
    if stored is None:
        return None
    ordinal, identity, unsettled, rejected, anonymous = _is(stored, list)
    last = _whole(ordinal)
    return HighWaterMark(
        ordinal=last,
        identity=_is(identity, str),
        unsettled={_ordinal(each, last): _is(key, str) for each, key in unsettled.items()},
        rejected={
            _ordinal(each, last): Rejected(_reject_key(key), _is(reject_id, str, NoneType))
            for each, (key, reject_id) in rejected.items()
        },
        anonymous={
            identity: Equal(_whole(count), _is(created_us, int, NoneType))
            for identity, (count, created_us) in anonymous.items()
        },
    )


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(_is(value, str) for value in _is(values, list))


def _ordinal(written: str, last: int) -> int:
    ordinal = int(written)
    if str(ordinal) != written or not 1 <= ordinal <= last:
        raise ValueError
    return ordinal


def _reject_key(key: Any) -> str:
    _, _, occurrence = _is(key, str).rpartition(":")
    _ordinal(occurrence, _MOST)
    return str(key)


def _whole_or_none(value: Any) -> Any:
    return _whole(value, NoneType)


def _whole(value: Any, *kinds: type) -> Any:
    """Return a whole number that a column can hold, or a value of one of these types."""
    if type(value) is int and not 0 <= value <= _MOST:
        raise ValueError
    return _is(value, int, *kinds)


def _is(value: Any, *kinds: type) -> Any:
    """Return a value of one of these types; raise TypeError for any other."""
    if type(value) not in kinds:
        raise TypeError
    return value


_READERS: tuple[Callable[[Any], Any], ...] = (
    _mark_from_list,
    _mark_from_list,
    _whole_or_none,
    _whole,
    _whole_or_none,
    _whole_or_none,
    _whole,
    _texts,
    _whole,
    _texts,
)
"""What reads each attribute of a bookmark, in their order."""
