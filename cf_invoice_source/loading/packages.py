"""Loads packages into the destination: retries them, and finishes or drops those of an interrupted run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import NoneType
from typing import Any

import dlt
from dlt.pipeline.exceptions import PipelineStepFailed
from dlt.pipeline.helpers import retry_load, retry_schema_update
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from cf_invoice_source.invoices.tables import INVOICES
from cf_invoice_source.notices import notify
from cf_invoice_source.settings import SECTION
from cf_invoice_source.warehouse.dlt_errors import (
    KEPT,
    translated_driver_errors,
    translated_state_errors,
)
from cf_invoice_source.warehouse.dlt_names import DltException
from cf_invoice_source.warehouse.reader import bookmarks_in
from cf_invoice_source.warehouse.stored import StoredRows
from cf_invoice_source.warehouse.working_dir import forget_values, values_forgotten

_ATTEMPTS = 6
"""Pipelines that create the same tables at the same time fail a few times."""

_DROPPED = "what an earlier run had left to load was dropped"


def load_package(pipeline: dlt.Pipeline, data: Any, before_retry: Callable[[], None] | None = None) -> None:
    """Extract one package from a source, and load it. Call `finish_pending` first."""
    with values_forgotten(pipeline):
        pipeline.extract(data)
    try:
        _deliver(pipeline, before_retry)
    except PipelineStepFailed:
        if not pipeline.has_pending_data:  # dlt dropped the package
            _forget_bookmarks(pipeline)
        raise


def finish_pending(pipeline: dlt.Pipeline, before_retry: Callable[[], None] | None = None) -> str:
    """Load the packages that an earlier run left, or drop them. Return why tables must be repaired, if so.

    They are dropped if they cannot be loaded, or if another load came in between: they would overwrite newer
    rows. The bookmarks are dropped with them, and the reason is returned; it is empty if all is well. If the
    destination does not answer, the packages stay.
    """
    pipeline.activate()
    left = [*pipeline.list_extracted_load_packages(), *pipeline.list_normalized_load_packages()]
    if not left:
        _synchronize(pipeline)
        return ""
    is_being_dropped = not pipeline.has_pending_data  # an earlier run was dropping it when it ended
    with translated_driver_errors("" if is_being_dropped else KEPT):
        is_overtaken = StoredRows(pipeline).is_overtaken()
    _synchronize(pipeline)
    is_finished = not (is_being_dropped or is_overtaken) and _is_finished(pipeline, before_retry)
    if not is_finished:
        pipeline.abort_packages()
        _forget_bookmarks(pipeline)
    _synchronize(pipeline)
    return "" if is_finished else _DROPPED


def _deliver(pipeline: dlt.Pipeline, before_retry: Callable[[], None] | None) -> None:
    def is_passing(error: BaseException) -> bool:
        # With `[load] auto_abort_on_terminal_error`, dlt has dropped the package, and a retry would load
        # nothing and succeed.
        return (
            pipeline.has_pending_data
            and _is_no_interruption(error)
            and (retry_schema_update()(error) or retry_load()(error))
        )

    attempts = Retrying(
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.2, max=2),
        retry=retry_if_exception(is_passing),
        before_sleep=before_retry and (lambda _failed: before_retry()),
        reraise=True,
    )
    with values_forgotten(pipeline):
        pipeline.normalize()
        info: Any = attempts(pipeline.load)  # None if there was nothing to load
    for load_id in info.loads_ids if info else ():  # an exception of a job that was retried may quote values
        forget_values(Path(pipeline.working_dir, "load", "loaded", load_id))


def _is_no_interruption(error: BaseException) -> bool:
    return not isinstance(getattr(error, "exception", error), KeyboardInterrupt)


def _is_finished(pipeline: dlt.Pipeline, before_retry: Callable[[], None] | None) -> bool:
    try:
        _deliver(pipeline, before_retry)
    except PipelineStepFailed as error:
        if not _is_no_interruption(error):
            raise
        try:
            StoredRows(pipeline).counts()
        except DltException:
            raise error from error.exception
        return False
    return True


def _forget_bookmarks(pipeline: dlt.Pipeline) -> None:
    """Drop the bookmarks, so that the next walk compares every row: a package may be loaded in part."""
    with pipeline.managed_state() as state:
        bookmarks = bookmarks_in(state)
        if isinstance(bookmarks, dict):
            bookmarks.update({account_id: {} for account_id in bookmarks})


def _synchronize(pipeline: dlt.Pipeline) -> None:
    """Use the destination's state if it is newer, as `pipeline.run` does."""
    if pipeline.config.restore_from_destination and not pipeline.dev_mode:
        with translated_state_errors():
            pipeline.sync_destination()
    if _mend(pipeline.state):  # a copy
        notify("All invoices are read again: the state of this pipeline cannot be read.")
        with pipeline.managed_state() as state:
            _mend(state)


def _mend(state: Any) -> bool:
    """Remove malformed bookmarks and a malformed cursor from a state; say whether there were any."""
    for name in ("sources", SECTION, "resources", INVOICES):
        if not isinstance(state.get(name, {}), dict):
            del state[name]
            return True
        state = state.get(name, {})
    odd = [name for name in ("bookmarks", "incremental") if not isinstance(state.get(name, {}), dict)]
    if not odd and not _is_cursor(state.get("incremental", {}).get("created", {})):
        odd = ["incremental"]
    for name in odd:
        del state[name]
    return bool(odd)


def _is_cursor(stored: Any) -> bool:
    """Whether this has the shape of dlt's cursor for `created`; dlt fails on any other."""
    return (
        isinstance(stored, dict)
        and all(isinstance(stored.get(name), datetime | NoneType) for name in ("initial_value", "last_value"))
        and isinstance(stored.get("unique_hashes", []), list)
    )
