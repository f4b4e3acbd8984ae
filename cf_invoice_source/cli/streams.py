"""Gives up a stdout that cannot be written to: a full disk, or a pipe whose reader has ended."""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def give_stdout_up() -> None:
    """Discard what stdout still buffers: Python would try to write it at the end, and print an error."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
