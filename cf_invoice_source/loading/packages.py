"""Brings load packages into the destination: retries them, finishes or drops what was left behind."""

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
from cf_invoice_source.warehouse.dlt_errors import KEPT, translated_driver_errors
from cf_invoice_source.warehouse.dlt_names import DltException
from cf_invoice_source.warehouse.reader import bookmarks_in
from cf_invoice_source.warehouse.stored import StoredRows
from cf_invoice_source.warehouse.working_dir import forget_values, values_forgotten

_ATTEMPTS = 6
"""Pipelines that make the same tables at once get in each other's way a few times."""

_DROPPED = "what an earlier run had left to load was dropped"


def load_package(pipeline: dlt.Pipeline, data: Any, before_retry: Callable[[], None] | None = None) -> None:
    """Extract what a source gives for one package, and load it; call `finish_pending` before."""
    with values_forgotten(pipeline):
        pipeline.extract(data)
    try:
        _deliver(pipeline, before_retry)
    except PipelineStepFailed:
        if not pipeline.has_pending_data:  # dlt dropped the package
            _forget_bookmarks(pipeline)
        raise


def finish_pending(pipeline: dlt.Pipeline, before_retry: Callable[[], None] | None = None) -> str:
    """Load what an earlier run left behind, or drop it where that is not possible or too late.

    It is too late when another load came in between: newer rows would be overwritten. Dropping takes the
    bookmarks along; then it says why the tables must be repaired. Where the destination does not answer, what
    was left behind stays.
    """
    pipeline.activate()
    left = [*pipeline.list_extracted_load_packages(), *pipeline.list_normalized_load_packages()]
    if not left:
        _synchronize(pipeline)
        return ""
    is_being_dropped = not pipeline.has_pending_data  # and that run ended in the middle
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
        # With `[load] auto_abort_on_terminal_error` dlt has dropped the package: loading nothing succeeds.
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
        info = attempts(pipeline.load)
    for load_id in info.loads_ids:  # a job that failed at first has left its exception there
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
    """Let the next walk of every account compare every row: some tables of a package may have been loaded."""
    with pipeline.managed_state() as state:
        bookmarks = bookmarks_in(state)
        if isinstance(bookmarks, dict):
            bookmarks.update({account_id: {} for account_id in bookmarks})


def _synchronize(pipeline: dlt.Pipeline) -> None:
    """Take over the state of the destination where it is newer, as `pipeline.run` does once."""
    if pipeline.config.restore_from_destination and not pipeline.dev_mode:
        pipeline.sync_destination()
    if _mend(pipeline.state):  # a copy
        notify("All invoices are read again: the state of this pipeline cannot be read.")
        with pipeline.managed_state() as state:
            _mend(state)


def _mend(state: Any) -> bool:
    """Take out of a state what is there in place of our bookmarks, or of dlt's cursor; say whether it was."""
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
    """Whether this is what dlt remembers of `created`: it informs only, but anything else stops dlt."""
    return (
        isinstance(stored, dict)
        and all(isinstance(stored.get(name), datetime | NoneType) for name in ("initial_value", "last_value"))
        and isinstance(stored.get("unique_hashes", []), list)
    )
