"""Tells a person, while it happens, why something takes long, and what was announced."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cf_invoice_source.redaction import shown

# A child of dlt's logger: its handlers and format apply, but a notice is given whatever dlt's level is.
_logger = logging.getLogger("dlt.cf_invoice_source")
_logger.setLevel(logging.WARNING)


def notify(text: str, *, is_passing: bool = False) -> None:
    """Give a notice, in one line; one `is_passing` if nobody has to know it when all has ended well."""
    _logger.warning("%s", shown(text), extra={"is_passing": is_passing})


@contextmanager
def shown_by(show: Callable[[str], object], *, is_quiet: bool = False) -> Iterator[None]:
    """Show notices in plain words while this lasts, in place of dlt's log; not those that pass if quiet."""

    def instead(record: logging.LogRecord) -> bool:
        if not (is_quiet and getattr(record, "is_passing", False)):
            show(record.getMessage())
        return False

    _logger.addFilter(instead)
    try:
        yield
    finally:
        _logger.removeFilter(instead)
