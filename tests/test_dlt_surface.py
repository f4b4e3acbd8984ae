"""What we rely on in dlt beyond its documentation, over real dlt: a new dlt shows here what it broke.

The name of a test is what we rely on, its docstring says where. The tables at the end say which name of dlt
may stand in which module.
"""

from __future__ import annotations

import ast
import inspect
import json
import logging
import signal
import string
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import dlt
import pytest
from dlt.common.configuration import configspec
from dlt.common.configuration.specs import BaseConfiguration
from dlt.sources.helpers import requests
from requests.adapters import BaseAdapter

from tests.conftest import Naps, Warehouse
from tests.test_architecture import FILES

if TYPE_CHECKING:
    from dlt.destinations.job_client_impl import SqlJobClientBase
    from dlt.destinations.sql_client import SqlClientBase
    from dlt.pipeline.exceptions import PipelineStepFailed

LAYOUT = "staging_dataset_name_layout"

KEY = {"primary_key": "id", "write_disposition": "merge"}


@pytest.fixture
def pipeline(dlt_here: None, warehouse: Warehouse, held: object) -> dlt.Pipeline:
    return dlt.pipeline("watched", destination="duckdb", dataset_name="cf_invoices")


@pytest.fixture
def loaded(pipeline: dlt.Pipeline) -> dlt.Pipeline:
    """A pipeline that has loaded one row: {"id": 1, "name": "a"} of `things`."""
    load(pipeline, [{"id": 1, "name": "a"}])
    return pipeline


def load(pipeline: dlt.Pipeline, rows: Iterable[Any], table: str = "things", **hints: Any) -> None:
    resource: Any = dlt.resource
    pipeline.run(resource(rows, name=table, **(KEY | hints)))


def sql_client(pipeline: dlt.Pipeline) -> SqlClientBase[Any]:
    from dlt.destinations.sql_client import WithSqlClient

    client = pipeline.destination_client()
    assert isinstance(client, WithSqlClient)
    return client.sql_client


def client_of(pipeline: dlt.Pipeline) -> SqlJobClientBase:
    from dlt.destinations.job_client_impl import SqlJobClientBase

    client = pipeline.destination_client()
    assert isinstance(client, SqlJobClientBase)
    return client


# Settings


@configspec
class Spec(BaseConfiguration):
    days: int = 7


def read(pipeline_name: str | None = None) -> Spec:
    from dlt.common.configuration import resolve_configuration
    from dlt.common.configuration.resolve import inject_section
    from dlt.common.configuration.specs import known_sections
    from dlt.common.configuration.specs.config_section_context import ConfigSectionContext

    with inject_section(ConfigSectionContext(pipeline_name, sections=(known_sections.SOURCES, "mine"))):
        return resolve_configuration(Spec())


@pytest.mark.usefixtures("dlt_here")
def test_the_settings_of_a_pipeline_come_before_those_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """`warehouse.dataset_ref.settings_of`."""
    monkeypatch.setenv("SOURCES__MINE__DAYS", "1")
    monkeypatch.setenv("WATCHED__SOURCES__MINE__DAYS", "2")

    assert (read("watched").days, read("other").days) == (2, 1)


