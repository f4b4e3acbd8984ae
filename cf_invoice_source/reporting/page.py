"""Writes the figures as one HTML file that needs no script and loads nothing from anywhere."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cf_invoice_source.invoices.money import Money
from cf_invoice_source.loading.report import Problem
from cf_invoice_source.redaction import shown, without_links
from cf_invoice_source.reporting.accounts import AccountFigures, SyncMark
from cf_invoice_source.reporting.charts import NARROW, WIDE, bars, month_name
from cf_invoice_source.reporting.figures import Changes, Figures, SeenChange
from cf_invoice_source.reporting.sums import CurrencySums, months_until
from cf_invoice_source.settings import VERSION

_HERE = Path(__file__).parent

_MOST = MappingProxyType({"currencies": 6, "rows": 200, "open": 1_000, "accounts": 300, "problems": 20})
"""How much of each is on the page; the JSON document has all."""

_LONGEST = 80
"""How many characters of a foreign text are shown."""

_SHORT_ID = 8


def html_of(figures: Figures, now: datetime, *, is_demo: bool = False) -> str:
    """Write the page."""
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(_FILTERS, short=_shortener(figures))
    last_month, this_month = map(month_name, months_until(figures.as_of, 2))
    listed = sum(figures.changes.counts[kind] for kind in ("new", "updated", "deleted"))
    return environment.get_template(
        "page.html.j2"
    ).render(
        title="AI Gateway invoices",
        style=Markup(style),  # noqa: S704 - our own file
        style_hash=b64encode(sha256(style.encode()).digest()).decode(),
        figures=figures,
        verdict=replace(_verdict(figures), documents=_documents(figures.undocumented)),
        problems=[*map(_in_short, figures.problems[: _MOST["problems"]])],
        charts=[_charts(sums) for sums in figures.currencies[: _MOST["currencies"]]],
        changed=_changed(figures.changes, figures.as_of),
        more_changes=listed - min(len(figures.changes.newest), _MOST["rows"]),
        this_month=this_month,
        last_month=last_month,
        has_accounts=len(figures.accounts) > 1,
        most=_MOST,
        is_demo=is_demo,
        now=now,
        version=VERSION,
    )


@dataclass(frozen=True, slots=True)
class _Verdict:
    is_good: bool
    title: str
    text: str = ""
    documents: str = ""


def _documents(undocumented: int | None) -> str:
    if undocumented is None:  # nobody archives them
        return ""
    if not undocumented:
        return "The document of each paid or void invoice is archived."
    return f"{_count(undocumented, 'paid or void invoice')} without an archived document."


def _verdict(figures: Figures) -> _Verdict:
    """Say in words whether the copy is verified, and when it was."""
    accounts = figures.accounts
    if not accounts:
        return _Verdict(is_good=False, title="Nothing is loaded")
    wrong = sum(each.state != "verified" for each in accounts)
    whose = _count(len(accounts), "account")
    if not figures.is_verified:
        title = f"Not verified: {wrong:,} of {whose}" if wrong else "Not verified"
        return _Verdict(is_good=False, title=title, text="The figures below are those of the copy as it is.")
    times = sorted(each.last_verified_sync_at for each in accounts if each.last_verified_sync_at)
    when = " to ".join(dict.fromkeys(map(_moment, (times[0], times[-1])))) if times else ""
    title = "Verified: the copy equals Cloudflare's list"
    if figures.is_past:
        title = "Verified: the copy equalled Cloudflare's list"
    many = f"{whose}, {_count(figures.invoices, 'invoice')}"
    return _Verdict(is_good=True, title=title, text=f"{many}. Last verified {when}." if when else f"{many}.")


def _in_short(problem: Problem) -> Problem:
    """Leave the cause and what to do: an error's text has the request, too, for support."""
    cause, *details = problem.text.split("\n")
    remedies = (line.removeprefix("Do: ") for line in details if line.startswith("Do: "))
    return replace(problem, text=cause, remedy=problem.remedy or next(remedies, ""))


