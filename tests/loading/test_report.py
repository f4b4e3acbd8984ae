"""What came of a load cannot be missed: by a script, by a monitor, or in dlt's log."""

import pytest

from cf_invoice_source import NotVerifiedError
from cf_invoice_source.simulator import Account, Simulator, World
from cf_invoice_source.simulator.faults import edit
from tests.conftest import Load, Warehouse, run_warm
from tests.support.make import make_invoices

PLAIN = """
import dlt
from cf_invoice_source import cf_invoice_source

pipeline = dlt.pipeline("plain", destination="duckdb", dataset_name="cf_invoices")
pipeline.run(cf_invoice_source())
"""


@pytest.mark.slow
def test_a_script_ends_with_an_error_where_an_account_failed_or_has_rejected_records(
    simulator: Simulator, world: World, account: Account, load: Load
) -> None:
    account.records += [*make_invoices(2), "garbage"]
    well, refused = world.add_account("Well", invoices=1), world.add_account("Refused", invoices=1)
    simulator.denied.add(refused.id)

    load(account_id=well.id).raise_on_failed()
    with pytest.raises(NotVerifiedError) as caught:
        load(account_id=[account.id, well.id, refused.id]).raise_on_failed()

    told = caught.value.cause.splitlines()
    assert told[0] == "2 of 3 accounts are not verified."
    assert told[1] == f"Account {account.id}: 1 record rejected: see invoice_rejects"
    assert told[2].startswith(f"Account {refused.id}: failed: Cloudflare refused the request")
    assert well.id not in str(caught.value)
    assert "SELECT reason, raw FROM invoice_rejects" in caught.value.remedy


def test_a_script_ends_with_an_error_where_an_account_is_not_verified(
    simulator: Simulator, account: Account, load: Load
) -> None:
    account.records += make_invoices(60)
    simulator.faults.append(edit(lambda document: document["result"]["pagination"].update(has_more=True)))

    with pytest.raises(NotVerifiedError, match="not verified: page 3 is empty") as caught:
        load().raise_on_failed()

    assert "run cf-invoices load again" in caught.value.remedy


@pytest.mark.slow
def test_the_reasons_of_rejected_records_are_those_of_now(
    simulator: Simulator, account: Account, load: Load
) -> None:
    account.records += ["garbage", *make_invoices(1)]
    first = load()
    account.records[0] = make_invoices(2)[0]
    account.records[1]["currency"] = None

    second = load()

    assert [each.accounts[0].reject_reasons for each in (first, second)] == [
        ("the record is not an object",),
        ("currency is missing",),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("rejecting", [True, False])
def test_a_plain_run_tells_of_rejected_records_in_dlts_log(
    simulator: Simulator, account: Account, warehouse: Warehouse, rejecting: bool
) -> None:
    account.records += make_invoices(2)
    account.records += ["garbage"] * rejecting

    ended = run_warm("-c", PLAIN)

    told = f"Account {account.id}: 1 record rejected: see invoice_rejects. What to do: SELECT reason, raw"
    assert ended.exit_code == 0
    assert ended.stderr.count("|[WARNING]|") == int(rejecting)
    assert (told in ended.stderr) is rejecting


@pytest.mark.slow
def test_a_plain_run_tells_of_a_sync_that_is_not_verified_in_dlts_log(
    simulator: Simulator, account: Account, warehouse: Warehouse
) -> None:
    account.records += make_invoices(60)
    simulator.faults.append(edit(lambda document: document["result"]["pagination"].update(has_more=True)))

    ended = run_warm("-c", PLAIN)

    assert ended.exit_code == 0
    assert "|[WARNING]|" in ended.stderr
    assert f"Account {account.id}: not verified: page 3 is empty" in ended.stderr
