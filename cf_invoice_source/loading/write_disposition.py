"""How `invoices` is kept, by its write disposition: as a mirror, a history or a log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from cf_invoice_source.errors import SettingsError

Keeping = Literal["merge", "scd2", "append"]
"""merge: one row for each invoice. scd2: one row for each version, the open one being true now. append: one
row for each change, the newest being true now. Only the first can be written again without a trace."""

_HARM: Mapping[Any, str] = {
    "replace": "a run with nothing new would empty the table",
    "upsert": "a package that is loaded again after a crash doubles its rows in some databases",
    "insert-only": "an invoice that is paid would stay open",
    "cdc": "a run would delete every invoice that it had no need to ask for",
    "skip": "nothing would be loaded, and the proof would fail",
}


def read_keeping(write_disposition: Any) -> Keeping:
    """Read a write disposition: a name, or a dict as dlt takes it.

    Raises:
        SettingsError: It would make the table wrong, or has options that we do not know how to read back.
    """
    given: Any = write_disposition
    if not isinstance(given, Mapping):
        given = {"disposition": "merge", "strategy": "scd2"} if given == "scd2" else {"disposition": given}
    disposition, strategy = given.get("disposition"), given.get("strategy")
    for name in (disposition, strategy):
        if isinstance(name, str) and name in _HARM:
            raise SettingsError(f"invoices cannot be loaded with {name}: {_HARM[name]}.", remedy=_REMEDY)
    if given.keys() - {"disposition", "strategy"}:
        raise SettingsError("invoices takes no further options of a write disposition.", remedy=_REMEDY)
    if disposition == "append" and not strategy:
        return "append"
    if disposition == "merge" and strategy in {None, "delete-insert", "scd2"}:
        return "scd2" if strategy == "scd2" else "merge"
    raise SettingsError("There is no such write disposition.", remedy=_REMEDY)


_REMEDY = "use merge, scd2 or append"


def keeping_of(table: Mapping[str, Any]) -> Keeping:
    """Say how a table is kept, by its schema as dlt stores it."""
    if table.get("write_disposition") == "append":
        return "append"
    return "scd2" if table.get("x-merge-strategy") == "scd2" else "merge"
