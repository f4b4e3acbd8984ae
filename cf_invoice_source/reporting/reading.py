"""Reads the figures of the report from a destination, on which nothing is written or created."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from cf_invoice_source.cloudflare.accounts import read_account_ids
from cf_invoice_source.errors import SettingsError, TryLaterError
from cf_invoice_source.loading.report import Problem, problems_of
from cf_invoice_source.loading.status import status_by
from cf_invoice_source.reporting.accounts import (
    AccountFigures,
    accounts_now,
    accounts_then,
    sorted_by_need,
)
from cf_invoice_source.reporting.book import Book, end_of
from cf_invoice_source.reporting.figures import Figures
from cf_invoice_source.reporting.rows import ReportQueries
from cf_invoice_source.settings import MONTHS, MOST_MONTHS
from cf_invoice_source.warehouse.dataset_ref import DatasetRef
from cf_invoice_source.warehouse.dlt_errors import translated_errors
from cf_invoice_source.warehouse.documents import DocumentQueries

_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Question:
    """What the report is to tell: of these accounts, or of all, and what was known at the end of a day.

    Raises:
        SettingsError: There are not so many months.
    """

    account_ids: Sequence[str] = ()
    months: int = MONTHS
    as_of: date | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.months <= MOST_MONTHS:
            raise SettingsError("The number of months makes no sense.", remedy=f"use 1 to {MOST_MONTHS}")
        read_account_ids(self.account_ids)  # one that cannot be is refused


def read_figures(ref: DatasetRef, question: Question, today: date) -> Figures:
    """Read the figures.

    Raises:
        SettingsError: The day asked for is in the future.
        TryLaterError: Loads came in between all attempts to read.
        DestinationError: The destination could not be read.
    """
    if question.as_of and question.as_of > today:
        raise SettingsError("The day of the report is in the future.", remedy="name today or an earlier day")
    with translated_errors(), ref.reading() as dataset:
        if not dataset:
            return _figures(ref, None, None, question, today)
        undocumented = DocumentQueries(dataset).undocumented()  # first: it has the same connection
        queries = ReportQueries(dataset)
        with queries.connected():
            queries.check_columns()
            return read_at_rest(queries, lambda: _figures(ref, queries, undocumented, question, today))


def read_at_rest(queries: ReportQueries, read: Callable[[], Figures]) -> Figures:
    """Read until no load came in between: the queries are not one transaction in every database.

    Raises:
        TryLaterError: Loads came in between all attempts.
    """
    for _ in range(_ATTEMPTS):
        before = queries.last_numbers()
        figures = read()
        if queries.last_numbers() == before:
            return figures
    raise TryLaterError(
        "Loads wrote into the tables while they were read: the figures would not be of one moment.",
        remedy="run again when no load is under way",
    )


def _figures(
    ref: DatasetRef,
    queries: ReportQueries | None,
    undocumented: Counter[str] | None,
    question: Question,
    today: date,
) -> Figures:
    wanted = read_account_ids(question.account_ids)
    status = status_by(queries, ref, wanted, undocumented=undocumented)
    day, is_past = question.as_of or today, question.as_of is not None
    book = Book(day, is_past=is_past)
    accounts: tuple[AccountFigures, ...] = ()
    if queries:
        if not is_past:
            book.read_invoices(queries.invoices(wanted))
        book.read_versions(queries.versions(wanted), queries.first_seen())
        syncs = queries.syncs(wanted, every=is_past)
        then = accounts_then(book.invoices, syncs, end_of(day))
        now = accounts_now(status.accounts, book.invoices, syncs)
        accounts = sorted_by_need(then if is_past else now)
    problems = _problems_then(accounts, wanted, day) if is_past else status.problems
    return Figures(
        pipeline_name=status.pipeline_name,
        dataset_name=status.dataset_name,
        destination=status.destination,
        page="",
        as_of=day,
        is_past=is_past,
        invoices=book.invoices.total(),
        undocumented=None if is_past else status.undocumented,
        accounts=accounts,
        origins=book.origins(),
        currencies=book.currencies(question.months),
        ages=book.ages(),
        open=book.open(),
        failed=book.failed(),
        changes=book.changes(),
        problems=problems,
    )


def _problems_then(
    accounts: Sequence[AccountFigures], wanted: Sequence[str], day: date
) -> tuple[Problem, ...]:
    """List what was wrong at the end of a day; the tables as they are now say nothing of that."""
    absent = len(set(wanted) - {each.account_id for each in accounts})
    if accounts and not absent:
        return problems_of(accounts)
    whose = f" of {absent:,} of the accounts asked for" if absent else ""
    remedy = "name a later day, or none for what is loaded now"
    return (*problems_of(accounts), Problem(f"Nothing was loaded yet{whose} on {day}.", remedy=remedy))
