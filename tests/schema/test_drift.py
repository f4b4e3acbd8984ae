"""A schema that drifts costs nobody a night: each row of the table is one invoice over several loads."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import dlt
import duckdb
import pytest
import simplejson

from cf_invoice_source import Report, load
from cf_invoice_source.invoices.record import MAX_DEPTH
from cf_invoice_source.simulator import Account, Simulator, World
from tests.support.make import CREATED_S, MISSING, expected_row, make_invoice
from tests.support.places import settled
from tests.support.postgres import Postgres, create_database


@dataclass(frozen=True)
class Step:
    """What an invoice has beside the usual at one load, and what columns of its row must hold then.

    Attributes:
        fields: The fields.
        columns: Columns by name, or by how a name begins that a database may shorten ("deep*").
        reject: Why the row stays as it was; empty where it says what the invoice says.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, Any] = field(default_factory=dict)
    reject: str = ""


def nested(depth: int, value: Any) -> Any:
    return json.loads('{"a":' * depth + json.dumps(value) + "}" * depth)


DRIFTS: dict[str, list[Step]] = {
    "a new field becomes a column, and null again when it vanishes": [
        Step({}, {"new_1": None}),
        Step({"new_1": "x"}, {"new_1": "x"}),
        Step({}, {"new_1": None}),
    ],
    "a documented field that vanishes becomes null": [
        Step({"description": "x"}, {"description": "x"}),
        Step({"description": MISSING, "created_by": MISSING}, {"description": None, "created_by": None}),
    ],
    "a number is a decimal from the first": [
        Step({"number": 1}, {"number": 1}),
        Step({"number": Decimal("1.5")}, {"number": Decimal("1.5")}),
        Step({"number": None}, {"number": None}),
        Step({"number": "1"}, {"number": None, "more_fields": {"number": "1"}}),
        Step({"number": Decimal("0.000000001")}, {"number": Decimal("0.000000001"), "more_fields": {}}),
    ],
    "a number after null": [
        Step({"late": None}, {}),
        Step({"late": 2}, {"late": 2}),
        Step({"late": Decimal("2.25")}, {"late": Decimal("2.25")}),
    ],
    "an object becomes columns, and may change to a value and back": [
        Step({"object": {"a": {"b": 1}}}, {"object__a__b": 1}),
        Step({"object": 2}, {"object": 2, "object__a__b": None}),
        Step({"object": {"a": {"b": Decimal("3.5")}}}, {"object": None, "object__a__b": Decimal("3.5")}),
    ],
    "an object as deep as it goes": [
        Step({"deep": nested(MAX_DEPTH, 1)}, {"deep__a__a__a*": [1]}),
    ],
    "an object 50 deep is kept beside the others, and has a column when it is flat": [
        Step({"abyss": nested(50, 1)}, {"more_fields": {"abyss": nested(50, 1)}}),
        Step({"abyss": 1}, {"abyss": 1}),
    ],
    "a list 50 deep likewise": [
        Step(
            {"lists": json.loads("[" * 50 + "]" * 50)},
            {"more_fields": {"lists": json.loads("[" * 50 + "]" * 50)}},
        ),
        Step({"lists": None}, {}),
    ],
    **{
        f"{name} of another type sets its record aside until that is repaired": [
            Step({}, {}),
            Step({name: wrong}, reject=reason),
            Step({}, {}),
        ]
        for name, wrong, reason in (
            ("amount_due", "broken", "amount_due is not a number"),
            ("amount_paid", {"cents": 1}, "amount_paid is not a number"),
            ("currency", 840, "currency is not a text"),
        )
    },
    **{
        f"{name} of a type that says nothing is null until that is repaired": [
            Step({}, {}),
            Step({name: wrong}, {name: None, "more_fields": {name: wrong}}),
            Step({}, {"more_fields": {}}),
        ]
        for name, wrong in (
            ("status", ["paid"]),
            ("created", "yesterday"),
            ("attempted", "perhaps"),
            ("attempt_count", Decimal("1.5")),
            ("description", "a\x00b"),
        )
    },
    **{
        f"{name} of another type that says the same": [Step({name: before}), Step({name: after}), Step({})]
        for name, before, after in (
            ("amount_due", 2178, "2178"),
            ("amount_remaining", "0.0", 0),
            ("created", CREATED_S, "2026-01-01T00:00:00Z"),
            ("attempted", True, "true"),
            ("auto_advance", 0, False),
            ("attempt_count", 1, "1"),
        )
    },
    "a list of lists": [Step({"matrix": [[1, Decimal("1.5")], [3]]}, {})],
    "a list that vanishes": [
        Step({"lines": [{"net": 1, "tax": {"rate": 2}}, {"net": 2}]}, {}),
        Step({}, {}),
    ],
    "names that become one": [
        Step({"fooBar": 1, "foo_bar": 2}, {"foo_bar": 1, "api_foo_bar": 2}),
    ],
    "an object and a name that become one": [
        Step({"bar": {"baz": 1}, "bar__baz": 2}, {"bar__baz": 1, "more_fields": {"bar__baz": 2}}),
    ],
    "a documented name in another case": [
        Step({"Amount_Due": 5, "STATUS": "x"}, {"api_amount_due": 5, "api_status": "x"}),
    ],
    "names of ours and of dlt's": [
        Step(
            {"_dlt_id": "x", "deleted": True, "row_hash": "x", "version": 7, "account_id": "x"},
            {
                "api__dlt_id": "x",
                "api_deleted": True,
                "api_row_hash": "x",
                "api_version": 7,
                "api_account_id": "x",
            },
        ),
    ],
    "words that SQL keeps to itself": [
        Step(
            {"select": 1, "order": "x", "user": True, "group": {"by": 2}, "table": "x", "null": 3},
            {"select": 1, "order": "x", "user": True, "group__by": 2, "table": "x", "null": 3},
        ),
    ],
    "names of 250 characters that differ in the last": [
        Step({"n" * 249 + "a": 1, "n" * 249 + "b": 2}, {"nnn*": [1, 2]}),
    ],
    "names beyond ASCII, and none": [
        Step({"größe": 1, "": 2}, {"gr_e": 1, "unnamed": 2}),
    ],
    "a name that changes its case": [
        Step({"caseField": 1}, {"case_field": 1}),
        Step({"case_field": 2}, {"case_field": 2}),
        Step({"CaseField": Decimal("2.5")}, {"case_field": Decimal("2.5")}),
    ],
}
"""How one invoice looks from load to load; what is said last stays."""

