"""Leaves fields out of the tables, for who may not or does not want to keep them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cf_invoice_source.exact_json import DuplicateKeys, decode, encode
from cf_invoice_source.invoices.columns import FIELDS
from cf_invoice_source.invoices.record import Item, Reject
from cf_invoice_source.invoices.tables import MORE_FIELDS

NEEDED_FIELDS = {"id", "amount_due", "amount_paid", "amount_remaining", "currency", "status", "created"}
"""What an invoice is known by, what it says of money, and what tells whether it may still change."""

OPTIONAL_FIELDS = tuple(name for name in FIELDS if name not in NEEDED_FIELDS)
"""The fields that can be left out."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The fields that no table has; they are null there.

    A record is compared before they are taken out of it: `row_hash` is that of the whole record, so a change
    of a field that is left out is a change all the same.
    """

    names: frozenset[str] = frozenset()

    def of_item(self, item: Item) -> Item:
        """Give a record without the fields."""
        if not self.names:
            return item
        if isinstance(item, Reject):
            return replace(item, record=self._of_json(item.record))
        values: dict[str, Any] = {}
        for name, value in item.values.items():
            if name == MORE_FIELDS:
                if more := {field: sent for field, sent in value.items() if field not in self.names}:
                    values[name] = more
            else:
                values[name] = None if name in self.names else value
        return replace(item, values=values)

    def of_row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Give a row that was read from one of our tables without the fields."""
        kept = {name: None if name in self.names else value for name, value in row.items()}
        if self.names and "raw" in kept:
            kept["raw"] = self._of_text(kept["raw"])
        return kept

    def _of_text(self, raw: Any) -> Any:
        try:
            return encode(self._of_json(decode(raw.encode())))
        except (AttributeError, ValueError):  # somebody has written something else there
            return raw

    def _of_json(self, value: Any) -> Any:
        """Leave the fields out of a record of any shape, however deep they are in it."""
        if isinstance(value, DuplicateKeys):
            return DuplicateKeys(tuple((name, self._of_field(name, item)) for name, item in value.pairs))
        if isinstance(value, dict):
            return {name: self._of_field(name, item) for name, item in value.items()}
        return [self._of_json(item) for item in value] if isinstance(value, list) else value

    def _of_field(self, name: str, value: Any) -> Any:
        return None if name in self.names else self._of_json(value)


NOTHING_LEFT_OUT = LeftOut()
