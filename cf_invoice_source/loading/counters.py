"""How far a load has come, in counters of dlt's own progress (`dlt.pipeline(progress=...)`)."""

from __future__ import annotations

from collections.abc import Sized

import dlt

ACCOUNTS, PAGES, RECORDS = "Accounts", "Pages", "Records"


class Counters:
    """Counts accounts and pages, of how many, and records."""

    def __init__(self, pipeline: dlt.Pipeline) -> None:
        self._update = pipeline.collector.update
        self._accounts = 0
        self._expected: dict[str, int] = {}

    def begin(self, accounts: int) -> None:
        """Count so many accounts from now on, of which none is done."""
        self._accounts = accounts
        self._expected = {}
        self._update(ACCOUNTS, 0, accounts)

    def add_page(self, account_id: str, records: Sized, expected: int) -> None:
        """Count one more page of an account, of which so many are expected by now."""
        more = expected - self._expected.get(account_id, 0)
        self._expected[account_id] = expected
        self._update(RECORDS, len(records))
        self._update(PAGES, 1, sum(self._expected.values()), more)

    def end_account(self) -> None:
        """Count one more account as done."""
        self._update(ACCOUNTS, 1, self._accounts)
