"""Where the invoices of one pipeline lie. Looking there creates nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import dlt
from dlt.common.configuration.specs import ConnectionStringCredentials, CredentialsConfiguration
from dlt.common.destination import Destination
from dlt.common.exceptions import MissingDependencyException
from dlt.common.pipeline import get_dlt_pipelines_dir
from dlt.common.schema.exceptions import InvalidSchemaName
from dlt.common.schema.typing import TTableSchema
from dlt.common.storages import FileStorage, LoadStorage, NormalizeStorage, WithLocalFiles
from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials
from dlt.pipeline.configuration import PipelineConfiguration

from cf_invoice_source.errors import SettingsError
from cf_invoice_source.settings import SECTION
from cf_invoice_source.warehouse.dlt_errors import translated_driver_errors
from cf_invoice_source.warehouse.dlt_names import (
    AnyDestination,
    ConfigSectionContext,
    ConfigurationException,
    DestinationUndefinedEntity,
    DltException,
    JobClientBase,
    inject_section,
    known_sections,
    resolve_configuration,
    settings_in,
)


@dataclass(frozen=True, slots=True)
class DatasetRef:
    """A pipeline's dataset in a destination; the pipeline, and its working directory, may not exist yet."""

    pipeline_name: str
    destination: AnyDestination
    dataset_name: str
    working_dir: Path

    @classmethod
    def of(cls, pipeline_name: str, destination: str, dataset_name: str) -> DatasetRef:
        """Find a dataset by a user's names. A name that dlt cannot use is not shown: it may be a secret."""
        try:
            FileStorage.validate_file_name_component(pipeline_name)
        except ValueError:
            cause = "The name of the pipeline cannot be that of a directory."
            raise SettingsError(cause, remedy="use letters, digits and underscores") from None
        configuration = PipelineConfiguration(pipeline_name=pipeline_name)
        settings = resolve_configuration(configuration, sections=(known_sections.PIPELINES, pipeline_name))
        working_dir = Path(settings.pipelines_dir or get_dlt_pipelines_dir()) / pipeline_name
        try:
            factory = cast("AnyDestination", Destination.from_reference(destination))
        except DltException as error:
            raise SettingsError(
                f"dlt has no such destination ({type(error).__name__}).",
                remedy="use duckdb, postgres, bigquery, snowflake or another destination of dlt",
            ) from None
        if issubclass(factory.spec, WithLocalFiles):
            # dlt remembers where a pipeline ran first; for a command, relative paths begin where it runs now.
            settings_in(factory).update(
                local_dir=str(Path.cwd()), pipeline_name=pipeline_name, pipeline_working_dir=str(working_dir)
            )
        return cls(pipeline_name, factory, dataset_name, working_dir)

    @classmethod
    def of_pipeline(cls, pipeline: dlt.Pipeline) -> DatasetRef:
        """Find the dataset of a pipeline."""
        return cls(
            pipeline.pipeline_name, pipeline.destination, pipeline.dataset_name, Path(pipeline.working_dir)
        )

    def pipeline(self, **more: Any) -> dlt.Pipeline:
        """Make the pipeline, which creates its working directory; `more` as for `dlt.pipeline`."""
        with _told("this pipeline"):
            pipeline: dlt.Pipeline = dlt.pipeline(
                self.pipeline_name, destination=self.destination, dataset_name=self.dataset_name, **more
            )
        return pipeline

    def pending_packages(self, pipeline_names: Iterable[str] = ()) -> int:
        """Count the load packages that interrupted runs of this and other pipelines left on this machine."""
        folders = {"normalize": NormalizeStorage.EXTRACTED_FOLDER, "load": LoadStorage.NORMALIZED_FOLDER}
        return sum(
            path.is_dir()
            for name in {self.pipeline_name, *pipeline_names}
            for step, folder in folders.items()
            for path in (self.working_dir.with_name(name) / step / folder).glob("*")
        )

    def client(self, *tables: TTableSchema) -> JobClientBase:
        """Make a client as the pipeline would; nothing is opened yet."""
        with _told("a client of the destination"), settings_of(self.pipeline_name):
            schema = dlt.Schema(SECTION)
            for table in tables:
                schema.update_table(table)
            client = dlt.dataset(self.destination, self.dataset_name, schema=schema).destination_client
        database_file(client.config.credentials)  # that of another database is refused
        return client

    @contextmanager
    def reading(self, *, read_only: bool = True) -> Iterator[dlt.Dataset | None]:
        """Open the dataset for reading; None if it does not exist.

        With `read_only`, a DuckDB file is opened so that other processes can read it, too; without, so that
        this process may have it open for writing.
        """
        with settings_of(self.pipeline_name):
            credentials = self.client().config.credentials
            file = database_file(credentials)
            if file and not file.exists():
                yield None
                return
            with _read_only(self.destination, credentials) if read_only else nullcontext():
                dataset = dlt.dataset(self.destination, self.dataset_name, schema=SECTION)
                is_there = False
                with translated_driver_errors(), suppress(DestinationUndefinedEntity):
                    is_there = bool(dataset.schema)  # this connects
                yield dataset if is_there else None


