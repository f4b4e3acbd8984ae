"""The demo: a simulator on this machine plays Cloudflare."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, time, timedelta, timezone
from typing import Any

import dlt

from cf_invoice_source.cli.output import Output
from cf_invoice_source.cli.screen import show_line
from cf_invoice_source.loading.report import Report
from cf_invoice_source.runner import load
from cf_invoice_source.simulator import Simulator, World, demo_world
from cf_invoice_source.warehouse.reader import read_time
from cf_invoice_source.warehouse.stored import StoredRows

_DAYS_AGO = 6
"""Where the calendar of the demo begins: the second run is up to so many days later."""


def load_demo(pipeline: dlt.Pipeline, out: Output, settings: dict[str, Any]) -> Report:
    """Load the demo's invoices; in each run some more are new and some more are paid."""
    with simulated(_world_of(StoredRows(pipeline)), out) as simulator:
        return load(pipeline, **simulator, **settings)


@contextmanager
def simulated(world: World, out: Output) -> Iterator[dict[str, Any]]:
    """Run the simulator, say so, and give the settings that lead to it."""
    if not out.is_quiet:
        made_up = "Made-up data: a simulator on this machine plays Cloudflare."
        show_line(out.stderr, made_up, style="yellow")
    with Simulator(world) as simulator:
        yield {
            "account_id": list(world.accounts),
            "base_url": simulator.base_url,
            "credentials": {"api_token": simulator.token},
        }


def _world_of(stored: StoredRows) -> World:
    """Give the world after the runs that the warehouse has seen, in the calendar of the first of them."""
    earlier_runs = max(stored.sync_numbers().values(), default=0)
    first = demo_world()
    account = next(iter(first.accounts.values()))
    oldest = account.records[-1]  # it is paid, so it stays
    row = stored.rows(account.id, [oldest["id"]]).get(oldest["id"])
    created = read_time(row["created"]) if row else None
    if created:
        return demo_world(earlier_runs, first.clock + int(created.timestamp()) - oldest["created"])
    today = datetime.combine(datetime.now(timezone.utc), time(), timezone.utc)
    return demo_world(earlier_runs, int((today - timedelta(days=_DAYS_AGO)).timestamp()))
