"""Destinations that cannot run here, by dlt's own word: what it declares, generates and sends for them.

dlt's own clients make the DDL, the merge and our queries; in place of a connection they have one that notes
what the driver was given. What a database does with it stays untried.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import dlt
import pytest
import sqlglot
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.destination.utils import resolve_merge_strategy
from dlt.common.schema import Schema
from dlt.destinations.job_client_impl import SqlJobClientBase
from sqlglot import exp
from sqlglot.optimizer.scope import traverse_scope

from cf_invoice_source.errors import SettingsError
from cf_invoice_source.invoices.tables import INVOICES, TABLES
from cf_invoice_source.invoices.values import FRACTION_DIGITS, INTEGER_DIGITS
from cf_invoice_source.reporting.rows import ReportQueries
from cf_invoice_source.source import empty_tables
from cf_invoice_source.walk.bookmark import Bookmark, HighWaterMark, to_text
from cf_invoice_source.warehouse.documents import DocumentQueries
from cf_invoice_source.warehouse.questions import Question
from cf_invoice_source.warehouse.staging import separate_staging
from cf_invoice_source.warehouse.stored import StoredRows

CREDENTIALS: Mapping[str, Mapping[str, str]] = {
    "bigquery": {"project_id": "finance", "private_key": "made-up", "client_email": "a@example.com"},
    "clickhouse": {"database": "finance", "username": "loader", "password": "made-up", "host": "nowhere"},
    "databricks": {"server_hostname": "nowhere", "http_path": "/", "access_token": "x", "catalog": "finance"},
    "motherduck": {"database": "finance", "password": "made-up"},
    "redshift": {"database": "finance", "username": "loader", "password": "made-up", "host": "nowhere"},
    "snowflake": {"database": "finance", "username": "loader", "password": "made-up", "host": "nowhere"},
}
"""The destinations, and settings that look like theirs."""

TYPES: Mapping[str, Mapping[str, str]] = {
    "bigquery": {
        "text": "STRING",
        "decimal": "NUMERIC(38,9)",
        "timestamp": "TIMESTAMP",
        "bigint": "INT64",
        "bool": "BOOL",
    },
    "clickhouse": {
        "text": "String",
        "decimal": "Decimal(38,9)",
        "timestamp": "DateTime64(6,'UTC')",
        "bigint": "Int64",
        "bool": "Boolean",
    },
    "databricks": {
        "text": "STRING",
        "decimal": "DECIMAL(38,9)",
        "timestamp": "TIMESTAMP",
        "bigint": "BIGINT",
        "bool": "BOOLEAN",
    },
    "motherduck": {
        "text": "VARCHAR",
        "decimal": "DECIMAL(38,9)",
        "timestamp": "TIMESTAMP WITH TIME ZONE",
        "bigint": "BIGINT",
        "bool": "BOOLEAN",
    },
    "redshift": {
        "text": "varchar(max)",
        "decimal": "numeric(38,9)",
        "timestamp": "timestamp with time zone",
        "bigint": "bigint",
        "bool": "boolean",
    },
    "snowflake": {
        "text": "VARCHAR",
        "decimal": "NUMBER(38,9)",
        "timestamp": "TIMESTAMP_LTZ",  # nanoseconds, where nothing is said
        "bigint": "NUMBER(19,0)",
        "bool": "BOOLEAN",
    },
}
"""What holds each of our types exactly there, as the vendors' references say."""

TEXT_BYTES: Mapping[str, int] = {
    "bigquery": 10 * 2**20,
    "clickhouse": 2**30,
    "databricks": 16 * 2**20,
    "motherduck": 2**30,
    "redshift": 65_535,
    "snowflake": 16 * 2**20,
}
"""How long a text may be, at least."""

PARAMETERS = {"bigquery": 10_000}
"""How many parameters one query may have. The other drivers write them into the text, or set no bound."""


class NoRows(list[Any]):
    """An answer of BigQuery's."""

    schema = ()
    total_rows = 0
    num_dml_affected_rows = None

    def _should_use_bqstorage(self, *_: Any, **__: Any) -> bool:
        return False


