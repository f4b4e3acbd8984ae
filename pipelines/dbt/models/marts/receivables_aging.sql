with unpaid as (

    select
        account_id,
        id,
        status,
        currency,
        amount_remaining,
        amount_remaining_minor,
        created,
        as_of,
        {{ dbt.datediff('created_date', 'as_of', 'day') }} as age_days
    from {{ ref('cf_invoices', 'invoices_as_of') }}
    where status in ('open', 'uncollectible')

)

select
    unpaid.*,
    case
        when age_days is null then 'without a date'
        when age_days <= 30 then '0-30'
        when age_days <= 60 then '31-60'
        when age_days <= 90 then '61-90'
        else 'over 90'
    end as age_bucket
from unpaid
