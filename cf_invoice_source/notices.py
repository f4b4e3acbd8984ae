"""Tells a person, while it happens, why something takes long."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# A child of dlt's logger: its handlers and format apply, but a notice is given whatever dlt's level is.
_logger = logging.getLogger("dlt.cf_invoice_source")
_logger.setLevel(logging.WARNING)


def notify(text: str) -> None:
    """Give a notice, in one line."""
    _logger.warning(text)


@contextmanager
def shown_by(show: Callable[[str], object]) -> Iterator[None]:
    """Show notices in plain words while this lasts, in place of dlt's log."""
    handler = _Screen(show)
    _logger.addHandler(handler)
    _logger.propagate = False
    try:
        yield
    finally:
        _logger.propagate = True
        _logger.removeHandler(handler)


class _Screen(logging.Handler):
    def __init__(self, show: Callable[[str], object]) -> None:
        super().__init__()
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        self._show(record.getMessage())
