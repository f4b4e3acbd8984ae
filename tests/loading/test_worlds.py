"""Random worlds over real HTTP through dlt into DuckDB: after a quiet run, the copy is exact, come what may.

The pure twin, `walk/test_worlds.py`, sees thousands of worlds. WORLDS sets how many these are.
"""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from decimal import Decimal
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import duckdb
import pytest
import simplejson
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from cf_invoice_source import InvoiceSourceError, Report
from cf_invoice_source.invoices.record import Invoice, read_record
from cf_invoice_source.simulator import Fault, Simulator, World
from cf_invoice_source.simulator.answers import failure
from tests.support.make import expected_row
from tests.support.truth import Truth, budget_at_rest
from tests.walk.test_worlds import OPERATIONS, PLACES

AMOUNTS = st.sampled_from([0, -1, Decimal("19.99"), Decimal("0.000000001"), 10**28])


def reprice(truth: Truth, place: int, amount: Any, *, is_taxed: bool) -> None:
    """Change what may still change, and let a field appear that nobody knew of."""
    chosen = [each for each in truth.records if is_unsettled(each) and is_storable(each)]
    if chosen:
        record = chosen[place % len(chosen)]
        record |= {"amount_due": amount, "description": "🙂", "attempted": True, "attempt_count": place}
        record |= {"tax": amount} if is_taxed else {}


def arrive_undated(truth: Truth) -> None:
    truth.arrive()
    truth.records[0]["created"] = None


MORE_OPERATIONS = st.one_of(
    OPERATIONS,
    st.builds(
        lambda place, amount, taxed: lambda truth: reprice(truth, place, amount, is_taxed=taxed),
        PLACES,
        AMOUNTS,
        st.booleans(),
    ),
    st.just(arrive_undated),
)
"""Each with the account that it is about."""

EVENTS = st.tuples(st.integers(0, 2), MORE_OPERATIONS)

SABOTAGE = [
    "DELETE FROM invoices WHERE id = (SELECT min(id) FROM invoices)",
    "DELETE FROM invoices",
    "DROP TABLE invoices",
    "DROP TABLE invoice_changes",
    "DROP TABLE invoice_rejects",
    "ALTER TABLE invoices DROP COLUMN description",
    "INSERT INTO invoices BY NAME (SELECT * REPLACE ('x' AS id, 'x' AS _dlt_id) FROM invoices LIMIT 1)",
    "UPDATE invoice_rejects SET resolved_at = now()",
    "take the machine away",
    "make a backup",
    "restore the backup",
]