LOADS = max(map(len, DRIFTS.values()))


@dataclass(repr=False)
class Told:
    """What each load left behind."""

    account: Account
    reports: list[Report] = field(default_factory=list)
    rows: list[dict[str, dict[str, Any]]] = field(default_factory=list)
    rejects: list[dict[str, dict[str, Any]]] = field(default_factory=list)
    listed: list[list[Any]] = field(default_factory=list)
    query: Callable[[str], list[tuple[Any, ...]]] = lambda _: []


def step(drift: str, load: int) -> Step:
    return DRIFTS[drift][min(load, len(DRIFTS[drift]) - 1)]


def records(load: int) -> list[Any]:
    return [
        make_invoice(
            **{"id": drift, "created": CREATED_S - number, "status": "open", **step(drift, load).fields}
        )
        for number, drift in enumerate(DRIFTS)
    ]


@pytest.fixture(scope="module", params=["duckdb", pytest.param("postgres", marks=pytest.mark.slow)])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """Load the whole table, step by step, into one kind of database."""
    place = tmp_path_factory.mktemp("drift")
    world = World(seed=3)
    told = Told(world.add_account("Drift"))
    with settled(place), Simulator(world) as simulator:
        if request.param == "postgres":
            server: Postgres = request.getfixturevalue("postgres")
            database = create_database(server, f"drift_{place.name}")
            told.query, credentials = database.query, database.dsn
        else:
            credentials = str(place / "warehouse.duckdb")
            told.query = lambda sql: duckdb.connect(credentials).execute(sql).fetchall()
        pipeline = dlt.pipeline(
            "drift",
            pipelines_dir=str(place / "pipelines"),
            destination=getattr(dlt.destinations, request.param)(credentials),
            dataset_name="cf_invoices",
        )
        for number in range(LOADS):
            told.account.records[:] = records(number)
            told.listed.append(copy.deepcopy(told.account.records))
            told.reports.append(
                load(
                    pipeline,
                    account_id=told.account.id,
                    base_url=simulator.base_url,
                    credentials={"api_token": simulator.token},
                )
            )
            told.rows.append(table(told, "invoices"))
            told.rejects.append(
                {key: row for key, row in table(told, "invoice_rejects").items() if not row["resolved_at"]}
            )
        yield told


