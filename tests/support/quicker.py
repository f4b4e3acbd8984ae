"""Makes loads quicker in tests, and no load different.

dlt remembers what depends on a type alone: in each load it asks thousands of times which type hints are
secrets, and which fields a configuration has. Together with garbage collections of all that was imported,
this takes a fifth of a small load. And for Delta and Iceberg tables, dlt waits a second for files that are
there already.
"""

from __future__ import annotations

import gc
from functools import cache
from typing import Any

import dlt  # noqa: F401 - before its objects are frozen
from dlt.common.configuration import resolve
from dlt.common.configuration.providers import environ, vault
from dlt.common.configuration.specs import base_configuration
from dlt.common.configuration.specs.base_configuration import BaseConfiguration
from dlt.load.load import Load

_ask = base_configuration.is_secret_hint
_remembered = cache(_ask)


def _is_secret_hint(hint: Any) -> bool:
    try:
        return _remembered(hint)
    except TypeError:  # it cannot be hashed
        return _ask(hint)


for module in (base_configuration, resolve, environ, vault):
    vars(module)["is_secret_hint"] = _is_secret_hint

_fields_of = cache(BaseConfiguration.get_resolvable_fields.__func__)  # type: ignore[attr-defined]


def _resolvable_fields(spec: type[BaseConfiguration]) -> dict[str, Any]:
    return dict(_fields_of(spec))


BaseConfiguration.get_resolvable_fields = classmethod(_resolvable_fields)  # type: ignore[assignment, method-assign]

_make_load = Load.__init__


def _look_more_often(self: Load, *args: Any, **more: Any) -> None:
    _make_load(self, *args, **more)
    self._run_loop_sleep_duration = 0.05  # a job with nothing to do ends without waking up who waits for it


Load.__init__ = _look_more_often  # type: ignore[method-assign]

gc.freeze()
gc.set_threshold(20_000, 20, 50)
