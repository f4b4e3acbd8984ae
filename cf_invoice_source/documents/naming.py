"""PURE: what the file of a document is called. No name can lead out of the archive, whatever an ID is."""

from __future__ import annotations

import re
from datetime import datetime

_DIGITS = 16
"""How many digits of the SHA-256 are in a name: 64 bits tell the documents of one invoice apart."""

_LONGEST = 80
_OTHER = re.compile(r"[^A-Za-z0-9_-]")


def path_of(account_id: str, invoice_id: str, created: datetime | None, sha256: str) -> str:
    """Name the file of a document: `ACCOUNT/2026/2026-01-31_in_1abc_0123456789abcdef.pdf`.

    Characters that are not plain letters, digits, "-" or "_" are written as "-".
    """
    year = f"{created.year:04}" if created else "undated"
    day = f"{year}-{created.month:02}-{created.day:02}" if created else year
    return f"{folder_of(account_id)}/{year}/{day}_{_plain(invoice_id)}_{sha256[:_DIGITS]}.pdf"


def folder_of(account_id: str) -> str:
    """Name the folder of an account."""
    return _plain(account_id)


def is_counted(path: str) -> bool:
    """Whether a file in an archive ought to be known: manifests at the top, and hidden files, need not be.

    Hidden files are those of a file manager, or what an interrupted run left of a file.
    """
    parts = path.split("/")
    is_manifest = len(parts) == 1 and path.lower().endswith(".csv")
    return not (is_manifest or parts[-1].startswith("."))


def _plain(text: str) -> str:
    return _OTHER.sub("-", text[:_LONGEST]) or "-"
