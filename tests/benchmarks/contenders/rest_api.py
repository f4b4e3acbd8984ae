"""dlt's generic REST source, configured as its documentation shows, with every default.

https://dlthub.com/docs/dlt-ecosystem/verified-sources/rest_api/basic
"""

import os

import dlt
from dlt.sources.rest_api import rest_api_source
from dlt.sources.rest_api.typing import RESTAPIConfig

config: RESTAPIConfig = {
    "client": {
        "base_url": os.environ["CLOUDFLARE_BASE_URL"],
        "auth": {"type": "bearer", "token": os.environ["CLOUDFLARE_API_TOKEN"]},
        "paginator": {
            "type": "page_number",
            "base_page": 1,
            "total_path": None,
            "has_more_path": "result.pagination.has_more",
        },
    },
    "resource_defaults": {"primary_key": "id", "write_disposition": "merge"},
    "resources": [
        {
            "name": "invoices",
            "endpoint": {
                "path": f"accounts/{os.environ['CLOUDFLARE_ACCOUNT_ID']}/ai-gateway/billing/invoice-history",
                "params": {"per_page": 50},
                "data_selector": "result.invoices",
            },
        }
    ],
}
pipeline = dlt.pipeline(
    "cloudflare_rest_api",
    destination=dlt.destinations.duckdb(os.environ["DUCKDB_FILE"]),
    dataset_name="cloudflare",
)
pipeline.run(rest_api_source(config))
