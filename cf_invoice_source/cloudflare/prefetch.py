"""Fetches pages before they are needed, several at a time."""

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
Answer = TypeVar("Answer")
_Jobs = SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]


class RequestPool:
    """A few threads that send requests; each is started when it is first needed."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._started = 0
        self._idle = Semaphore(0)
        self._jobs: _Jobs = SimpleQueue()
        self.close = finalize(self, self._jobs.put, None)
        """End each thread after the jobs that are still in the queue."""

    def submit(self, fetch: Callable[[], Answer]) -> Future[Answer]:
        """Have a thread fetch something, such as a page."""
        future: Future[Answer] = Future()
        self._jobs.put((future, fetch))
        if not self._idle.acquire(blocking=False) and self._started < self._size:
            self._started += 1
            name = f"cloudflare-{self._started}"
            # A daemon thread, unlike those of the standard library's pool: a request that hangs must not keep
            # the process from ending.
            Thread(target=_work, args=(self._jobs, self._idle), name=name, daemon=True).start()
        return future


def _work(jobs: _Jobs, idle: Semaphore) -> None:
    while (job := jobs.get()) is not None:
        future, fetch = job
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(fetch())
            except BaseException as error:  # noqa: BLE001 - raised where the page is taken
                future.set_exception(error)
        del job, future, fetch  # or a waiting thread would keep the page in memory
        idle.release()
    jobs.put(None)  # for the next thread


@dataclass(slots=True)
class PageFetcher(Generic[R]):
    """The pages of one account's list. Up to `ahead` are fetched at once, by the threads of `submit`."""

    fetch_page: Callable[[int], Page[R]]
    submit: Callable[[Callable[[], Page[R]]], Future[Page[R]]]
    ahead: int = PAGES_AHEAD
    on_page: Callable[[Page[R]], object] | None = None  # called with each page that is taken
    requests: int = 0  # pages asked for, taken or not
    _coming: dict[int, Future[Page[R]]] = field(default_factory=dict)

    @property
    def in_flight(self) -> int:
        """How many pages have been asked for and not been taken yet."""
        return len(self._coming)

    def expect(self, page: int) -> Future[Page[R]]:
        """Start fetching a page that will be needed."""
        if page not in self._coming:
            self._coming[page] = self.submit(lambda: self.fetch_page(page))
            self.requests += 1
        return self._coming[page]

    def __call__(self, page: int) -> Page[R]:
        """Take a page; wait until it is there. Raise the error that its request failed with."""
        first_ready([self.expect(page)])
        taken = self._coming.pop(page).result()
        if self.on_page:
            self.on_page(taken)
        return taken

    def drop(self) -> None:
        """Drop the pages that were fetched and not taken; cancel those still in the queue."""
        self.requests -= sum(future.cancel() for future in self._coming.values())
        self._coming.clear()


def first_ready(coming: Sequence[Future[Any]]) -> int:
    """Wait for the first of several pages, and return its index. A signal ends the wait."""
    while not any(future.done() for future in coming):
        wait(coming, 0.2, FIRST_COMPLETED)  # how long a signal may have to wait, in seconds
        raise_if_signalled()
    return next(index for index, future in enumerate(coming) if future.done())
