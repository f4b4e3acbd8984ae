-- What the history says is there now is what the list has, row for row.
(
    select account_id, id, row_hash from {{ ref('cf_invoices', 'invoices') }}
    {{ dbt.except() }}
    select account_id, id, row_hash from {{ ref('cf_invoices', 'invoice_history') }} where is_current
)
union all
(
    select account_id, id, row_hash from {{ ref('cf_invoices', 'invoice_history') }} where is_current
    {{ dbt.except() }}
    select account_id, id, row_hash from {{ ref('cf_invoices', 'invoices') }}
)
