"""Allows one load at a time for a pipeline, whose working directory two would corrupt, and a DuckDB file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from time import monotonic

from dlt.common.pipeline import get_dlt_pipelines_dir
from filelock import FileLock, Timeout

from cf_invoice_source.errors import DestinationError, InvoiceSourceError, SettingsError, TryLaterError
from cf_invoice_source.notices import notify
from cf_invoice_source.settings import LOCK_WAIT_S
from cf_invoice_source.warehouse.dataset_ref import DatasetRef, database_file
from cf_invoice_source.warehouse.dlt_names import JobClientBase
from cf_invoice_source.warehouse.umask import private_umask
from cf_invoice_source.warehouse.working_dir import check_working_dir


def pipeline_lock(
    pipeline_name: str, *, wait_s: float = LOCK_WAIT_S, pipelines_dir: str | None = None
) -> AbstractContextManager[None]:
    """Make other loads of a pipeline wait. `load` takes this lock, too.

    Two programs that create a pipeline at the same time corrupt its working directory. If that can happen,
    take the lock before `dlt.pipeline`.

    Args:
        pipeline_name: Name of the dlt pipeline.
        wait_s: How many seconds to wait for a load that is under way; 0 not at all.
        pipelines_dir: Where dlt keeps its pipelines; its default place if None.

    Raises:
        TryLaterError: Another load of this pipeline did not end in time.
        SettingsError: The place cannot be written.
    """
    path = Path(pipelines_dir or get_dlt_pipelines_dir()) / f"{pipeline_name}.lock"
    check_working_dir(path.with_suffix(""))
    return _held(path, f"of the pipeline {pipeline_name}", wait_s, _unwritable_pipelines(path.parent))


def database_lock(client: JobClientBase, *, wait_s: float) -> AbstractContextManager[None]:
    """Make other loads into a DuckDB or SQLite file wait. Servers take several at once."""
    named = database_file(client.config.credentials)
    if named is None:
        return nullcontext()
    database = Path(os.path.realpath(named))  # a link is another name of the same database
    if not database.parent.is_dir():  # the lock would create it, and hide a typing error
        raise _unwritable_database(database)
    return _held(_lock_beside(database), f"into {database}", wait_s, _unwritable_database(database), database)


def _lock_beside(database: Path) -> Path:
    return database.with_name(f"{database.name}.lock")


def _unwritable_pipelines(pipelines_dir: Path) -> SettingsError:
    return SettingsError(
        f"dlt's working directory {pipelines_dir} cannot be written.",
        remedy="give this user the right to write there, or name another place in DLT_DATA_DIR",
    )


def _unwritable_database(database: Path) -> DestinationError:
    return DestinationError(
        f"The directory of the database file {database} cannot be written.",
        remedy="make it, or give this user the right to write there, or choose another file",
    )


class Waits:
    """Several waits in a row, with a bound for their total in seconds."""

    def __init__(self, wait_s: float) -> None:
        self._until = monotonic() + wait_s

    @property
    def left_s(self) -> float:
        """How many seconds the next one may take."""
        return max(0.0, self._until - monotonic())


@contextmanager
def _held(
    path: Path,
    what: str,
    wait_s: float,
    unwritable: InvoiceSourceError,
    database: Path | None = None,
) -> Iterator[None]:
    # The operating system holds it for a process: it ends with the process, however that ends.
    # A singleton may be taken again by whoever holds it: by `load`, inside the command.
    lock = FileLock(path, mode=0o666 & ~private_umask(), is_singleton=True)
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
        raise (_unusable_lock(path) if os.path.lexists(path) else unwritable) from error
    try:
        _share(path, database)
        yield
    finally:
        _share(path, database)
        lock.release()


def check_locks(ref: DatasetRef) -> None:
    """Check that a load could take both locks; nothing is made."""
    check_working_dir(ref.working_dir)
    pipelines_dir = ref.working_dir.parent
    _check_lock(pipelines_dir / f"{ref.pipeline_name}.lock", _unwritable_pipelines(pipelines_dir))
    if named := database_file(ref.client().config.credentials):
        database = Path(os.path.realpath(named))
        unwritable = _unwritable_database(database)
        if not database.parent.is_dir():
            raise unwritable
        _check_lock(_lock_beside(database), unwritable)


def _check_lock(path: Path, unwritable: InvoiceSourceError) -> None:
    """Check that a lock can be opened, or created together with missing directories."""
    if os.path.lexists(path):
        if not (path.is_file() and os.access(path, os.W_OK)):
            raise _unusable_lock(path)
        return
    above = next(filter(Path.exists, path.parents))
    if not (above.is_dir() and os.access(above, os.W_OK)):
        raise unwritable


def _unusable_lock(path: Path) -> SettingsError:
    return SettingsError(
        f"The lock file {path} cannot be opened for writing.",
        remedy="give this user the right to write it, or delete it while no load is under way",
    )


def _share(path: Path, database: Path | None) -> None:
    """Give the lock the mode of the database: who may write one may take the other."""
    if database:
        with suppress(OSError):  # it is another user's, who did so, or the database is not there yet
            path.chmod(stat.S_IMODE(database.stat().st_mode) & 0o666)
