"""Ctrl-C and SIGTERM: the process ends at once, with one line."""

from __future__ import annotations

import os
import signal
import socket
import sys
from threading import Thread

_WORDS = {signal.SIGINT: "Interrupted.", signal.SIGTERM: "Terminated."}


def end_on_signals() -> None:
    """End this process on Ctrl-C and SIGTERM: one line, and exit code 130 or 143, whatever it waits for.

    A thread does it, told by the interpreter itself: the main thread may be deep in a database's driver, and
    other threads in a request that nobody answers; neither would see an exception soon. A load may end
    anywhere (it may be killed, after all), so nothing has to be unwound. What is ignored stays ignored.
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
    # Rub out what the spinner or a ^C left on the line, and show the cursor again.
    clean = "\r\x1b[2K\x1b[?25h" if sys.stderr.isatty() else ""
    try:
        os.write(2, f"{clean}{_WORDS[signal.Signals(number)]}\n".encode())
    finally:
        # Not sys.exit: that waits for threads, and buffers may be locked by whoever was interrupted.
        os._exit(128 + number)
