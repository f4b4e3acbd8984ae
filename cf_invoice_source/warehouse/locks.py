"""One load at a time: of one pipeline, whose working directory two would spoil, and into one DuckDB file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from dlt.common.pipeline import get_dlt_pipelines_dir
from filelock import FileLock, Timeout

from cf_invoice_source.errors import DestinationError, InvoiceSourceError, SettingsError, TryLaterError
from cf_invoice_source.notices import notify
from cf_invoice_source.settings import LOCK_WAIT_S
from cf_invoice_source.warehouse.dataset_ref import DatasetRef, database_file
from cf_invoice_source.warehouse.dlt_names import JobClientBase


def pipeline_lock(
    pipeline_name: str, *, wait_s: float = LOCK_WAIT_S, pipelines_dir: str | None = None
) -> AbstractContextManager[None]:
    """Keep other loads of a pipeline waiting. `load` takes it, too.

    Two programs that make one pipeline for the first time at once spoil its working directory: where that can
    happen, take the lock before `dlt.pipeline`.

    Args:
        pipeline_name: Name of the dlt pipeline.
        wait_s: How many seconds to wait for a load that is under way; 0 not at all.
        pipelines_dir: Where dlt keeps its pipelines; its default place if None.

    Raises:
        TryLaterError: Another load of this pipeline did not end in time.
        SettingsError: The place cannot be written.
    """
    path = Path(pipelines_dir or get_dlt_pipelines_dir()) / f"{pipeline_name}.lock"
    return _held(path, f"of the pipeline {pipeline_name}", wait_s, _unwritable_pipelines(path.parent))


def database_lock(client: JobClientBase, *, wait_s: float) -> AbstractContextManager[None]:
    """Keep other loads into a DuckDB or SQLite file waiting; servers let many in at once."""
    database = database_file(client.config.credentials)
    if database is None:
        return nullcontext()
    unwritable = _unwritable_database(database)
    if not database.parent.is_dir():  # the lock would make it, and hide a slip of the pen
        raise unwritable
    return _held(_lock_beside(database), f"into {database}", wait_s, unwritable)


def _lock_beside(database: Path) -> Path:
    return database.with_name(f"{database.name}.lock")


def _unwritable_pipelines(pipelines_dir: Path) -> SettingsError:
    return SettingsError(
        f"dlt's working directory {pipelines_dir} cannot be written.",
        remedy="give this user the right to write there, or name another place in DLT_DATA_DIR",
    )


def _unwritable_database(database: Path) -> DestinationError:
    return DestinationError(
        f"The directory of the database file {database}, or the lock file in it, cannot be written.",
        remedy="make it, or give this user the right to write there, or choose another file",
    )


@contextmanager
def _held(path: Path, what: str, wait_s: float, unwritable: InvoiceSourceError) -> Iterator[None]:
    # The operating system holds it for a process: it ends with the process, however that ends.
    # A singleton may be taken again by whoever holds it: by `load`, inside the command.
    lock = FileLock(path, is_singleton=True)
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if wait_s > 0:
                text = f"Another load {what} is under way: waiting for up to {wait_s:,.0f} seconds"
                notify(text, is_passing=True)
            lock.acquire(timeout=wait_s)
    except Timeout as error:
        cause = f"Another load {what} is still under way, after {wait_s:,.0f} seconds."
        remedy = "run again when it has ended; nothing was asked for or written"
        raise TryLaterError(cause, remedy=remedy) from error
    except OSError as error:
        raise unwritable from error
    try:
        yield
    finally:
        lock.release()


def check_locks(ref: DatasetRef) -> None:
    """Check that a load could take both locks, and the place of the pipeline; nothing is made."""
    pipelines_dir = ref.working_dir.parent
    if not _can_be_made(pipelines_dir / f"{ref.pipeline_name}.lock"):
        raise _unwritable_pipelines(pipelines_dir)
    database = database_file(ref.client().config.credentials)
    if database and not (database.parent.is_dir() and _can_be_made(_lock_beside(database))):
        raise _unwritable_database(database)


def _can_be_made(path: Path) -> bool:
    """Whether a file can be opened for writing, or made, with the directories that lack above it."""
    if path.exists():
        return path.is_file() and os.access(path, os.W_OK)
    above = next(filter(Path.exists, path.parents))
    return above.is_dir() and os.access(above, os.W_OK)
