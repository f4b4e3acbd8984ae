"""Lets one load at a time write to a dataset of files, on whatever machine it runs.

Each load makes a file with the next number, which only one of many can make; whoever has the highest number
may write. While it runs it goes on changing its file. Another load waits until the file says that the load
has ended, or until it has not changed for `SILENT_S` seconds of the waiting machine's own time: clocks of two
machines are never compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from threading import Event, Thread
from time import monotonic, sleep

from fsspec import AbstractFileSystem

from cf_invoice_source.errors import DestinationError, TryLaterError
from cf_invoice_source.notices import notify

_NAME = "_cf_invoices_load_"
"""How the files are named, before the number. They lie in the dataset's directory, and go with it."""

_ENDED = b"ended"
BEAT_S = 5.0
SILENT_S = 60.0
"""After so many seconds without a change, a load is taken for one that was killed: twelve missed beats."""

_POLL_S = 1.0


def make_once(system: AbstractFileSystem, path: str, content: bytes) -> bool:
    """Make a file unless it is there. Of many that try at once, for one it is True."""
    try:
        # Not `pipe_file(mode="create")`: on a disk it looks first and writes then.
        with system.open(path, "xb") as file:
            file.write(content)
    except FileExistsError:
        return False
    return True


class _Files:
    """The numbered files in one directory."""

    def __init__(self, system: AbstractFileSystem, directory: str) -> None:
        self._system, self._directory = system, directory

    def numbers(self) -> list[int]:
        self._system.invalidate_cache()
        names = (path.rpartition(_NAME)[2] for path in self._system.ls(self._directory, detail=False))
        return sorted(int(name) for name in names if name.isdecimal())

    def newest(self) -> int:
        return max(self.numbers(), default=0)

    def read(self, number: int) -> bytes:
        with suppress(FileNotFoundError):
            return bytes(self._system.cat_file(self._path(number)))
        return _ENDED  # a later load has ended, and has tidied up

    def write(self, number: int, content: bytes) -> None:
        self._system.pipe_file(self._path(number), content)

    def make(self, number: int) -> bool:
        """Make a file unless it is there. True if it is now the newest one."""
        return make_once(self._system, self._path(number), b"0") and self.newest() == number

    def delete_before(self, number: int) -> None:
        for each in self.numbers():
            if each < number:
                with suppress(FileNotFoundError):
                    self._system.rm_file(self._path(each))

    def _path(self, number: int) -> str:
        return f"{self._directory}/{_NAME}{number}"


@contextmanager
def lease(system: AbstractFileSystem, directory: str, *, wait_s: float) -> Iterator[None]:
    """Make other loads into a directory wait.

    Args:
        system: Where the directory is; it has to be there.
        directory: Its path.
        wait_s: How many seconds to wait for a load that is under way; 0 not at all.

    Raises:
        TryLaterError: Another load did not end in time.
        DestinationError: Another load took this one for dead, and has written meanwhile.
    """
    files = _Files(system, directory)
    number = _take(files, directory, wait_s)
    ended = Event()
    beating = Thread(target=_beat, args=(files, number, ended), daemon=True)
    beating.start()

    def end() -> bool:
        """Note the end, and say whether nobody has taken over."""
        ended.set()
        beating.join()
        is_ours = files.newest() == number
        if is_ours:
            files.write(number, _ENDED)
        return is_ours

    try:
        yield
    except BaseException:
        with suppress(Exception):  # the error of the load is the one to tell
            end()
        raise
    if not end():
        raise DestinationError(
            f"This load was silent for over {SILENT_S:,.0f} seconds, and another took {directory} over.",
            remedy="run cf-invoices load again with --full: it compares every row",
        )


def _take(files: _Files, directory: str, wait_s: float) -> int:
    began = since = monotonic()
    seen: tuple[int, bytes] | None = None
    is_told = False
    while True:
        number = files.newest()
        content = files.read(number) if number else _ENDED
        now = monotonic()
        if (number, content) != seen:
            seen, since = (number, content), now
        if content == _ENDED or now - since > SILENT_S:
            if files.make(number + 1):
                files.delete_before(number + 1)
                return number + 1
            continue
        if now - began >= wait_s:
            raise TryLaterError(
                f"Another load into {directory} is still under way, after {wait_s:,.0f} seconds.",
                remedy="run again when it has ended; nothing was asked for or written",
            )
        if not is_told:
            text = f"Another load into {directory} is under way: waiting for up to {wait_s:,.0f} seconds"
            notify(text, is_passing=True)
            is_told = True
        sleep(_POLL_S)


def _beat(files: _Files, number: int, ended: Event) -> None:
    for beat in count(1):
        if ended.wait(BEAT_S):
            return
        with suppress(Exception):  # a fault of the network: the next beat comes in time
            files.write(number, str(beat).encode())
