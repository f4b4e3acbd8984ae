"""Ways to break what a command needs: its credentials, its account, or the answers it gets."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cf_invoice_source.simulator import Account, Fault, Simulator

Break = Callable[[Simulator, Account, pytest.MonkeyPatch], object]


def fault(made: Fault) -> Break:
    return lambda simulator, _account, _monkeypatch: simulator.faults.append(made)


def setting(name: str, value: str) -> Break:
    return lambda _simulator, _account, monkeypatch: monkeypatch.setenv(name, value)


def wrong_token(simulator: Simulator, *_: object) -> None:
    simulator.token = "simulator-token-that-was-rolled"


def denied(simulator: Simulator, account: Account, *_: object) -> None:
    simulator.denied.add(account.id)
