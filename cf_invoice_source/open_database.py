"""A DuckDB file stays open while a load goes on, and takes no more memory than it needs for that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dlt

from cf_invoice_source.place import is_duckdb

MEMORY_LIMIT = "160MB"
"""DuckDB takes most of a machine if it may, 500 MiB while it tidies up a million invoices. Tried with 1 to
16 threads: with 96 MB it loads packages of 20,000, with 64 it does not."""


@contextmanager
def open_database(pipeline: dlt.Pipeline) -> Iterator[None]:
    """Keep a pipeline's DuckDB file open: dlt would open it for each step, and DuckDB tidy it up at each end.

    A memory limit of the user's own stays as it is.
    """
    if not is_duckdb(pipeline.destination):
        yield
        return
    with pipeline.sql_client() as client:
        ((before,),) = client.execute_sql("SELECT current_setting('memory_limit')") or ()
        if not (client.credentials.global_config or {}).keys() & {"memory_limit", "max_memory"}:
            client.execute_sql(f"SET GLOBAL memory_limit = '{MEMORY_LIMIT}'")
        try:
            yield
        finally:
            client.execute_sql(f"SET GLOBAL memory_limit = '{before}'")


def lift_memory_limit(pipeline: dlt.Pipeline) -> None:
    """Let DuckDB take what it wants: something did not go well, and unusual rows may need more."""
    if is_duckdb(pipeline.destination):
        with pipeline.sql_client() as client:
            client.execute_sql("RESET GLOBAL memory_limit")
