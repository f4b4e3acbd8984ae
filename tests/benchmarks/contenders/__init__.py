"""Programs that load the invoices, each as its tool's documentation advises. They are run, never imported.

Each one is told by the environment: `CLOUDFLARE_BASE_URL`, `CLOUDFLARE_API_TOKEN`, `CLOUDFLARE_ACCOUNT_ID`, and
the file to load into, `DUCKDB_FILE`.
"""
