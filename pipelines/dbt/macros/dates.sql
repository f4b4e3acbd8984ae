{# A moment as a time in UTC without a zone, so that its date is the one in UTC, whatever the session's zone. #}
{% macro utc(moment) %}{{ return(adapter.dispatch('utc', 'cf_invoices')(moment)) }}{% endmacro %}

{% macro default__utc(moment) %}{{ return('(' ~ moment ~ " at time zone 'UTC')") }}{% endmacro %}

{% macro bigquery__utc(moment) %}{{ return(moment) }}{% endmacro %}

{% macro snowflake__utc(moment) %}
    {{- return("cast(convert_timezone('UTC', " ~ moment ~ ") as timestamp_ntz)") -}}
{% endmacro %}


{% macro utc_date(moment) %}{{ return('cast(' ~ cf_invoices.utc(moment) ~ ' as date)') }}{% endmacro %}


{# A text such as 2026-06-01 as a date of Python; none stays none. #}
{% macro read_day(given) %}
    {%- if given is none -%}{{ return(none) }}{%- endif -%}
    {%- if not modules.re.fullmatch('\d{4}-\d{2}-\d{2}', given | string) -%}
        {{ exceptions.raise_compiler_error("A day is given as a date such as 2026-06-01, not as " ~ given) }}
    {%- endif -%}
    {{ return(modules.datetime.datetime.strptime(given | string, '%Y-%m-%d').date()) }}
{% endmacro %}


{# The day of a report, in SQL: the variable as_of, or today in UTC. #}
{% macro report_date() %}
    {%- set as_of = cf_invoices.read_day(var('as_of')) -%}
    {{ return("cast('" ~ as_of ~ "' as date)" if as_of else cf_invoices.utc_date(dbt.current_timestamp())) }}
{% endmacro %}
