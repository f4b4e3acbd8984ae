{#- Names in quotes, because PostgreSQL and Snowflake would change their case. -#}
{%- set columns = [
    ('BilledCost', 'amount_due'),
    ('EffectiveCost', "cast('0' as " ~ cf_invoices.money_type() ~ ")"),
    ('BillingAccountId', 'account_id'),
    ('BillingCurrency', 'currency'),
    ('InvoiceId', 'id'),
    ('InvoiceIssuerName', "'Cloudflare'"),
    ('ServiceProviderName', "'Cloudflare'"),
    ('ServiceName', "'AI Gateway'"),
    ('ServiceCategory', "'AI and Machine Learning'"),
    ('ChargeCategory', "'Purchase'"),
    ('ChargeFrequency', "'One-Time'"),
    ('ChargeDescription', 'description'),
    ('ChargePeriodStart', 'created'),
    ('x_InvoiceStatus', 'status'),
    ('x_InvoiceOrigin', 'invoice_origin'),
] -%}
select
    {%- for name, value in columns %}
    {{ value }} as {{ adapter.quote(name) }}{{ ',' if not loop.last }}
    {%- endfor %}
from {{ ref('cf_invoices', 'invoices') }}
where coalesce(status, '') not in ('draft', 'void')
