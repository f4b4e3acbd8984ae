{% test unique_together(model, columns) %}
select {{ columns | join(', ') }}, count(*) as how_often
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}


{# Void invoices aside: nobody will pay those. #}
{% test amounts_add_up(model) %}
select account_id, id, amount_due, amount_paid, amount_remaining
from {{ model }}
where coalesce(status, '') <> 'void' and amount_due <> amount_paid + amount_remaining
{% endtest %}


{# Back in minor units, each amount is to the last digit what Cloudflare sent. #}
{% test exact_amounts(model) %}
{%- for amount in ['amount_due', 'amount_paid', 'amount_remaining'] %}
select account_id, id, '{{ amount }}' as amount, {{ amount }}_minor as sent, {{ amount }} as converted
from {{ model }}
where currency_exponent is not null
    and {{ amount }}_minor is not null
    and (
        {{ amount }} is null
        or {{ amount }} * case currency_exponent
            when 0 then 1 when 1 then 10 when 2 then 100 when 3 then 1000 when 4 then 10000
        end <> {{ amount }}_minor
    )
{{ 'union all' if not loop.last }}
{%- endfor %}
{% endtest %}
