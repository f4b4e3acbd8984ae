"""Which permissions new files get: rows, and PDF links that need no sign-in, are for one user only."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import TextIO

_EVERYBODYS = {0o000, 0o002, 0o022}
"""The default umasks of systems. Any other one was set on purpose, and is kept."""


def private_umask() -> int:
    """Give the umask for new files: for this user only, unless a umask was set on purpose."""
    umask = os.umask(0o077)
    os.umask(umask)
    return 0o077 if umask in _EVERYBODYS else umask


def create_private(path: Path) -> int:
    """Create a file for this user only, and return its descriptor; raise FileExistsError if it exists."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 & ~private_umask())


@contextmanager
def written_whole(file: Path) -> Iterator[TextIO]:
    """Write a text file that gets its name when it is whole. It replaces one of that name and keeps its mode.

    Raises:
        OSError: It cannot be written. What was there before stays.
    """
    target = Path(os.path.realpath(file))  # a link stays one
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~private_umask()
    partial = target.with_name(f".{target.name}.{token_hex(4)}.partial")
    try:
        with os.fdopen(create_private(partial), "w", encoding="utf-8", newline="") as written:
            yield written
            written.flush()
            os.fsync(written.fileno())
        partial.chmod(mode)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
