"""Gives each record of a walk by ordinals its key, and remembers the records that may change."""

from __future__ import annotations

from collections import Counter

from cf_invoice_source.walk.bookmark import Equal, HighWaterMark, Rejected
from cf_invoice_source.walk.page import Record


class Keys:
    """Gives each record its key, in the order of ordinals. Records that `start` knows keep theirs."""

    def __init__(self, start: HighWaterMark) -> None:
        self.unsettled: dict[int, str] = {}
        self.rejected: dict[int, Rejected] = {}
        self._start = start
        self._equal = dict(start.anonymous)
        self._occurrences = Counter[str]()
        for reject in start.rejected.values():
            row_hash, _, number = reject.key.rpartition(":")
            self._occurrences[row_hash] = max(self._occurrences[row_hash], int(number))

    def key(self, ordinal: int, record: Record) -> str | None:
        """Give a record's key, and remember it if the record may change; None if it is known already."""
        if record.is_reject:
            return self._reject_key(ordinal, record)
        key = record.id or self._anonymous_key(ordinal, record)
        if key is not None and not record.is_final:
            self.unsettled[ordinal] = key
        return key

    def equal_ones(self, newest_us: int | None) -> dict[str, Equal]:
        """Give the records without an id that an equal one may still follow: they have the newest time."""
        return {
            identity: equal
            for identity, equal in self._equal.items()
            if equal.created_us is None or newest_us is None or equal.created_us >= newest_us
        }

    def _anonymous_key(self, ordinal: int, record: Record) -> str | None:
        if ordinal <= self._start.ordinal:
            return self._start.unsettled.get(ordinal)
        before = self._equal.get(record.identity)
        equal = Equal(before.count + 1 if before else 1, record.created_us)
        self._equal[record.identity] = equal
        return f"{record.identity}:{equal.count}"

    def _reject_key(self, ordinal: int, record: Record) -> str:
        known = self._start.rejected.get(ordinal)
        if known and known.key.startswith(f"{record.row_hash}:"):
            key = known.key
        else:
            self._occurrences[record.row_hash] += 1
            key = f"{record.row_hash}:{self._occurrences[record.row_hash]}"
        self.rejected[ordinal] = Rejected(key, record.id)
        return key