def test_a_provider_gives_a_value_of_just_the_sections_asked_for_and_says_where_it_stands(
    place: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """`loading.lookup.find`."""
    (place / ".dlt").mkdir()
    (place / ".dlt" / "config.toml").write_text("[sources.mine]\ndays = 2\n")
    request.getfixturevalue("dlt_here")
    monkeypatch.setenv("DAYS", "3")
    monkeypatch.setenv("WATCHED__SOURCES__MINE__DAYS", "1")
    asked = [
        (
            provider.name,
            provider.supports_secrets,
            provider.get_value("days", int, name, "sources", "mine"),
            provider.get_value_location("days", name, "sources", "mine"),
        )
        for name in ("watched", None)
        for provider in dlt.config.config_providers
        if provider.supports_sections
    ]

    assert [each for each in asked if each[2][0] is not None] == [
        ("Environment Variables", True, ("1", "WATCHED__SOURCES__MINE__DAYS"), ""),
        ("config.toml", False, (2, "sources.mine.days"), "config.toml"),
    ]


@pytest.mark.parametrize(
    ("value", "hint", "read_as"),
    [
        ("yes", bool, True),
        ("0", bool, False),
        ("1.5", float, 1.5),
        ('{"a": 1}', dict, {"a": 1}),
        (7, str, "7"),
    ],
)
def test_a_setting_is_read_as_its_hint_says(value: Any, hint: Any, read_as: Any) -> None:
    """`loading.lookup.find`."""
    from dlt.common.configuration.utils import deserialize_value

    assert deserialize_value("setting", value, hint) == read_as
    assert deserialize_value("setting", value, Any) is value


def test_a_source_without_fields_in_its_spec_is_given_what_it_was_called_with(
    dlt_here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`source`: dlt looks nothing up, neither for the source nor for its resource's cursor."""
    monkeypatch.setenv("DAYS", "3")
    monkeypatch.setenv("CREATED__INITIAL_VALUE", "4")
    given = []

    @dlt.source(name="mine", spec=BaseConfiguration)
    def source(days: int | None = None) -> Any:
        given.append(days)
        return rows()

    @dlt.resource(spec=BaseConfiguration)
    def rows(created: dlt.sources.incremental[int] = dlt.sources.incremental("created")) -> Any:  # noqa: B008
        given.append(created.initial_value)
        yield []

    assert list(source()) == []
    assert given == [None, None]


@pytest.mark.usefixtures("dlt_here")
def test_the_error_of_a_wrong_setting_says_which_and_of_what_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """`warehouse.dlt_errors._unusable`, which takes the value away."""
    from dlt.common.configuration.exceptions import (
        ConfigurationException,
        ConfigValueCannotBeCoercedException,
    )

    monkeypatch.setenv("SOURCES__MINE__DAYS", "many")

    with pytest.raises(ConfigValueCannotBeCoercedException) as raised:
        read()

    assert isinstance(raised.value, ConfigurationException)
    assert (raised.value.field_name, raised.value.field_value, raised.value.hint) == ("days", "many", int)


@pytest.mark.usefixtures("dlt_here")
def test_the_error_of_a_missing_setting_says_which_and_of_what() -> None:
    """`warehouse.dlt_errors._of_settings`."""
    from dlt.common.configuration.exceptions import ConfigFieldMissingException

    with pytest.raises(ConfigFieldMissingException) as raised:
        dlt.destinations.postgres().client(dlt.Schema("mine"))

    assert raised.value.spec_name == "PostgresClientConfiguration"
    assert "credentials" in raised.value.traces


def test_the_error_of_a_missing_package_names_it() -> None:
    """`warehouse.dlt_errors._of_settings`."""
    from dlt.common.exceptions import MissingDependencyException

    error = MissingDependencyException("the destination", ["dlt[postgres]"])

    assert (error.caller, error.dependencies) == ("the destination", ["dlt[postgres]"])


@pytest.mark.usefixtures("dlt_here")
def test_the_loader_says_whether_it_passes_over_refused_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """`loading.job.check_loader_settings`."""
    from dlt.common.configuration import resolve_configuration
    from dlt.common.configuration.resolve import inject_section
    from dlt.common.configuration.specs import known_sections
    from dlt.common.configuration.specs.config_section_context import ConfigSectionContext
    from dlt.load.configuration import LoaderConfiguration

    def is_strict(pipeline_name: str) -> bool:
        with inject_section(ConfigSectionContext(pipeline_name, sections=(known_sections.LOAD,))):
            return resolve_configuration(LoaderConfiguration(), accept_partial=True).raise_on_failed_jobs

    monkeypatch.setenv("WATCHED__LOAD__RAISE_ON_FAILED_JOBS", "false")

    assert (is_strict("watched"), is_strict("other")) == (False, True)


@pytest.mark.usefixtures("dlt_here")
def test_the_directory_of_a_pipeline_is_a_setting_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """`warehouse.dataset_ref._pipelines_dir`."""
    from dlt.common.configuration import resolve_configuration
    from dlt.common.configuration.specs import known_sections
    from dlt.pipeline.configuration import PipelineConfiguration

    def directory(name: str) -> str | None:
        sections = (known_sections.PIPELINES, name)
        return resolve_configuration(
            PipelineConfiguration(pipeline_name=name), sections=sections
        ).pipelines_dir

    monkeypatch.setenv("PIPELINES__WATCHED__PIPELINES_DIR", "there")

    assert (directory("watched"), directory("other")) == ("there", None)


@pytest.mark.parametrize("name", ["a/b", "../a", "a\\b"])
def test_a_name_that_leads_elsewhere_is_no_file_name(name: str) -> None:
    """`warehouse.dataset_ref._is_file_name`."""
    from dlt.common.storages import FileStorage

    FileStorage.validate_file_name_component("a_b")
    with pytest.raises(ValueError):  # noqa: PT011 - dlt's message is its own
        FileStorage.validate_file_name_component(name)


def test_the_log_takes_what_an_error_says_in_fields_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """`cli.output._configure_log`, `cli.screen.show_error`."""
    from dlt.common import logger

    records: list[logging.LogRecord] = []
    own = logging.Logger("own")  # noqa: LOG001 - no other test is to meet it
    monkeypatch.setattr(own, "handle", records.append)
    monkeypatch.setattr(logger, "LOGGER", None)
    before = logger.is_logging()
    monkeypatch.setattr(logger, "LOGGER", own)

    logger.critical("it broke", exc_info=False, extra={"remedy": "mend it"})
    [record] = records

    assert (before, logger.is_logging()) == (False, True)
    assert (logger.is_json_logging("JSON"), logger.is_json_logging("{message}")) == (True, False)
    assert (record.levelname, record.msg, vars(record)["remedy"]) == ("CRITICAL", "it broke", "mend it")


@pytest.mark.usefixtures("dlt_here")
def test_dlt_says_whether_a_pipeline_is_there_without_making_one(warehouse: Warehouse) -> None:
    """`warehouse.staging.separate_staging_of_the_active_pipeline`."""
    from dlt.common.configuration.container import Container
    from dlt.common.pipeline import PipelineContext

    Container()[PipelineContext].deactivate()
    before = Container()[PipelineContext].is_active()
    dlt.pipeline("watched", destination="duckdb")

    assert (before, Container()[PipelineContext].is_active()) == (False, True)


# Destinations


@pytest.mark.usefixtures("dlt_here")
def test_an_unknown_destination_is_an_error_of_dlt() -> None:
    """`warehouse.dataset_ref.DatasetRef.of`."""
    from dlt.common.destination import Destination
    from dlt.common.exceptions import DltException

    known = Destination.from_reference("duckdb")

    assert known is not None
    assert known.destination_type == "dlt.destinations.duckdb"
    with pytest.raises(DltException):
        Destination.from_reference("nonsense")


def test_a_layout_that_is_set_on_a_destination_names_its_staging_dataset(
    pipeline: dlt.Pipeline, warehouse: Warehouse
) -> None:
    """`warehouse.staging.name_staging`: also once the pipeline has it, and has made a client of it."""
    from dlt.common.destination.client import DestinationClientDwhConfiguration

    config = pipeline.destination_client().config
    assert isinstance(config, DestinationClientDwhConfiguration)
    default = config.staging_dataset_name_layout
    pipeline.destination.config_params[LAYOUT] = "%s_mine"

    load(pipeline, [{"id": 1}])
    made = {name for (name,) in warehouse.query("SELECT schema_name FROM information_schema.schemata")}

    assert default == DestinationClientDwhConfiguration.staging_dataset_name_layout == "%s_staging"
    assert sql_client(pipeline).staging_dataset_name == "cf_invoices_mine"
    assert "cf_invoices_mine" in made
    assert "cf_invoices_staging" not in made


@pytest.mark.usefixtures("dlt_here")
def test_a_destination_that_is_told_so_loads_one_job_at_a_time() -> None:
    """`warehouse.staging.separate_staging`, for SQLite."""
    from dlt.load.configuration import LoaderConfiguration
    from dlt.load.utils import get_available_worker_slots

    destination = dlt.destinations.duckdb()
    workers = LoaderConfiguration(workers=20)

    before = get_available_worker_slots(workers, destination.capabilities(), [])
    destination.caps_params["loader_parallelism_strategy"] = "sequential"

    assert (before, get_available_worker_slots(workers, destination.capabilities(), [])) == (20, 1)


@pytest.mark.usefixtures("dlt_here")
def test_relative_paths_of_a_file_begin_in_the_directory_that_is_set(tmp_path: Path) -> None:
    """`warehouse.dataset_ref.DatasetRef.of`."""
    from dlt.common.configuration.specs import ConnectionStringCredentials
    from dlt.common.destination import Destination
    from dlt.common.storages import WithLocalFiles

    destination = Destination.from_reference("duckdb")
    assert destination is not None
    assert issubclass(destination.spec, WithLocalFiles)
    destination.config_params |= {
        "local_dir": str(tmp_path),
        "pipeline_name": "watched",
        "pipeline_working_dir": str(tmp_path / "working"),
        "credentials": "here.duckdb",
    }

    credentials = dlt.dataset(
        destination, "mine", schema=dlt.Schema("s")
    ).destination_client.config.credentials

    assert isinstance(credentials, ConnectionStringCredentials)
    assert (credentials.drivername, credentials.database) == ("duckdb", str(tmp_path / "here.duckdb"))


@pytest.mark.usefixtures("dlt_here")
def test_the_client_of_a_dataset_has_its_schema_and_opens_nothing(warehouse: Warehouse) -> None:
    """`warehouse.dataset_ref.DatasetRef.client`, `warehouse.stored.StoredRows._connect_to_ours`."""
    from dlt.common.destination.client import WithStateSync
    from dlt.common.schema.utils import new_column, new_table
    from dlt.destinations.job_client_impl import SqlJobClientBase
    from dlt.destinations.sql_client import WithSqlClient

    schema = dlt.Schema("mine")
    schema.update_table(new_table("scratch", columns=[new_column("tried", "bigint")]))

    client = dlt.dataset(dlt.destinations.duckdb(), "cf_invoices", schema=schema).destination_client

    assert isinstance(client, SqlJobClientBase)
    assert isinstance(client, WithStateSync)
    assert isinstance(client, WithSqlClient)
    assert client.schema.get_table_columns("scratch")["tried"]["data_type"] == "bigint"
    assert client.config.destination_type == "duckdb"
    assert not warehouse.path.exists()


@pytest.mark.usefixtures("dlt_here")
def test_the_text_of_a_configuration_has_no_password() -> None:
    """`cli.status`, `cli.check`, `runner.load`."""
    destination = dlt.destinations.postgres("postgresql://loader:made-up@nowhere/finance")

    said = str(dlt.dataset(destination, "mine", schema=dlt.Schema("s")).destination_client.config)

    assert "loader" in said
    assert "made-up" not in said


def strategy(destination: Any, table_format: str | None = None) -> str | None:
    from dlt.common.destination.utils import resolve_merge_strategy
    from dlt.common.schema.utils import new_table

    table = new_table("things", write_disposition="merge", columns=[{"name": "id", "data_type": "text"}])
    if table_format:
        table["table_format"] = cast("Any", table_format)
    return resolve_merge_strategy({"things": table}, table, destination.capabilities())


@pytest.mark.usefixtures("dlt_here")
def test_dlt_says_how_it_merges_where_no_strategy_is_named() -> None:
    """`warehouse.destination.destination_capabilities`, `schema.write_disposition`."""
    files = dlt.destinations.filesystem("file:///tmp")

    assert strategy(dlt.destinations.duckdb()) == "delete-insert"
    assert strategy(dlt.destinations.postgres()) == "delete-insert"
    assert [strategy(files, each) for each in (None, "delta", "iceberg")] == [None, "upsert", "upsert"]


@pytest.mark.usefixtures("dlt_here")
def test_a_destination_says_its_formats_and_its_dialect() -> None:
    """`warehouse.destination`, `warehouse.reader.TableReader.dialect`."""
    files = dlt.destinations.filesystem("file:///tmp").capabilities()
    duckdb = dlt.destinations.duckdb().capabilities()

    preferred: Any = files.preferred_table_format
    assert preferred is None
    assert set(files.supported_table_formats) >= {"delta", "iceberg"}
    assert not duckdb.supported_table_formats
    assert duckdb.sqlglot_dialect == "duckdb"
    assert dlt.destinations.postgres().capabilities().sqlglot_dialect == "postgres"


@pytest.mark.usefixtures("dlt_here")
def test_a_destination_of_files_says_where_its_dataset_lies(tmp_path: Path) -> None:
    """`warehouse.probe._try_files`."""
    from dlt.destinations.impl.filesystem.filesystem import FilesystemClient

    destination = dlt.destinations.filesystem(tmp_path.as_uri())
    client = dlt.dataset(destination, "mine", schema=dlt.Schema("s")).destination_client

    assert isinstance(client, FilesystemClient)
    assert client.is_local_filesystem
    assert Path(client.dataset_path) == tmp_path / "mine"
    client.fs_client.write_text(f"{tmp_path}/scratch", "")
    client.fs_client.rm_file(f"{tmp_path}/scratch")


@pytest.mark.slow
@pytest.mark.usefixtures("dlt_here")
def test_the_sql_of_files_asks_its_hooks_for_a_table(tmp_path: Path) -> None:
    """`warehouse.open_tables.OpenTables`, which overrides both."""
    from dlt.destinations.impl.filesystem.filesystem import FilesystemClient
    from dlt.destinations.impl.filesystem.sql_client import FilesystemSqlClient

    class View(FilesystemSqlClient):
        """Overrides what `OpenTables` does."""

        asked: list[str]

        def open_connection(self) -> Any:
            self.asked = []
            return super().open_connection()

        @staticmethod
        def _iceberg_setup_statements() -> list[str]:
            return ["SET GLOBAL default_order = 'DESC'"]

        def create_view_select(self, table_schema: Any, schema: Any = None) -> tuple[str, str] | None:
            self.asked.append(table_schema["name"])
            if table_schema["name"] != "things":
                return super().create_view_select(table_schema, schema)
            assert list(table_schema["columns"])[:1] == ["id"]
            self._conn.execute("CREATE OR REPLACE TABLE copy AS SELECT 42 AS id")
            return "things", "SELECT id FROM copy"

    destination = dlt.destinations.filesystem(tmp_path.as_uri())
    pipeline = dlt.pipeline("watched", destination=destination, dataset_name="mine")
    load(pipeline, [{"id": 1}])
    client = pipeline.destination_client()
    assert isinstance(client, FilesystemClient)

    with View(client, client.dataset_name) as view:
        assert view.remote_client is client
        table = view.make_qualified_table_name("things")
        assert view.execute_sql("SELECT current_setting('default_order')") == [("DESC",)]
        assert view.execute_sql(f"SELECT id FROM {table}") == [(42,)]  # noqa: S608
        assert "things" in view.asked


@pytest.mark.parametrize(
    "hook", ["_iceberg_setup_statements", "create_secret", "create_view_select", "open_connection"]
)
def test_a_hook_that_we_override_has_its_signature(hook: str) -> None:
    """`warehouse.open_tables.OpenTables`."""
    from dlt.destinations.impl.filesystem.sql_client import FilesystemSqlClient

    from cf_invoice_source.warehouse.open_tables import OpenTables

    def parameters(owner: type) -> list[str]:
        return [name for name in inspect.signature(getattr(owner, hook)).parameters if name != "self"]

    assert parameters(OpenTables) == parameters(FilesystemSqlClient)


@pytest.mark.parametrize("has_dataset", [False, True])
def test_a_table_that_is_not_there_is_an_error_of_its_own(pipeline: dlt.Pipeline, has_dataset: bool) -> None:
    """`warehouse.reader.TableReader._stream`: it reads as empty, with its dataset and without."""
    from dlt.common.destination.exceptions import DestinationUndefinedEntity
    from dlt.destinations.exceptions import DatabaseUndefinedRelation

    with sql_client(pipeline) as client:
        if has_dataset:
            client.create_dataset()
        query = f"SELECT 1 FROM {client.make_qualified_table_name('nothing')}"  # noqa: S608
        with pytest.raises(DatabaseUndefinedRelation) as raised, client.execute_query(query):
            pass

    assert isinstance(raised.value, DestinationUndefinedEntity)


def test_what_else_a_driver_says_is_another_error(pipeline: dlt.Pipeline) -> None:
    """`warehouse.reader.TableReader._stream`, `warehouse.duckdb_file`, `warehouse.dlt_errors`."""
    from dlt.common.destination.exceptions import DestinationException, DestinationUndefinedEntity
    from dlt.destinations.exceptions import DatabaseException

    with sql_client(pipeline) as client, pytest.raises(DatabaseException) as raised:
        client.execute_sql("SELECT 1 +")

    assert isinstance(raised.value, DestinationException)
    assert not isinstance(raised.value, DestinationUndefinedEntity)


def test_a_name_is_quoted_as_its_database_wants_it(pipeline: dlt.Pipeline) -> None:
    """`warehouse.reader`, `warehouse.stored`, `warehouse.open_tables`."""
    client = sql_client(pipeline)

    assert client.escape_column_name("order") == '"order"'
    assert client.make_qualified_table_name("things").endswith('"cf_invoices"."things"')


def test_a_query_can_be_put_to_another_dataset(pipeline: dlt.Pipeline) -> None:
    """`warehouse.probe._try_sql`."""
    with sql_client(pipeline) as client:
        with client.with_alternative_dataset_name("other"):
            inside = (client.has_dataset(), client.make_qualified_table_name("things").split(".")[-2])
            client.create_dataset()
            made = client.has_dataset()
            client.drop_dataset()
        outside = client.make_qualified_table_name("things").split(".")[-2]

        assert (inside, made, outside) == ((False, '"other"'), True, '"cf_invoices"')


@pytest.mark.usefixtures("dlt_here", "warehouse")
def test_a_table_is_made_by_the_statements_of_its_database_and_undone_with_its_transaction() -> None:
    """`warehouse.probe._try_table`."""
    from dlt.common.schema.utils import new_column, new_table
    from dlt.destinations.exceptions import DatabaseUndefinedRelation
    from dlt.destinations.job_client_impl import SqlJobClientBase

    schema = dlt.Schema("mine")
    schema.update_table(new_table("scratch", columns=[new_column("tried", "bigint")]))
    client = dlt.dataset(dlt.destinations.duckdb(), "cf_invoices", schema=schema).destination_client
    assert isinstance(client, SqlJobClientBase)
    columns = list(client.schema.get_table_columns("scratch").values())

    query = f"SELECT tried FROM {client.sql_client.make_qualified_table_name('scratch')}"  # noqa: S608

    def make(*, and_fail: bool) -> None:
        for statement in client._get_table_update_sql("scratch", columns, generate_alter=False):  # noqa: SLF001
            client.sql_client.execute_sql(statement)
        assert client.sql_client.execute_sql(query) == []
        if and_fail:
            raise KeyError

    with client:
        client.sql_client.create_dataset()
        with pytest.raises(KeyError), client.maybe_ddl_transaction():
            make(and_fail=True)
        with pytest.raises(DatabaseUndefinedRelation):
            client.sql_client.execute_sql(query)
        make(and_fail=False)
        client.sql_client.drop_tables("scratch")
        with pytest.raises(DatabaseUndefinedRelation):
            client.sql_client.execute_sql(query)


def test_a_file_that_is_opened_to_be_read_is_not_written(dlt_here: None, warehouse: Warehouse) -> None:
    """`warehouse.dataset_ref.DatasetRef.reading`."""
    from dlt.destinations.exceptions import DatabaseException
    from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials
    from dlt.destinations.sql_client import WithSqlClient

    warehouse.query("CREATE TABLE t AS SELECT 1 AS id")
    credentials = DuckDbCredentials(str(warehouse.path))
    credentials.read_only = True
    destination = dlt.destinations.duckdb()
    destination.config_params["credentials"] = credentials
    client = dlt.dataset(destination, "mine", schema=dlt.Schema("s")).destination_client
    assert isinstance(client, WithSqlClient)

    with client.sql_client as opened:
        assert opened.execute_sql("SELECT id FROM main.t") == [(1,)]
        with pytest.raises(DatabaseException):
            opened.execute_sql("CREATE TABLE u AS SELECT 1 AS id")


@pytest.mark.slow
def test_what_lacks_in_a_database_is_made_again_and_the_rest_stays(
    loaded: dlt.Pipeline, warehouse: Warehouse
) -> None:
    """`warehouse.stored.StoredRows.recreate_tables`."""
    load(loaded, [{"id": 7}], "others")
    warehouse.query("DROP TABLE cf_invoices.others")
    warehouse.query("ALTER TABLE cf_invoices.things DROP COLUMN name")

    with loaded.destination_client() as client:
        client.update_stored_schema(force=True)

    assert warehouse.rows("others") == []
    assert warehouse.columns("others").keys() >= {"id", "_dlt_id", "_dlt_load_id"}
    assert warehouse.rows("things") == [{"id": 1, "name": None}]


@pytest.mark.slow
def test_another_pipeline_finds_the_schema_that_is_stored_with_the_tables(loaded: dlt.Pipeline) -> None:
    """`warehouse.stored.StoredRows._stored_schema`."""
    other = dlt.pipeline("other", destination="duckdb", dataset_name="cf_invoices")

    with client_of(other) as client:
        stored = client.get_stored_schema("watched")
        missing: Any = client.get_stored_schema("nobody's")

    assert stored is not None
    assert "things" in dlt.Schema.from_dict(json.loads(stored.schema)).tables
    assert missing is None


def test_an_empty_database_has_an_empty_schema_and_no_state(pipeline: dlt.Pipeline) -> None:
    """`warehouse.dataset_ref._is_there`, `warehouse.stored`, `warehouse.overview`."""
    from dlt.common.destination.exceptions import DestinationUndefinedEntity
    from dlt.pipeline.state_sync import load_pipeline_state_from_destination

    dataset = dlt.dataset(pipeline.destination, "cf_invoices", schema="watched")

    assert dataset.schema.data_table_names() == []
    with client_of(pipeline) as client:
        assert client.get_stored_schema("watched") is None
        with pytest.raises(DestinationUndefinedEntity):
            client.get_stored_state("watched")
        with pytest.raises(DestinationUndefinedEntity):
            load_pipeline_state_from_destination("watched", client)


# State


def remembering(value: Any) -> Any:
    @dlt.resource(name="things", **cast("Any", KEY))
    def things() -> Iterator[Any]:
        dlt.current.resource_state()["bookmarks"] = value
        yield {"id": 1}

    @dlt.source(name="mine", section="mine")
    def mine() -> Any:
        return things

    return mine()


def bookmarks(state: Any) -> Any:
    return state["sources"]["mine"]["resources"]["things"]["bookmarks"]


@pytest.mark.slow
def test_the_version_of_the_state_goes_up_with_each_change_here_and_in_the_destination(
    pipeline: dlt.Pipeline,
) -> None:
    """`warehouse.stored.StoredRows.has_older_state`."""
    versions = []
    for value in (1, 1, 2):
        pipeline.run(remembering(value))
        with client_of(pipeline) as client:
            stored = client.get_stored_state("watched")
        assert stored is not None
        assert stored.version == pipeline.state["_state_version"]
        versions.append(stored.version)

    assert versions == [versions[0], versions[0], versions[0] + 1]


def test_the_state_of_a_pipeline_is_read_from_its_destination(pipeline: dlt.Pipeline) -> None:
    """`warehouse.overview.StatusQueries.bookmarks`."""
    from dlt.pipeline.state_sync import load_pipeline_state_from_destination

    pipeline.run(remembering({"account": 1}))

    with client_of(pipeline) as client:
        stored = load_pipeline_state_from_destination("watched", client)
        missing: Any = load_pipeline_state_from_destination("nobody's", client)

    assert bookmarks(stored) == {"account": 1}
    assert missing is None


def test_the_state_can_be_changed_between_two_runs(pipeline: dlt.Pipeline) -> None:
    """`loading.packages._forget_bookmarks`."""
    pipeline.extract(remembering({"account": 1}))

    with pipeline.managed_state() as state:
        bookmarks(state)["account"] = 2

    assert bookmarks(pipeline.state) == {"account": 2}


@pytest.mark.usefixtures("dlt_here")
def test_a_pipeline_knows_whether_it_takes_its_state_from_the_destination(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`loading.packages._synchronize`, `warehouse.stored.StoredRows.has_older_state`."""
    default = dlt.pipeline("first").config.restore_from_destination
    monkeypatch.setenv("RESTORE_FROM_DESTINATION", "false")

    assert default
    assert not dlt.pipeline("second").config.restore_from_destination


# Rows


@pytest.mark.slow
def test_a_row_takes_the_place_of_the_one_with_its_key(loaded: dlt.Pipeline, warehouse: Warehouse) -> None:
    """`schema.hints`: every table is merged, with no strategy named; what a row lacks is empty afterwards."""
    load(loaded, [{"id": 1}, {"id": 2, "name": "b"}])

    assert warehouse.rows("things") == [{"id": 1, "name": None}, {"id": 2, "name": "b"}]


@pytest.mark.slow
def test_a_key_and_a_mark_are_enough_to_delete_a_row(pipeline: dlt.Pipeline, warehouse: Warehouse) -> None:
    """`schema.hints`: `hard_delete` on the column `deleted`."""
    columns = {"deleted": {"data_type": "bool", "hard_delete": True}, "name": {"data_type": "text"}}
    load(pipeline, [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}], columns=columns)

    load(pipeline, [{"id": 1, "deleted": True}], columns=columns)

    assert warehouse.rows("things") == [{"id": 2, "name": "b", "deleted": None}]


def marked(table: str, rows: Any, key: str | tuple[str, ...], **hints: Any) -> Any:
    """Mark rows as `loading.delivery._marked` does."""
    made = dlt.mark.make_hints(
        table_name=table, primary_key=key, merge_key=(), write_disposition="merge", **hints
    )
    return dlt.mark.with_hints(rows, made, create_table_variant=True)


def with_cursor() -> Any:
    return dlt.sources.incremental("created", on_cursor_value_missing="include")


def run(pipeline: dlt.Pipeline, *items: Any) -> None:
    """Load what one resource yields: its own table has a cursor and a merge key, as a user may set it."""

    @dlt.resource(name="things", primary_key="id", merge_key="id", write_disposition="merge")
    def things(created: Any = with_cursor()) -> Iterator[Any]:  # noqa: B008
        yield from items

    pipeline.run(things())


@pytest.mark.slow
def test_one_resource_fills_several_tables_each_with_its_own_key(
    pipeline: dlt.Pipeline, warehouse: Warehouse
) -> None:
    """`loading.delivery._marked`: in turns, and with nothing that the resource has instead."""
    for name in ("a", "b"):
        run(
            pipeline,
            marked("things", [{"id": 1, "name": name}], "id"),
            marked("changes", [{"id": 1, "name": name}], ("id", "name")),
            marked("things", [{"id": 2, "name": name}], "id"),
        )

    assert warehouse.tables() >= {"things", "changes"}
    assert warehouse.rows("things") == [{"id": 1, "name": "b"}, {"id": 2, "name": "b"}]
    assert warehouse.rows("changes") == [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]
    changes = pipeline.default_schema.tables["changes"]
    assert [name for name, column in changes["columns"].items() if column.get("primary_key")] == [
        "id",
        "name",
    ]
    assert not any(column.get("merge_key") for column in changes["columns"].values())


def test_rows_are_packed_in_the_format_that_they_are_marked_with(pipeline: dlt.Pipeline) -> None:
    """`loading.delivery.PackageWriter`: jsonl for DuckDB, or what dlt prefers."""
    pipeline.extract(
        dlt.resource(
            [
                marked("things", [{"id": 1}], "id", file_format="jsonl"),
                marked("others", [{"id": 1}], "id", file_format="preferred"),
            ],
            name="things",
        )
    )
    pipeline.normalize()
    [load_id] = pipeline.list_normalized_load_packages()
    jobs = pipeline.get_load_package_info(load_id).jobs["new_jobs"]
    formats = {job.job_file_info.table_name: job.job_file_info.file_format for job in jobs}

    assert formats["things"] == "jsonl"
    assert formats["others"] != "jsonl"


DLTS_COLUMNS = {
    "_dlt_load_id": {"name": "_dlt_load_id", "data_type": "text", "nullable": False},
    "_dlt_id": {"name": "_dlt_id", "data_type": "text", "nullable": False, "unique": True, "row_key": True},
}


@pytest.mark.slow
def test_a_file_of_rows_is_taken_as_it_is(
    pipeline: dlt.Pipeline, warehouse: Warehouse, tmp_path: Path
) -> None:
    """`loading.delivery.PackageWriter._file`: at once, with our `_dlt_id`, unread, beside other rows."""
    path = tmp_path / "things.jsonl"
    row = {"id": 1, "created": 5, "text": "\uf0261.5", "_dlt_id": "ours", "_dlt_load_id": "ours, too"}

    @dlt.resource(name="things", primary_key="id", write_disposition="merge")
    def things(created: Any = with_cursor()) -> Iterator[Any]:  # noqa: B008
        columns = {"text": {"data_type": "text"}, "id": {"data_type": "bigint"}}
        yield marked("things", dlt.mark.materialize_table_schema(), "id", columns=columns)
        path.write_text(json.dumps(row))
        hints = dlt.mark.make_hints(table_name="things", columns=cast("Any", DLTS_COLUMNS))
        item = dlt.mark.with_file_import(str(path), "jsonl", 1, hints)
        item.data = []
        yield item
        path.unlink()
        yield marked("things", [{"id": 2, "created": 6, "text": "b"}], "id")
        yield marked("others", [{"id": 3}], "id")

    pipeline.run(things())

    query = "SELECT id, text, _dlt_id, _dlt_load_id FROM cf_invoices.things WHERE created = 5"
    assert warehouse.query(query) == [(1, "\uf0261.5", "ours", "ours, too")]
    assert {row["id"]: row["text"] for row in warehouse.rows("things")} == {1: "\uf0261.5", 2: "b"}
    assert warehouse.rows("others") == [{"id": 3}]


def test_a_file_without_data_is_passed_over(pipeline: dlt.Pipeline, tmp_path: Path) -> None:
    """`loading.delivery.PackageWriter._file`: why it has `item.data = []`; if this fails, that can go."""
    (tmp_path / "things.jsonl").write_text('{"id": 1}')

    def imported_with(data: Any) -> bool:
        hints = dlt.mark.make_hints(columns={"id": {"data_type": "bigint"}})
        item = dlt.mark.with_file_import(str(tmp_path / "things.jsonl"), "jsonl", 1, hints)
        assert item.data is None
        item.data = data

        @dlt.resource(name="things")
        def things(created: Any = with_cursor()) -> Iterator[Any]:  # noqa: B008
            yield item

        info = pipeline.extract(things())
        return "things" in info.load_packages[0].schema.data_table_names()

    assert (imported_with(None), imported_with([])) == (False, True)


@pytest.mark.slow
def test_a_table_is_made_without_a_row(pipeline: dlt.Pipeline, warehouse: Warehouse) -> None:
    """`loading.delivery.missing_tables`."""
    empty = dlt.mark.materialize_table_schema()
    columns = {name: {"data_type": "text"} for name in ("id", "name")}

    run(pipeline, marked("empty", empty, "id", file_format="preferred", columns=columns))

    assert warehouse.columns("empty").keys() >= {"name"}
    assert warehouse.rows("empty") == []


def test_a_resource_knows_the_id_of_its_load_package(pipeline: dlt.Pipeline) -> None:
    """`loading.delivery`; IDs sort by time (`loading.packages.finish_pending`)."""
    from dlt.common.storages.load_package import load_package_state

    seen = []

    def things() -> Iterator[Any]:
        seen.append((dlt.current.load_package_state()["load_id"], load_package_state()["load_id"]))
        yield {"id": 1}

    for _ in range(3):
        pipeline.extract(dlt.resource(things, name="things"))

    assert [one for one, _ in seen] == [other for _, other in seen] == sorted(one for one, _ in seen)
    assert {one for one, _ in seen} == set(pipeline.list_extracted_load_packages())
    assert len(pipeline.list_extracted_load_packages()) == 3


def test_the_ids_of_rows_are_plain_and_unlike() -> None:
    """`loading.row_file.RowFile.add`: they go between quotes as they are."""
    from dlt.common.normalizers.utils import generate_dlt_ids

    ids = generate_dlt_ids(1_000)

    assert len(set(ids)) == 1_000
    assert set("".join(ids)) <= set(string.ascii_letters + string.digits + "+/-_=")


def test_a_row_is_one_line_of_json_exact_to_the_digit() -> None:
    """`loading.row_file.RowFile`."""
    from dlt.common.json import json as dlt_json

    moment = datetime(2026, 1, 1, tzinfo=timezone.utc)
    row = {"amount": Decimal("0.10"), "at": moment, "text": 'a\n"ü', "none": None, "list": [1, True]}

    line = dlt_json.dumpb(row)

    assert line.count(b"\n") == 0
    assert line[-1:] == b"}"
    read = dlt_json.loadb(line)
    assert read == row | {"amount": "0.10", "at": read["at"]}
    assert read["at"].replace("Z", "+00:00") == moment.isoformat()


MARKED = ("1.5", "2026-01-01T00:00:00", "2026-01-01", f"{'0' * 32}", "0x12", "eHg=", "1", "12:00:00")
"""What dlt reads after each of its marks, from U+F026 on."""


def test_a_text_is_changed_only_if_it_begins_with_a_mark_of_dlt(
    pipeline: dlt.Pipeline, warehouse: Warehouse
) -> None:
    """`invoices.values`, which refuses such a text, and one with U+F02E: dlt looks at that, too."""
    marked_texts = {f"{chr(0xF026 + index)}{rest}" for index, rest in enumerate(MARKED)}
    others = {f"{chr(code)}{rest}" for code in (*range(0xF020, 0xF026), 0xF02F, 0xF030) for rest in MARKED}
    texts = [*marked_texts, *others, "\uf026", "a\uf0261"]
    columns = {"text": {"data_type": "text"}, "inside": {"data_type": "json"}}
    rows = [{"id": index, "inside": {"text": text}} for index, text in enumerate(texts)]

    load(
        pipeline, [*rows, {"id": 1000, "text": "\uf0261.5"}, {"id": 1001, "text": "\uf026"}], columns=columns
    )
    stored = {row["id"]: row for row in warehouse.rows("things")}

    changed = {
        text for index, text in enumerate(texts) if json.loads(stored[index]["inside"])["text"] != text
    }
    assert changed == marked_texts
    assert (stored[1000]["text"], stored[1001]["text"]) == ("1.5", "\uf026")


def test_a_field_is_put_where_its_naming_says(pipeline: dlt.Pipeline) -> None:
    """`schema.columns.Columns._positions`; `loading.delivery._keeps_names`."""
    name, inner, items = "Billing Address", "ZIP-code", "Line Items"
    row = {"id": 1, name: {inner: "x"}, items: [{name: 1}, {"id": [[2]]}]}
    pipeline.extract(dlt.resource([row], name="things"))
    pipeline.normalize()
    tables, naming = pipeline.default_schema.tables, pipeline.default_schema.naming

    column = naming.shorten_fragments(naming.normalize_path(name), naming.normalize_path(inner))
    below = ("things", naming.normalize_tables_path(items))
    deepest = naming.shorten_fragments(*below, naming.normalize_tables_path("id"))

    assert column in tables["things"]["columns"]
    assert naming.normalize_path(name) in tables[naming.shorten_fragments(*below)]["columns"]
    assert tables[deepest]["parent"] == naming.shorten_fragments(*below)
    assert tables[f"{deepest}__list"]["columns"]["value"]["data_type"] == "bigint"
    assert naming.normalize_identifier("account_id") == "account_id"


def test_a_cursor_that_is_advanced_stays_there_and_lets_older_rows_pass(pipeline: dlt.Pipeline) -> None:
    """`source._invoices`."""

    @dlt.resource(primary_key="id", write_disposition="merge")
    def things(
        rows: Any,
        newest: int,
        created: Any = dlt.sources.incremental("created"),  # noqa: B008
    ) -> Iterator[Any]:
        assert created.end_value is None
        created.advance(newest)
        assert created.last_value == newest
        yield rows

    pipeline.extract(things([{"id": 1, "created": 5}], 5))
    pipeline.normalize()
    pipeline.extract(things([{"id": 2, "created": 3}, {"id": 3, "created": 4}], 7))

    assert pipeline.normalize().row_counts["things"] == 2
    resource = pipeline.state["sources"]["watched"]["resources"]["things"]
    assert resource["incremental"]["created"]["last_value"] == 7


def test_a_copy_of_a_range_can_be_changed_without_it() -> None:
    """`source._including_undated`."""
    given = dlt.sources.incremental("created", initial_value=1, end_value=2)
    copy = given.copy()
    copy.on_cursor_value_missing = "include"

    assert (copy.initial_value, copy.end_value) == (1, 2)
    assert given.on_cursor_value_missing == "raise"


def test_a_resource_knows_what_a_user_has_set_for_it(pipeline: dlt.Pipeline) -> None:
    """`source._invoices`: its write disposition, and the contract that it sets itself."""
    seen: list[Any] = []

    @dlt.resource(name="things", write_disposition="merge")
    def things() -> Iterator[Any]:
        seen.append(dlt.current.source().resources["things"].write_disposition)
        schema = dlt.current.source_schema()
        seen.append(schema.resolve_contract_settings_for_table("things"))
        schema.set_schema_contract({"columns": "freeze"})
        seen.append(schema.resolve_contract_settings_for_table("things"))
        yield {"id": 1}

    @dlt.source(name="mine", section="mine")
    def mine() -> Any:
        return things

    source = mine()
    source.resources["things"].apply_hints(write_disposition="append")
    pipeline.extract(source)

    evolving = {"tables": "evolve", "columns": "evolve", "data_type": "evolve"}
    assert seen == ["append", evolving, evolving | {"columns": "freeze"}]


def test_a_contract_has_three_entities_and_four_modes() -> None:
    """`schema.contract.read_contract`."""
    from dlt.common.schema.typing import TSchemaContractEntities, TSchemaEvolutionMode

    assert set(get_args(TSchemaContractEntities)) == {"tables", "columns", "data_type"}
    assert set(get_args(TSchemaEvolutionMode)) == {"evolve", "discard_value", "freeze", "discard_row"}


def test_a_frozen_table_takes_columns_until_its_first_rows(pipeline: dlt.Pipeline) -> None:
    """`schema.contract.check_growth`; `warehouse.stored` looks at tables that have seen rows only."""
    frozen: Any = {"schema_contract": {"columns": "freeze"}, "write_disposition": "append"}
    once = "evolve-columns-once"

    def seen() -> tuple[Any, bool]:
        schema = pipeline.default_schema
        names = {table["name"] for table in schema.data_tables(seen_data_only=True)}
        return (schema.tables["things"].get("x-normalizer") or {}).get(once), "things" in names

    hints = dlt.mark.make_hints(table_name="things", columns={"id": {"data_type": "bigint"}}, **frozen)
    empty = dlt.mark.with_hints(dlt.mark.materialize_table_schema(), hints, create_table_variant=True)
    pipeline.extract(dlt.resource([empty, {"id": 1, "new": 2}], name="things", **frozen))
    before = seen()
    pipeline.normalize()

    assert (before, seen()) == ((True, False), (None, True))
    assert "new" in pipeline.default_schema.tables["things"]["columns"]


# Packages


def pending(pipeline: dlt.Pipeline) -> tuple[int, int, bool]:
    return (
        len(pipeline.list_extracted_load_packages()),
        len(pipeline.list_normalized_load_packages()),
        pipeline.has_pending_data,
    )


def stored_packages(pipeline: dlt.Pipeline) -> tuple[int, int]:
    """Count as `warehouse.dataset_ref.DatasetRef.pending_packages` does, without the pipeline."""
    from dlt.common.storages import (
        LoadStorage,
        LoadStorageConfiguration,
        NormalizeStorage,
        NormalizeStorageConfiguration,
    )

    working_dir = Path(pipeline.working_dir)
    extracted = NormalizeStorageConfiguration(normalize_volume_path=str(working_dir / "normalize"))
    normalized = LoadStorageConfiguration(load_volume_path=str(working_dir / "load"))
    return (
        len(NormalizeStorage(False, extracted).extracted_packages.list_packages()),
        len(LoadStorage(False, [], normalized).normalized_packages.list_packages())
        if (working_dir / "load").exists()
        else 0,
    )


def test_a_pipeline_and_its_directory_know_what_is_pending(pipeline: dlt.Pipeline) -> None:
    """`loading.packages.finish_pending`, `warehouse.dataset_ref.DatasetRef.pending_packages`."""
    counts = [pending(pipeline)]
    on_disk = []
    for step in (lambda: pipeline.extract(remembering(1)), pipeline.normalize, pipeline.load):
        step()
        counts.append(pending(pipeline))
        on_disk.append(stored_packages(pipeline))

    assert counts == [(0, 0, False), (1, 0, True), (0, 1, True), (0, 0, False)]
    assert on_disk == [(1, 0), (0, 1), (0, 0)]


@pytest.mark.slow
@pytest.mark.parametrize("is_normalized", [False, True])
def test_a_package_that_is_aborted_goes_with_its_rows_and_its_state(
    pipeline: dlt.Pipeline, warehouse: Warehouse, is_normalized: bool
) -> None:
    """`loading.packages.finish_pending`."""
    pipeline.run(remembering(1))
    pipeline.extract(remembering(2))
    if is_normalized:
        pipeline.normalize()

    pipeline.abort_packages()

    assert pending(pipeline) == (0, 0, False)
    assert bookmarks(pipeline.state) == 1
    assert len(warehouse.query("SELECT 1 FROM cf_invoices._dlt_loads")) == 1


def test_a_package_whose_abortion_was_interrupted_is_left_but_not_pending(
    pipeline: dlt.Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`loading.packages.finish_pending`: `is_being_dropped`."""
    pipeline.extract(remembering(1))
    pipeline.normalize()

    with monkeypatch.context() as patch:
        patch.setattr(dlt.Pipeline, "load", lambda _self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            pipeline.abort_packages()
    left = pending(pipeline)
    pipeline.abort_packages()

    assert (left, pending(pipeline)) == ((0, 1, False), (0, 0, False))


def failed(pipeline: dlt.Pipeline, cause: BaseException, step: Any = "load") -> PipelineStepFailed:
    """The error of a step, as dlt raises it while another one is handled."""
    from dlt.pipeline.exceptions import PipelineStepFailed

    error = PipelineStepFailed(pipeline, step, "1", cause)
    error.__context__ = cause
    return error


def test_dlt_says_which_errors_pass(pipeline: dlt.Pipeline) -> None:
    """`loading.packages._deliver`."""
    from dlt.common.destination.exceptions import (
        DestinationException,
        DestinationTerminalException,
        SchemaUpdateError,
    )
    from dlt.pipeline.helpers import retry_load, retry_schema_update

    class Refused(DestinationTerminalException):
        """What a destination refuses for good."""

    passing = failed(pipeline, DestinationException("busy"))
    final = failed(pipeline, Refused("wrong"))
    raced = failed(pipeline, SchemaUpdateError.from_cause("mine", ["things"], Refused("exists")))

    assert [retry_load()(error) for error in (passing, final, raced)] == [True, False, False]
    assert [retry_schema_update()(error) for error in (passing, final, raced)] == [False, False, True]
    assert not retry_load()(failed(pipeline, DestinationException("busy"), "normalize"))


def test_the_error_of_a_step_has_what_went_wrong_below_it(pipeline: dlt.Pipeline) -> None:
    """`warehouse.dlt_errors._causes`, `loading.packages._is_no_interruption`."""
    from dlt.pipeline.exceptions import PipelineStepFailed

    def things() -> Iterator[Any]:
        yield {"id": 1}
        raise OSError(28, "No space left on device")

    with pytest.raises(PipelineStepFailed) as raised:
        load(pipeline, things())
    error = raised.value

    assert (error.step, error.has_pending_data) == ("extract", False)
    assert isinstance(error.exception.__cause__, OSError)


@pytest.mark.usefixtures("dlt_here")
def test_a_database_that_does_not_answer_says_why_in_its_error(tmp_path: Path) -> None:
    """`warehouse.dlt_errors._destination_failed`, `_causes`."""
    from dlt.destinations.exceptions import DestinationConnectionError
    from dlt.destinations.sql_client import WithSqlClient

    (tmp_path / "torn.duckdb").write_bytes(b"torn")
    destination = dlt.destinations.duckdb(str(tmp_path / "torn.duckdb"))
    client = dlt.dataset(destination, "mine", schema=dlt.Schema("s")).destination_client
    assert isinstance(client, WithSqlClient)

    with pytest.raises(DestinationConnectionError) as raised, client.sql_client:
        pass

    reason = str(raised.value).rpartition("The actual reason given is: ")[2]
    assert str(raised.value.inner_exc) == reason
    assert "not a valid DuckDB database file" in reason


# Progress, signals, times, requests


def test_a_pipeline_hands_on_the_progress_that_it_was_given(dlt_here: None) -> None:
    """`loading.counters.Counters`: it has counters with a total, under names of our own, too."""
    from dlt.common.runtime.collector import DictCollector

    progress = DictCollector()
    pipeline = dlt.pipeline("watched", destination="duckdb", progress=progress)

    assert pipeline.collector is progress
    assert list(inspect.signature(progress.update).parameters)[:4] == ["name", "inc", "total", "inc_total"]


@pytest.mark.filterwarnings("ignore:psutil")
def test_a_counter_begins_with_its_total_in_each_step_and_takes_more(dlt_here: None) -> None:
    """`loading.counters.Counters`: what comes for a counter that is there, or is there anew, is the same."""
    collector = dlt.pipeline("watched", destination="duckdb", progress="log").collector

    for total in (3, 5):
        with collector("Extract"):
            collector.update("Pages", 0, total, total)
            collector.update("Pages", 1, total + 1, 1)


def test_the_name_of_a_new_pipeline_is_that_of_its_schema_until_a_source_brings_one(
    dlt_here: None, warehouse: Warehouse
) -> None:
    """`warehouse.dataset_ref.client_of`."""
    from dlt.common.schema.exceptions import InvalidSchemaName

    pipeline = dlt.pipeline("with-hyphens", destination="duckdb", dataset_name="cf_invoices")

    with pytest.raises(InvalidSchemaName):
        pipeline.destination_client()

    pipeline.run([{"id": 1}], table_name="things", schema=dlt.Schema("things"))
    assert pipeline.destination_client().schema.name == "things"


@pytest.mark.slow
def test_a_collector_is_told_each_step_and_the_rows_of_each_table(
    dlt_here: None, warehouse: Warehouse
) -> None:
    """`cli.progress.Progress`: counters that are not tables begin with a capital letter."""
    from dlt.common.runtime.collector import NullCollector

    class Steps(NullCollector):
        """Notes what dlt tells of its progress, with what `cli.progress.Progress` overrides."""

        def __init__(self) -> None:
            self.told: list[Any] = []

        def update(
            self,
            name: str,
            inc: int = 1,
            total: int | None = None,
            inc_total: int | None = None,
            message: str | None = None,
            label: str | None = None,
        ) -> None:
            if name.islower() and not name.startswith("_"):
                self.told.append((name, inc))

        def _start(self, step: str) -> None:
            self.told.append(step)

        def _stop(self) -> None:
            self.told.append("stop")

    steps = Steps()
    pipeline = dlt.pipeline("watched", destination="duckdb", dataset_name="cf_invoices", progress=steps)

    load(pipeline, [{"id": 1}, {"id": 2}])
    steps_told = [
        next(word for word in ("extract", "normalize", "load", "stop") if word in told.lower())
        for told in steps.told
        if isinstance(told, str)
    ]

    assert steps_told[:2] + steps_told[-4:] == ["extract", "stop", "normalize", "stop", "load", "stop"]
    assert sum(told[1] for told in steps.told if told[0] == "things") == 4  # extracted, then normalized
    assert list(inspect.signature(NullCollector.update).parameters) == list(
        inspect.signature(Steps.update).parameters
    )


def test_a_signal_that_dlt_took_is_raised_where_we_ask() -> None:
    """`cloudflare.prefetch.first_ready`; `warehouse.dlt_errors` takes it for an interruption."""
    from dlt.common.runtime import signals

    signals.raise_if_signalled()
    with signals.intercepted_signals():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signals.raise_if_signalled()

    signals.raise_if_signalled()


@pytest.mark.parametrize(
    "stored",
    [
        "2026-01-01 02:00:00",
        "2026-01-01T02:00:00Z",
        "2026-01-01 03:00:00+01:00",
        datetime(2026, 1, 1, 2),  # noqa: DTZ001 - some databases give it so
        datetime(2026, 1, 1, 3, tzinfo=timezone(timedelta(hours=1))),
    ],
)
def test_a_timestamp_of_any_database_becomes_one_in_utc(stored: Any) -> None:
    """`warehouse.overview._time`."""
    from dlt.common.time import ensure_datetime_in_tz

    read = ensure_datetime_in_tz(stored, timezone.utc)

    assert (read, read.utcoffset()) == (datetime(2026, 1, 1, 2, tzinfo=timezone.utc), timedelta(0))


class Scripted(BaseAdapter):
    """Answers what a test says, without a network."""

    def __init__(self, *answers: int | Exception) -> None:
        super().__init__()
        self.answers = list(answers)
        self.timeouts: list[Any] = []

    def send(self, request: Any, *_args: Any, **settings: Any) -> requests.Response:
        self.timeouts.append(settings["timeout"])
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        response = requests.Response()
        response.status_code, response.url, response.request = answer, request.url, request
        response.raw = BytesIO()
        return response

    def close(self) -> None:
        pass


@pytest.mark.usefixtures("dlt_here")
def test_the_client_of_requests_asks_again_as_we_say_and_as_often_as_the_settings_say(
    monkeypatch: pytest.MonkeyPatch, naps: Naps
) -> None:
    """`cloudflare.client.Client`: of answers and of errors, with attributes of the session."""
    monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", "4")
    monkeypatch.setenv("RUNTIME__REQUEST_TIMEOUT", "7")
    asked: list[tuple[int | None, type | None]] = []

    def is_passing(response: requests.Response | None, error: BaseException | None) -> bool:
        asked.append((None if response is None else response.status_code, type(error) if error else None))
        return error is not None or (response is not None and response.status_code == 500)

    client = requests.Client(
        raise_for_status=False,
        status_codes=(),
        exceptions=(),
        retry_condition=is_passing,
        session_attrs={"trust_env": False},
    )
    adapter = Scripted(500, requests.ConnectionError("cut"), 429, 500, 500, 500, 500)
    client.session.mount("https://", adapter)

    assert client.get("https://nowhere.invalid/", allow_redirects=False).status_code == 429
    assert asked == [(500, None), (None, requests.ConnectionError), (429, None)]
    assert client.session.trust_env is False
    assert client.get("https://nowhere.invalid/").status_code == 500
    assert (len(asked), adapter.answers) == (7, [])
    assert set(adapter.timeouts) == {7}


# Which name of dlt stands where

DOCUMENTED: Mapping[str, str] = {
    "BaseConfiguration": "docs: general-usage/credentials/advanced",
    "ConfigFieldMissingException": "docs: general-usage/credentials/setup",
    "ConnectionStringCredentials": "dlt.sources.credentials",
    "Container": "docs: general-usage/incremental/cursor",
    "CredentialsConfiguration": "dlt.sources.credentials",
    "DltResource": "dlt.sources",
    "DuckDbCredentials": "docs: dlt-ecosystem/destinations/duckdb",
    "MissingDependencyException": "docs: general-usage/destination",
    "PipelineStepFailed": "docs: running-in-production/running",
    "PreparedTableSchema": "docs: dlt-ecosystem/destinations/sqlalchemy",
    "Schema": "dlt",
    "SqlClientBase": "docs: general-usage/dataset-access/sql-client",
    "TColumnSchema": "docs: general-usage/resource",
    "TSecretStrValue": "dlt",
    "TTableSchema": "docs: dlt-ecosystem/destinations/destination",
    "configspec": "dlt.sources.config",
    "dlt": "docs: intro",
    "get_dlt_pipelines_dir": "docs: general-usage/pipeline",
    "json": "docs: dlt-ecosystem/verified-sources/rest_api/advanced",
    "load_package_state": "dlt.current",
    "requests": "dlt.sources.helpers",
    "retry_load": "docs: running-in-production/running",
    "retry_schema_update": "release notes of 1.30",
}
"""Names that dlt exports in its public namespace, or that a guide at dlthub.com/docs uses.

The API reference there lists every module's docstrings: to stand in it promises nothing.
"""

UNDOCUMENTED: Mapping[str, tuple[str, str]] = {
    "AnyDestination": ("warehouse.dlt_names", "the type of `pipeline.destination`"),
    "ConfigSectionContext": ("warehouse.dlt_names", "a source's settings are read outside of it"),
    "ConfigValueCannotBeCoercedException": ("warehouse.dlt_errors", "its message shows the value"),
    "ConfigurationException": ("warehouse.dlt_names", "a setting is wrong, not the destination"),
    "ConfigProvider": ("loading.lookup", "the type of one of `dlt.config.config_providers`"),
    "DatabaseException": ("warehouse.duckdb_file", "a driver's error, whatever it is"),
    "Destination": ("warehouse.dataset_ref", "a destination by its name, as `dlt.pipeline` finds it"),
    "DestinationClientConfiguration": ("warehouse.dlt_names", "the type of `client.config`"),
    "DestinationClientDwhConfiguration": ("warehouse.staging", "the default name of a staging dataset"),
    "DestinationException": ("warehouse.dlt_errors", "tells a destination's error from others"),
    "DestinationUndefinedEntity": ("warehouse.dlt_names", "a missing table reads as empty"),
    "DltException": ("warehouse.dlt_names", "tells dlt's errors from bugs of ours"),
    "EnvironProvider": ("loading.lookup", "tells the environment from files"),
    "FileStorage": ("warehouse.dataset_ref", "dlt's rule for the name of a pipeline"),
    "FilesystemClient": ("warehouse.dlt_names", "files are tables only by a schema"),
    "FilesystemSqlClient": ("warehouse.open_tables", "reads without DuckDB's extensions"),
    "InvalidSchemaName": ("warehouse.dataset_ref", "a new pipeline whose name no schema can have"),
    "JobClientBase": ("warehouse.dlt_names", "the type of `pipeline.destination_client()`"),
    "LoadStorage": ("warehouse.dataset_ref", "pending packages, without making the pipeline"),
    "LoaderConfiguration": ("loading.job", "whether refused rows are passed over"),
    "NormalizeStorage": ("warehouse.dataset_ref", "where packages lie that wait to be normalized"),
    "NullCollector": ("cli.progress", "the base of a progress of one's own"),
    "PipelineConfiguration": ("warehouse.dataset_ref", "where a pipeline's files are, without making it"),
    "PipelineContext": ("warehouse.staging", "`dlt.current.pipeline` would make a pipeline"),
    "RuntimeConfiguration": ("loading.access", "dlt's settings of requests are checked before a load"),
    "SqlJobClientBase": ("warehouse.probe", "writes each database's own CREATE TABLE"),
    "PipelineStepTrace": ("warehouse.working_dir", "the trace repeats what a driver quoted"),
    "TSchemaContractDict": ("schema.contract", "the type of a schema contract"),
    "TSchemaContractEntities": ("schema.contract", "the words that a contract may have"),
    "TSchemaEvolutionMode": ("schema.contract", "as above"),
    "TTableFormat": ("warehouse.destination", "the type of `table_format`"),
    "TomlProviderReadException": ("warehouse.dlt_errors", "which file of settings cannot be read"),
    "WithLocalFiles": ("warehouse.dataset_ref", "which destinations have relative paths"),
    "WithSqlClient": ("warehouse.dlt_names", "which destinations answer SQL"),
    "ensure_datetime_in_tz": ("warehouse.reader", "timestamps as any database gives them"),
    "deserialize_value": ("loading.lookup", "reads a setting as dlt would"),
    "generate_dlt_ids": ("loading.row_file", "`_dlt_id` of rows that pass dlt's normalizer by"),
    "inject_section": ("warehouse.dlt_names", "settings of a pipeline come first"),
    "known_sections": ("warehouse.dlt_names", "dlt's names of its sections"),
    "PIPELINE_STATE_TABLE_NAME": ("warehouse.reader", "where dlt stores what is remembered"),
    "compress_state": ("warehouse.state", "the state as dlt stores it"),
    "decompress_state": ("warehouse.reader", "the state as dlt stores it"),
    "FilesystemConfiguration": ("documents.store", "an address of files, and the credentials for it"),
    "fsspec_from_config": ("documents.store", "opens it as dlt's own destination does"),
    "get_table_format": ("warehouse.dlt_names", "the format that a table is in"),
    "has_table_seen_data": ("schema.hints", "whether a table was made"),
    "logger": ("warehouse.dlt_names", "an error is a line of dlt's log"),
    "new_column": ("warehouse.dlt_names", "a table as dlt describes it"),
    "new_table": ("warehouse.dlt_names", "a table as dlt describes it"),
    "raise_if_signalled": ("cloudflare.prefetch", "dlt keeps signals from us"),
    "save_trace": ("warehouse.working_dir", "as above, in its file"),
    "resolve_configuration": ("warehouse.dlt_names", "a spec is filled outside of a source"),
    "resolve_merge_strategy": ("warehouse.destination", "whether and how a destination merges"),
}
"""The other names that we import: the one module that may, and why."""

REACHED: Mapping[str, tuple[str, str]] = {
    "_conn": ("warehouse.open_tables", "registers Arrow's rows with DuckDB"),
    "_get_table_update_sql": ("warehouse.probe", "each database's own CREATE TABLE"),
    "_iceberg_setup_statements": ("warehouse.open_tables", "loads an extension of DuckDB"),
    "_state_version": ("warehouse.stored", "which of two states is newer"),
    "caps_params": ("warehouse.dlt_names", "one job at a time; which file format the user prefers"),
    "collector": ("loading.counters", "counts pages beside what dlt counts"),
    "config_params": ("warehouse.dlt_names", "settings of a destination that is there already"),
    "_register_filesystem": ("warehouse.open_tables", "DuckDB reads object stores by fsspec"),
    "create_secret": ("warehouse.open_tables", "fails with DuckDB 2, and loads an extension with 1.5"),
    "create_view_select": ("warehouse.open_tables", "how a table of files is read"),
    "data_tables": ("warehouse.stored", "tables that have seen rows"),
    "config_providers": ("loading.lookup", "settings are looked up under our own section only"),
    "dataset_path": ("warehouse.dlt_names", "where files would be written"),
    "evolve-columns-once": ("schema.contract", "a frozen table still takes its first columns"),
    "from_init_value": ("loading.access", "credentials from a text, a dict or credentials"),
    "get_value": ("loading.lookup", "as above, and where one was found"),
    "get_value_location": ("loading.lookup", "which file"),
    "initialize_storage": ("warehouse.ownership", "a dataset is there before it is claimed"),
    "load_open_table": ("warehouse.open_tables", "Delta's or Iceberg's own table"),
    "loader_parallelism_strategy": ("warehouse.staging", "one job at a time, for SQLite"),
    "maybe_ddl_transaction": ("warehouse.probe", "a table that is made is undone"),
    "normalize_tables_path": ("schema.columns", "where dlt puts a field"),
    "resolve_contract_settings_for_table": ("schema.contract", "the contract of a table"),
    "supports_sections": ("loading.lookup", "which providers know more than bare names"),
    "supports_secrets": ("loading.lookup", "a secret in config.toml is refused"),
    "seen-data": ("warehouse.documents", "dlt looks for the files of such tables only"),
    "set_schema_contract": ("source", "the decorator's contract comes before a setting's"),
    "shorten_fragments": ("schema.columns", "where dlt puts a field"),
    "staging_dataset_name_layout": ("warehouse.staging", "the name of a staging dataset"),
    "update_stored_schema": ("warehouse.stored", "missing tables and columns are made again"),
    "with_alternative_dataset_name": ("warehouse.probe", "looks into the staging dataset"),
    "x-normalizer": ("schema.contract", "a frozen table still takes its first columns"),
}
"""Attributes, methods and keys that no guide uses, likewise."""

OURS = {name: ast.parse(path.read_text()) for name, path in FILES.items() if "simulator" not in name}


def imported(tree: ast.AST) -> set[str]:
    """The names that a module imports from dlt."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "dlt":
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names if name.name.partition(".")[0] == "dlt"}
    return found


def reached(tree: ast.AST) -> set[str]:
    """The attributes that a module takes, the functions that it defines, and its texts."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) | ast.FunctionDef(name=name) | ast.Constant(value=str(name)):
                found.add(name)
    return found


def modules_with(uses: Callable[[ast.AST], set[str]], names: Iterable[str]) -> dict[str, set[str]]:
    """The modules that use each of these names."""
    used = {module: uses(tree) for module, tree in OURS.items()}
    return {name: {module for module in used if name in used[module]} for name in names}


def allowed(names: Mapping[str, tuple[str, str]]) -> dict[str, set[str]]:
    return {name: {module} for name, (module, _reason) in names.items()}


def module_of(home: str) -> Any:
    """Import a module of dlt's public namespace; `dlt.current` is only a name in it."""
    return dlt.current if home == "dlt.current" else import_module(home)


def test_every_name_of_dlt_that_we_import_is_in_a_table() -> None:
    names = {name for tree in OURS.values() for name in imported(tree)}

    assert names == DOCUMENTED.keys() | UNDOCUMENTED.keys()
    assert not DOCUMENTED.keys() & UNDOCUMENTED.keys()


def test_every_name_of_dlt_that_we_import_is_there() -> None:
    missing = [
        f"{node.module}.{name.name} ({module})"
        for module, tree in OURS.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "dlt"
        for name in node.names
        if not is_there(node.module or "", name.name)
    ]

    assert missing == []


def is_there(module: str, name: str) -> bool:
    try:
        return hasattr(import_module(module), name)
    except ImportError:
        return False


def test_an_undocumented_name_is_imported_by_one_module() -> None:
    assert modules_with(imported, UNDOCUMENTED) == allowed(UNDOCUMENTED)


def test_an_undocumented_attribute_is_taken_by_one_module() -> None:
    assert modules_with(reached, REACHED) == allowed(REACHED)


def test_a_public_name_is_where_dlt_exports_it() -> None:
    public = {name: home for name, home in DOCUMENTED.items() if home.startswith("dlt")}

    assert [name for name, home in public.items() if not hasattr(module_of(home), name)] == []


def test_what_we_take_from_dlt_itself_is_public() -> None:
    taken = {
        node.attr
        for tree in OURS.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "dlt"
    }

    assert taken <= set(dlt.__all__)
