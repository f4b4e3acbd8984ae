"""All bookmarks of a pipeline are one text in dlt's state: checks that the destination can store it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from copy import deepcopy
from hashlib import sha256
from typing import Any

from dlt.common.versioned_state import compress_state

from cf_invoice_source.errors import SettingsError
from cf_invoice_source.invoices.tables import INVOICES
from cf_invoice_source.settings import SECTION
from cf_invoice_source.walk.bookmark import Bookmark, HighWaterMark, to_text

_OTHERS_BYTES = 1_000
"""Room for what else dlt's state says, and for what packing makes of it."""


def check_state(
    pipeline_state: Mapping[str, Any],
    most_bytes: int | None,
    bookmarks: Mapping[str, Any],
    account_ids: Collection[str] = (),
) -> None:
    """Check that the destination can store these bookmarks, and those that the other accounts will have.

    Raises:
        SettingsError: It cannot: dlt could store neither the bookmarks nor the rows beside them.
    """
    if most_bytes is None:
        return
    expected = {each: bookmarks.get(each) or _smallest(each) for each in {*bookmarks, *account_ids}}
    needed = _bytes_of(pipeline_state, expected)
    if needed <= most_bytes:
        return
    shares = needed // most_bytes + 2  # with room for new accounts, and for invoices that may still change
    remedy = (
        f"load them in {shares} shares with a pipeline each: --shard of pipelines/load_to_warehouse.py does"
    )
    raise SettingsError(
        f"What is remembered of {len(expected):,} account{'s' * (len(expected) != 1)} takes {needed:,} "
        f"bytes, and this destination stores at most {most_bytes:,} bytes in one text.",
        remedy=remedy if len(expected) > 1 else "load into a destination that stores longer texts",
    )


def _bytes_of(pipeline_state: Mapping[str, Any], bookmarks: Mapping[str, Any]) -> int:
    """Measure a state as dlt stores it, with these bookmarks in place of its own."""
    state: Any = {name: part for name, part in deepcopy(pipeline_state).items() if name != "_local"}
    own = state
    for name in ("sources", SECTION, "resources", INVOICES):
        own[name] = own[name] if isinstance(own.get(name), dict) else {}
        own = own[name]
    own["bookmarks"] = bookmarks
    return len(compress_state(state)) + _OTHERS_BYTES


def _smallest(account_id: str) -> str:
    """Make up the bookmark of an account with one invoice; what packs badly is as long as a real one's."""
    mark = HighWaterMark(1, sha256(account_id.encode()).hexdigest()[:36])
    return to_text(Bookmark(mark=mark, invoices=1, full_sync_at=1_767_225_600))
