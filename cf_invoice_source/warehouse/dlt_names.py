"""Names of dlt that its guides do not document and several modules need, each with its reason."""

from copy import copy
from typing import Any

# What went wrong is a line of dlt's log, where that is read by machines or by users of plain dlt.
from dlt.common import logger as logger

# Settings are read outside of a source, under the name of the pipeline first.
from dlt.common.configuration import resolve_configuration as resolve_configuration
from dlt.common.configuration.exceptions import ConfigurationException as ConfigurationException
from dlt.common.configuration.resolve import inject_section as inject_section
from dlt.common.configuration.specs import known_sections as known_sections
from dlt.common.configuration.specs.config_section_context import (
    ConfigSectionContext as ConfigSectionContext,
)

# The types of `pipeline.destination`, of its clients and of their configuration.
from dlt.common.destination import AnyDestination as AnyDestination
from dlt.common.destination.client import DestinationClientConfiguration as DestinationClientConfiguration
from dlt.common.destination.client import JobClientBase as JobClientBase

# A missing table reads as empty; an error of dlt's is told from a bug of ours.
from dlt.common.destination.exceptions import DestinationUndefinedEntity as DestinationUndefinedEntity
from dlt.common.exceptions import DltException as DltException

# Which destinations are files, which answer SQL, and a table as dlt describes it.
from dlt.common.schema.utils import get_table_format as get_table_format
from dlt.common.schema.utils import new_column as new_column
from dlt.common.schema.utils import new_table as new_table
from dlt.destinations.impl.filesystem.filesystem import FilesystemClient as FilesystemClient
from dlt.destinations.sql_client import WithSqlClient as WithSqlClient


def settings_in(destination: AnyDestination) -> dict[str, Any]:
    """Give the settings of a destination that is there already, to be changed."""
    return destination.config_params


def with_settings(destination: AnyDestination, settings: dict[str, Any]) -> AnyDestination:
    """Give a copy of a destination with these settings instead of its own."""
    made = copy(destination)
    made.config_params, made.caps_params = settings, dict(destination.caps_params)
    return made


def dataset_path_of(client: FilesystemClient) -> str:
    """Name the directory of a dataset of files."""
    return client.dataset_path.rstrip("/")


def capabilities_in(destination: AnyDestination) -> dict[str, Any]:
    """Give the capabilities that were set for a destination, to be changed, too."""
    return destination.caps_params
