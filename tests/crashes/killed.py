"""A load in a process of its own that kills itself with SIGKILL at a chosen moment.

    python -m tests.crashes.killed DESTINATION MOMENT
    python -m tests.crashes.killed DESTINATION STEP PACKAGE NUMBER

MOMENT is one of MOMENTS. The other form means the event of that number in a step of a package, or its end.

An event is what can be half done: a file that is opened to write, moved or removed, and each statement to the
database, before and after it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import dlt
from dlt.common.storages.load_storage import LoadStorage
from dlt.destinations.impl.duckdb.duck import DuckDbCopyJob
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient
from dlt.destinations.impl.postgres.postgres import PostgresCsvCopyJob
from dlt.destinations.impl.postgres.sql_client import Psycopg2SqlClient
from dlt.destinations.insert_job_client import InsertValuesLoadJob
from dlt.destinations.job_client_impl import SqlJobClientBase, SqlLoadJob

from cf_invoice_source import load

PACKAGE_ROWS = 12
"""So that a load takes several packages."""

_SQL = "tests.sql"


def main() -> None:
    destination, *moment = sys.argv[1:]
    if len(moment) == 1:
        MOMENTS[moment[0]]()
    else:
        step, package, number = moment
        _die_in_step(step, int(package), int(number))
    pipeline = dlt.pipeline("cloudflare_invoices", destination=destination, dataset_name="cf_invoices")
    load(pipeline, package_rows=PACKAGE_ROWS)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_in_step(step: str, package: int, number: int) -> None:
    entered = counted = 0
    is_in = False

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal counted
        if is_in and _is_deed(event, arguments):
            counted += 1
            if counted == number:
                die()

    function = getattr(dlt.Pipeline, step)

    @wraps(function)
    def enter(*args: Any, **kwargs: Any) -> Any:
        nonlocal entered, is_in
        entered += 1
        is_in = entered == package
        done = function(*args, **kwargs)
        if is_in:
            die()
        return done

    setattr(dlt.Pipeline, step, enter)
    for client in (DuckDbSqlClient, Psycopg2SqlClient):
        for name in ("execute_sql", "commit_transaction"):
            setattr(client, name, _audited(getattr(client, name)))
    sys.addaudithook(count)


def _is_deed(event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "open":
        return isinstance(arguments[1], str) and bool({"w", "a", "x", "+"} & set(arguments[1]))
    return event in {_SQL, "os.rename", "os.remove", "os.mkdir", "os.rmdir"}


def _audited(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def audited(*args: Any, **kwargs: Any) -> Any:
        sys.audit(_SQL)
        done = function(*args, **kwargs)
        sys.audit(_SQL)
        return done

    return audited


def _die_at(owner: Any, method: str, *, table: str = "", is_done: bool) -> None:
    """Die when a method is called, or as soon as it has done its work, before anybody hears of it."""
    function = getattr(owner, method)

    @wraps(function)
    def deadly(self: Any, *args: Any, **kwargs: Any) -> Any:
        is_meant = not table or self.job_file_info().table_name == table
        if is_meant and not is_done:
            die()
        done = function(self, *args, **kwargs)
        if is_meant:
            die()
        return done

    setattr(owner, method, deadly)


def _die_with_job(table: str, *, is_done: bool = True) -> None:
    """Die before a table's rows are written, or after they are committed."""
    for kind in (DuckDbCopyJob, PostgresCsvCopyJob, InsertValuesLoadJob):
        _die_at(kind, "run", table=table, is_done=is_done)


MOMENTS: dict[str, Callable[[], None]] = {
    "invoices are copied": lambda: _die_with_job("invoices"),
    "changes are copied": lambda: _die_with_job("invoice_changes"),
    "a table is merged": lambda: _die_at(SqlLoadJob, "run", is_done=True),
    "the state will be written": lambda: _die_with_job("_dlt_pipeline_state", is_done=False),
    "the state is written": lambda: _die_with_job("_dlt_pipeline_state"),
    "the load will be noted": lambda: _die_at(SqlJobClientBase, "complete_load", is_done=False),
    "the load is noted": lambda: _die_at(SqlJobClientBase, "complete_load", is_done=True),
    "the package is put away": lambda: _die_at(LoadStorage, "complete_load_package", is_done=True),
}


if __name__ == "__main__":
    main()
