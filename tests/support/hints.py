"""Lets dlt remember which type hints are secrets: it asks of the same few thousands of times in each load.

Without this it takes a quarter of a test. The answer depends on the hint alone.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from dlt.common.configuration import resolve
from dlt.common.configuration.providers import environ, vault
from dlt.common.configuration.specs import base_configuration

_ask = base_configuration.is_secret_hint
_remembered = cache(_ask)


def _is_secret_hint(hint: Any) -> bool:
    try:
        return _remembered(hint)
    except TypeError:  # it cannot be hashed
        return _ask(hint)


for module in (base_configuration, resolve, environ, vault):
    vars(module)["is_secret_hint"] = _is_secret_hint
