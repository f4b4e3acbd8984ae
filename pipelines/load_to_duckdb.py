"""The smallest full run in plain dlt: every invoice into a DuckDB file beside you.

Set CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID, or fill in .dlt/secrets.toml and .dlt/config.toml, then:

    python pipelines/load_to_duckdb.py
"""

import dlt

from cf_invoice_source import cf_invoice_source

if __name__ == "__main__":
    pipeline = dlt.pipeline("cloudflare_invoices", destination="duckdb", dataset_name="cf_invoices")
    print(pipeline.run(cf_invoice_source()))
