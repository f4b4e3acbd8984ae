"""The text of a bookmark with a name for each value, as tests change one of them."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from cf_invoice_source.walk.bookmark import Bookmark, HighWaterMark, to_text

_MARK = [field.name for field in fields(HighWaterMark)]
NAMES = ["version", *(field.name for field in fields(Bookmark) if field.compare)]


def values_of(bookmark: Bookmark) -> dict[str, Any]:
    """Give the values by name, those of a mark, too."""
    values = dict(zip(NAMES, json.loads(to_text(bookmark)), strict=True))
    for name in ("mark", "unfinished"):
        values[name] = values[name] and dict(zip(_MARK, values[name], strict=True))
    return values


def text_of(values: dict[str, Any]) -> str:
    """Write the values of a bookmark as its text; without a name if one is missing."""
    return json.dumps([_listed(value) for value in values.values()])


def _listed(value: Any) -> Any:
    is_mark = isinstance(value, dict) and value and value.keys() <= set(_MARK)
    return list(value.values()) if is_mark else value
