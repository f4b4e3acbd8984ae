"""Cloudflare's own SDK in a loop, its records into DuckDB by way of Arrow: what one writes in an afternoon.

The SDK returns the first page only; the parameters that it does not know go into `extra_query`.
https://github.com/cloudflare/cloudflare-python#undocumented-request-params
https://duckdb.org/docs/stable/guides/python/import_arrow
"""

import os
from collections.abc import Iterator
from itertools import count
from typing import Any

import duckdb
import pyarrow as pa
from cloudflare import Cloudflare


def read_invoices() -> Iterator[dict[str, Any]]:
    """Ask for one page after the other."""
    billing = Cloudflare().ai_gateway.billing  # the token comes from CLOUDFLARE_API_TOKEN
    for page in count(1):
        history = billing.invoice_history(
            account_id=os.environ["CLOUDFLARE_ACCOUNT_ID"], extra_query={"page": page, "per_page": 50}
        )
        yield from (invoice.to_dict() for invoice in history.invoices)
        if not history.pagination.has_more:
            return


loaded = pa.Table.from_pylist(list(read_invoices()))
with duckdb.connect(os.environ["DUCKDB_FILE"]) as connection:
    connection.execute("CREATE OR REPLACE TABLE invoices AS FROM loaded")
