"""`python -m cf_invoice_source` is `cf-invoices`."""

from cf_invoice_source.cli.main import main

if __name__ == "__main__":
    main()
