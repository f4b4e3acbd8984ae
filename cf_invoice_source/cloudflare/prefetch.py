"""Pages asked for before they are needed, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import Any, Generic, TypeVar
from weakref import finalize

from dlt.common.runtime.signals import raise_if_signalled

from cf_invoice_source.settings import PAGES_AHEAD
from cf_invoice_source.walk.page import Page

R = TypeVar("R")
_Jobs = SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]


class RequestPool:
    """A few threads that send requests, started as they are needed."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._started = 0
        self._idle = Semaphore(0)
        self._jobs: _Jobs = SimpleQueue()
        self.close = finalize(self, self._jobs.put, None)
        """Let each thread end after what it is doing; what is still waiting in the queue comes first."""

    def submit(self, fetch_page: Callable[[], Page[R]]) -> Future[Page[R]]:
        """Have a page asked for."""
        future: Future[Page[R]] = Future()
        self._jobs.put((future, fetch_page))
        if not self._idle.acquire(blocking=False) and self._started < self._size:
            self._started += 1
            name = f"cloudflare-{self._started}"
            # A daemon, unlike those of the standard library's pool: a request that hangs must not keep a
            # process alive that was told to end.
            Thread(target=_work, args=(self._jobs, self._idle), name=name, daemon=True).start()
        return future


def _work(jobs: _Jobs, idle: Semaphore) -> None:
    while (job := jobs.get()) is not None:
        future, fetch = job
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(fetch())
            except BaseException as error:  # noqa: BLE001 - raised again by who takes the page
                future.set_exception(error)
        del job, future, fetch  # while the thread waits, it keeps nothing
        idle.release()
    jobs.put(None)  # for the next thread


@dataclass(slots=True)
class PageFetcher(Generic[R]):
    """The pages of one account's list: `ahead` may be asked for at once, and `submit` has a thread ask."""

    fetch_page: Callable[[int], Page[R]]
    submit: Callable[[Callable[[], Page[R]]], Future[Page[R]]]
    ahead: int = PAGES_AHEAD
    on_page: Callable[[Page[R]], object] | None = None  # told of each page that is taken
    requests: int = 0  # pages asked for, whether or not they were taken
    _coming: dict[int, Future[Page[R]]] = field(default_factory=dict)

    @property
    def in_flight(self) -> int:
        """How many pages were asked for that nobody has taken yet."""
        return len(self._coming)

    def expect(self, page: int) -> Future[Page[R]]:
        """Have a page asked for now, for it will be needed."""
        if page not in self._coming:
            self._coming[page] = self.submit(lambda: self.fetch_page(page))
            self.requests += 1
        return self._coming[page]

    def __call__(self, page: int) -> Page[R]:
        """Take a page, and wait for it if need be; raise what its request failed with."""
        first_ready([self.expect(page)])
        taken = self._coming.pop(page).result()
        if self.on_page:
            self.on_page(taken)
        return taken

    def drop(self) -> None:
        """Let go of the pages that nobody took."""
        self.requests -= sum(future.cancel() for future in self._coming.values())
        self._coming.clear()


def first_ready(coming: Sequence[Future[Any]]) -> int:
    """Wait for the first of some pages, and say which it is. A signal ends the wait."""
    while not any(future.done() for future in coming):
        wait(coming, 0.2, FIRST_COMPLETED)  # so many seconds may a signal have to wait
        raise_if_signalled()
    return next(index for index, future in enumerate(coming) if future.done())
