with versions as (

    select
        history.*,
        lag(status) over (partition by account_id, id order by version) as status_before,
        row_number() over (
            partition by account_id, id order by case when change = 'deleted' then 1 else 0 end, version desc
        ) as place
    from {{ ref('cf_invoices', 'invoice_history') }} as history

),

paid as (

    select account_id, id
    from versions
    where status = 'paid' and change <> 'deleted'
    group by account_id, id

),

seen as (

    select
        account_id,
        id,
        observed_at,
        status_before,
        row_number() over (partition by account_id, id order by version) as payment
    from versions
    where change = 'updated' and status = 'paid' and coalesce(status_before, '') <> 'paid'

)

select
    latest.account_id,
    latest.id,
    latest.status,
    latest.currency,
    latest.amount_due,
    latest.amount_paid,
    latest.amount_due_minor,
    latest.amount_paid_minor,
    latest.created,
    latest.is_current as is_listed,
    seen.observed_at as first_seen_paid_at,
    seen.status_before,
    {{ dbt.datediff('latest.created_date', cf_invoices.utc_date('seen.observed_at'), 'day') }} as days_to_pay
from versions as latest
inner join paid on paid.account_id = latest.account_id and paid.id = latest.id
left join seen on seen.account_id = latest.account_id and seen.id = latest.id and seen.payment = 1
where latest.place = 1
