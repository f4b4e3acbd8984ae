"""Where documents are kept: a directory, or an address that fsspec can reach. Nothing is ever overwritten."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from shutil import copyfileobj
from typing import IO, Any

from dlt.common.storages import FilesystemConfiguration, fsspec_from_config

from cf_invoice_source.documents.naming import is_counted
from cf_invoice_source.errors import DestinationError, InvoiceSourceError, SettingsError
from cf_invoice_source.redaction import without_values
from cf_invoice_source.warehouse.dlt_names import DltException, known_sections, resolve_configuration
from cf_invoice_source.warehouse.umask import create_private, private_umask

_PART_BYTES = 2**20
_PARTIAL = ".partial"
_WHERE = "name a directory, or an address such as s3://bucket/folder, gs://... or az://..."
_LEFT_S = 3_600
"""How old a file must be that an interrupted run left half-written, so that it is no other run's."""


class Store:
    """An archive of documents; use `open_store`."""

    def __init__(self, fs: Any, root: str, shown: str) -> None:
        self._fs = fs
        self._root = root.rstrip("/")
        self._shown = shown

    def __str__(self) -> str:
        return self._shown

    def put(self, path: str, body: IO[bytes], digest: str) -> bool:
        """Store a document unless it is there already; return whether what is there now is this document."""
        with self._translated():
            try:
                self._create(self._full(path), body)
            except FileExistsError:
                pass
            else:
                return True
        return self.digest(path) == digest

    def _create(self, full: str, body: IO[bytes]) -> None:
        """Write a whole file, or nothing; raise FileExistsError if there is one."""
        if self._fs.exists(full):
            raise FileExistsError(full)
        # A store that has conditional writes refuses the second of two at once. In others both write the same
        # bytes: a name has their hash.
        self._fs.pipe_file(full, body.read(), mode="create")

    def digest(self, path: str) -> str | None:
        """Hash the file of a document; None if there is none."""
        hashed = sha256()
        with self._translated():
            try:
                with self._fs.open(self._full(path), "rb") as content:
                    while part := content.read(_PART_BYTES):
                        hashed.update(part)
            except (FileNotFoundError, IsADirectoryError):
                return None
        return hashed.hexdigest()

    def paths(self, below: str = "") -> set[str]:
        """List the files in the archive, or in a folder of it, that ought to be known."""
        top = self._full(below) if below else self._root
        with self._translated():
            self._fs.invalidate_cache()
            found = self._fs.find(top)
        start = f"{self._root}/"
        paths = (str(each).removeprefix(start) for each in found if str(each).startswith(start))
        return {path for path in paths if is_counted(path)}

    def tidy(self) -> None:
        """Delete what interrupted runs left half-written."""

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what a storage's library raises into an error that says what to do."""
        try:
            yield
        except (InvoiceSourceError, FileExistsError):
            raise
        except Exception as error:  # noqa: BLE001 - each storage has its own classes
            said = getattr(error, "strerror", None) or without_values(str(error)) or type(error).__name__
            failed = DestinationError(
                f"The archive {self._shown} cannot be used: {said}.",
                remedy="check its address, credentials, rights and room, then run again: nothing is lost",
            )
            raise failed from None


class LocalStore(Store):
    """An archive in a directory. Its files are for one user only, like a DuckDB file with the same rows."""

    def _create(self, full: str, body: IO[bytes]) -> None:
        target, umask = Path(full), private_umask()
        if target.exists():
            raise FileExistsError(full)
        for folder in (Path(self._root), target.parent.parent, target.parent):
            folder.mkdir(mode=0o777 & ~umask, parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}{_PARTIAL}")
        try:
            with os.fdopen(create_private(partial), "wb") as file:
                copyfileobj(body, file, _PART_BYTES)
                file.flush()
                os.fsync(file.fileno())
            _publish(partial, target)
        finally:
            partial.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Delete what interrupted runs left half-written."""
        before = time.time() - _LEFT_S
        for partial in Path(self._root).glob(f"*/*/.*{_PARTIAL}"):
            with suppress(OSError):
                if partial.stat().st_mtime < before:
                    partial.unlink()


def _publish(partial: Path, target: Path) -> None:
    """Give a whole file its name, unless another one has it."""
    try:
        os.link(partial, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        partial.rename(target)


def open_store(to: str) -> Store:
    """Open an archive in a directory or at an address such as s3://bucket/folder.

    Credentials are those of dlt's destination `filesystem`: `[destination.filesystem.credentials]`.

    Raises:
        SettingsError: It cannot be such a place, or a package or a setting for it is missing.
    """
    if not to.strip():
        raise SettingsError("The archive has no name.", remedy=_WHERE)
    try:
        if FilesystemConfiguration.is_local_path(to) or to.startswith("file:"):
            path = FilesystemConfiguration.make_local_path(to) if to.startswith("file:") else to
            root = Path(path).absolute()
            fs, _ = fsspec_from_config(FilesystemConfiguration(bucket_url=root.as_uri()))
            return LocalStore(fs, root.as_posix(), str(root))
        configuration = resolve_configuration(
            FilesystemConfiguration(),
            sections=(known_sections.DESTINATION, "filesystem"),
            explicit_value={"bucket_url": to},
        )
        fs, found = fsspec_from_config(configuration)
    except DltException:
        raise  # it knows the setting, or the package
    except ValueError as error:
        raise SettingsError(
            "The archive is neither a directory nor an address that can be used.",
            remedy=_WHERE,
        ) from error
    return Store(fs, found, str(configuration))
