"""MySQL and MariaDB: checks that every text fits and that IDs that differ only in case stay two."""

from __future__ import annotations

from cf_invoice_source.errors import SettingsError
from cf_invoice_source.invoices.tables import TABLES
from cf_invoice_source.warehouse.dlt_names import JobClientBase, WithSqlClient

_CHARSET, _COLLATION = "utf8mb4", "utf8mb4_bin"


def check_collation(client: JobClientBase) -> None:
    """Check the two databases that a load writes to and our tables there, or the server's defaults.

    Raises:
        SettingsError: One of them cannot keep every text, or treats texts that differ only in case as equal.
    """
    if client.capabilities.sqlglot_dialect != "mysql" or not isinstance(client, WithSqlClient):
        return
    with client.sql_client as sql:
        names = (sql.dataset_name, sql.staging_dataset_name)
        rows = sql.execute_sql(
            "SELECT schema_name, default_character_set_name, default_collation_name "
            "FROM information_schema.schemata WHERE schema_name IN (%s, %s)",
            *names,
        )
        found = {name: (charset, collation) for name, charset, collation in rows or ()}
        ((charset, collation),) = sql.execute_sql("SELECT @@character_set_server, @@collation_server") or ()
        texts = sql.execute_sql(
            "SELECT DISTINCT table_schema, table_name, character_set_name, collation_name "
            "FROM information_schema.columns WHERE table_schema IN (%s, %s) AND collation_name IS NOT NULL",
            *names,
        )
    databases = {
        name: each for name in names if not _is_exact(*(each := found.get(name, (charset, collation))))
    }
    # Those that were made before a database was altered, which leaves its tables as they are.
    tables = {
        f"`{schema}`.`{table}`": (charset, collation)
        for schema, table, charset, collation in texts or ()
        if table.partition("__")[0] in TABLES and not _is_exact(charset, collation)
    }
    if wrong := databases | tables:
        exact = f"CHARACTER SET {_CHARSET} COLLATE {_COLLATION};"
        statements = [
            *(f"{'ALTER' if name in found else 'CREATE'} DATABASE `{name}` {exact}" for name in databases),
            *(f"ALTER TABLE {name} CONVERT TO {exact}" for name in tables),
        ]
        has = " and ".join(sorted({f"{charset} with {collation}" for charset, collation in wrong.values()}))
        raise SettingsError(
            f"The invoices need {_CHARSET} and a collation that tells upper from lower case, not {has}.",
            remedy=f"run {' '.join(statements)}",
        )


def _is_exact(charset: str, collation: str) -> bool:
    return charset == _CHARSET and collation.endswith(("_bin", "_cs"))