def _changed(changes: Changes, day: date) -> str:
    counts = {
        "first_load": "{} noted by a first load",
        "new": "{} new",
        "updated": "{} updated",
        "deleted": "{} deleted",
    }
    told = [text.format(f"{changes.counts[kind]:,}") for kind, text in counts.items() if changes.counts[kind]]
    span = f"From {_day(changes.begin)} to {_day(day)}"
    return f"{span}, runs saw {', '.join(told)}." if told else f"{span}, no run saw a change."


def _charts(sums: CurrencySums) -> Mapping[str, Markup] | None:
    """Draw the bars for a wide and for a narrow page; None if there is nothing to draw."""
    months = (month for month in sums.months if month.label[:1].isdigit())
    if not any(amount for month in months for amount in month.by_origin):
        return None
    # Made from dates and heights alone: no foreign text is in it.
    return {name: Markup(bars(sums, size)) for name, size in {"wide": WIDE, "narrow": NARROW}.items()}  # noqa: S704


def _shortener(figures: Figures) -> Callable[[str], str]:
    """Shorten account IDs as far as they stay different."""
    ids = {each.account_id for each in figures.accounts}
    length = next((n for n in range(_SHORT_ID, 32) if len({each[:n] for each in ids}) == len(ids)), 32)
    return lambda account_id: f"{_words(account_id[:length])}{'…' * (len(account_id) > length)}"


# Filters: how a value is written


def _words(text: object, longest: int = _LONGEST) -> str:
    """Write a foreign text: on one line, without links, credentials, invisible characters, and cut."""
    plain = " ".join(shown(without_links(str(text)[: 4 * longest])).split())
    return plain if len(plain) <= longest else f"{plain[:longest]}…"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _number(amount: Decimal) -> str:
    return f"{amount:,f}"


def _code(of: CurrencySums | Money) -> str:
    return f"{_words(of.currency, 12) or 'no currency'}{'*' * of.is_minor}"


def _amount(amount: Decimal, of: CurrencySums | Money) -> str:
    return f"{amount:,f}\N{NO-BREAK SPACE}{_code(of)}"


def _money(money: Money) -> str:
    return _amount(money.amount, money)


def _day(moment: date | datetime | None) -> str:
    return f"{moment.day} {month_name(f'{moment.year:04}-{moment.month:02}')}" if moment else ""


def _moment(moment: datetime | None) -> str:
    return f"{_day(moment)}, {moment:%H:%M} UTC" if moment else ""


def _origin(origin: str | None) -> str:
    return "all others" if origin is None else _words(origin, 40) or "no origin"


def _used(sums: CurrencySums) -> list[int]:
    """Say which of the origins occur in a currency."""
    return [place for place, amount in enumerate(sums.by_origin) if amount] or [0]


def _change(each: SeenChange) -> str:
    """Say what has changed: the status before and after, else the fields."""
    if each.change == "deleted":
        return _words(f"{each.status_before or 'no status'} → deleted")
    if each.change == "new":
        return _words(f"new, {each.status or 'no status'}")
    if each.status != each.status_before:
        return _words(f"{each.status_before or 'no status'} → {each.status or 'no status'}")
    return ", ".join(each.fields).replace("_", " ") or "other fields"


def _strip(account: AccountFigures) -> str:
    verified = sum(sync.state == "verified" for sync in account.syncs)
    return f"{verified} of the last {_count(len(account.syncs), 'sync')} verified"


def _sync(sync: SyncMark) -> str:
    counts = ", ".join(
        f"{getattr(sync, kind):,} {kind}" for kind in ("new", "updated", "deleted", "rejected")
    )
    return f"{_moment(sync.finished_at)}, {sync.state}: {counts}"


_FILTERS: Mapping[str, Callable[..., object]] = {
    "amount": _amount,
    "change": _change,
    "code": _code,
    "count": _count,
    "day": _day,
    "moment": _moment,
    "money": _money,
    "month": month_name,
    "number": _number,
    "origin": _origin,
    "strip": _strip,
    "used": _used,
    "sync": _sync,
    "words": _words,
}
