"""The walk by `has_more`, page after page: go on, stop, or refuse. For a server whose counting is wrong.

It ends on every answer that a server can give: each further page needs a record that was not there before,
or a list that has grown, and their number is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass

from cf_invoice_source.cloudflare.answers import Page
from cf_invoice_source.invoices.record import Item


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


def next_step(
    previous: Page[Item], last: Page[Item], *, seen: int, new: int, max_pages: int
) -> Ask | Stop | Refuse:
    """Say what follows the page `last`.

    Args:
        previous: The page before it; the same as `last` for page 1.
        last: The page answered last.
        seen: Different records in the walk so far.
        new: Those of them that `last` brought.
        max_pages: A list with more pages than this is taken for one without end.
    """
    if not last.records:
        return Stop(f"page {last.asked} is empty, but says that more follow" if last.has_more else "")
    if not new and last.total_count <= previous.total_count:
        return Refuse(
            f"page {last.asked} repeats records of earlier pages, though the list has not grown: "
            "the server seems to ignore the page number"
        )
    if not (last.has_more or last.total_count > seen):
        return Stop()
    if last.asked >= max_pages:
        return Refuse(f"the list goes on after {max_pages:,} pages")
    return Ask(last.asked + 1)


def is_same(before: Page[Item], after: Page[Item]) -> bool:
    """Whether page 1 shows after a walk what it showed before: then nothing moved in between."""
    return before.total_count == after.total_count and _hashes(before) == _hashes(after)


def _hashes(page: Page[Item]) -> list[str]:
    return [item.row_hash for item in page.records]