@dataclass
class Sent:
    """A connection that notes what dlt's client hands to the driver, and has no rows."""

    queries: list[tuple[str, Any]] = field(default_factory=list)
    description: Sequence[Any] = ()

    def cursor(self) -> Sent:
        return self

    def execute(self, sql: str, parameters: Any = None, **_: Any) -> Sent:
        self.queries.append((sql, parameters))
        return self

    def query_and_wait(self, sql: str, job_config: Any, **_: Any) -> Any:
        """Take what BigQuery's own driver has made of a query."""
        self.queries.append((sql, [parameter.value for parameter in job_config.query_parameters]))
        return NoRows()

    def fetchmany(self, _: int) -> list[Any]:
        return []

    def fetchall(self) -> list[Any]:
        return []

    def _ensure_bqstorage_client(self) -> None: ...

    def close(self) -> None: ...

    def __enter__(self) -> Sent:  # noqa: PYI034 - typing.Self came with 3.11
        return self

    def __exit__(self, *_: object) -> None: ...


_ERROR = type("Error", (Exception,), {})

DRIVERS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "databricks": {
        "databricks.sql": {"ServerOperationError": _ERROR, "DatabaseError": _ERROR},
        "databricks.sql.client": {"Connection": object, "Cursor": object},
        "databricks.sql.exc": {"Error": _ERROR},
    },
    "snowflake": {
        "snowflake.connector": {
            "SnowflakeConnection": object,
            "DatabaseError": _ERROR,
            "Error": _ERROR,
            "cursor": SimpleNamespace(SnowflakeCursor=object),
        }
    },
}
"""What dlt imports of the two large drivers (147 and 57 MB). Both put `%s` in by Python's own `%`."""


@contextmanager
def drivers() -> Iterator[None]:
    """Stand in for the large drivers while dlt imports its clients."""
    modules = {name: content for driver in DRIVERS.values() for name, content in driver.items()}
    for name, content in modules.items():
        parent, _, own = name.rpartition(".")
        above = sys.modules.setdefault(parent, ModuleType(parent))
        module = sys.modules[name] = ModuleType(name)
        vars(module).update(content)
        setattr(above, own, module)
    try:
        yield
    finally:
        for name in (*modules, *DRIVERS):
            sys.modules.pop(name, None)


@dataclass(frozen=True)
class Contract:
    """One destination: what dlt declares of it, and its clients for our tables."""

    name: str
    pipeline: dlt.Pipeline
    client: SqlJobClientBase

    @property
    def caps(self) -> DestinationCapabilitiesContext:
        return self.client.capabilities

    @property
    def schema(self) -> Schema:
        return self.client.schema

    @property
    def dialect(self) -> str:
        return str(self.caps.sqlglot_dialect)

    def ddl(self, table: str) -> list[str]:
        """The statements that create a table."""
        columns = list(self.schema.get_table_columns(table).values())
        return self.client._get_table_update_sql(table, columns, generate_alter=False)  # noqa: SLF001 - as dlt's tests

    def definitions(self, table: str) -> dict[str, str]:
        """What the CREATE TABLE says of each column, without its comment."""
        lines = re.findall(r"^[`\"](\w+)[`\"] (.+?)[, ]*$", self.ddl(table)[0], re.MULTILINE)
        definitions = {name.lower(): " ".join(_COMMENT.sub("", text).split()) for name, text in lines}
        return {
            name: definition[: None if definition.count("(") == definition.count(")") else -1]
            for name, definition in definitions.items()
        }

    def merge(self, table: str) -> list[exp.Expr]:
        """The statements by which dlt brings staged rows into a table."""
        (job,) = self.client._create_merge_followup_jobs([self.client.prepare_load_table(table)])  # noqa: SLF001 - likewise
        statements = Path(job.new_file_path()).read_text(encoding="utf-8").splitlines()
        return [sqlglot.parse_one(statement, dialect=self.dialect) for statement in statements]


_COMMENT = re.compile(r" (?:COMMENT '.*'|OPTIONS ?\(description='.*'\))")


@cache
def made(name: str) -> Contract:
    """Make the tables' schema as a load would, up to the files that would be sent."""
    with drivers():
        pipeline = dlt.pipeline(f"contract_{name}", destination=name, dataset_name="cf_invoices")
        separate_staging(pipeline)
        pipeline.extract(empty_tables())
        pipeline.normalize()
        client = pipeline.destination_client()
    assert isinstance(client, SqlJobClientBase)
    return Contract(name, pipeline, client)


@pytest.fixture(params=CREDENTIALS)
def contract(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, dlt_here: None) -> Contract:
    for name, value in CREDENTIALS[request.param].items():
        monkeypatch.setenv(f"DESTINATION__{request.param}__CREDENTIALS__{name}".upper(), value)
    return made(request.param)


def test_a_decimal_holds_what_a_row_may_hold(contract: Contract) -> None:
    assert contract.caps.decimal_precision == (INTEGER_DIGITS + FRACTION_DIGITS, FRACTION_DIGITS)


