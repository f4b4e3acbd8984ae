"""The directory in which dlt keeps load packages: it holds rows, and packages found there are loaded."""

from __future__ import annotations

import logging
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import format_exception

import dlt
from dlt.pipeline.exceptions import PipelineStepFailed
from dlt.pipeline.trace import PipelineStepTrace, save_trace

from cf_invoice_source.errors import SettingsError
from cf_invoice_source.redaction import without_values
from cf_invoice_source.warehouse.umask import private_umask

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def check_working_dir(path: Path) -> None:
    """Check that no other user can have put a package into a working directory, if it exists.

    Raises:
        SettingsError: It is somebody else's, or others may write there.
    """
    if sys.platform == "win32" or not os.path.lexists(path):
        return
    found, link = path.stat() if path.exists() else path.lstat(), path.lstat()
    if {found.st_uid, link.st_uid} != {os.geteuid()}:
        raise SettingsError(
            f"The working directory {path} belongs to another user, who may have left a load in it.",
            remedy="name another place in DLT_DATA_DIR, or another pipeline",
        )
    if found.st_mode & _WRITABLE_BY_OTHERS:
        raise SettingsError(
            f"Other users may write into the working directory {path}, and leave a load in it.",
            remedy="take that right away (chmod go-w), or name another place in DLT_DATA_DIR",
        )


def make_private(pipeline: dlt.Pipeline) -> None:
    """Make the working directory of a new pipeline private. Later, an open one is the user's choice."""
    path = Path(pipeline.working_dir)
    if sys.platform == "win32" or not (pipeline.first_run and path.is_dir()):
        return
    if path.stat().st_uid == os.geteuid():
        path.chmod(0o777 & ~(private_umask() | _WRITABLE_BY_OTHERS))


def delete_rows_once_loaded(pipeline_name: str) -> None:
    """Let dlt delete the files of a loaded package, unless its settings say otherwise."""
    setting = "load.delete_completed_jobs"
    own = f"{pipeline_name}.{setting}"
    if all(dlt.config.get(name) is None for name in (own, setting)):
        dlt.config[own] = True


@contextmanager
def values_forgotten(pipeline: dlt.Pipeline) -> Iterator[None]:
    """Remove what a driver quotes from what dlt logs and keeps of a failure: log, exceptions, trace."""
    logger = logging.getLogger("dlt")
    logger.addFilter(_without_values_in_log)
    try:
        yield
    except PipelineStepFailed:
        forget_values(Path(pipeline.working_dir, "load"))
        if trace := pipeline.last_trace:
            trace.steps[:] = map(_without_values, trace.steps)
            save_trace(pipeline.working_dir, trace)
        raise
    finally:
        logger.removeFilter(_without_values_in_log)


def forget_values(folder: Path) -> None:
    """Remove what a driver quoted from the exceptions that dlt keeps in files."""
    for file in folder.rglob("*.exception"):
        said = file.read_text(encoding="utf-8")
        file.write_text(without_values(said), encoding="utf-8")


def _without_values_in_log(record: logging.LogRecord) -> bool:
    if record.levelno >= logging.WARNING:
        said = [record.getMessage(), *(format_exception(*record.exc_info) if record.exc_info else ())]
        record.msg, record.args, record.exc_info = without_values("\n".join(said)), (), None
    return True


def _without_values(step: PipelineStepTrace) -> PipelineStepTrace:
    if not step.step_exception:
        return step
    for trace in step.exception_traces or ():
        trace["message"] = without_values(trace["message"])
        trace.pop("exception_attrs", None)
    said = without_values(step.step_exception)
    return step._replace(step_exception=said, step_info=None)  # which has the messages of jobs, too
