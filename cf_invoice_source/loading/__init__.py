"""One load: its settings, its accounts, its packages and its report."""
