"""What a table may look like in a destination."""
