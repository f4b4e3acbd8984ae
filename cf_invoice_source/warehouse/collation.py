"""MySQL and MariaDB: checks that every text fits and that IDs that differ only in case stay two."""

from __future__ import annotations

from cf_invoice_source.errors import SettingsError
from cf_invoice_source.warehouse.dlt_names import JobClientBase, WithSqlClient

_CHARSET, _COLLATION = "utf8mb4", "utf8mb4_bin"


def check_collation(client: JobClientBase) -> None:
    """Check the two databases that a load writes to, or the server's defaults for what is missing.

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
    wrong = {name: each for name in names if not _is_exact(*(each := found.get(name, (charset, collation))))}
    if wrong:
        statements = " ".join(
            f"{'ALTER' if name in found else 'CREATE'} DATABASE `{name}` CHARACTER SET {_CHARSET} "
            f"COLLATE {_COLLATION};"
            for name in wrong
        )
        has = " and ".join(sorted({f"{each[0]} with {each[1]}" for each in wrong.values()}))
        raise SettingsError(
            f"The invoices need {_CHARSET} and a collation that tells upper from lower case, not {has}.",
            remedy=f"run {statements}",
        )


def _is_exact(charset: str, collation: str) -> bool:
    return charset == _CHARSET and collation.endswith(("_bin", "_cs"))
