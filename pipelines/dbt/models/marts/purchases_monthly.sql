with purchases as (

    select
        invoices.*,
        cast({{ dbt.date_trunc('month', 'created_date') }} as date) as created_month
    from {{ ref('cf_invoices', 'invoices') }} as invoices
    where coalesce(status, '') not in ('draft', 'void')

)

select
    account_id,
    created_month,
    currency,
    invoice_origin,
    count(*) as invoices,
    {%- for amount in ['amount_due', 'amount_paid', 'amount_remaining'] %}
    {{ cf_invoices.sum_of_all(amount) }} as {{ amount }},
    sum({{ amount }}_minor) as {{ amount }}_minor
    {{- ',' if not loop.last }}
    {%- endfor %}
from purchases
group by account_id, created_month, currency, invoice_origin
