"""A world that is loaded day by day, for many tests: each has an account of its own in it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from cf_invoice_source import Outcome, Report
from cf_invoice_source.invoices.tables import TABLES
from cf_invoice_source.simulator import Account, Simulator, World
from tests.support.make import expected_row, make_invoice
from tests.support.places import settled

Rows = list[dict[str, Any]]


@dataclass(repr=False)
class Days:
    """Accounts that are loaded together, day by day, and what was there after each load.

    Attributes:
        accounts: By the name of the test's case.
        reports: What each load reported.
        listed: By day: the list of each account, by case.
        held: By day: the rows of each table.
    """

    simulator: Simulator
    database: duckdb.DuckDBPyConnection
    place: Path
    accounts: dict[str, Account] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)
    listed: list[dict[str, list[Any]]] = field(default_factory=list)
    held: list[dict[str, Rows]] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.place / "warehouse.duckdb"

    def open(self, case: str, records: list[Any]) -> Account:
        """Open an account with this list."""
        account = self.accounts[case] = self.simulator.world.add_account(case)
        account.records += records
        return account

    def load(self, **settings: Any) -> None:
        """Load all accounts: a day."""
        import dlt

        from cf_invoice_source import load

        pipeline = dlt.pipeline(
            "days",
            pipelines_dir=str(self.place / "pipelines"),
            destination=dlt.destinations.duckdb(str(self.file)),
            dataset_name="cf_invoices",
        )
        self.listed.append({case: copy.deepcopy(each.records) for case, each in self.accounts.items()})
        report = load(
            pipeline,
            account_id=[account.id for account in self.accounts.values()],
            base_url=self.simulator.base_url,
            credentials={"api_token": self.simulator.token},
            **settings,
        )
        self.reports.append(report)
        self.held.append({table: self._rows(table) for table in TABLES})

    def rows(self, case: str, table: str = "invoices", day: int = -1) -> Rows:
        """Give the rows of a case in the order of the key, with all columns but dlt's."""
        return [row for row in self.held[day][table] if row["account_id"] == self.accounts[case].id]

    def copy(self, case: str, day: int = -1) -> Rows:
        """Give the columns that a test can foresee."""
        names = expected_row("", make_invoice())
        return [{name: row[name] for name in names} for row in self.rows(case, day=day)]

    def truth(self, case: str, day: int = -1) -> Rows:
        """Say what `copy` must be."""
        rows = (expected_row(self.accounts[case].id, record) for record in self.listed[day][case])
        return sorted(rows, key=lambda row: str(row["id"]))

    def outcome(self, case: str, day: int = -1) -> Outcome:
        account_id = self.accounts[case].id
        return next(each for each in self.reports[day].accounts if each.account_id == account_id)

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return self.database.execute(sql, parameters).fetchall()

    def _rows(self, table: str) -> Rows:
        found = self.database.execute(f"FROM cf_invoices.{table} ORDER BY ALL")
        columns = [column[0] for column in found.description]
        rows = (dict(zip(columns, row, strict=True)) for row in found.fetchall())
        return [{name: row[name] for name in row if not name.startswith("_dlt")} for row in rows]


@contextmanager
def days_of(place: Path, **server: Any) -> Iterator[Days]:
    """Begin with no account; a server is as it is told to be."""
    database = duckdb.connect(str(place / "warehouse.duckdb"))
    with settled(place), Simulator(World(seed=5), **server) as simulator, database:
        yield Days(simulator, database, place)
