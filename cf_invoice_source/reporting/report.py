"""`report(pipeline)`: the figures, and the page if one is wanted."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timezone
from importlib.util import find_spec
from pathlib import Path

import dlt

from cf_invoice_source.errors import SettingsError
from cf_invoice_source.reporting.figures import Figures
from cf_invoice_source.reporting.reading import Question, read_figures
from cf_invoice_source.settings import MONTHS
from cf_invoice_source.warehouse.dataset_ref import DatasetRef
from cf_invoice_source.warehouse.umask import written_whole


def report(
    pipeline: dlt.Pipeline,
    page: str | Path | None = None,
    account_ids: Sequence[str] = (),
    *,
    months: int = MONTHS,
    as_of: date | None = None,
) -> Figures:
    """Tell what was bought, what is open, what failed and what changed: what `cf-invoices report` does.

    It reads the destination only, on which nothing is written or created.

    Args:
        pipeline: Any dlt pipeline with the destination and the dataset.
        page: The HTML file to write, which replaces one of that name; None for the figures only. It needs
            the extra `report`.
        account_ids: Only these accounts; all that are there if empty.
        months: How many months are shown, the current one included.
        as_of: Tell what was known at the end of this day, in UTC.

    Raises:
        SettingsError: The page cannot be written, the extra is missing, or the day is in the future.
        TryLaterError: Loads came in between all attempts to read.
        DestinationError: The destination could not be read.
    """
    return report_of(DatasetRef.of_pipeline(pipeline), page, Question(account_ids, months, as_of))


def report_of(
    ref: DatasetRef, page: str | Path | None, question: Question, *, is_demo: bool = False
) -> Figures:
    """Do it for a dataset that need not have a pipeline here."""
    target = check_target(Path(page)) if page is not None else None
    now = datetime.now(timezone.utc)
    figures = read_figures(ref, question, now.date())
    if target is None:
        return figures
    from cf_invoice_source.reporting.page import html_of

    page_text = html_of(figures, now, is_demo=is_demo)
    with _told(target), written_whole(target) as file:
        file.write(page_text)
    return replace(figures, page=str(target))


def check_target(page: Path) -> Path:
    """Find the file to write, behind a symbolic link, too; refuse what is no file, and a missing extra."""
    missing = [name for name in ("jinja2", "vl_convert") if not find_spec(name)]
    if missing:
        raise SettingsError(
            f"The page needs another package: {' and '.join(missing)}.",
            remedy='pip install "cf-invoice-source[report]", or use --json, which needs none',
        )
    target = Path(os.path.realpath(page))
    with _told(target):
        if target.exists() and not target.is_file():
            raise SettingsError(f"{target} is not a file: no page can be written there.", remedy=_ELSEWHERE)
        if not target.parent.is_dir():
            raise SettingsError(f"There is no directory {target.parent}.", remedy=_ELSEWHERE)
    return target


_ELSEWHERE = "name another file, with --output"


@contextmanager
def _told(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        cause = f"The page cannot be written to {target}: {error.strerror}."
        raise SettingsError(cause, remedy=f"make room there, or {_ELSEWHERE}") from error
