"""The command `cf-invoices`."""
