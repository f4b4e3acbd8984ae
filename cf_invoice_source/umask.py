"""Which rights new files have: rows, and links that open without signing in, are for one user."""

from __future__ import annotations

import os

_EVERYBODYS = {0o000, 0o002, 0o022}
"""The umasks that systems come with. Any other one was chosen by somebody, and decides."""


def private_umask() -> int:
    """Give the umask for new files: this user's alone, unless a umask was chosen."""
    umask = os.umask(0o077)
    os.umask(umask)
    return 0o077 if umask in _EVERYBODYS else umask