def test_a_timestamp_has_a_time_zone_and_microseconds(contract: Contract) -> None:
    assert contract.caps.supports_tz_aware_datetime
    assert contract.caps.timestamp_precision >= 6


def test_a_text_may_be_as_long_as_the_readme_says(contract: Contract) -> None:
    assert contract.caps.max_text_data_type_length >= TEXT_BYTES[contract.name]


def test_each_column_is_made_with_the_type_that_holds_its_values_exactly(contract: Contract) -> None:
    kinds = TYPES[contract.name]

    for table, ours in TABLES.items():
        definitions = contract.definitions(table)
        for name, column in ours.columns.items():
            kind = definitions[name].removesuffix(" NOT NULL")
            assert re.sub(r"^Nullable\((.*)\)$", r"\1", kind) == kinds[column.type], (table, name)


@pytest.mark.parametrize("contract", ["bigquery", "databricks", "snowflake"], indirect=True)
def test_every_description_stands_in_the_statement_that_creates_the_column(contract: Contract) -> None:
    for table, ours in TABLES.items():
        lines = [line for statement in contract.ddl(table) for line in statement.splitlines()]
        for name, column in ours.columns.items():
            (line,) = [line for line in lines if line[1:].lower().startswith(f"{name}{line[:1].lower()} ")]
            assert column.description in unescaped(line), (table, name)


@pytest.mark.parametrize("contract", ["bigquery", "databricks"], indirect=True)
def test_every_table_is_described_where_dlt_can_say_it(contract: Contract) -> None:
    for table, ours in TABLES.items():
        assert ours.description in unescaped(contract.ddl(table)[-1]), table


def unescaped(text: str) -> str:
    return text.replace("\\'", "'").replace("''", "'")


def test_only_keys_are_required(contract: Contract) -> None:
    for table, ours in TABLES.items():
        definitions = contract.definitions(table)
        required = {name for name, definition in definitions.items() if is_required(contract, definition)}

        assert required == {*ours.key, "_dlt_id", "_dlt_load_id"}, table


def is_required(contract: Contract, definition: str) -> bool:
    if contract.name == "clickhouse":
        return not definition.startswith("Nullable(")
    return definition.endswith(" NOT NULL")


def test_every_table_is_merged_by_deleting_and_inserting(contract: Contract) -> None:
    tables = contract.schema.tables

    for table in TABLES:
        assert resolve_merge_strategy(tables, tables[table], contract.caps) == "delete-insert"


def test_the_merge_takes_a_deleted_invoice_out_by_its_key_and_does_not_insert_it_again(
    contract: Contract,
) -> None:
    delete, insert = contract.merge(INVOICES)

    assert isinstance(delete, exp.Delete)
    assert {column.name.lower() for column in delete.find_all(exp.Column)} == {"account_id", "id"}
    assert isinstance(insert, exp.Insert)
    where = list(insert.find_all(exp.Where))[-1].sql(dialect=contract.dialect).lower()
    assert re.search(r"\W?deleted\W? is null or \W?deleted\W? = false", where)


def test_names_are_short_enough_and_stay_different_in_the_databases_own_case(contract: Contract) -> None:
    client = contract.client.sql_client
    tables = [
        client.make_qualified_table_name_path(table, quote=False)[-1] for table in contract.schema.tables
    ]
    datasets = [client.dataset_name, client.staging_dataset_name]

    assert {"_dlt_version", "_dlt_loads", "_dlt_pipeline_state", *TABLES} <= contract.schema.tables.keys()
    assert max(map(len, tables + datasets)) <= contract.caps.max_identifier_length
    assert len(set(map(str.lower, tables))) == len(tables)
    for table in contract.schema.tables.values():
        names = [client.escape_column_name(name, quote=False) for name in table["columns"]]
        assert max(map(len, names)) <= contract.caps.max_column_identifier_length
        assert len(set(map(str.lower, names))) == len(names)


MOST_ACCOUNTS = {"redshift": 800}
"""How many accounts one pipeline can load at least, where that is not 10,000."""


def test_the_state_of_so_many_accounts_fits_into_a_row_and_more_are_refused_first(contract: Contract) -> None:
    stored = StoredRows(contract.pipeline)
    most = MOST_ACCOUNTS.get(contract.name, 10_000)
    account_ids = [sha256(bytes([*divmod(number, 256)])).hexdigest()[:32] for number in range(2 * most)]

    stored.check_state({}, account_ids[:most])

    if contract.name in MOST_ACCOUNTS:
        with pytest.raises(SettingsError, match="1,600 accounts takes 95,") as caught:
            stored.check_state({}, account_ids)
        assert "at most 65,535 bytes" in caught.value.cause
        assert "3 shares" in caught.value.remedy


