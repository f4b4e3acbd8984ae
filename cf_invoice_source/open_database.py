"""A DuckDB file stays open while a load goes on, and takes no more memory than it needs for that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dlt
from dlt.common.destination.client import JobClientBase
from dlt.destinations.sql_client import WithSqlClient

from cf_invoice_source.place import is_duckdb

MEMORY_LIMIT = "160MB"
"""DuckDB takes most of a machine if it may, 500 MiB while it tidies up a million invoices. Tried with 1 to
16 threads: with 96 MB it loads packages of 20,000, with 64 it does not."""


@contextmanager
def open_database(client: JobClientBase) -> Iterator[None]:
    """Keep a DuckDB file open: dlt would open it for each step, and DuckDB tidy it up at each end.

    A memory limit of the user's own stays as it is.
    """
    if client.config.destination_type != "duckdb" or not isinstance(client, WithSqlClient):
        yield
        return
    with client.sql_client as database:
        ((before,),) = database.execute_sql("SELECT current_setting('memory_limit')") or ()
        settings = getattr(client.config.credentials, "global_config", None) or {}
        if not settings.keys() & {"memory_limit", "max_memory"}:
            database.execute_sql(f"SET GLOBAL memory_limit = '{MEMORY_LIMIT}'")
        try:
            yield
        finally:
            database.execute_sql(f"SET GLOBAL memory_limit = '{before}'")


def lift_memory_limit(pipeline: dlt.Pipeline) -> None:
    """Let DuckDB take what it wants: something did not go well, and unusual rows may need more."""
    if is_duckdb(pipeline.destination):
        with pipeline.sql_client() as client:
            client.execute_sql("RESET GLOBAL memory_limit")
