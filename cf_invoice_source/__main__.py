"""`python -m cf_invoice_source` is `cf-invoices`."""

from cf_invoice_source.cli import main

if __name__ == "__main__":
    main()
