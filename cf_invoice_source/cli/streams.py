"""Stdout that takes nothing any more: a full disk, or a program behind a pipe that has ended."""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def give_stdout_up() -> None:
    """Send what stdout still holds nowhere: Python would try once more when it ends, and complain."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
