"""The floor: what the machine needs if nothing is asked but the rows. No checks, no retries, no history.

Four threads ask, orjson decodes, Arrow carries the columns, DuckDB replaces the table.
https://duckdb.org/docs/stable/guides/python/import_arrow
"""

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import requests

URL = (
    f"{os.environ['CLOUDFLARE_BASE_URL']}/accounts/{os.environ['CLOUDFLARE_ACCOUNT_ID']}"
    "/ai-gateway/billing/invoice-history"
)
SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "amount_due": pa.float64(),
        "amount_paid": pa.float64(),
        "amount_remaining": pa.float64(),
        "attempt_count": pa.int64(),
        "attempted": pa.bool_(),
        "auto_advance": pa.bool_(),
        "created": pa.int64(),
        "created_by": pa.string(),
        "currency": pa.string(),
        "description": pa.string(),
        "invoice_origin": pa.string(),
        "invoice_pdf": pa.string(),
        "status": pa.string(),
    }
)

session = requests.Session()
session.headers["Authorization"] = f"Bearer {os.environ['CLOUDFLARE_API_TOKEN']}"


def read(page: int) -> Any:
    """Ask for a page."""
    answer = session.get(URL, params={"page": page, "per_page": 50})
    answer.raise_for_status()
    return orjson.loads(answer.content)["result"]


def columns(result: Any) -> pa.RecordBatch:
    """Turn a page into columns, whose numbers fit because every amount is a float."""
    return pa.RecordBatch.from_pylist(result["invoices"], schema=SCHEMA)


with ThreadPoolExecutor(4) as threads, duckdb.connect(os.environ["DUCKDB_FILE"]) as connection:
    first = read(1)
    pages = -(-first["pagination"]["total_count"] // first["pagination"]["per_page"])
    rest = threads.map(lambda page: columns(read(page)), range(2, pages + 1))
    loaded = pa.Table.from_batches(chain([columns(first)], rest))
    connection.execute("CREATE OR REPLACE TABLE invoices AS FROM loaded")
