"""Where the tables are, who may write there, how it fails, and what is held."""
