"""Tells a person, while it happens, why something takes long."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cf_invoice_source.redaction import shown

# A child of dlt's logger: its handlers and format apply, but a notice is given whatever dlt's level is.
_logger = logging.getLogger("dlt.cf_invoice_source")
_logger.setLevel(logging.WARNING)


def notify(text: str) -> None:
    """Give a notice, in one line."""
    _logger.warning("%s", shown(text))


@contextmanager
def shown_by(show: Callable[[str], object]) -> Iterator[None]:
    """Show notices in plain words while this lasts, in place of dlt's log."""

    def instead(record: logging.LogRecord) -> bool:
        show(record.getMessage())
        return False

    _logger.addFilter(instead)
    try:
        yield
    finally:
        _logger.removeFilter(instead)
