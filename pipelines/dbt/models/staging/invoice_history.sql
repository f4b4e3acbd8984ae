-- depends_on: {{ source('cf_invoices', 'invoice_syncs') }}
-- so that nothing is built while the test last_sync_is_verified fails

with numbered as (

    select
        stored.*,
        -- The latest time so far: where a machine's clock went back, no version begins before the one in front of it.
        max(observed_at) over (
            partition by account_id, id order by version rows between unbounded preceding and current row
        ) as valid_from
    from {{ source('cf_invoices', 'invoice_changes') }} as stored

),

stored as (

    select
        numbered.*,
        lead(valid_from) over (partition by account_id, id order by version) as valid_to
    from numbered

)

select
    {{ cf_invoices.invoice_columns() }},
    stored.version,
    stored.change,
    stored.observed_at,
    stored.valid_from,
    stored.valid_to,
    stored.valid_to is null and stored.change <> 'deleted' as is_current
from stored
left join {{ ref('cf_invoices', 'currency_exponents') }} as units on units.code = upper(stored.currency)
