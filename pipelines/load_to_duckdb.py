"""The smallest full run: every invoice into a DuckDB file beside you, and an error if it is not verified.

Set CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID, or fill in .dlt/secrets.toml and .dlt/config.toml, then:

    python pipelines/load_to_duckdb.py
"""

import dlt

from cf_invoice_source import load

if __name__ == "__main__":
    pipeline = dlt.pipeline("cloudflare_invoices", destination="duckdb", dataset_name="cf_invoices")
    report = load(pipeline)
    print(report)
    report.raise_on_failed()
