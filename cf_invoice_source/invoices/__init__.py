"""PURE: turns records of the list into rows; our tables as data."""
