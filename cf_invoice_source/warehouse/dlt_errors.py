"""Turns what dlt and the drivers below it raise into an error that says what to do."""

from __future__ import annotations

import codecs
import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dlt.common.configuration.exceptions import (
    ConfigFieldMissingException,
    ConfigValueCannotBeCoercedException,
)
from dlt.common.configuration.providers.toml import TomlProviderReadException
from dlt.common.destination.exceptions import DestinationException
from dlt.common.exceptions import MissingDependencyException

from cf_invoice_source.errors import DestinationError, InvoiceSourceError, SettingsError
from cf_invoice_source.redaction import without_values
from cf_invoice_source.warehouse.dlt_names import ConfigurationException, DltException

_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}

KEPT = "what is not loaded yet is kept, and "
"""Said of a package that waits for the destination."""

_WHERE_TO_SET = (
    "set it in .dlt/secrets.toml under [destination.NAME.credentials], or in the environment as "
    "DESTINATION__NAME__CREDENTIALS (https://dlthub.com/docs/general-usage/credentials)"
)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn what dlt raises into an error that says what to do. A bug of ours stays itself."""
    try:
        yield
    except (DltException, OSError) as error:
        explained = _explained(error)
        if explained is error:
            raise
        # An error found inside `error` keeps its own cause: a circle of causes would hang whoever prints it.
        # An error of dlt's settings is not shown even in a traceback: it may repeat a value.
        is_own = explained.__traceback__ or isinstance(explained, SettingsError)
        # Its own frames are dropped: they hold rows.
        raise explained.with_traceback(None) from (explained.__cause__ if is_own else _told_by(error))


@contextmanager
def translated_driver_errors(kept: str = "") -> Iterator[None]:
    """Treat every error as one of the destination: each driver has its own classes."""
    try:
        yield
    except (InvoiceSourceError, DltException):
        raise
    except Exception as error:  # noqa: BLE001 - see above
        raise _destination_failed(error, kept) from _told_by(error)


@contextmanager
def translated_state_errors() -> Iterator[None]:
    """Say what to do if what dlt has stored about the tables, its schema or its state, cannot be read.

    It is not deleted here: a newer dlt may have written it.
    """
    try:
        yield
    except DltException as error:
        below = getattr(error, "exception", error)
        is_known = isinstance(below, DestinationException | ConfigurationException | InvoiceSourceError)
        if is_known or not isinstance(below, DltException | ValueError | KeyError | TypeError):
            raise
        raise DestinationError(
            f"What dlt has stored about the tables cannot be read ({type(below).__name__}): somebody has "
            "changed it, or a newer dlt wrote it.",
            remedy="update dlt; or else delete the rows of cf_invoice_source in _dlt_version, and those of "
            "this pipeline in _dlt_pipeline_state: the next load reads and compares everything",
        ) from None


def _explained(error: Exception) -> Exception:
    """Find the error below dlt's wrappings, and say what to do about it."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, KeyboardInterrupt):  # dlt takes it for a failed step
            raise cause
        if known := _of_settings(cause):
            return known
    kept = KEPT if getattr(error, "has_pending_data", False) else ""
    deepest = causes[-1]
    if isinstance(deepest, OSError) and deepest.errno in _UNWRITABLE:
        return DestinationError(
            f"dlt cannot write its working files: {deepest.strerror}.",
            remedy="make room on that disk or set the rights (DLT_DATA_DIR names another place), "
            f"then run again: {kept}nothing is loaded twice",
        )
    is_destination = any(isinstance(cause, DestinationException) for cause in causes)
    if is_destination or getattr(error, "step", "") in {"sync", "load"}:
        return _destination_failed(deepest, kept)
    return error


