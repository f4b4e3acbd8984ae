"""Any JSON at all: nothing crashes, nothing is lost without a word, and no package is blocked.

The documents are made as text, for a dict cannot say everything that JSON can. FUZZ sets how many.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from cf_invoice_source.cloudflare.answers import Failed, Malformed, read_page
from cf_invoice_source.exact_json import DuplicateKeys, decode, encode
from cf_invoice_source.invoices.record import Invoice, Reject, read_record
from cf_invoice_source.simulator import Simulator, World
from cf_invoice_source.simulator.faults import body
from cf_invoice_source.walk.page import Page
from tests.support.make import expected_row, make_document, make_invoice

EXAMPLES = int(os.environ.get("FUZZ", "300"))

NUMBERS = st.sampled_from(
    ["0", "-0", "-0.0", "1.50", "1e3", "1E+400", "1e-400", f"1e{'9' * 30}", "NaN", "Infinity", "-Infinity"]
    + [f"1{'0' * zeros}" for zeros in (9, 18, 19, 28, 29, 38, 99, 100, 5_000)]
    + ["0.123456789", "0.1234567891", "9007199254740993", "1767225600", "1767225600123", "253402300800"]
) | st.integers().map(str)

TEXTS = (
    st.text(max_size=12)
    | st.text(st.characters(categories=["Cs", "Cc", "Co", "Lo", "So"]), max_size=4)
    | st.sampled_from(
        [
            *(
                "007",
                "1.50",
                "NaN",
                "Infinity",
                "1e400",
                "0x1F",
                "true",
                "null",
                "epoch",
                "2026-01-01",
                "12:30",
            ),
            *(
                "2026-01-01T00:00:00Z",
                "550E8400-E29B-11D4-A716-446655440000",
                "\uf0261.5",
                "\uf0272026-01-01",
            ),
            *(
                "\x00",
                "\ud800",
                "'",
                '"',
                "\\",
                "--",
                "%s",
                "{}",
                "{0}",
                "é",
                "🙂",
                "ﬀ",
                "İ",
                "\u2028",
                "a" * 300,
            ),
        ]
    )
)

NAMES = TEXTS | st.sampled_from(
    [
        *(*make_invoice(), "invoice_pdf", "account_id", "accountId", "row_hash", "deleted", "version"),
        *("more_fields", "_dlt_id", "_dlt_load_id", "_DLT-ID"),
        *("a b", "a_b", "aB", "a__b", "a", "b", "value", "list", "select", ""),
    ]
)


def write_object(pairs: list[tuple[str, str]]) -> str:
    """A name may come twice."""
    return f"{{{', '.join(f'{json.dumps(name)}: {value}' for name, value in pairs)}}}"


JSON_TEXT: st.SearchStrategy[str] = st.recursive(
    NUMBERS | TEXTS.map(json.dumps) | st.sampled_from(["null", "true", "false"]),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(st.tuples(NAMES, inner), max_size=4).map(write_object)
    ),
    max_leaves=10,
)


@st.composite
def near_invoices(draw: st.DrawFn) -> str:
    """A valid invoice with some fields left out, put in another way, twice, or beside unknown ones."""
    pairs = [(name, json.dumps(value)) for name, value in make_invoice().items()]
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(pairs)))
        how = draw(st.sampled_from(["replace", "insert", "insert", "insert", "remove", "twice"]))
        if how == "insert":
            pairs.insert(place, (draw(NAMES), draw(JSON_TEXT)))
        elif place < len(pairs):
            name, value = pairs[place]
            pairs[place : place + 1] = {
                "replace": [(name, draw(JSON_TEXT))],
                "remove": [],
                "twice": [(name, value)] * 2,
            }[how]
    return write_object(pairs)


RECORDS = near_invoices() | near_invoices() | JSON_TEXT


def document_of(*records: str) -> str:
    marks = [f"record {number}" for number in range(len(records))]
    text = json.dumps(make_document(*marks))
    for mark, record in zip(marks, records, strict=True):
        text = text.replace(json.dumps(mark), record, 1)
    return text


@st.composite
def near_documents(draw: st.DrawFn) -> str:
    """A valid answer in which some bytes, or some part, are something else."""
    text = document_of(*draw(st.lists(RECORDS, max_size=3)))
    how = draw(st.sampled_from(["as it is", "cut", "replace", "put in"]))
    start, end = sorted(draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    if how == "cut":
        return text[:start]
    if how == "put in":
        return text[:start] + draw(JSON_TEXT) + text[start:]
    return text[:start] + draw(JSON_TEXT) + text[end:] if how == "replace" else text


@pytest.mark.slow
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(content=st.binary(max_size=40) | (JSON_TEXT | near_documents()).map(str.encode))
def test_any_bytes_are_a_page_a_failure_malformed_or_no_json(content: bytes) -> None:
    try:
        document = decode(content)
    except ValueError:
        return

    assert isinstance(read_page(document, 1), Page | Failed | Malformed)


@pytest.mark.slow
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(text=RECORDS)
def test_a_record_becomes_an_invoice_that_holds_all_of_it_or_a_reject_that_is_it(text: str) -> None:
    record = decode(text.encode())

    read = read_record(record)

    if isinstance(read, Reject):
        assert read.record is record
        assert repr(decode(encode(record).encode())) == repr(record)
        assert read.reason.isprintable()
        assert len(read.reason) < 3_000
    else:
        assert isinstance(read, Invoice)
        known = expected_row("", {"id": None, **record})
        unread = read.values.get("more_fields", {}).keys()
        assert read.id == (known["id"] or None)
        for name in DOCUMENTED:
            if name != "invoice_pdf":
                assert read.values[name] == known[name]
            assert name not in unread or (read.values[name] is None and record[name] is not None)
        unknown = [value for name, value in record.items() if name not in DOCUMENTED and name != "id"]
        unknown += [record[name] for name in unread & {*DOCUMENTED, "id"}]
        assert Counter(leaves(unknown)) == Counter(leaves(unknown_of(read.values)))


def leaves(value: Any) -> Iterator[tuple[str, str]]:
    """Every single value of a document, so that 1 and 1.0 are the same, but not 1 and true, or 1 and "1"."""
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, DuplicateKeys):
        for _, item in value.pairs:
            yield from leaves(item)
    elif isinstance(value, int | Decimal) and not isinstance(value, bool):
        yield "number", str(Decimal(value).normalize(WIDE)) if value else "0"
    elif value is not None:
        yield type(value).__name__, str(value)


WIDE = Context(prec=10_000, Emax=MAX_EMAX, Emin=MIN_EMIN)


class Machine:
    """One account, one pipeline, one DuckDB file, for one list after the other."""

    def __init__(self, exits: ExitStack, place: Path) -> None:
        world = World(seed=1)
        self.account_id = world.add_account().id
        self.simulator = exits.enter_context(Simulator(world))
        self.simulator.quota = 10**9
        self.path = place / "warehouse.duckdb"
        self.database = exits.enter_context(duckdb.connect(str(self.path)))
        self.place = place

    def load(self, records: list[str]) -> Any:
        import dlt

        from cf_invoice_source import load

        pipeline = dlt.pipeline(
            "fuzz",
            pipelines_dir=str(self.place / "pipelines"),
            destination=dlt.destinations.duckdb(str(self.path)),
            dataset_name="cf_invoices",
        )
        self.simulator.faults[:] = [body(document_of(*records).encode())]
        report = load(
            pipeline,
            full=True,  # the list is another one each time, not the same one later
            accept_deletions=True,  # as above
            account_id=self.account_id,
            base_url=self.simulator.base_url,
            credentials={"api_token": self.simulator.token},
        )
        assert not pipeline.has_pending_data
        return report

    def rows(self, table: str) -> list[dict[str, Any]]:
        found = self.database.execute(f"SELECT * FROM cf_invoices.{table}")  # noqa: S608 - names of ours
        columns = [column[0] for column in found.description]
        return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]

    def below(self) -> Iterator[Any]:
        """What the tables hold that dlt made for lists."""
        tables = self.database.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'cf_invoices' "
            "AND starts_with(table_name, 'invoices__')"
        ).fetchall()
        for (table,) in tables:
            for row in self.rows(table):
                yield {name: value for name, value in row.items() if not name.startswith("_dlt")}


@pytest.mark.slow
@pytest.mark.usefixtures("dlt_here")
def test_every_record_of_any_list_ends_in_one_table_once_with_all_that_it_says(tmp_path: Path) -> None:
    with ExitStack() as exits:
        machine = Machine(exits, tmp_path)
        numbers = count()

        @settings(max_examples=max(4, EXAMPLES // 30), suppress_health_check=list(HealthCheck))
        @given(records=st.lists(RECORDS, min_size=5, max_size=40))
        def check(records: list[str]) -> None:
            listed = [give_id(text, next(numbers)) for text in records]
            read = [read_record(decode(text.encode())) for text in listed]
            ids = Counter(item.id for item in read if item.id is not None)
            assume(not ids or max(ids.values()) == 1)
            # A record that was an invoice in another list would keep its row.
            assume(all(item.id is None or item.id.startswith("in_") for item in read if item.is_reject))
            report = machine.load(listed)
            invoices = {
                item.id or number: item for number, item in enumerate(read) if isinstance(item, Invoice)
            }
            rejects = [item for item in read if isinstance(item, Reject)]
            held = {row["id"]: row for row in machine.rows("invoices")}

            assert [account.unverified_reason for account in report.accounts] == [""]
            assert len(held) == len(invoices)
            assert held.keys() >= invoices.keys() & ids.keys()
            assert Counter(
                row["raw"] for row in machine.rows("invoice_rejects") if not row["resolved_at"]
            ) == Counter(encode(reject.record) for reject in rejects)
            for key in held.keys() & invoices.keys():
                row, values = held[key], invoices[key].values
                assert {name: row[name] for name in DOCUMENTED} == {name: values[name] for name in DOCUMENTED}
            said = Counter(leaves([unknown_of(item.values) for item in invoices.values()]))
            kept = Counter(leaves([*map(unknown_in, held.values()), *machine.below()]))
            assert said == kept

        check()


DOCUMENTED = [*make_invoice().keys() - {"id"}, "invoice_pdf"]

NO_FIELDS = {*DOCUMENTED, "id", "account_id", "row_hash", "deleted", "more_fields", "_dlt_id", "_dlt_load_id"}


def give_id(text: str, number: int) -> str:
    """Let no two records of any list have the same id, and let the list be ordered."""
    return text.replace('"id": "in_1"', f'"id": "in_{number}"').replace(
        '"created": 1767225600,', '"created": null,'
    )


def unknown_of(values: Any) -> Any:
    return [value for name, value in values.items() if name not in DOCUMENTED]


def unknown_in(row: dict[str, Any]) -> Any:
    more = decode((row.get("more_fields") or "{}").encode())
    return [more, *(value for name, value in row.items() if name not in NO_FIELDS)]
