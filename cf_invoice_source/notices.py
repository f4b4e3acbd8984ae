"""Notices for people during a load: why something takes long, and what Cloudflare announces."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cf_invoice_source.redaction import shown

# A child of dlt's logger: it has dlt's handlers and format, but shows notices at any log level of dlt's.
_logger = logging.getLogger("dlt.cf_invoice_source")
_logger.setLevel(logging.WARNING)


def notify(text: str, *, is_passing: bool = False) -> None:
    """Show a notice in one line. It is `is_passing` if nobody needs it after a load that ended well."""
    _logger.warning("%s", shown(text), extra={"is_passing": is_passing})


@contextmanager
def shown_by(show: Callable[[str], object], *, is_quiet: bool = False) -> Iterator[None]:
    """Pass notices to `show` meanwhile, not to dlt's log; leave out `is_passing` ones if `is_quiet`."""

    def instead(record: logging.LogRecord) -> bool:
        if not (is_quiet and getattr(record, "is_passing", False)):
            show(record.getMessage())
        return False

    _logger.addFilter(instead)
    try:
        yield
    finally:
        _logger.removeFilter(instead)
