"""Counts the progress of a load in dlt's own counters (`dlt.pipeline(progress=...)`)."""

from __future__ import annotations

from collections.abc import Sized

import dlt

ACCOUNTS, PAGES, RECORDS = "Accounts", "Pages", "Records"


class Counters:
    """Counts accounts and pages, each with its total, and records."""

    def __init__(self, pipeline: dlt.Pipeline) -> None:
        self._update = pipeline.collector.update
        self._accounts = 0
        self._expected: dict[str, int] = {}
        self._pages = 0
        self._ended = set[str]()

    def begin(self, accounts: int) -> None:
        """Begin with so many accounts, none of them done."""
        self._accounts = accounts
        self._expected = {}
        self._pages = 0
        self._ended = set()
        self._update(ACCOUNTS, 0, accounts)

    def add_page(self, account_id: str, records: Sized, expected: int) -> None:
        """Count one more page of an account, and update how many are expected."""
        more = expected - self._expected.get(account_id, 0)
        self._expected[account_id] = expected
        self._pages += more
        self._update(RECORDS, len(records))
        self._update(PAGES, 1, self._pages, more)

    def end_account(self, account_id: str) -> None:
        """Count an account as done, once."""
        if account_id not in self._ended:
            self._ended.add(account_id)
            self._update(ACCOUNTS, 1, self._accounts)
