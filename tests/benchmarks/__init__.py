"""How fast, against other ways to do the same: `python -m tests.benchmarks --help`. Not part of the tests."""
