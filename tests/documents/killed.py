"""`cf-invoices documents` in a process that kills itself with SIGKILL at an event of a number, or at its end.

    python -m tests.documents.killed NUMBER TO

An event is what can be half done: a file that is opened to write, linked, moved or removed.
"""

from __future__ import annotations

import os
import signal
import sys

_DEEDS = {"os.link", "os.rename", "os.remove", "os.mkdir"}


def main() -> None:
    number, to = int(sys.argv[1]), sys.argv[2]
    from cf_invoice_source.cli.main import cli

    counted = 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal counted
        is_opened = event == "open" and isinstance(arguments[2], int) and bool(arguments[2] & os.O_CREAT)
        if is_opened or event in _DEEDS:
            counted += 1
            if counted == number:
                die()

    sys.addaudithook(count)
    try:
        cli.main(["documents", "--to", to])
    except SystemExit:
        die()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
