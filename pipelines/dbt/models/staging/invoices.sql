{{ cf_invoices.refuse_the_schema_of_the_loader() }}
-- depends_on: {{ source('cf_invoices', 'invoice_syncs') }}
-- so that nothing is built while the test last_sync_is_verified fails

select {{ cf_invoices.invoice_columns() }}
from {{ source('cf_invoices', 'invoices') }} as stored
left join {{ ref('cf_invoices', 'currency_exponents') }} as units on units.code = upper(stored.currency)
