"""Load many accounts into a server database, with as many workers as you like: for cron or Kubernetes.

One worker for all accounts:

    python load_to_warehouse.py

Worker 3 of 8, each with an eighth of the accounts and a memory of its own:

    python load_to_warehouse.py --shard 3/8

Credentials come from the environment (CLOUDFLARE_API_TOKEN, DESTINATION__POSTGRES__CREDENTIALS) or from
.dlt/secrets.toml; the accounts from --account, from the settings, or from Cloudflare's list of them. It exits
as `cf-invoices load` does: 0 done and verified, 1 some account failed, 2 bad usage, 3 not verified.
"""

import argparse
import sys
from collections.abc import Sequence
from zlib import crc32

import dlt

from cf_invoice_source import InvoiceSourceError, Report, list_accounts, load, pipeline_lock


def main() -> int:
    """Load this worker's accounts, and return the exit code."""
    arguments = _parser().parse_args()
    number, of = arguments.shard
    try:
        accounts = sorted(arguments.account or list_accounts())
        # By the ID, not by the place in the list: an account that is new moves no other one.
        mine = [account_id for account_id in accounts if crc32(account_id.encode()) % of == number - 1]
        if not mine:
            print(f"There is no account for shard {number}/{of}.")
            return 0
        name = _pipeline_name(number, of, arguments.account)
        with pipeline_lock(name):  # the next start waits where this one takes longer than the schedule allows
            pipeline = dlt.pipeline(name, destination=arguments.destination, dataset_name=arguments.dataset)
            return _tell(load(pipeline, account_id=mine))
    except InvoiceSourceError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Load Cloudflare's AI Gateway invoices into a server database."
    )
    parser.add_argument("--account", action="append", metavar="ID", help="Cloudflare account ID; repeatable")
    parser.add_argument(
        "--shard", type=_shard, default="1/1", metavar="K/N", help="load the K-th of N shares"
    )
    parser.add_argument("--destination", default="postgres", help="any dlt destination (default: postgres)")
    parser.add_argument("--dataset", default="cf_invoices", help="dataset, or schema (default: cf_invoices)")
    return parser


def _shard(text: str) -> tuple[int, int]:
    number, _, of = text.partition("/")
    if not 1 <= int(number) <= int(of):
        raise ValueError(text)
    return int(number), int(of)


def _pipeline_name(number: int, of: int, named: Sequence[str] | None) -> str:
    """Name the pipeline after its group of accounts: bookmarks are kept under this name.

    Another number of shards, or another list of accounts, is another group, whose first run reads every page.
    """
    group = f"_{crc32(','.join(sorted(named)).encode()):08x}" if named else ""
    return f"cloudflare_invoices_{number}_of_{of}{group}"


def _tell(report: Report) -> int:
    for problem in report.problems:
        print(problem, file=sys.stderr)
    figures = ("requests", "new", "updated", "deleted")
    totals = (f"{sum(getattr(account, name) for account in report.accounts):,} {name}" for name in figures)
    print(
        f"{len(report.accounts):,} accounts, {', '.join(totals)}: {report.destination}, {report.dataset_name}"
    )
    if report.has_failed:
        return 1
    return 0 if report.is_verified else 3


if __name__ == "__main__":
    sys.exit(main())