def test_the_state_of_an_account_with_so_many_unsettled_invoices_fits_into_a_row(contract: Contract) -> None:
    stored = StoredRows(contract.pipeline)
    keys = {number: f"in_1{sha256(b'%d' % number).hexdigest()[:36]}" for number in range(1, 4_001)}

    def bookmarks(unsettled: int) -> dict[str, str]:
        some = {number: keys[number] for number in range(1, unsettled + 1)}
        return {"a" * 32: to_text(Bookmark(mark=HighWaterMark(unsettled, keys[unsettled], some)))}

    stored.check_state(bookmarks(1_800))

    if contract.name == "redshift":
        with pytest.raises(SettingsError, match="1 account takes") as caught:
            stored.check_state(bookmarks(4_000))
        assert "longer texts" in caught.value.remedy


def test_pipelines_have_staging_tables_of_their_own(contract: Contract) -> None:
    assert re.fullmatch(
        "cf_invoices_staging_[0-9a-f]{8}", contract.client.sql_client.staging_dataset_name.lower()
    )


IDS = {f"anonymous:{number:064x}:1" for number in range(1_500)}
"""The longest that we make, and more than go into one query."""

SOME = {f"in_{number}" for number in range(5)}


def sent(contract: Contract, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """Ask all that we ever ask; give what reached the driver."""
    connection = Sent()
    client = type(contract.client.sql_client)

    def open_connection(self: Any) -> Sent:
        self._client = self._conn = connection
        return connection

    monkeypatch.setattr(client, "open_connection", open_connection)
    monkeypatch.setattr(client, "close_connection", lambda _: None)
    stored = StoredRows(contract.pipeline)
    keys = {"a:1"}
    with stored.connected():
        stored.missing_schema()
        stored.syncs_so_far("all")
        stored.stored_states()
        stored.held([Question("a", IDS), *(Question(f"{each:032x}", SOME) for each in range(1_500))])
        stored.held([Question("a", IDS, lambda _: True, lambda _: True, needs_rejects=True)])
        stored.rows("a", IDS)
        stored.accounts()
        stored.reject_rows("a", keys)
        stored.counts()
    queries = ReportQueries(contract.pipeline.dataset())
    queries.newest()
    list(queries.open_amounts())
    queries.last_syncs()
    queries.last_full_syncs()
    queries.last_verified_syncs()
    queries.unbalanced()
    queries.check_columns()
    list(queries.invoices(()))
    list(queries.versions(()))
    queries.first_seen()
    list(queries.syncs((), every=False))
    list(queries.syncs((), every=True))
    queries.last_numbers()
    monkeypatch.setattr(DocumentQueries, "has_documents", lambda _self: True)
    documents = DocumentQueries(contract.pipeline.dataset())
    documents.undocumented()
    list(documents.invoices())
    list(documents.documents())
    list(documents.failures())
    return connection.queries


def written(contract: Contract, sql: str, parameters: Any) -> str:
    """Put parameters into a query, as the driver would: too many or too few are an error."""
    values = list(parameters.values() if isinstance(parameters, Mapping) else parameters or ())
    if contract.name in {"bigquery", "motherduck"}:
        assert sql.count("?") == len(values)
        assert "%" not in sql
        return sql
    if isinstance(parameters, Mapping):
        return sql % {name: f"'{value}'" for name, value in parameters.items()}
    return sql % tuple(f"'{value}'" for value in values)


@pytest.mark.quick("bigquery", "snowflake")
def test_what_we_ask_is_good_sql_there_with_a_place_for_each_value(
    contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = sent(contract, monkeypatch)

    assert len(queries) >= 20
    for sql, parameters in queries:
        text = written(contract, sql, parameters)
        (query,) = sqlglot.parse(text, dialect=contract.dialect)
        assert isinstance(query, exp.Query), text
        assert len(text.encode()) <= contract.caps.max_query_length
        assert len(parameters or ()) <= PARAMETERS.get(contract.name, len(IDS))


@pytest.mark.quick("bigquery", "snowflake")
def test_what_we_ask_needs_nothing_that_some_database_lacks(
    contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sql, parameters in sent(contract, monkeypatch):
        query = sqlglot.parse_one(written(contract, sql, parameters), dialect=contract.dialect)

        assert not query.find(exp.Limit), "SQL Server has no LIMIT"
        for scope in traverse_scope(query):
            assert not scope.is_correlated_subquery, "ClickHouse and Redshift cannot, or not all of them"
