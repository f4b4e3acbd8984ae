"""The report: what was bought, what is open, what failed and what changed, as figures and as a page."""
