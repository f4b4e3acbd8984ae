"""Which permissions new files get: rows, and PDF links that need no sign-in, are for one user only."""

from __future__ import annotations

import os
from pathlib import Path

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
