with versions as (

    select
        history.*,
        case
            when change <> 'deleted'
                and status in ('open', 'uncollectible')
                and amount_remaining_minor > 0
                and (attempt_count > 0 or attempted)
                then 1
            else 0
        end as has_failed
    from {{ ref('cf_invoices', 'invoice_history') }} as history

),

well as (

    select account_id, id, max(version) as version
    from versions
    where has_failed = 0
    group by account_id, id

),

failing as (

    select versions.account_id, versions.id, min(versions.valid_from) as failing_since
    from versions
    left join well on well.account_id = versions.account_id and well.id = versions.id
    where versions.version > coalesce(well.version, 0)
    group by versions.account_id, versions.id

)

select
    versions.account_id,
    versions.id,
    versions.status,
    versions.currency,
    versions.amount_due,
    versions.amount_remaining,
    versions.amount_due_minor,
    versions.amount_remaining_minor,
    versions.attempt_count,
    versions.attempted,
    versions.created,
    failing.failing_since
from versions
inner join failing on failing.account_id = versions.account_id and failing.id = versions.id
where versions.is_current
