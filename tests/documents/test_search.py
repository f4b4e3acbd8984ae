"""A document's page is found with few requests, and none is asked for twice."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cf_invoice_source.documents.ledger import Held
from cf_invoice_source.documents.search import Search
from cf_invoice_source.invoices.record import Item, read_record
from cf_invoice_source.invoices.values import EPOCH
from cf_invoice_source.simulator import Record
from cf_invoice_source.walk.page import Page
from tests.support.make import make_invoice, make_invoices, make_page


def held_of(records: list[Record]) -> list[Held]:
    """What the tables hold of these records of a list, newest first."""
    known = sorted(records, key=lambda each: -(each["created"] or 0))
    items = [read_record(record) for record in known]
    return [
        Held(
            account_id="a",
            id=record["id"] or f"{item.identity}:{number}",
            created=None if record["created"] is None else EPOCH + timedelta(seconds=record["created"]),
            status=record["status"],
            row_hash=item.row_hash,
            position=None if record["created"] is None else number,
        )
        for number, (record, item) in enumerate(zip(known, items, strict=True))
    ]


class List:
    """Cloudflare's list, which counts what it is asked for."""

    def __init__(self, records: list[Record], per_page: int = 50, *, counts: bool = True) -> None:
        self.records = records
        self.asked: list[int] = []
        self._per_page = per_page
        self._counts = counts

    def page(self, number: int) -> Page[Item]:
        self.asked.append(number)
        end = number * self._per_page
        return make_page(
            *self.records[end - self._per_page : end],
            asked=number,
            has_more=end < len(self.records),
            per_page=self._per_page if self._counts else 0,
            total_count=len(self.records) if self._counts else 0,
        )

    def find(self, wanted: list[Held], held: int) -> tuple[set[str], set[str]]:
        """Search, and give the IDs that were found, and those that were not."""
        search, found = Search(wanted, held), set[str]()
        while (number := search.next_page()) is not None:
            found |= {each.id for each, _ in search.take(self.page(number))}
        return found, {each.id for each in search.missing}


RECORDS = make_invoices(400)


@pytest.mark.parametrize(
    ("wanted", "pages"),
    [(["in_400"], [1]), (["in_1"], [8]), (["in_200", "in_199", "in_10"], [5, 8]), ([], [])],
)
def test_a_list_that_is_as_it_was_costs_only_the_pages_of_the_invoices(
    wanted: list[str], pages: list[int]
) -> None:
    listed = List(RECORDS)
    held = [each for each in held_of(RECORDS) if each.id in wanted]

    assert listed.find(held, 400) == (set(wanted), set())
    assert listed.asked == pages


def test_a_list_that_has_grown_costs_one_page_more_at_most() -> None:
    known = RECORDS[70:]
    listed = List(RECORDS)

    found, missing = listed.find(held_of(known), len(known))

    assert found == {record["id"] for record in known}
    assert missing == set()
    assert sorted(listed.asked) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_what_is_new_is_counted_once_a_page_has_told() -> None:
    known = RECORDS[200:]
    listed = List(RECORDS)
    held = [each for each in held_of(known) if each.id == "in_5"]

    assert listed.find(held, len(known)) == ({"in_5"}, set())
    assert listed.asked == [4, 8]


def test_a_server_with_smaller_pages_is_believed() -> None:
    listed = List(RECORDS, per_page=20)
    held = [each for each in held_of(RECORDS) if each.id in {"in_400", "in_30"}]

    assert listed.find(held, 400) == ({"in_400", "in_30"}, set())
    assert listed.asked == [1, 19]


def test_an_invoice_that_is_gone_costs_the_page_where_it_should_be() -> None:
    listed = List([record for record in RECORDS if record["id"] != "in_225"])
    held = [each for each in held_of(RECORDS) if each.id == "in_225"]

    assert listed.find(held, 400) == (set(), {"in_225"})
    assert listed.asked == [4]


def test_records_that_are_not_held_move_an_invoice_not_far() -> None:
    listed = List(RECORDS)
    known = [record for number, record in enumerate(RECORDS) if number % 10]  # a tenth was rejected
    held = [each for each in held_of(known) if each.id == "in_3"]

    assert listed.find(held, len(known)) == ({"in_3"}, set())
    assert len(listed.asked) <= 2


def test_without_a_time_every_page_is_asked_for_once_at_worst() -> None:
    records = [*make_invoices(100), make_invoice(id="in_timeless", created=None)]
    listed = List(records, per_page=10)

    found, _ = listed.find([each for each in held_of(records) if each.id == "in_timeless"], 101)

    assert found == {"in_timeless"}
    assert sorted(set(listed.asked)) == sorted(listed.asked)


def test_invoices_without_an_id_are_found_by_all_that_they_say() -> None:
    records = [make_invoice(id=None, amount_due=number) for number in (1, 2, 2)]

    found, missing = List(records).find(held_of(records), 3)

    assert len(found) == 3
    assert missing == set()


def test_a_server_that_does_not_count_is_walked_to_its_end() -> None:
    listed = List(RECORDS[:5], per_page=2, counts=False)

    assert listed.find(held_of(RECORDS[:5]), 5)[0] >= {"in_400", "in_399"}
    assert len(set(listed.asked)) == len(listed.asked)


@given(seed=st.integers(0, 10**6), per_page=st.integers(1, 7))
def test_in_any_world_at_rest_all_that_is_listed_is_found_and_no_page_asked_twice(
    seed: int, per_page: int
) -> None:
    chance = Random(seed)  # noqa: S311 - a made-up world
    count = chance.randrange(1, 40)
    times = sorted((chance.randrange(20) for _ in range(count)), reverse=True)
    records = [make_invoice(id=f"in_{number}", created=time) for number, time in enumerate(times)]
    known = [record for record in records if chance.random() < 0.8]
    gone = make_invoice(id="in_gone", created=chance.randrange(20))
    wanted = [each for each in held_of([*known, gone]) if chance.random() < 0.7]
    listed = List(records, per_page)

    found, missing = listed.find(wanted, len(known) + 1)

    assert found == {each.id for each in wanted} - {"in_gone"}
    assert missing == {each.id for each in wanted} & {"in_gone"}
    assert len(set(listed.asked)) == len(listed.asked)
