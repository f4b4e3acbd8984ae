"""Archives the PDFs of invoices: which are needed, where they are stored, and proof that they are there."""