def _of_settings(cause: BaseException) -> InvoiceSourceError | None:
    if isinstance(cause, InvoiceSourceError):
        return cause
    if isinstance(cause, ConfigFieldMissingException):
        missing = f"{cause.spec_name} lacks a setting: {', '.join(cause.traces)}."
        return SettingsError(missing, remedy=_WHERE_TO_SET)
    if isinstance(cause, MissingDependencyException):
        packages = " ".join(f'"{package}"' for package in cause.dependencies)
        return SettingsError(f"{cause.caller} needs another package.", remedy=f"pip install {packages}")
    return _of_dlts_settings(cause) if isinstance(cause, ConfigurationException) else None


def _of_dlts_settings(cause: ConfigurationException) -> SettingsError:
    cause.__cause__ = cause.__context__ = None  # they show the setting's value, which may be a secret
    if isinstance(cause, TomlProviderReadException):
        return _unreadable(cause)
    if isinstance(cause, ConfigValueCannotBeCoercedException):
        cause.field_value = None
        hint: object = cause.hint
        kind = hint.__name__ if isinstance(hint, type) else str(hint).removeprefix("typing.")
        return SettingsError(
            f"The setting {cause.field_name} cannot be read as {kind}.",
            remedy="correct it in .dlt/config.toml, in .dlt/secrets.toml or in the environment",
        )
    said = " ".join(str(cause).strip().splitlines()[:2])
    return SettingsError(f"dlt cannot use its settings: {said}", remedy=_WHERE_TO_SET)


def _told_by(error: BaseException) -> Exception:
    """Give what an error says, for a traceback: its own frames and attributes hold rows, and so do quotes."""
    told = without_values(f"{type(error).__name__}: {error}")
    for cause in _causes(error):
        cause.args = ()  # they may be in a frame of `contextlib`
    return RuntimeError(told)


_REMEDIES = {
    "but we can only read": "a newer DuckDB made this file: pip install -U duckdb, or name another file",
    "storage version greater": "a newer DuckDB made this file: pip install -U duckdb, or name another file",
    "different configuration": "this program has the file open with other settings: close that connection",
    "Conflicting lock": "another program has the file open: close it",
    "Could not set lock": "another program has the file open: close it",
    "Could not read enough bytes": (
        "if this file was begun on a full disk, it holds nothing: delete it, or name another"
    ),
    "not a valid DuckDB database file": (
        "it seems to be another program's file: name another one, in DESTINATION__DUCKDB__CREDENTIALS "
        "(only if a load began it on a full disk, delete it)"
    ),
}
"""What to do if the destination says this: DuckDB's words, in versions 1.5 and 2.0."""


def _unreadable(cause: TomlProviderReadException) -> SettingsError:
    """Say what is wrong with a file of settings. Some editors begin it with a mark that is no TOML."""
    said = str(cause).strip().splitlines()[-1]
    for path in filter(Path.is_file, map(Path, cause.full_paths)):
        if path.read_bytes().startswith(codecs.BOM_UTF8):
            said = f"{path} begins with a byte order mark"
    return SettingsError(
        f"dlt's {cause.file_name} cannot be read: {said}",
        remedy=f"correct it, and save it as UTF-8 without a byte order mark: {' or '.join(cause.full_paths)}",
    )


def _destination_failed(error: BaseException, kept: str = "") -> DestinationError:
    text = without_values(str(error)).rpartition("The actual reason given is: ")[2].strip()
    first_line = (text.splitlines() or [type(error).__name__])[0]
    check = "check its address, rights, locks and disk space"
    check = next((known for sign, known in _REMEDIES.items() if sign in text), check)
    remedy = f"{check}, then run again: {kept}nothing is loaded twice"
    return DestinationError(f"The destination failed: {first_line}", remedy=remedy)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk down from what dlt raised to what went wrong first."""
    # Where dlt's errors, DuckDB's and Python's keep what went wrong below them.
    wrapped = ("exception", "client_exception", "inner_exc", "__cause__")
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = next(filter(None, (getattr(cause, name, None) for name in wrapped)), None)
