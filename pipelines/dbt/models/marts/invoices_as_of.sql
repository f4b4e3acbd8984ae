select
    known.*,
    {{ cf_invoices.report_date() }} as as_of
from ({{ cf_invoices.invoices_as_of(var('as_of')) }}) as known
