"""A small Cloudflare for the demo and the tests: a world of invoices, served over HTTP, faults included.

Everything in it is made up. The package never needs it to load real invoices.
"""

from cf_invoice_source.simulator.answers import Answer, Request
from cf_invoice_source.simulator.faults import Fault
from cf_invoice_source.simulator.server import Simulator
from cf_invoice_source.simulator.world import Account, Record, World, demo_world, make_invoice

__all__ = [
    "Account",
    "Answer",
    "Fault",
    "Record",
    "Request",
    "Simulator",
    "World",
    "demo_world",
    "make_invoice",
]
