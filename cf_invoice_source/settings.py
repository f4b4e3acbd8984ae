"""Named constants, each with the reason for its value."""

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
"""Paths that verify the API token which signs the request ("Verify Token" in the API reference)."""

PER_PAGE = 50
"""Invoices, or accounts, asked for in one request: the maximum. The page in the answer may be smaller."""

REQUESTS_AT_ONCE = 8
"""Requests on their way at the same time, for all accounts together. At 50 ms each, 8 of them use up
Cloudflare's limit for 5 minutes in 8 seconds, so more would not make a long load faster."""

PAGES_AHEAD = 8 * REQUESTS_AT_ONCE
"""How many pages of a list are fetched ahead: they arrive while a package is loaded."""

MAX_PAGES = 200_000
"""A list with more pages (10 million invoices) is taken for one that never ends."""

PIPELINE_NAME = "cloudflare_invoices"
DATASET_NAME = "cf_invoices"
DEMO_PIPELINE_NAME = "cloudflare_invoices_demo"
"""The demo has a pipeline of its own, so that made-up and real invoices never share a DuckDB file."""

TOKEN_PAGE = "https://dash.cloudflare.com/profile/api-tokens"  # noqa: S105 - an address, not a token
PERMISSION = "AI Gateway Read"
"""The smallest permission that may read invoices (`x-api-token-group` in Cloudflare's published schema)."""

SECTION = "cf_invoice_source"
"""Where dlt looks for our settings: `[sources.cf_invoice_source]`."""

MAX_RESTARTS = 3
"""How often a walk begins again because the list changed under it. After that, nothing is verified."""

FULL_SYNC_EVERY_DAYS = 7.0
"""How old the last full walk may be before the next run is a full walk. It finds changes that an
incremental walk assumes not to happen."""

PACKAGE_ROWS = 20_000
"""Records in one load package: as many as fit one JSON file. After a crash, at most 400 requests are
repeated."""

MONTHS = 13
"""How many months a report shows: a year, and this month's of the year before."""

MOST_MONTHS = 60
"""The most months of a report: more bars do not fit side by side."""

LOCK_WAIT_S = 600.0
"""How many seconds a load waits for another load of the same pipeline or into the same DuckDB file."""

LONGEST_ATTEMPT_S = 120.0
"""How long one attempt of a request may take, from the connection to the last byte of the body. dlt's
`request_timeout` bounds only each read."""

LONGEST_STANDSTILL_S = 3600.0
"""How long all requests together may go on without any usable answer, with all attempts and waits: four of
the longest waits that a 429 can ask for. After that a request fails, as soon as its current attempt, and
dlt's pause before it, are over."""

LARGEST_ANSWER_BYTES = 4 * 2**20
"""How long the body of one answer may be, compressed or not; 50 invoices take about 30 kB."""

MAX_PAGE_RECORDS = 1_000
"""The most records accepted on one page: 50 are asked for, but a server may ignore that."""

MAX_ACCOUNTS = 20_000
"""The most accounts that are discovered. A load needs at least one request for each; for so many, the rate
limit makes that 80 minutes."""

MAX_ACCOUNT_PAGES = 4_000
"""The most pages of the list of accounts: enough for `MAX_ACCOUNTS` with 5 on a page, the smallest page
size."""

MAX_COLUMNS = 150
"""The most columns of a table; further unknown fields share one. DuckDB reads rows with 200 fields as
maps."""

MAX_TABLES = 20
"""The most child tables, which dlt makes for lists in unknown fields: each makes every later load slower.
A list in an invoice needs two, and so does each list inside it."""

DOCUMENT_HOSTS = ("stripe.com",)
"""The hosts that a PDF may be fetched from, each with its sub-domains: Stripe's links begin at
pay.stripe.com and redirect to other names of its domain."""

DOCUMENTS_AT_ONCE = 4
"""PDFs fetched at the same time: they come from somebody else's host."""

LARGEST_DOCUMENT_BYTES = 64 * 2**20
"""How long a PDF may be, compressed or not; an invoice takes about 50 kB."""

MAX_REDIRECTS = 5
"""How often the link of a PDF may lead on to another address."""

MOST_UNANSWERED = 10
"""After so many PDFs in a row whose host did not answer, a run asks for no more."""

DOCUMENT_ROWS = 200
DOCUMENT_ROWS_EVERY_S = 30.0
"""PDFs are noted in the table after so many, or so many seconds: opening a database for each would take
longer than fetching it. What a crash leaves unnoted is fetched again and found to be there."""
