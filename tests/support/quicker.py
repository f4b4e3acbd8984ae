"""Makes loads quicker in tests, and no load different.

dlt remembers what depends on a type alone: in each load it asks thousands of times which type hints are
secrets, and which fields a configuration has. Together with garbage collections of all that was imported,
this takes a fifth of a small load. And for Delta and Iceberg tables, dlt waits a second for files that are
there already.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import dlt  # noqa: F401 - before its objects are frozen
from dlt.common import typing
from dlt.common.configuration.specs import base_configuration
from dlt.common.configuration.specs.base_configuration import BaseConfiguration
from dlt.load.load import Load


def _remember(ask: Callable[..., Any]) -> None:
    """Have a function that says something of a type remember what it said, wherever dlt has it."""
    answers = cache(ask)

    @wraps(ask)
    def remember(*types: Any) -> Any:
        try:
            return answers(*types)
        except TypeError:  # they cannot be hashed
            return ask(*types)

    modules = [module for name, module in list(sys.modules.items()) if name.startswith("dlt.")]
    for module in modules:
        for name, value in list(vars(module).items()):
            if value is ask:
                setattr(module, name, remember)


for name, value in list(vars(typing).items()):
    if name.startswith("is_") and value.__module__ == typing.__name__:
        _remember(value)
_remember(base_configuration.is_secret_hint)

_fields_of = cache(BaseConfiguration.get_resolvable_fields.__func__)  # type: ignore[attr-defined]
_length_of = cache(lambda spec: sum(map(base_configuration.is_valid_configspec_field, _all_fields(spec))))


def _all_fields(spec: type[BaseConfiguration]) -> Any:
    return spec.__dataclass_fields__.values()


def _resolvable_fields(spec: type[BaseConfiguration]) -> dict[str, Any]:
    return dict(_fields_of(spec))


def _length(self: BaseConfiguration) -> int:
    return int(_length_of(type(self)))


BaseConfiguration.get_resolvable_fields = classmethod(_resolvable_fields)  # type: ignore[assignment, method-assign]
BaseConfiguration.__len__ = _length  # type: ignore[method-assign]

_make_load = Load.__init__


def _look_more_often(self: Load, *args: Any, **more: Any) -> None:
    _make_load(self, *args, **more)
    self._run_loop_sleep_duration = 0.05  # a job with nothing to do ends without waking up who waits for it


Load.__init__ = _look_more_often  # type: ignore[method-assign]

gc.freeze()
gc.set_threshold(20_000, 20, 50)
