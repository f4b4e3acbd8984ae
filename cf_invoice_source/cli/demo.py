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
from cf_invoice_source.warehouse.dataset_ref import DatasetRef
from cf_invoice_source.warehouse.documents import DocumentQueries
from cf_invoice_source.warehouse.reader import read_time
from cf_invoice_source.warehouse.stored import StoredRows

_DAYS_AGO = 6
"""Where the calendar of the demo begins: the second run is up to so many days later."""


def load_demo(pipeline: dlt.Pipeline, out: Output, settings: dict[str, Any]) -> Report:
    """Load the demo's invoices; in each run some more are new and some more are paid."""
    stored = StoredRows(pipeline)
    account_id, invoice_id = _oldest()
    row = stored.rows(account_id, {invoice_id}).get(invoice_id)
    runs = max(stored.syncs_so_far().values(), default=0)
    with simulated(_world_after(runs, read_time(row["created"]) if row else None), out) as simulator:
        return load(pipeline, **simulator, **settings)


def world_loaded(ref: DatasetRef) -> World:
    """Give the world as the last run of the demo has loaded it."""
    with ref.reading() as dataset:
        if not dataset:
            return demo_world()
        queries = DocumentQueries(dataset)
        runs = max(queries.syncs_so_far().values(), default=0)
        _, invoice_id = _oldest()
        created = next((row["created"] for row in queries.invoices() if row["id"] == invoice_id), None)
        return _world_after(max(runs - 1, 0), created)


@contextmanager
def simulated(world: World, out: Output, *, has_pdfs: bool = False) -> Iterator[dict[str, Any]]:
    """Run the simulator, say so, and give the settings that lead to it."""
    if not out.is_quiet:
        played = "Cloudflare, and Stripe" if has_pdfs else "Cloudflare"
        show_line(out.stderr, f"Made-up data: a simulator on this machine plays {played}.", style="yellow")
    with Simulator(world) as simulator:
        if has_pdfs:
            simulator.serve_pdfs()
        yield {
            "account_id": list(world.accounts),
            "base_url": simulator.base_url,
            "credentials": {"api_token": simulator.token},
        }


def _oldest() -> tuple[str, str]:
    """Name an account, and its oldest invoice: it is paid, so it stays."""
    account = next(iter(demo_world().accounts.values()))
    return account.id, account.records[-1]["id"]


def _world_after(runs: int, created: datetime | None) -> World:
    """Give the world after so many runs. `created` is the time of the oldest invoice, once that is loaded."""
    if created:
        first = demo_world()
        began_s = next(iter(first.accounts.values())).records[-1]["created"]
        return demo_world(runs, first.clock + int(created.timestamp()) - began_s)
    today = datetime.combine(datetime.now(timezone.utc), time(), timezone.utc)
    return demo_world(runs, int((today - timedelta(days=_DAYS_AGO)).timestamp()))