@contextmanager
def _read_only(destination: AnyDestination, credentials: CredentialsConfiguration | None) -> Iterator[None]:
    """Open a DuckDB file read-only, so that others can read it, too."""
    if not isinstance(credentials, DuckDbCredentials):
        yield
        return
    settings = settings_in(destination)
    before, was_read_only = dict(settings), credentials.read_only
    credentials.read_only = True
    settings["credentials"] = credentials
    try:
        yield
    finally:  # the destination may be that of a pipeline, which is to load afterwards
        credentials.read_only = was_read_only
        settings.clear()
        settings.update(before)


def client_of(pipeline: dlt.Pipeline) -> JobClientBase:
    """Make a client of a pipeline, whatever its name: dlt names the schema of a new one after it."""
    try:
        return pipeline.destination_client()
    except InvalidSchemaName:  # a hyphen, say; for dlt's own run the source brings its schema
        with settings_of(pipeline.pipeline_name):
            schema = dlt.Schema(SECTION)
            return dlt.dataset(pipeline.destination, pipeline.dataset_name, schema=schema).destination_client


def location_of(client: JobClientBase) -> str:
    """Say where a destination lies, without secrets: a path that can be copied, or an address."""
    file = database_file(client.config.credentials)
    return str(file or client.config).removeprefix("file://")


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn what dlt raises for a name or a setting that it cannot use into an error that says what to do."""
    try:
        yield
    except (ConfigurationException, MissingDependencyException):
        raise  # it knows which setting it is
    except (DltException, TypeError, ValueError) as error:
        raise SettingsError(
            f"dlt cannot make {what} ({type(error).__name__}).",
            remedy="check the names of the pipeline and the dataset, and the settings of the destination",
        ) from error


def database_file(credentials: CredentialsConfiguration | None) -> Path | None:
    """Name the file that these credentials open or create; None for other databases.

    Raises:
        SettingsError: They are those of another database, which DuckDB would take for the name of a file.
    """
    if not isinstance(credentials, ConnectionStringCredentials):
        return None
    if isinstance(credentials, DuckDbCredentials) and (
        credentials.drivername != "duckdb" or credentials.host
    ):
        raise SettingsError(
            "The destination is a DuckDB file, but its credentials are those of another database.",
            remedy="name the destination that they are for, such as --destination postgres, or set "
            "DESTINATION__DUCKDB__CREDENTIALS to the path of a file",
        )
    database = credentials.database or ""
    is_file = credentials.drivername in {"duckdb", "sqlite"} and database and not database.startswith(":")
    return Path(database).absolute() if is_file else None


def settings_of(pipeline_name: str) -> AbstractContextManager[ConfigSectionContext]:
    """Look settings up as the pipeline would, under its own name first."""
    return inject_section(ConfigSectionContext(pipeline_name=pipeline_name))
