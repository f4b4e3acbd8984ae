"""How `invoices` is written: as a mirror of the list, and in no other way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cf_invoice_source.errors import SettingsError

_MIRROR = ({"disposition": "merge"}, {"disposition": "merge", "strategy": "delete-insert"})
"""The merge that dlt runs in every destination, with its strategy named or not."""


def check_write_disposition(given: Any) -> None:
    """Check that a write disposition, as a setting or a hint of dlt gives it, makes `invoices` a mirror.

    Raises:
        SettingsError: It does not.
    """
    named = dict(given) if isinstance(given, Mapping) else {"disposition": given or "merge"}
    if {name: value for name, value in named.items() if value is not None} not in _MIRROR:
        asked = named.get("strategy") or named.get("disposition")
        raise SettingsError(
            f"invoices mirrors Cloudflare's list: it is loaded with merge, not with {asked}.",
            remedy="leave write_disposition out; the history of each invoice is in the table invoice_changes",
        )
