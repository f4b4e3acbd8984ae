"""Several accounts as a scheduler meets them: one is well, and others are not, each in its own way."""

from dataclasses import dataclass
from pathlib import Path

from cf_invoice_source.simulator import Account, Simulator, World
from cf_invoice_source.simulator.faults import edit

PIPELINES = Path(__file__).parents[2] / "pipelines"


@dataclass(frozen=True)
class Fleet:
    """The accounts of a running simulator.

    Attributes:
        well: All goes well there, with two pages of invoices.
        refused: Its invoices may not be read.
        rejecting: One of its records is no invoice.
        doubtful: Its list never ends, by its own account: what is loaded is not verified.
    """

    simulator: Simulator
    well: Account
    refused: Account
    rejecting: Account
    doubtful: Account

    @property
    def loaded(self) -> list[Account]:
        """Those whose invoices are in the tables after a run."""
        return [self.well, self.rejecting, self.doubtful]

    def counts(self) -> dict[str, int]:
        """What the tables must hold: invoices by account."""
        return {
            account.id: sum(isinstance(record, dict) for record in account.records) for account in self.loaded
        }


def make_fleet(simulator: Simulator) -> Fleet:
    """Fill a world with them, and spoil what must be spoilt."""
    world: World = simulator.world
    well, refused, rejecting, doubtful = (world.add_account(invoices=count) for count in (60, 5, 7, 8))
    simulator.denied.add(refused.id)
    rejecting.records.insert(0, "no invoice")
    endless = edit(lambda document: document["result"]["pagination"].update(has_more=True))
    simulator.faults.append(endless.only(path=doubtful.id))
    return Fleet(simulator, well, refused, rejecting, doubtful)
