"""What an error tracker takes along of an error by default: texts, and the variables of all frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from traceback import walk_tb
from typing import Any

_DEPTH = 5


def captured(error: BaseException) -> str:
    """Give all of it as one text: mappings and lists are looked into, of other objects it is their `repr`."""
    return "\n".join(_captured(error))


def chain(error: BaseException) -> Iterator[BaseException]:
    """Give an error and what is below it, as Python prints it."""
    below: BaseException | None = error
    while below is not None:
        yield below
        below = below.__cause__ or (None if below.__suppress_context__ else below.__context__)


def _captured(error: BaseException) -> Iterator[str]:
    for each in chain(error):
        yield f"{each} {each!r} {each.args}"
        yield from _values(vars(each), _DEPTH)
        for frame, _ in walk_tb(each.__traceback__):
            if "/tests/" not in frame.f_code.co_filename:
                yield from _values(frame.f_locals, _DEPTH)


def _values(value: Any, depth: int) -> Iterator[str]:
    if not depth:
        yield repr(value)
    elif isinstance(value, Mapping):
        for key, item in list(value.items()):
            yield str(key)
            yield from _values(item, depth - 1)
    elif isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        for item in value:
            yield from _values(item, depth - 1)
    else:
        yield repr(value)
