"""Requests on their way at the same time, answered in an order that a test decides: no threads, no chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from cf_invoice_source.invoices.record import Item
from cf_invoice_source.loading.account import Account
from cf_invoice_source.loading.accounts import Accounts
from cf_invoice_source.walk.page import Page


@dataclass
class Schedule:
    """A server that answers when somebody waits, and then whichever request it likes first.

    Attributes:
        order: Which of the requests on their way is answered next, again and again.
    """

    order: Sequence[int] = (0,)
    answered: int = 0
    in_flight: list[_Request] = field(default_factory=list)

    def submit(self, ask: Callable[[], Page[Item]]) -> Future[Page[Item]]:
        request = _Request(self, ask)
        self.in_flight.append(request)
        return request

    def answer_one(self) -> None:
        place = self.order[self.answered % len(self.order)] % len(self.in_flight)
        self.answered += 1
        request = self.in_flight.pop(place)
        if request.set_running_or_notify_cancel():
            request.set_result(request.ask())


class _Request(Future[Page[Item]]):
    def __init__(self, schedule: Schedule, ask: Callable[[], Page[Item]]) -> None:
        super().__init__()
        self.schedule, self.ask = schedule, ask

    def done(self) -> bool:
        while not super().done():
            self.schedule.answer_one()
        return True


class ScheduledAccounts(Accounts):
    """Accounts whose requests a schedule answers."""

    def __init__(self, *asked: Any, schedule: Schedule, ahead: int = 1, **how: Any) -> None:
        super().__init__(*asked, **how)
        self.schedule, self.ahead = schedule, ahead

    def account_of(self, account_id: str) -> Account:
        return self._account(account_id, 1)

    def _account(self, account_id: str, sync_number: int) -> Account:
        account = super()._account(account_id, sync_number)
        account.pages.submit, account.pages.ahead = self.schedule.submit, self.ahead
        return account
