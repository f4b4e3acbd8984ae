"""What a load finds where it left its memory is input: odd values lead to a full walk, or do no harm."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cf_invoice_source import Report
from cf_invoice_source.loading.report import Outcome
from cf_invoice_source.simulator import Account, World
from cf_invoice_source.walk.bookmark import Bookmark, HighWaterMark
from tests.conftest import Command, Load, Warehouse
from tests.support.copies import arrive
from tests.support.make import make_invoices
from tests.support.memory import ACCOUNT, MemoryRows
from tests.support.named import text_of, values_of
from tests.support.truth import Truth
from tests.walk.test_worlds import accounts_of

# In memory: any JSON anywhere in what is remembered of an account

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 9)
    | st.sampled_from([10**15, 10**400, -(10**30), 1.5, "in_3", "x:1", "\x00", "1", "9" * 5_000]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("123x:", max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


def remembered() -> dict[str, Any]:
    """What is remembered of the three invoices below."""
    mark = HighWaterMark(3, "in_3", {2: "in_2", 3: "in_3"})
    unfinished = HighWaterMark(1, "in_1")
    return values_of(Bookmark(mark, unfinished, 3, full_sync_at=10**9, unfinished_since=10**9))


PATHS = [
    *((name,) for name in remembered()),
    *((mark, name) for mark in ("mark", "unfinished") for name in remembered()["mark"]),
    ("mark", "unsettled", "2"),
    ("mark", "unsettled", "9"),
    ("mark", "rejected", "1"),
    ("mark", "anonymous", "anonymous:4d"),
]


@given(path=st.sampled_from(PATHS), garbage=JSON)
def test_any_value_anywhere_in_a_bookmark_leads_to_a_verified_copy(
    path: tuple[str, ...], garbage: Any
) -> None:
    bookmark = remembered()
    part = bookmark
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = garbage

    assert_is_loaded({ACCOUNT: text_of(bookmark)})


@settings(max_examples=30)
@given(garbage=JSON)
def test_any_value_in_place_of_a_bookmark_leads_to_a_verified_copy(garbage: Any) -> None:
    assert_is_loaded({ACCOUNT: garbage})
    assert_is_loaded({ACCOUNT: json.dumps(garbage)})


def assert_is_loaded(state: dict[str, Any]) -> None:
    truth, stored = Truth(per_page=2), MemoryRows()
    for status in ("paid", "draft", "open"):
        truth.arrive(status=status)
    for batch in accounts_of(truth, stored).row_batches({}):
        stored.load(batch)
    truth.set_status(1, "paid")
    truth.arrive()

    accounts = accounts_of(truth, stored)
    for batch in accounts.row_batches(state):
        stored.load(batch)

    assert accounts.verify() == []
    assert accounts.accounts[0].outcome.unverified_reason == ""
    copy = {key: row["row_hash"] for (_, key), row in stored.tables["invoices"].items()}
    assert copy == truth.invoices()


# In DuckDB


def load_again(load: Load, account: Account, change: Callable[[], object]) -> Outcome:
    """Load, let somebody change what was left, and load what is new since."""
    account.records += make_invoices(5)
    load()
    change()
    account.records.insert(0, {**account.records[0], "id": "in_6", "status": "open"})
    report: Report = load()
    return report.accounts[0]


SOURCES = ("sources", "cf_invoice_source", "resources", "invoices")

STATES: dict[str, tuple[tuple[str, ...], Any]] = {
    **{f"{SOURCES[depth]} is a number": (SOURCES[: depth + 1], 7) for depth in range(len(SOURCES))},
    "the bookmarks are a list": ((*SOURCES, "bookmarks"), [1]),
    "the bookmarks are null": ((*SOURCES, "bookmarks"), None),
    "the cursor is a text": ((*SOURCES, "incremental"), "x"),
    "the cursor of created is a list": ((*SOURCES, "incremental", "created"), []),
    "the last created is a number": ((*SOURCES, "incremental", "created", "last_value"), 10**15),
    "the hashes are null": ((*SOURCES, "incremental", "created", "unique_hashes"), None),
}


@pytest.mark.quick("the bookmarks are a list")
@pytest.mark.parametrize(("path", "value"), STATES.values(), ids=STATES)
def test_a_state_that_is_none_leads_to_a_verified_copy(
    load: Load, account: Account, warehouse: Warehouse, path: tuple[str, ...], value: Any
) -> None:
    def change() -> None:
        import dlt

        with dlt.pipeline("cloudflare_invoices").managed_state() as state:
            part: Any = state
            for name in path[:-1]:
                part = part[name]
            part[path[-1]] = value

    outcome = load_again(load, account, change)

    assert (outcome.verified, outcome.unverified_reason) == (True, "")
    assert warehouse.ids() == [f"in_{number}" for number in range(1, 7)]


FAR = "'294247-01-01'"
"""A time that DuckDB knows, and Python does not."""

READABLE = {
    "no sync number": "invoice_syncs SET sync_number = NULL",
    "the largest sync number": "invoice_syncs SET sync_number = 9223372036854775807",
    "a sync number below zero": "invoice_syncs SET sync_number = -5",
    "no type": "invoice_syncs SET type = NULL",
    "nothing else": "invoice_syncs SET sync_mode = NULL, full_reason = NULL, verified = NULL, error = NULL, "
    "requests = NULL, total_count = NULL, rejected = NULL, unverified_reason = NULL, finished_at = NULL",
    "no hash": "invoices SET row_hash = NULL, status = 'x'",
    "no amounts": "invoices SET amount_due = NULL, amount_remaining = NULL, currency = NULL, status = 'open'",
    "all deleted": "invoices SET deleted = true",
    "another account": "invoices SET account_id = '' WHERE id = 'in_2'",
    "the largest version": "invoice_changes SET version = 9223372036854775807",
    "a version below zero": "invoice_changes SET version = -9",
    "a change that is none": "invoice_changes SET change = 'zzz', row_hash = NULL",
    "no change": "invoice_changes SET change = NULL",
}
"""Each for an account of its own."""

UNREADABLE = {
    "a sync that never ends": "invoice_syncs SET started_at = 'infinity', finished_at = 'infinity'",
    "a sync in the far future": f"invoice_syncs SET finished_at = {FAR}",
    "created in the far future": f"invoices SET created = {FAR}",
    "created at no time": "invoices SET created = '-infinity'",
    "another id": f"invoices SET id = '', created = {FAR}, status = 'draft' WHERE id = 'in_2'",
}
"""Each in a dataset of its own: what cannot be read for one account cannot be read for the others, either."""

CHANGES = {"what can be read": READABLE, **{name: {name: change} for name, change in UNREADABLE.items()}}


@pytest.mark.slow
@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_rows_that_somebody_changed_lead_to_a_verified_copy_and_a_status(
    load: Load,
    world: World,
    held: Any,
    command: Command,
    changes: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accounts = {name: world.add_account(name) for name in changes}
    names = {account.id: name for name, account in accounts.items()}
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", ",".join(names))

    def change() -> None:
        for name, sql in changes.items():
            where = f"{'AND' if 'WHERE' in sql else 'WHERE'} account_id = '{accounts[name].id}'"
            held.execute(f"UPDATE cf_invoices.{sql} {where}")

    for account in accounts.values():
        account.records += make_invoices(5)
    load()
    change()
    for account in accounts.values():
        arrive(account, "in_6")
    report = load()

    found = {names[each.account_id]: (each.verified, each.unverified_reason) for each in report.accounts}
    assert found == dict.fromkeys(changes, (True, ""))
    rows = held.execute("SELECT account_id, id FROM cf_invoices.invoices WHERE account_id <> ''").fetchall()
    assert sorted(rows) == sorted((each, f"in_{number}") for each in names for number in range(1, 7))
    change()
    held.close()  # which can write, and the command opens the file to read
    assert command("status").exit_code in {0, 3}


# What dlt keeps of its own

STORED = {
    "no JSON": "UPDATE cf_invoices._dlt_version SET schema = 'garbage'",
    "an empty object": "UPDATE cf_invoices._dlt_version SET schema = '{}'",
    "another name for the tables": (
        """UPDATE cf_invoices._dlt_version SET schema = replace(schema, '"tables"', '"tabels"')"""
    ),
    "a newer dlt's": (
        "UPDATE cf_invoices._dlt_version SET schema = "
        """regexp_replace(schema, '"engine_version": *[0-9]+', '"engine_version":99')"""
    ),
    "a state that is no JSON": "UPDATE cf_invoices._dlt_pipeline_state SET state = 'garbage'",
}


@pytest.mark.slow
@pytest.mark.usefixtures("simulator")
@pytest.mark.parametrize("change", STORED.values(), ids=STORED)
def test_what_dlt_stored_and_cannot_be_read_is_told_with_what_to_delete(
    process: Command, account: Account, warehouse: Warehouse, tmp_path: Path, change: str
) -> None:
    """On another machine, for this one knows the schema."""
    account.records += make_invoices(3)
    assert process("load").exit_code == 0
    warehouse.query(change)
    elsewhere = {"DLT_DATA_DIR": str(tmp_path / "another machine")}

    ended = process("load", env=elsewhere)

    assert ended.exit_code == 1
    assert "What dlt has stored about the tables cannot be read" in ended.stderr
    assert "delete the rows of cf_invoice_source in _dlt_version" in ended.stderr

    warehouse.query("DELETE FROM cf_invoices._dlt_version WHERE schema_name = 'cf_invoice_source'")
    warehouse.query("DELETE FROM cf_invoices._dlt_pipeline_state")
    again = process("load", env=elsewhere)

    assert again.exit_code == 0, again.stderr
    assert len(warehouse.ids()) == 3
