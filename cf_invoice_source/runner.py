"""One whole load, from the first request to a report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dlt
from dlt.common.configuration.exceptions import ConfigFieldMissingException, ConfigurationException
from dlt.common.exceptions import MissingDependencyException
from dlt.common.pipeline import LoadInfo
from dlt.pipeline.exceptions import PipelineStepFailed

from cf_invoice_source.errors import DestinationError, InvoiceSourceError, SettingsError
from cf_invoice_source.source import Walk, cf_invoice_source


@dataclass(frozen=True, slots=True)
class Report:
    """What a load did.

    Attributes:
        pipeline_name: Name of the dlt pipeline.
        dataset_name: Dataset (schema) that holds the tables.
        destination: Where it lies, without secrets.
        walks: One for each account, in the order of the settings.
    """

    pipeline_name: str
    dataset_name: str
    destination: str
    walks: tuple[Walk, ...]

    @property
    def is_proven(self) -> bool:
        """Whether every account's list was seen whole, and every record of it loaded."""
        return not any(walk.doubt or walk.rejected for walk in self.walks)


def load(pipeline: dlt.Pipeline, **settings: Any) -> Report:
    """Load the invoices of every account into the pipeline's destination.

    Args:
        pipeline: Any dlt pipeline.
        settings: Arguments of `cf_invoice_source`. What is not given comes from dlt's configuration.

    Raises:
        SettingsError: Credentials, account or another setting are missing, wrong or refused.
        TryLaterError: Cloudflare or the network did not answer.
        ApiChangedError: Cloudflare answered in an unknown shape.
        DestinationError: The destination could not be written.
    """
    try:
        info = pipeline.run(cf_invoice_source(**settings))
    except (PipelineStepFailed, ConfigurationException, MissingDependencyException) as error:
        explained = _explained(error)
        # An error found inside `error` keeps its own cause: a circle of causes would hang whoever prints it.
        raise explained from (explained.__cause__ if explained.__traceback__ else error)
    return Report(
        pipeline_name=pipeline.pipeline_name,
        dataset_name=pipeline.dataset_name,
        destination=info.destination_displayable_credentials or info.destination_name,
        walks=tuple(_walks(pipeline, info)),
    )


def _walks(pipeline: dlt.Pipeline, info: LoadInfo) -> Iterator[Walk]:
    """Read what the source noted about its walks from the trace of the run."""
    trace = pipeline.last_trace
    extracted = trace.last_extract_info.metrics if trace and trace.last_extract_info else {}
    for load_id in info.loads_ids:
        for metrics in extracted.get(load_id, ()):
            for resource in metrics["resource_metrics"].values():
                yield from (Walk(**walk) for walk in resource.custom_metrics.values())


def _explained(error: Exception) -> InvoiceSourceError:
    """Find the error below dlt's wrappings, and say what to do about it."""
    cause: BaseException = error
    while not isinstance(cause, InvoiceSourceError):
        if isinstance(cause, KeyboardInterrupt):  # dlt takes it for a failed step
            raise cause
        if isinstance(cause, ConfigFieldMissingException):
            missing = ", ".join(cause.traces)
            lacks = f"{cause.spec_name} lacks a setting: {missing}."
            return SettingsError(lacks, remedy=_WHERE_TO_SET)
        if isinstance(cause, MissingDependencyException):
            packages = " ".join(f'"{package}"' for package in cause.dependencies)
            return SettingsError(f"{cause.caller} needs another package.", remedy=f"pip install {packages}")
        below = getattr(cause, "exception", None) or cause.__cause__
        if below is None:
            break
        cause = below
    if isinstance(cause, InvoiceSourceError):
        return cause
    text = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    if isinstance(cause, ConfigurationException):
        return SettingsError(f"dlt cannot use its settings: {text}", remedy=_WHERE_TO_SET)
    return DestinationError(
        f"The destination failed in dlt's step {getattr(error, 'step', 'run')!r}: {text}",
        remedy="check its address, rights, locks and disk space, then run again: nothing is loaded twice",
    )


_WHERE_TO_SET = (
    "set it in .dlt/secrets.toml under [destination.NAME.credentials], or in the environment as "
    "DESTINATION__NAME__CREDENTIALS (https://dlthub.com/docs/general-usage/credentials)"
)
