"""The walk by `has_more`, page after page: go on, stop, or refuse.

It ends on every answer that a server can give: each further page needs a record that was not there before,
or a list that has grown, and their number is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass

from cf_invoice_source.decide.envelope import Page


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask for this page next."""

    page: int


@dataclass(frozen=True, slots=True)
class Stop:
    """The list has ended.

    Attributes:
        doubt: Why the walk does not prove that nothing was missed; empty when it does.
    """

    doubt: str = ""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The server's paging makes no sense: nothing that it lists can be trusted to be complete."""

    why: str


def next_step(first: Page, last: Page, *, seen: int, new: int, max_pages: int) -> Ask | Stop | Refuse:
    """Say what follows the page `last` of a walk that began with the page `first`.

    Args:
        first: Page 1 of this walk.
        last: The page answered last; the same as `first` at the beginning.
        seen: Different records in the walk so far.
        new: Those of them that `last` brought.
        max_pages: A list with more pages than this is taken for one without end.
    """
    if not last.records:
        return Stop(_doubt(first, last, seen))
    if not new and last.total_count <= first.total_count:
        return Refuse(
            f"page {last.asked} repeats records of earlier pages, though the list has not grown: "
            "the server seems to ignore the page number"
        )
    if not (last.has_more or last.total_count > seen):
        return Stop(_doubt(first, last, seen))
    if last.asked >= max_pages:
        return Refuse(f"the list goes on after {max_pages:,} pages")
    return Ask(last.asked + 1)


def _doubt(first: Page, last: Page, seen: int) -> str:
    if last.has_more:
        return f"page {last.asked} is empty, but says that more follow"
    if last.total_count != first.total_count:
        return f"the list changed during the walk, from {first.total_count:,} to {last.total_count:,} records"
    if last.total_count != seen:
        return f"the server counts {last.total_count:,} records, but listed {seen:,}"
    return ""
