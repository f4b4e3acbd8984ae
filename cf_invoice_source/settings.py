"""Named constants, each with the place its number comes from."""

from __future__ import annotations

from typing import Literal, get_args

VERSION = "0.1.0"

InvoiceType = Literal["all", "auto", "manual"]
"""Which invoices to list: the values of the endpoint's `type` parameter (Cloudflare's published schema)."""

INVOICE_TYPES: tuple[str, ...] = get_args(InvoiceType)

BASE_URL = "https://api.cloudflare.com/client/v4"
"""The server that Cloudflare's published schema names."""

INVOICE_HISTORY = "/accounts/{account_id}/ai-gateway/billing/invoice-history"
"""Path of "Get invoice history" below the base URL (Cloudflare's published schema)."""

ACCOUNTS = "/accounts"
"""Path of the list of accounts below the base URL (Cloudflare's API reference, "List Accounts")."""

VERIFY_USER_TOKEN = "/user/tokens/verify"  # noqa: S105 - a path
VERIFY_ACCOUNT_TOKEN = "/accounts/{account_id}/tokens/verify"  # noqa: S105 - a path
"""Paths that tell about the API token which signs the request ("Verify Token" in the API reference)."""

PER_PAGE = 50
"""Invoices, or accounts, asked for in one request: the most that is served. The answer decides."""

REQUESTS_AT_ONCE = 8
"""Requests on their way at the same time, for all accounts together. At 50 ms each, these spend Cloudflare's
limit for 5 minutes in 8 seconds: more would not make a long load faster."""

PAGES_AHEAD = 8 * REQUESTS_AT_ONCE
"""Pages of one list asked for before they are taken: they arrive while a package is loaded."""

MAX_PAGES = 200_000
"""More pages than this in one walk (10 million invoices) are taken for a list that never ends."""

PIPELINE_NAME = "cloudflare_invoices"
DATASET_NAME = "cf_invoices"
DEMO_PIPELINE_NAME = "cloudflare_invoices_demo"
"""Made-up data never shares a pipeline, and so never a DuckDB file, with real invoices."""

TOKEN_PAGE = "https://dash.cloudflare.com/profile/api-tokens"  # noqa: S105 - an address, not a token
PERMISSION = "AI Gateway Read"
"""The smallest permission that may read invoices (`x-api-token-group` in Cloudflare's published schema)."""

SECTION = "cf_invoice_source"
"""Where dlt looks for our settings: `[sources.cf_invoice_source]`."""

MAX_RESTARTS = 3
"""How often a walk begins again because the list moved under it, before it says that nothing is verified."""

FULL_SYNC_EVERY_DAYS = 7.0
"""How old the last full walk may be before the next run is one: a net under the assumptions."""

PACKAGE_ROWS = 20_000
"""Records in one load package: what one JSON file takes, and 400 requests to repeat after a crash."""

LOCK_WAIT_S = 600.0
"""How many seconds a load waits for another one of the same pipeline, or into the same DuckDB file."""

LONGEST_ATTEMPT_S = 120.0
"""How long one attempt of a request may take, from the connection to the last byte of the body: dlt's
`request_timeout` bounds each read, not all of them."""

LONGEST_STANDSTILL_S = 3600.0
"""How long requests may go on without any usable answer, with all attempts and waits, whoever asks: four of
the longest waits that an answer 429 can ask for. What has not been read by then fails, once the attempt, and
dlt's pause before it, are over that are under way."""

LARGEST_ANSWER_BYTES = 4 * 2**20
"""How long the body of one answer may be, packed as well as unpacked: 50 invoices are about 30 kB."""

MAX_PAGE_RECORDS = 1_000
"""Records on one page: 50 are asked for, and a server may take no notice."""

MAX_ACCOUNTS = 20_000
"""Accounts that are discovered: a load asks at least once for each, which the rate limit makes 80 minutes."""

MAX_ACCOUNT_PAGES = 4_000
"""Pages of the list of accounts: they hold `MAX_ACCOUNTS` even with 5 on each, the fewest that are served."""

MAX_COLUMNS = 150
"""Columns of a table, beyond which unknown fields share one: DuckDB takes rows with 200 fields for maps."""

MAX_TABLES = 20
"""Tables below ours, which dlt makes for lists in unknown fields: each costs something in every later load. A
list in an invoice needs two, and so does each list in it."""
