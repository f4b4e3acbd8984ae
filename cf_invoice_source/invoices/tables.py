"""Our tables as data: keys, columns, types and descriptions.

A column's type cannot be changed later in dlt: with a hint that comes after the first load, values are
rounded silently. So every documented column has its type from the first version on.
"""

from __future__ import annotations

from collections.abc import Mapping

from cf_invoice_source.invoices.columns import FIELDS, Column, Table
from cf_invoice_source.invoices.syncs import SYNC_COLUMNS

INVOICES = "invoices"
CHANGES = "invoice_changes"
SYNCS = "invoice_syncs"
REJECTS = "invoice_rejects"
DOCUMENTS = "invoice_documents"

MORE_FIELDS = "more_fields"
MORE_FIELDS_COLUMN = Column(
    "text", "Fields without a column of their own, as Cloudflare sent them, as a JSON object."
)
"""It is created in `invoices` and `invoice_changes` when a row needs it."""

_INVOICE = {
    "account_id": Column("text", "Cloudflare account ID."),
    **FIELDS,
    "row_hash": Column("text", "Changes exactly when a field changes, invoice_pdf excepted."),
}

TABLES: Mapping[str, Table] = {
    INVOICES: Table(
        ("account_id", "id"),
        {
            **_INVOICE,
            "deleted": Column(
                "bool", "dlt's mark for rows to delete; null in every row of the table.", is_deletion=True
            ),
        },
        "A mirror of Cloudflare's list: one row for each invoice, as it is now.",
    ),
    CHANGES: Table(
        ("account_id", "id", "version"),
        {
            **_INVOICE,
            "version": Column("bigint", "Counts the changes of one invoice from 1."),
            "change": Column("text", "new, updated or deleted."),
            "observed_at": Column("timestamp", "When a run saw the change, in UTC."),
        },
        "The audit trail: one row for each change that a run observed, as the invoice was then.",
    ),
    SYNCS: Table(
        ("account_id", "started_at"),
        SYNC_COLUMNS,
        "One row for each account and run: what was asked and found, and whether it is verified.",
    ),
    REJECTS: Table(
        ("account_id", "record_hash", "occurrence"),
        {
            "account_id": Column("text", "Cloudflare account ID."),
            "record_hash": Column("text", "Hash of the record, invoice_pdf excepted."),
            "occurrence": Column("bigint", "Counts equal records from 1."),
            "id": Column("text", "The record's id, if it has one."),
            "reason": Column("text", "Why it cannot be stored as an invoice."),
            "raw": Column("text", "The record as Cloudflare sent it, as JSON."),
            "observed_at": Column("timestamp", "When a run saw it first, in UTC."),
            "resolved_at": Column("timestamp", "When the list no longer had it in this form, in UTC."),
        },
        "Records that cannot be stored as invoices, as Cloudflare sent them, each with the reason.",
    ),
}
"""The tables of a load, which makes them all."""

DICTIONARY: Mapping[str, Table] = {
    **TABLES,
    DOCUMENTS: Table(
        ("account_id", "id", "sha256"),
        {
            "account_id": Column("text", "Cloudflare account ID."),
            "id": Column("text", "The invoice's ID, as in invoices."),
            "sha256": Column(
                "text",
                "SHA-256 of the PDF, in hexadecimal; empty in a row that says why no document could be had.",
            ),
            "path": Column("text", "Where the PDF is, below the directory or address of the archive."),
            "bytes": Column("bigint", "Length of the PDF."),
            "content_type": Column("text", "What the host called it, usually application/pdf."),
            "fetched_at": Column("timestamp", "When it was fetched, or last tried, in UTC."),
            "status": Column("text", "Status of the invoice then."),
            "row_hash": Column("text", "row_hash of the invoice then: the document is that of this version."),
            "error": Column("text", "Why it could not be had; null if it could, or can by now."),
            "attempts": Column("bigint", "How many runs have tried to get it."),
        },
        "One row for each archived document, and one for each invoice whose document could not be had.",
    ),
}
"""Every table: those of a load, and the one that `cf-invoices documents` makes."""
