{{ config(severity='warn') }}
-- Records that no row can hold exactly, so that no model has them.
select account_id, id, reason
from {{ source('cf_invoices', 'invoice_rejects') }}
where resolved_at is null
