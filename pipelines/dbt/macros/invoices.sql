{# The columns of an invoice, from a row of the loader (`stored`) and its currency (`units`). The link to the PDF
   is not among them: it opens without signing in, so it stays in the loader's tables. #}
{% macro invoice_columns() %}
    stored.account_id,
    stored.id,
    stored.status,
    upper(stored.currency) as currency,
    units.exponent as currency_exponent,
    {%- for amount in ['amount_due', 'amount_paid', 'amount_remaining'] %}
    {{ cf_invoices.major_units('stored.' ~ amount, 'units.exponent') }} as {{ amount }},
    stored.{{ amount }} as {{ amount }}_minor,
    {%- endfor %}
    stored.created,
    {{ cf_invoices.utc_date('stored.created') }} as created_date,
    stored.created_by,
    stored.invoice_origin,
    stored.description,
    stored.attempt_count,
    stored.attempted,
    stored.auto_advance,
    stored.row_hash
{%- endmacro %}


{# The invoices as they were known at the end of a day (UTC) such as '2026-06-01'; without one, as they are known now. #}
{% macro invoices_as_of(day=none) %}
{%- set day = cf_invoices.read_day(day) %}
select *
from {{ ref('cf_invoices', 'invoice_history') }}
where change <> 'deleted'
{%- if day is none %}
    and valid_to is null
{%- else %}
    {%- set end = "cast('" ~ (day + modules.datetime.timedelta(days=1)) ~ " 00:00:00' as " ~ dbt.type_timestamp() ~ ")" %}
    and {{ cf_invoices.utc('valid_from') }} < {{ end }}
    and (valid_to is null or {{ cf_invoices.utc('valid_to') }} >= {{ end }})
{%- endif %}
{%- endmacro %}


{# Stop before a model that is called like a table of the loader replaces it. #}
{% macro refuse_the_schema_of_the_loader() %}
    {%- set loaders = source('cf_invoices', 'invoices') -%}
    {%- if execute and (this.schema | lower) == (loaders.schema | lower) and (this.database | lower) == (loaders.database | lower) -%}
        {{ exceptions.raise_compiler_error("The models would go into the schema " ~ this.schema ~ ", where `cf-invoices load` keeps its tables. Choose another schema for them, in the profile or with +schema.") }}
    {%- endif -%}
{% endmacro %}
