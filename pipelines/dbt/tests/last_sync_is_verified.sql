-- Each account's last sync: the highest number, because clocks can be wrong.
with numbered as (

    select
        account_id,
        started_at,
        verified,
        unverified_reason,
        error,
        row_number() over (partition by account_id order by sync_number desc) as place
    from {{ source('cf_invoices', 'invoice_syncs') }}

)

select account_id, started_at, unverified_reason, error
from numbered
where place = 1 and not coalesce(verified, false)
