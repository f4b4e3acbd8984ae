"""Staging tables for each pipeline, so that several can load into one database at once."""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256

import dlt
from dlt.common.configuration.container import Container
from dlt.common.destination.client import DestinationClientDwhConfiguration
from dlt.common.pipeline import PipelineContext

from cf_invoice_source.warehouse.dataset_ref import DatasetRef, client_of
from cf_invoice_source.warehouse.destination import is_sqlite
from cf_invoice_source.warehouse.dlt_names import (
    AnyDestination,
    DestinationClientConfiguration,
    DltException,
    JobClientBase,
    capabilities_in,
    settings_in,
    with_settings,
)

_LAYOUT = "staging_dataset_name_layout"
_DEFAULT = DestinationClientDwhConfiguration.staging_dataset_name_layout


def separate_staging(pipeline: dlt.Pipeline, client: JobClientBase | None = None) -> None:
    """Give a pipeline its own staging tables, unless the settings name some.

    dlt empties the staging tables of a dataset before it fills and merges them. Pipelines that share them
    would lose each other's rows, and their bookmarks would say that these are loaded. And a dataset with
    dlt's default name for them may belong to somebody. Call this before anything is loaded, also a pending
    package: one that was begun with other staging tables cannot be finished.

    A `client` of the pipeline's destination, if there is one, saves the time to make another.
    """
    destination = pipeline.destination
    if _LAYOUT in settings_in(destination):
        return  # dlt takes a while to find the settings
    client = client or client_of(pipeline)
    name_staging(destination, client.config, pipeline.pipeline_name)
    if is_sqlite(client):
        # SQLite has one writer: of several at once some would fail, and be tried again.
        capabilities_in(destination)["loader_parallelism_strategy"] = "sequential"


def name_staging(
    destination: AnyDestination, config: DestinationClientConfiguration, pipeline_name: str
) -> None:
    """Let a destination, resolved as this configuration, name its staging dataset after the pipeline, too."""
    if getattr(config, _LAYOUT, None) == _DEFAULT:
        settings_in(destination)[_LAYOUT] = _own_layout(pipeline_name)


def _own_layout(pipeline_name: str) -> str:
    return f"{_DEFAULT}_{sha256(pipeline_name.encode()).hexdigest()[:8]}"


def beside(ref: DatasetRef, suffix: str) -> DatasetRef:
    """Give the same dataset to a pipeline of its own, whose name is that of the other with a suffix.

    Its destination has the settings that the other one found, as dlt would look them up under the new name.
    Its staging tables are its own.
    """
    found, own = ref.client().config, _own_layout(ref.pipeline_name)
    settings = {name: found[name] for name in found if name not in _OF_A_PIPELINE}
    known = {name: value for name, value in settings.items() if value is not None and value != own}
    name = f"{ref.pipeline_name}_{suffix}"
    return DatasetRef(
        name, with_settings(ref.destination, known), ref.dataset_name, ref.working_dir.with_name(name)
    )


_OF_A_PIPELINE = {"destination_type", "environment", "dataset_name", "default_schema_name", "staging_config"}
"""What a pipeline sets in the configuration of its destination."""


def dataset_name_in(client: JobClientBase, given: str) -> str:
    """Name a dataset as it is in the database, which may write it in another way than the user."""
    config = client.config
    if isinstance(config, DestinationClientDwhConfiguration):
        return config.normalize_dataset_name(client.schema)
    return given


def separate_staging_of_the_active_pipeline() -> None:
    """Do so for the active pipeline, if there is one with a destination."""
    if Container()[PipelineContext].is_active():
        with suppress(DltException):
            separate_staging(dlt.current.pipeline())
