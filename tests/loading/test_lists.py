"""What the records of a list become: rows, columns, rejects. They share two loads, each in an account."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.support.days import Days, days_of
from tests.support.make import CREATED_S, MISSING, make_invoice, make_invoices

FOREIGN = ["account_id", "accountId", "row_hash", "rowHash", "deleted", "_dlt_id", "_dlt_load_id"]
"""Names that are ours or dlt's."""

FIRST = {"vat": 1, "rate": Decimal("1.5"), "tip": 0, "count": 1}
LATER = {"vat": Decimal("1.5"), "rate": 2**70, "tip": Decimal("0.000000001"), "count": 10**28 + 1}
"""Inference from a first whole number must not round what comes later."""

LATER_S = CREATED_S + 40_000

LISTS: dict[str, list[list[Any]]] = {
    "a link and none": [[make_invoice(id="in_2"), make_invoice(id="in_1", invoice_pdf=None)]],
    "two pages": [make_invoices(60)],
    "open, then paid": [
        make_invoices(3, status="open", amount_paid=0, amount_remaining=2178),
        [make_invoice(id="in_4", created=LATER_S), *make_invoices(3)],
    ],
    "one is corrected": [
        [make_invoice(id="in_2"), make_invoice(id="in_1")],
        [make_invoice(id="in_2", description="other"), make_invoice(id="in_1")],
    ],
    "empty at first": [[], make_invoices(2)],
    "unknown fields": [
        [make_invoice(id="in_1", tax=Decimal("1.5"), note="🙂", is_final=True), make_invoice(id="in_2")]
    ],
    "numbers": [
        [make_invoice(id="in_1", **FIRST)],
        [make_invoice(id="in_2", created=LATER_S, **LATER), make_invoice(id="in_1", **FIRST)],
    ],
    "an object": [[make_invoice(duty={"rate": Decimal("8.875"), "place": {"state": "NY"}})]],
    "a list in it": [
        [make_invoice(status="open", lines=[{"net": 1}, {"net": Decimal("2.5")}])],
        [make_invoice(lines=[{"net": 3}])],
    ],
    "dlt's names in a list": [
        [make_invoice(parts=[{"_dlt_id": "x", "_dlt_parent_id": "x", "_dlt_root_id": "x"}] * 2)]
    ],
    "names of ours": [[make_invoice()], [make_invoice() | dict.fromkeys(FOREIGN, "theirs")]],
    "no ids": [[make_invoice(id=None, description=text, fee={"net": 5}) for text in ("new", "mid", "old")]],
    "equal without ids": [
        [make_invoice(id=MISSING, description=text) for text in texts]
        for texts in (("mid", "old"), ("new", "mid", "old"))
    ],
    "paid without an id": [[make_invoice(id=None, status=status)] for status in ("open", "paid")],
    "one cannot be stored": [[make_invoice(id="in_2"), make_invoice(id="in_1", amount_due=Decimal("1E+40"))]],
    "exact and rejected": [
        [make_invoice(id="in_1", currency=None, amount_due=Decimal("0.12345678912345678901"))]
    ],
    "equal rejects": [["garbage", "garbage", 7]],
}
"""By account, its list at the first load and at the second, where it is another then."""

OF_DOCUMENTED_FIELDS = [
    "a made-up world",
    "two pages",
    "open, then paid",
    "one is corrected",
    "empty at first",
]


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Days]:
    with days_of(tmp_path_factory.mktemp("lists")) as days:
        for case, lists in LISTS.items():
            days.open(case, lists[0])
        world, account = days.simulator.world, days.open("a made-up world", [])
        for _ in range(130):
            world.new_invoice(account)
        days.load()
        for case, lists in LISTS.items():
            days.accounts[case].records[:] = lists[-1]
        days.load()
        yield days


# Invoices


@pytest.mark.parametrize("case", OF_DOCUMENTED_FIELDS)
def test_a_list_arrives_exactly_and_so_does_what_has_changed(days: Days, case: str) -> None:
    for day in (0, 1):
        assert days.copy(case, day) == days.truth(case, day)


def test_every_list_is_verified_but_where_something_was_rejected(days: Days) -> None:
    rejecting = {"one cannot be stored", "exact and rejected", "equal rejects"}

    for report in days.reports:
        doubtful = {outcome.account_id for outcome in report.accounts if outcome.problem}
        assert doubtful == {days.accounts[case].id for case in rejecting}


def test_the_link_to_the_pdf_is_kept_and_null_where_there_is_none(days: Days) -> None:
    links = {row["id"]: row["invoice_pdf"] for row in days.rows("a link and none")}

    assert links["in_1"] is None
    assert links["in_2"].startswith("https://pay.stripe.com/")


@pytest.mark.parametrize("case", ["two pages", "no ids", "equal rejects"])
def test_a_second_run_changes_nothing(days: Days, case: str) -> None:
    before, after = (days.rows(case, day=day) for day in (0, 1))

    assert [{name: row[name] for name in before[0]} for row in after] == before
    assert days.rows(case, "invoice_rejects", 1) == days.rows(case, "invoice_rejects", 0)


