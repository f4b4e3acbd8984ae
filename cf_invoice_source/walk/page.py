"""What a walk needs to know of pages and records. It knows neither invoices nor HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Record(Protocol):
    """One record of a list."""

    @property
    def id(self) -> str | None:
        """The server's id; None when it gave none."""

    @property
    def identity(self) -> str:
        """The id, or a hash of what never changes; two records without an id may share it."""

    @property
    def row_hash(self) -> str:
        """Changes exactly when the record changes."""

    @property
    def created_us(self) -> int | None:
        """When it was created, in unix microseconds; None if that is not known."""

    @property
    def is_final(self) -> bool:
        """Whether it can no longer change."""

    @property
    def is_deletable(self) -> bool:
        """Whether it may be taken off the list."""

    @property
    def is_reject(self) -> bool:
        """Whether it cannot be stored as it is."""


T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Page(Generic[T_co]):
    """One page of a list, as the server described it.

    Attributes:
        asked: The page number that was asked for, from 1.
        records: What the server listed, newest first.
        has_more: Whether the server says that further pages follow.
        page: The page number, as the server repeats it.
        per_page: Records on a full page, as the server applied it.
        total_count: Records in the whole list, as the server counted them.
    """

    asked: int
    records: tuple[T_co, ...]
    has_more: bool
    page: int
    per_page: int
    total_count: int


class PageSource(Protocol[T_co]):
    """Where a walk gets its pages from. Several can be fetched before they are taken."""

    @property
    def ahead(self) -> int:
        """How many pages may be fetched ahead."""

    @property
    def in_flight(self) -> int:
        """How many pages have been asked for and not been taken yet."""

    def __call__(self, page: int) -> Page[T_co]:
        """Take a page; wait until it is there."""

    def expect(self, page: int) -> object:
        """Start fetching a page that will be needed."""

    def drop(self) -> None:
        """Drop the pages that were fetched and not taken."""