def table(told: Told, name: str) -> dict[str, dict[str, Any]]:
    """The rows of a table by id."""
    named = told.query(
        f"SELECT column_name FROM information_schema.columns WHERE table_name = '{name}' "  # noqa: S608 - ours
        "AND table_schema = 'cf_invoices'"
    )
    columns = [column for (column,) in named]
    listed = ", ".join(f'"{column}"' for column in columns)
    found = told.query(f"SELECT {listed} FROM cf_invoices.{name}")  # noqa: S608 - as above
    rows = (dict(zip(columns, row, strict=True)) for row in found)
    return {row["id"]: row for row in rows}


STEPS = [(drift, number) for drift, steps in DRIFTS.items() for number in range(len(steps))]


@pytest.mark.parametrize(("drift", "number"), STEPS)
def test_a_field_has_the_column_that_is_its_due_at_each_load(told: Told, drift: str, number: int) -> None:
    expected = step(drift, number)
    if expected.reject:
        before = told.rows[number - 1][drift]
        assert {name: told.rows[number][drift][name] for name in before} == before
        assert re.search(expected.reject, told.rejects[number][drift]["reason"])
        return
    row = told.rows[number][drift]
    more = simplejson.loads(row["more_fields"] or "{}", use_decimal=True)

    assert drift not in told.rejects[number]
    assert more == expected.columns.get("more_fields", {})
    for name, value in expected.columns.items():
        if name.endswith("*"):
            held = [row[column] for column in row if column.startswith(name[:-1])]
            assert sorted(each for each in held if each is not None) == value
        elif name != "more_fields":
            assert row.get(name) == value


@pytest.mark.parametrize(("drift", "number"), STEPS)
def test_no_field_is_put_over_a_column_of_ours(told: Told, drift: str, number: int) -> None:
    if step(drift, number).reject:
        return
    row = told.rows[number][drift]
    (record,) = (each for each in told.listed[number] if each["id"] == drift)
    expected = expected_row(told.account.id, record)

    assert {name: row[name] for name in expected} == expected
    assert re.fullmatch("[0-9a-f]{32}", row["row_hash"])
    assert row["_dlt_id"] != "x"


def test_a_record_that_is_set_aside_stops_no_other_and_in_the_end_all_are_there(told: Told) -> None:
    for number, report in enumerate(told.reports):
        set_aside = {drift for drift in DRIFTS if step(drift, number).reject}
        (outcome,) = report.accounts

        assert (outcome.error, outcome.unverified_reason, outcome.rejected) == ("", "", len(set_aside))
        assert told.rejects[number].keys() == set_aside
        assert told.rows[number].keys() == DRIFTS.keys()
    assert told.reports[-1].is_verified


def test_every_number_of_an_unknown_field_is_a_decimal(told: Told) -> None:
    kinds = told.query(
        "SELECT DISTINCT numeric_precision, numeric_scale FROM information_schema.columns "
        "WHERE table_schema = 'cf_invoices' AND table_name = 'invoices' AND column_name IN "
        "('number', 'late', 'object', 'object__a__b', 'foo_bar', 'select', 'case_field')"
    )

    assert kinds == [(38, 9)]


def test_a_list_becomes_a_table_of_its_own_as_deep_as_it_is(told: Told) -> None:
    found = told.query(
        "SELECT i.id, l._dlt_list_idx, c.value FROM cf_invoices.invoices i "
        "JOIN cf_invoices.invoices__matrix l ON l._dlt_parent_id = i._dlt_id "
        "JOIN cf_invoices.invoices__matrix__list c ON c._dlt_parent_id = l._dlt_id "
        "ORDER BY l._dlt_list_idx, c._dlt_list_idx"
    )

    assert found == [
        ("a list of lists", 0, 1),
        ("a list of lists", 0, Decimal("1.5")),
        ("a list of lists", 1, 3),
    ]


def test_a_list_that_vanishes_leaves_no_row_of_it(told: Told) -> None:
    found = told.query("SELECT net, tax__rate FROM cf_invoices.invoices__lines")

    assert found == []
    assert told.query("SELECT count(*) FROM cf_invoices.invoice_changes__lines") == [(2,)]