def test_row_hashes_are_equal_only_where_invoices_are(days: Days) -> None:
    before, after = (
        {row["id"]: row["row_hash"] for row in days.rows("one is corrected", day=day)} for day in (0, 1)
    )

    assert after["in_1"] == before["in_1"]
    assert len({*before.values(), *after.values()}) == 3


def test_unknown_fields_become_columns(days: Days) -> None:
    rows = {row["id"]: (row["tax"], row["note"], row["is_final"]) for row in days.rows("unknown fields")}

    assert rows == {"in_1": (Decimal("1.5"), "🙂", True), "in_2": (None, None, None)}


def test_the_numbers_of_unknown_fields_stay_exact_over_runs(days: Days) -> None:
    kinds = days.query(
        "SELECT DISTINCT data_type FROM information_schema.columns "
        "WHERE table_name = 'invoices' AND list_contains(?, column_name)",
        list(FIRST),
    )

    assert [{name: row[name] for name in FIRST} for row in days.rows("numbers")] == [FIRST, LATER]
    assert kinds == [("DECIMAL(38,9)",)]


def test_a_nested_object_becomes_columns_of_the_same_row(days: Days) -> None:
    [row] = days.rows("an object")

    assert (row["duty__rate"], row["duty__place__state"]) == (Decimal("8.875"), "NY")


def test_a_nested_list_becomes_a_child_table_that_follows_its_invoice_and_does_not_grow(days: Days) -> None:
    found = days.query(
        "SELECT i.account_id, l.net FROM cf_invoices.invoices i "
        "JOIN cf_invoices.invoices__lines l ON l._dlt_parent_id = i._dlt_id"
    )
    seen = days.query(
        "SELECT c.version, l.net FROM cf_invoices.invoice_changes c "
        "JOIN cf_invoices.invoice_changes__lines l ON l._dlt_parent_id = c._dlt_id ORDER BY ALL"
    )

    assert found == [(days.accounts["a list in it"].id, 3)]
    assert seen == [(1, 1), (1, Decimal("2.5")), (2, 3)]


def test_a_nested_list_with_names_of_dlts_does_not_block_the_load(days: Days) -> None:
    found = days.query(
        "SELECT count(DISTINCT l._dlt_id) FROM cf_invoices.invoices i "
        "JOIN cf_invoices.invoices__parts l ON l._dlt_parent_id = i._dlt_id"
    )

    assert found == [(2,)]


def test_fields_of_the_api_do_not_overwrite_columns_of_ours(days: Days) -> None:
    [before], [after] = (days.rows("names of ours", day=day) for day in (0, 1))
    ids = days.query("SELECT count(*) FROM cf_invoices.invoices WHERE _dlt_id = 'theirs'")

    assert (after["account_id"], after["deleted"]) == (before["account_id"], None)
    assert len(after["row_hash"]) == len(before["row_hash"])
    kept = [*after.values(), *json.loads(after["more_fields"]).values()]  # there what comes to a name twice
    assert kept.count("theirs") == len(FOREIGN)
    assert ids == [(0,)]


# Invoices without an id


def test_invoices_without_id_are_kept_each_by_a_key_of_its_own(days: Days) -> None:
    assert len({row["id"] for row in days.rows("no ids")}) == 3


def test_equal_invoices_without_id_are_numbered_from_the_oldest(days: Days) -> None:
    keys = {row["description"]: row["id"] for row in days.rows("equal without ids")}

    assert all(key.startswith("anonymous:") for key in keys.values())
    assert {text: key.rpartition(":")[2] for text, key in keys.items()} == {
        "old": "1",
        "mid": "2",
        "new": "3",
    }


def test_an_invoice_without_id_keeps_its_key_when_it_is_paid(days: Days) -> None:
    [before], [after] = (days.rows("paid without an id", day=day) for day in (0, 1))

    assert (before["status"], after["status"]) == ("open", "paid")
    assert after["id"] == before["id"]


# Records that are no invoices


def test_a_single_reject_does_not_block_the_load(days: Days) -> None:
    assert [row["id"] for row in days.rows("one cannot be stored")] == ["in_2"]


def test_a_reject_is_kept_raw_with_its_exact_numbers(days: Days) -> None:
    [rejected] = days.rows("exact and rejected", "invoice_rejects")

    assert rejected["id"] == "in_1"
    assert '"amount_due": 0.12345678912345678901' in rejected["raw"]
    assert '"description": "AI Gateway credits"' in rejected["raw"]


def test_equal_rejects_are_all_kept_and_not_doubled_by_the_next_run(days: Days) -> None:
    rejects = days.rows("equal rejects", "invoice_rejects")

    assert sorted(row["raw"] for row in rejects) == ['"garbage"', '"garbage"', "7"]
