"""The yardstick for fetching ahead: asks for one page after the other, and keeps none."""

import os
from itertools import count

import requests

URL = (
    f"{os.environ['CLOUDFLARE_BASE_URL']}/accounts/{os.environ['CLOUDFLARE_ACCOUNT_ID']}"
    "/ai-gateway/billing/invoice-history"
)

session = requests.Session()
session.headers["Authorization"] = f"Bearer {os.environ['CLOUDFLARE_API_TOKEN']}"
for page in count(1):
    answer = session.get(URL, params={"page": page, "per_page": 50})
    answer.raise_for_status()
    if not answer.json()["result"]["pagination"]["has_more"]:
        break
