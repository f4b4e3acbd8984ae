"""Names the SQL that grants a database user the rights that a load lacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress

from cf_invoice_source.errors import DestinationError
from cf_invoice_source.warehouse.dlt_names import JobClientBase, WithSqlClient

_REFUSED = ("permission denied", "must be owner")
"""How PostgreSQL and Redshift say that a right is missing."""


@contextmanager
def missing_rights_named(connect: Callable[[], JobClientBase]) -> Iterator[None]:
    """Add to the error of a destination the SQL of the schemas or rights that are missing.

    dlt stages rows in a second schema, whose name only we know: it is made from the pipeline's.
    """
    try:
        yield
    except DestinationError as error:
        statements = []
        if any(sign in error.cause for sign in _REFUSED):
            with suppress(Exception):  # what failed first is what to say
                statements = _statements(connect())
        if not statements:
            raise
        remedy = f"let an owner of the database run: {' '.join(statements)} Then run again"
        raise DestinationError(error.cause, remedy=remedy) from error.__cause__


def _statements(client: JobClientBase) -> list[str]:
    if client.capabilities.sqlglot_dialect not in {"postgres", "redshift"}:
        return []
    if not isinstance(client, WithSqlClient):
        return []
    create, grant, more = [], [], []
    with client.sql_client as sql:
        ((user,),) = sql.execute_sql("SELECT quote_ident(current_user)") or ()
        for name, is_staging in ((sql.dataset_name, False), (sql.staging_dataset_name, True)):
            with sql.with_staging_dataset() if is_staging else nullcontext():
                schema, is_open = sql.fully_qualified_dataset_name(), sql.has_dataset()
            rights = [
                f"GRANT ALL ON {what} {schema} TO {user};" for what in ("SCHEMA", "ALL TABLES IN SCHEMA")
            ]
            if is_open:
                more += rights
            elif sql.execute_sql("SELECT 1 FROM pg_namespace WHERE nspname = %s", name):
                grant += rights  # it exists, but this user cannot see it
            else:
                create += [f"CREATE SCHEMA {schema} AUTHORIZATION {user};"]
    return create + grant or more
