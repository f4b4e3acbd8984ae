{# Amounts in major units are exact decimals: 9 digits of the loader's DECIMAL(38, 9), and up to 4 more. #}

{% macro money_type() %}{{ return(adapter.dispatch('money_type', 'cf_invoices')()) }}{% endmacro %}

{% macro default__money_type() %}{{ return('numeric(38, 13)') }}{% endmacro %}

{% macro bigquery__money_type() %}{{ return('bignumeric') }}{% endmacro %}


{% macro factor_type(digits) %}{{ return(adapter.dispatch('factor_type', 'cf_invoices')(digits)) }}{% endmacro %}

{# No more digits than it needs, because Snowflake rounds a product to 12 decimals. Only 9 decimals of a currency that
   has 4 (CLF, UYW) are too many there: the test exact_amounts fails then. #}
{% macro default__factor_type(digits) %}{{ return('numeric(' ~ (digits + 1) ~ ', ' ~ digits ~ ')') }}{% endmacro %}

{# A product of two NUMERICs would be rounded to 9 decimals. #}
{% macro bigquery__factor_type(digits) %}{{ return('bignumeric') }}{% endmacro %}


{# An amount in major units. Null where the currency is unknown, and from 10^24 minor units on: the test
   exact_amounts fails for those. It multiplies, because a division gives a float in some databases. #}
{% macro major_units(amount, exponent) -%}
    case
        when abs({{ amount }}) >= cast('1000000000000000000000000' as numeric(38, 9)) then null
        when {{ exponent }} = 0 then cast({{ amount }} as {{ cf_invoices.money_type() }})
        {%- for digits in range(1, 5) %}
        when {{ exponent }} = {{ digits }} then cast({{ amount }}
            * cast('0.{{ '0' * (digits - 1) }}1' as {{ cf_invoices.factor_type(digits) }}) as {{ cf_invoices.money_type() }})
        {%- endfor %}
    end
{%- endmacro %}


{# A sum that is null where one of the amounts is: a sum without it would be wrong. #}
{% macro sum_of_all(amount) -%}
    case when count({{ amount }}) = count(*) then cast(sum({{ amount }}) as {{ cf_invoices.money_type() }}) end
{%- endmacro %}
