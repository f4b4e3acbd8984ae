"""What is remembered of all accounts is one text: where it is too long, the load says so before it reads."""

from __future__ import annotations

from typing import Any

import dlt
import pytest

from cf_invoice_source import SettingsError
from cf_invoice_source.simulator import Account, Simulator, World
from cf_invoice_source.warehouse.reader import bookmarks_in
from cf_invoice_source.warehouse.state import check_state
from tests.conftest import Command, Load, Warehouse
from tests.support.make import make_invoice

SHORT = 6_000


@pytest.fixture
def short_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A destination whose texts are short."""
    monkeypatch.setattr("cf_invoice_source.warehouse.destination._text_bytes", lambda _client: SHORT)


@pytest.mark.usefixtures("short_texts")
def test_too_many_accounts_are_refused_before_any_is_read(
    load: Load, simulator: Simulator, world: World, warehouse: Warehouse
) -> None:
    account_ids = [world.add_account(invoices=1).id for _ in range(100)]

    with pytest.raises(SettingsError, match=r"100 accounts takes .* at most 6,000 bytes") as caught:
        load(account_id=account_ids)

    assert "3 shares" in caught.value.remedy
    assert simulator.requests == []


@pytest.mark.slow
@pytest.mark.usefixtures("short_texts", "simulator", "warehouse")
def test_check_says_so_too(world: World, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = ([world.add_account(invoices=1).id for _ in range(count)] for count in (30, 100))

    ended = {}
    for name, account_ids in {"few": few, "many": many}.items():
        monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", ",".join(account_ids))
        ended[name] = command("check")

    assert (ended["few"].exit_code, ended["many"].exit_code) == (0, 1)
    assert "What is remembered of 100 accounts takes" in " ".join(ended["many"].stdout.split())


@pytest.mark.usefixtures("short_texts")
def test_too_many_unsettled_invoices_are_refused_with_the_package_that_has_them(
    load: Load, account: Account, warehouse: Warehouse
) -> None:
    account.records += [make_invoice(id=f"in_{number * 7919**5:x}", status="open") for number in range(700)]

    with pytest.raises(SettingsError, match="of 1 account takes") as caught:
        load()

    assert "longer texts" in caught.value.remedy
    assert "invoices" not in warehouse.tables() or warehouse.ids() == []


@pytest.mark.slow
def test_the_state_takes_as_much_as_was_expected_of_it(
    load: Load, world: World, warehouse: Warehouse
) -> None:
    account_ids = [world.add_account(invoices=3).id for _ in range(60)]
    load(account_id=account_ids)
    [(stored,)] = warehouse.query("SELECT state FROM cf_invoices._dlt_pipeline_state")
    state: Any = dlt.attach("cloudflare_invoices").state

    remembered, needed = bookmarks_in(state), len(stored) + 1_000
    check_state(state, needed, {}, account_ids)  # before the first load
    check_state(state, needed + 50, remembered)
    with pytest.raises(SettingsError):
        check_state(state, needed - 50, remembered)
