"""dlt's generic REST source, tuned by dlt's guide to performance, and with exact amounts.

Parquet files instead of INSERT statements, and no compression. Larger buffers, and more workers that
normalize, took as much CPU when tried with 50,000 invoices on 2 cores.
https://dlthub.com/docs/reference/performance
https://dlthub.com/docs/dlt-ecosystem/file-formats/parquet
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
            "columns": {
                name: {"data_type": "decimal"} for name in ("amount_due", "amount_paid", "amount_remaining")
            },
            "endpoint": {
                "path": f"accounts/{os.environ['CLOUDFLARE_ACCOUNT_ID']}/ai-gateway/billing/invoice-history",
                "params": {"per_page": 50},
                "data_selector": "result.invoices",
            },
        }
    ],
}
dlt.config["data_writer.disable_compression"] = True
pipeline = dlt.pipeline(
    "cloudflare_rest_api",
    destination=dlt.destinations.duckdb(os.environ["DUCKDB_FILE"]),
    dataset_name="cloudflare",
)
pipeline.run(rest_api_source(config), loader_file_format="parquet")
