"""What came of a load: an outcome for each account, and one verdict for all who ask."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cf_invoice_source.invoices.syncs import Sync


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Sync):
    """What came of one account: its row of `invoice_syncs`, and what it holds now.

    Attributes:
        invoices: Invoices of the account in the table; None where that is not verified.
        full_sync_at: When the last full walk was completed, in UTC: since then final invoices have been
            taken as they were. None where none was.
    """

    invoices: int | None
    full_sync_at: datetime | None


@dataclass(frozen=True, slots=True)
class Report:
    """What a load did.

    Attributes:
        pipeline_name: Name of the dlt pipeline.
        dataset_name: Dataset (schema) that holds the tables, as it is named there.
        destination: Where it lies, without secrets.
        accounts: What came of each account, in the order of the settings, or of Cloudflare's list.
        unlisted: Accounts that were loaded once and that Cloudflare does not list any more. Their rows stay.
    """

    pipeline_name: str
    dataset_name: str
    destination: str
    accounts: tuple[Outcome, ...]
    unlisted: tuple[str, ...] = ()

    @property
    def has_failed(self) -> bool:
        """Whether some account could not be read."""
        return any(account.error for account in self.accounts)

    @property
    def is_verified(self) -> bool:
        """Whether the tables equal every account's list, and hold every record of it."""
        return not any(account.problem for account in self.accounts)