class Worlds(RuleBasedStateMachine):
    """Lists that change, and loads that copy them."""

    def __init__(self) -> None:
        super().__init__()
        self.exits = ExitStack()

    @initialize(per_page=st.integers(1, 6), sizes=st.lists(st.integers(0, 12), min_size=1, max_size=3))
    def begin(self, per_page: int, sizes: list[int]) -> None:
        self.place = Path(mkdtemp())
        self.exits.callback(shutil.rmtree, self.place)
        world = World(seed=1)
        self.truths: dict[str, Truth] = {}
        for size in sizes:
            truth = self.truths[world.add_account().id] = Truth()
            for number in range(size):
                truth.arrive(
                    status=["draft", "open", "paid", None][number % 4],
                    has_id=number % 5 != 0,
                    later_s=number % 3,
                )
        self.simulator = self.exits.enter_context(Simulator(world, max_per_page=per_page))
        self.simulator.quota = 10**9
        # One connection stays open, so that the others to the same file take no time.
        self.database = self.exits.enter_context(duckdb.connect(str(self.place / "warehouse.duckdb")))

    def teardown(self) -> None:
        self.exits.close()

    @rule(events=st.lists(EVENTS, min_size=1, max_size=4))
    def change(self, events: list[Any]) -> None:
        for event in events:
            self._happen(event)

    @rule(
        between=st.dictionaries(st.integers(1, 8), EVENTS, max_size=3),
        package_rows=st.sampled_from([1000, 4]),
        fails_at=st.one_of(st.none(), st.integers(1, 10)),
    )
    def load_while_it_changes(self, between: dict[int, Any], package_rows: int, fails_at: int | None) -> None:
        """Load, with changes between two requests; one of them may be refused, and the run ends there."""
        with suppress(InvoiceSourceError):
            self._load(package_rows, between, fails_at)

    @rule(state=st.sampled_from(["extracted", "normalized", "torn"]))
    def leave_a_package_behind(self, state: str) -> None:
        """As a run that ends in the middle does; a torn one, after a power failure, cannot be finished."""
        from cf_invoice_source import cf_invoice_source

        pipeline = self._pipeline()
        if pipeline.has_pending_data:
            return
        self._listen({}, None)
        pipeline.extract(cf_invoice_source(**self._settings()))
        if state == "normalized":
            pipeline.normalize()
        elif state == "torn":
            for file in (self.place / "pipelines" / "worlds" / "normalize").rglob("*.typed-jsonl*"):
                file.write_bytes(file.read_bytes()[:-9])

    @rule(deed=st.sampled_from(SABOTAGE))
    def sabotage(self, deed: str) -> None:
        if deed == "take the machine away":
            shutil.rmtree(self.place / "pipelines", ignore_errors=True)
        elif deed == "make a backup":
            self._copy_schema("cf_invoices", "backup")
        elif deed == "restore the backup":
            if self._tables("backup") and not self._pipeline().has_pending_data:
                self._copy_schema("backup", "cf_invoices")
        elif self._tables("cf_invoices"):
            self.database.execute("USE cf_invoices")
            with suppress(duckdb.CatalogException, duckdb.BinderException):  # it was done before
                self.database.execute(deed)

    @rule(package_rows=st.sampled_from([1000, 6]))
    def load_in_quiet(self, package_rows: int) -> None:
        held = self._keys()
        report = self._load(package_rows)

        assert [account.unverified_reason for account in report.accounts] == [""] * len(self.truths)
        assert self._copies() == {name: copy_of(name, truth) for name, truth in self.truths.items()}
        assert self._unreadable() & held <= self._keys()
        assert self._current_rejects() == {name: rejects_of(truth) for name, truth in self.truths.items()}
        assert self._replayed() == self._stored()
        assert report.is_verified == (not any(map(rejects_of, self.truths.values())))

        before = self._writes()
        self._load(package_rows)
        assert len(self.asked) == sum(
            budget_at_rest(truth.records, self.simulator.max_per_page)[1] for truth in self.truths.values()
        )
        assert self._writes() == before

    def _happen(self, event: tuple[int, Callable[[Truth], object]]) -> None:
        number, operation = event
        operation(list(self.truths.values())[number % len(self.truths)])

    def _pipeline(self) -> Any:
        import dlt

        return dlt.pipeline(
            "worlds",
            pipelines_dir=str(self.place / "pipelines"),
            destination=dlt.destinations.duckdb(str(self.place / "warehouse.duckdb")),
            dataset_name="cf_invoices",
        )

    def _settings(self) -> dict[str, Any]:
        return {
            "account_id": list(self.truths),
            "base_url": self.simulator.base_url,
            "credentials": {"api_token": self.simulator.token},
        }

    def _load(
        self, package_rows: int, between: dict[int, Any] | None = None, fails_at: int | None = None
    ) -> Report:
        from cf_invoice_source import load

        self._listen(between or {}, fails_at)
        return load(self._pipeline(), package_rows=package_rows, **self._settings())

    def _listen(self, between: dict[int, Any], fails_at: int | None) -> None:
        before = len(self.simulator.requests)

        def let_time_pass(request: Any) -> None:
            if event := between.get(request.number - before):
                self._happen(event)
            for name, truth in self.truths.items():
                self.simulator.world.accounts[name].records = truth.records

        refusal = Fault(lambda _request, _answering: failure(403, 10000, "Authentication error"))
        refusal.takes = lambda request: request.number - before == fails_at  # type: ignore[method-assign]
        self.simulator.before_answer = let_time_pass
        self.simulator.faults = [refusal]
        self.asked_before = before

    @property
    def asked(self) -> Sequence[Any]:
        return self.simulator.requests[self.asked_before :]

    def _copy_schema(self, source: str, target: str) -> None:
        self.database.execute(f"USE main; DROP SCHEMA IF EXISTS {target} CASCADE; CREATE SCHEMA {target}")
        for table in self._tables(source):
            self.database.execute(f"CREATE TABLE {target}.{table} AS FROM {source}.{table}")

    def _tables(self, schema: str) -> list[str]:
        select = "SELECT table_name FROM duckdb_tables() WHERE schema_name = ?"
        return [name for (name,) in self.database.execute(select, [schema]).fetchall()]

    # What the warehouse holds

    def _table(self, table: str) -> list[dict[str, Any]]:
        found = self.database.execute(f"SELECT * FROM cf_invoices.{table}")  # noqa: S608 - names of ours
        columns = [column[0] for column in found.description]
        return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]

    def _by_account(self, table: str) -> dict[str, list[dict[str, Any]]]:
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in self.truths}
        for row in self._table(table):
            rows[row["account_id"]].append(row)
        return rows

    def _copies(self) -> dict[str, list[dict[str, Any]]]:
        """The rows of what can be read: what cannot be keeps its last good row, if there was one."""
        return {
            name: sorted(
                (values(row) for row in rows if row["id"] not in self.truths[name].broken()),
                key=lambda row: str(row["id"]),
            )
            for name, rows in self._by_account("invoices").items()
        }

    def _keys(self) -> set[tuple[str, str]]:
        is_there = "invoices" in self._tables("cf_invoices")
        return {(row["account_id"], row["id"]) for row in self._table("invoices")} if is_there else set()

    def _unreadable(self) -> set[tuple[str, str]]:
        return {(name, id_) for name, truth in self.truths.items() for id_ in truth.broken()}

    def _current_rejects(self) -> dict[str, list[str]]:
        return {
            name: sorted(plain(simplejson.loads(row["raw"])) for row in rows if row["resolved_at"] is None)
            for name, rows in self._by_account("invoice_rejects").items()
        }

    def _stored(self) -> dict[tuple[str, str], dict[str, Any]]:
        return {(row["account_id"], row["id"]): values(row, "row_hash") for row in self._table("invoices")}

    def _replayed(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What the changes, one after the other, make of an empty table."""
        state: dict[tuple[str, str], dict[str, Any]] = {}
        versions: dict[tuple[str, str], int] = defaultdict(int)
        for row in sorted(self._table("invoice_changes"), key=lambda row: int(row["version"])):
            key = (row["account_id"], row["id"])
            versions[key] += 1
            assert row["version"] == versions[key]
            assert (row["change"] == "new") == (key not in state)
            if row["change"] == "deleted":
                del state[key]
            else:
                state[key] = values(row, "row_hash")
        return state

    def _writes(self) -> dict[str, list[tuple[str, str]]]:
        return {
            table: sorted((row["_dlt_id"], row["_dlt_load_id"]) for row in self._table(table))
            for table in ("invoices", "invoice_changes", "invoice_rejects")
        }


def is_storable(record: Any) -> bool:
    return isinstance(record, dict) and record["amount_due"] != "broken"


def is_unsettled(record: Any) -> bool:
    return not is_storable(record) or record["status"] not in {"paid", "void"}


COLUMNS = [
    name
    for name in expected_row(
        "", {"id": "", "currency": "", "amount_due": 0, "amount_paid": 0, "amount_remaining": 0}
    )
    if name != "deleted"
]


def values(row: dict[str, Any], *more: str) -> dict[str, Any]:
    """The columns that a test can foresee, and `tax`, which nobody told the package about."""
    return {name: row.get(name) for name in (*COLUMNS, "tax", *more)}


def copy_of(account_id: str, truth: Truth) -> list[dict[str, Any]]:
    """What `invoices` must hold, value for value."""
    equal: dict[str, int] = defaultdict(int)
    rows = []
    for record in reversed(truth.records):
        if not is_storable(record):
            continue
        item = read_record(record)
        assert isinstance(item, Invoice)
        equal[item.identity] += 1
        key = record["id"] or f"{item.identity}:{equal[item.identity]}"
        rows.append(values(expected_row(account_id, {**record, "id": key}) | {"tax": record.get("tax")}))
    return sorted(rows, key=lambda row: str(row["id"]))


def rejects_of(truth: Truth) -> list[str]:
    return sorted(plain(record) for record in truth.records if not is_storable(record))


def plain(record: Any) -> str:
    if isinstance(record, dict):
        record = {name: value for name, value in record.items() if name != "invoice_pdf"}
    return str(simplejson.dumps(record, sort_keys=True))


Worlds.TestCase.settings = settings(
    max_examples=int(os.environ.get("WORLDS", "2")),
    stateful_step_count=10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestWorlds = pytest.mark.slow(pytest.mark.usefixtures("dlt_here")(Worlds.TestCase))
