"""PURE: a record of the list becomes rows; our tables as data."""
