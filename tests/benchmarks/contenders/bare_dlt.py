"""The least that a dlt pipeline can do: ask for one page, and yield nothing.

https://dlthub.com/docs/general-usage/http/requests
"""

import os
from collections.abc import Iterator

import dlt
from dlt.sources.helpers import requests

URL = (
    f"{os.environ['CLOUDFLARE_BASE_URL']}/accounts/{os.environ['CLOUDFLARE_ACCOUNT_ID']}"
    "/ai-gateway/billing/invoice-history"
)


@dlt.resource(primary_key="id", write_disposition="merge")
def invoices() -> Iterator[object]:
    """Ask, and find nothing new."""
    sign_in = {"Authorization": f"Bearer {os.environ['CLOUDFLARE_API_TOKEN']}"}
    requests.get(URL, params={"page": 1, "per_page": 50}, headers=sign_in).raise_for_status()
    yield from ()


pipeline = dlt.pipeline(
    "cloudflare_bare",
    destination=dlt.destinations.duckdb(os.environ["DUCKDB_FILE"]),
    dataset_name="cloudflare",
)
pipeline.run(invoices())
