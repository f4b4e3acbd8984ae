"""Ctrl-C and SIGTERM: the process ends at once, with one line."""

from __future__ import annotations

import os
import signal
import socket
import sys
from threading import Thread

_WORDS = {signal.SIGINT: "Interrupted.", signal.SIGTERM: "Terminated."}


def end_on_signals() -> None:
    """End this process at once on Ctrl-C and SIGTERM, with one line and exit code 130 or 143.

    A thread of its own does it, woken by the interpreter. The main thread may be in a database driver, and
    others in a request without an answer: they would notice an exception too late. A load may end at any
    point, as when it is killed, so nothing has to be cleaned up. An ignored signal stays ignored.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    for number in _WORDS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda _number, _frame: None)
    signal.set_wakeup_fd(writer.detach(), warn_on_full_buffer=False)
    Thread(target=_end_when_told, args=(reader,), daemon=True, name="signals").start()


def _end_when_told(reader: socket.socket) -> None:
    while (number := reader.recv(1)[0]) not in _WORDS:
        pass
    # Clear the line of the spinner and the ^C, and show the cursor again.
    clean = "\r\x1b[2K\x1b[?25h" if sys.stderr.isatty() else ""
    try:
        os.write(2, f"{clean}{_WORDS[signal.Signals(number)]}\n".encode())
    finally:
        # Not sys.exit: it waits for threads, and the interrupted thread may hold the lock of a buffer.
        os._exit(128 + number)
