"""Runs dbt, in its own Python."""

from importlib import import_module

from dbt.cli.main import cli

for adapter in ("duckdb", "postgres"):
    import_module(f"dbt.adapters.{adapter}")


def main() -> None:
    cli(prog_name="dbt")
