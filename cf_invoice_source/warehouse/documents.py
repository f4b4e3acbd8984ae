"""Reads what is held of invoices and of their archived documents, by SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, cast, get_args

import dlt

from cf_invoice_source.invoices.record import FINAL_STATUSES
from cf_invoice_source.invoices.tables import DICTIONARY, DOCUMENTS, INVOICES
from cf_invoice_source.schema.capabilities import FileFormat, TableFormat
from cf_invoice_source.schema.contract import NORMALIZER
from cf_invoice_source.settings import InvoiceType
from cf_invoice_source.warehouse.dlt_names import (
    FilesystemClient,
    JobClientBase,
    get_table_format,
    new_column,
    new_table,
)
from cf_invoice_source.warehouse.reader import TableReader, read_time

_ARCHIVED = (
    "(SELECT {account_id}, {id}, {row_hash}, max({path}) AS {path} FROM {invoice_documents} "
    "WHERE {sha256} <> '' GROUP BY {account_id}, {id}, {row_hash})"
)
_SAME_VERSION = "d.{account_id} = i.{account_id} AND d.{id} = i.{id} AND d.{row_hash} = i.{row_hash}"
"""The documents `d` that are archived, and which of them is that of an invoice `i` as it is now."""


class DocumentQueries(TableReader):
    """Reads invoices and documents, whichever pipeline loaded them. A missing table reads as empty."""

    def __init__(self, dataset: dlt.Dataset) -> None:
        super().__init__(lambda: _knowing_documents(dataset.destination_client))

    def has_documents(self) -> bool:
        """Say whether there is a table of documents."""
        return bool(self._query("SELECT count(*) FROM {invoice_documents}"))

    def undocumented(self) -> Counter[str] | None:
        """Count each account's final invoices that have a link and no archived document.

        None if there is no table of documents.
        """
        if not self.has_documents():
            return None
        final = ", ".join(f"'{status}'" for status in sorted(FINAL_STATUSES))
        counts = self._query(
            f"SELECT i.{{account_id}}, count(*) FROM {{invoices}} i LEFT JOIN {_ARCHIVED} d "
            f"ON {_SAME_VERSION} WHERE i.{{status}} IN ({final}) AND i.{{invoice_pdf}} <> '' "
            "AND d.{id} IS NULL GROUP BY i.{account_id}"
        )
        return Counter(dict(counts))

    def invoices(self) -> Iterator[dict[str, Any]]:
        """Give all invoices by account, newest first, with the path of the document of each as it is now."""
        columns = ("account_id", "id", "created", "status", "row_hash", "amount_due", "currency")
        archived = f"LEFT JOIN {_ARCHIVED} d ON {_SAME_VERSION} "
        has_documents = self.has_documents()
        selected = ", ".join(f"i.{{{column}}}" for column in columns)
        rows = self._stream(
            f"SELECT {selected}, CASE WHEN i.{{invoice_pdf}} <> '' THEN 1 ELSE 0 END, "
            f"{'d.{path}' if has_documents else 'NULL'} FROM {{invoices}} i "
            f"{archived if has_documents else ''}ORDER BY i.{{account_id}}, i.{{created}} DESC"
        )
        for *values, has_link, path in rows:
            row = dict(zip(columns, values, strict=True))
            yield row | {"created": read_time(row["created"]), "has_link": bool(has_link), "path": path}

    def documents(self, where: str = "{sha256} <> ''") -> Iterator[dict[str, Any]]:
        """Give the rows of the documents that are archived."""
        columns = tuple(DICTIONARY[DOCUMENTS].columns)
        selected = ", ".join(f"{{{column}}}" for column in columns)
        for values in self._stream(f"SELECT {selected} FROM {{invoice_documents}} WHERE {where}"):
            row = dict(zip(columns, values, strict=True))
            yield row | {"fetched_at": read_time(row["fetched_at"])}

    def failures(self) -> Iterator[dict[str, Any]]:
        """Give the rows that say why a document could not be had, also those that have been had since."""
        return self.documents("{sha256} = ''")

    def formats(self) -> tuple[TableFormat | None, FileFormat | None]:
        """Give the format of the tables that are there, and of their files, where the user chose them."""
        tables = self._job_client().schema.tables
        table_format = get_table_format(tables, INVOICES)
        file_format = tables[INVOICES].get("file_format") if INVOICES in tables else None
        return cast("TableFormat | None", table_format), cast("FileFormat | None", file_format)

    def invoice_type(self) -> InvoiceType | None:
        """Say of which type the invoices are; None if no load has said."""
        types = {row[0] for row in self._query("SELECT DISTINCT {type} FROM {invoice_syncs}")}
        return next((each for each in get_args(InvoiceType) if each in types), None)


def _knowing_documents(client: JobClientBase) -> JobClientBase:
    """Let a client of files know the table of documents, which is not in the schema of a load."""
    tables = client.schema.tables
    if isinstance(client, FilesystemClient) and INVOICES in tables and DOCUMENTS not in tables:
        columns = [new_column(name, each.type) for name, each in DICTIONARY[DOCUMENTS].columns.items()]
        table = new_table(
            DOCUMENTS,
            write_disposition="merge",
            columns=[*columns, new_column("_dlt_load_id", "text")],
            table_format=get_table_format(tables, INVOICES),
        )
        table[NORMALIZER] = {"seen-data": True}  # else dlt does not look for its files
        client.schema.update_table(table)
    return client
