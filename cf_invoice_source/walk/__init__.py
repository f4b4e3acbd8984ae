"""PURE: decides which page to fetch next, and what the answers verify."""
