"""A Singer tap for the invoices, built with Meltano's SDK as its guide shows, in an environment of its own.

https://sdk.meltano.com/en/latest/dev_guide.html
https://sdk.meltano.com/en/latest/guides/pagination-classes.html
"""

import os
from typing import Any

from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import BearerTokenAuthenticator
from singer_sdk.pagination import BaseAPIPaginator, PageNumberPaginator


class HasMorePaginator(PageNumberPaginator):
    """Goes on as long as the answer says that there is more."""

    def has_more(self, response: Any) -> bool:
        """Read it in the answer."""
        more: bool = response.json()["result"]["pagination"]["has_more"]
        return more


class Invoices(RESTStream[int]):
    """The invoice list."""

    name = "invoices"
    path = f"/accounts/{os.environ['CLOUDFLARE_ACCOUNT_ID']}/ai-gateway/billing/invoice-history"
    url_base = os.environ["CLOUDFLARE_BASE_URL"]
    primary_keys = ("id",)
    records_jsonpath = "$.result.invoices[*]"
    schema = th.PropertiesList(
        th.Property("id", th.StringType),
        th.Property("amount_due", th.NumberType),
        th.Property("amount_paid", th.NumberType),
        th.Property("amount_remaining", th.NumberType),
        th.Property("attempt_count", th.IntegerType),
        th.Property("attempted", th.BooleanType),
        th.Property("auto_advance", th.BooleanType),
        th.Property("created", th.IntegerType),
        th.Property("created_by", th.StringType),
        th.Property("currency", th.StringType),
        th.Property("description", th.StringType),
        th.Property("invoice_origin", th.StringType),
        th.Property("invoice_pdf", th.StringType),
        th.Property("status", th.StringType),
    ).to_dict()

    @property
    def authenticator(self) -> BearerTokenAuthenticator:
        """Sign in with the API token."""
        return BearerTokenAuthenticator(token=os.environ["CLOUDFLARE_API_TOKEN"])

    def get_new_paginator(self) -> BaseAPIPaginator[int]:
        """Begin with page 1."""
        return HasMorePaginator(start_value=1)

    def get_url_params(self, context: Any, next_page_token: int | None) -> dict[str, Any]:
        """Say which page."""
        return {"page": next_page_token, "per_page": 50}


class CloudflareTap(Tap):
    """The tap."""

    name = "tap-cloudflare-invoices"
    config_jsonschema = th.PropertiesList().to_dict()

    def discover_streams(self) -> list[Invoices]:
        """Name the streams."""
        return [Invoices(self)]


if __name__ == "__main__":
    CloudflareTap.cli()
