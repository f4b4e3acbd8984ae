"""Tells a person, while it happens, why something takes long."""

from __future__ import annotations

import logging

# A child of dlt's logger: its handlers and format apply, but a notice is given whatever dlt's level is.
_logger = logging.getLogger("dlt.cf_invoice_source")
_logger.setLevel(logging.WARNING)


def tell(text: str) -> None:
    """Give a notice, in one line."""
    _logger.warning(text)
