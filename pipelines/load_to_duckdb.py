"""The smallest full run: every invoice into a DuckDB file where you start it, and an error if not verified.

Set CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID, or fill in .dlt/secrets.toml and .dlt/config.toml, then:

    python pipelines/load_to_duckdb.py
"""

from pathlib import Path

import dlt

from cf_invoice_source import load

if __name__ == "__main__":
    # By its whole path: else dlt takes the directory where this pipeline was first made, wherever that was.
    file = dlt.destinations.duckdb(str(Path("cloudflare_invoices.duckdb").absolute()))
    pipeline = dlt.pipeline("cloudflare_invoices", destination=file, dataset_name="cf_invoices")
    report = load(pipeline)
    print(report)
    report.raise_on_failed()
