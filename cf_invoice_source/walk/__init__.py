"""PURE: which page to ask for next, and what the answers verify."""
