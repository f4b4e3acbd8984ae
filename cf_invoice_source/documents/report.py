"""PURE: what came of archiving documents, and of verifying an archive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from cf_invoice_source.errors import NotVerifiedError
from cf_invoice_source.loading.report import Problem

_AGAIN = "run cf-invoices documents again: it tries only what is missing"
_MOST = 3


@dataclass(frozen=True, slots=True)
class Failure:
    """An invoice whose document could not be had, and why."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class AccountDocuments:
    """What was done for one account.

    Attributes:
        account_id: Cloudflare account ID.
        wanted: How many invoices needed a document when the run began.
        archived: How many of them have one now.
        requests: Pages of Cloudflare's list that were asked for.
        failures: Those whose document could not be had. Others may not have been tried.
        error: Why Cloudflare's list could not be read, and what to do; empty if it could.
    """

    account_id: str
    wanted: int
    archived: int
    requests: int
    failures: tuple[Failure, ...] = ()
    error: str = ""

    @property
    def problem(self) -> str:
        """What is wrong, in one line; empty if every invoice has its document."""
        if self.error:
            return f"failed: {self.error}"
        left = self.wanted - self.archived
        return f"{left:,} of {self.wanted:,} documents could not be had" if left else ""

    @property
    def remedy(self) -> str:
        """What to do about the problem; empty if there is none."""
        return _AGAIN if self.problem and not self.error else ""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why documents could not be had, the most frequent reason first, each with one invoice."""
        counts = Counter(each.reason for each in self.failures)
        one = {each.reason: each.id for each in reversed(self.failures)}
        return tuple(
            f"{one[reason]}{f' and {count - 1:,} more' if count > 1 else ''}: {reason}"
            for reason, count in counts.most_common(_MOST)
        )


@dataclass(frozen=True, slots=True)
class DocumentReport:
    """What a run of `cf-invoices documents` did.

    Attributes:
        archive: Where the documents are, without secrets.
        accounts: What was done for each account.
        absent: How many of the accounts asked for have no invoices.
        stopped: Why the run ended early; empty if it did not.
    """

    pipeline_name: str
    dataset_name: str
    destination: str
    archive: str
    accounts: tuple[AccountDocuments, ...]
    absent: int = 0
    stopped: str = ""

    @property
    def has_failed(self) -> bool:
        """Whether any account's list could not be read."""
        return any(account.error for account in self.accounts)

    @property
    def is_verified(self) -> bool:
        """Whether every invoice that needs a document has it."""
        return not self.problems

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with which account."""
        found = [
            Problem(f"Account {each.account_id}: {each.problem}", each.reasons, each.remedy)
            for each in self.accounts
            if each.problem
        ]
        if self.absent or not self.accounts:
            whose = " of the accounts asked for" if self.absent else ""
            where = f"{self.destination}, dataset {self.dataset_name}"
            remedy = f"run cf-invoices load; if it has run, check that it loaded into {where}"
            found.append(Problem(f"No invoices are loaded yet{whose}.", remedy=remedy))
        if self.stopped:
            found.append(Problem(f"The rest was not tried: {self.stopped}", remedy=f"later, {_AGAIN}"))
        return tuple(found)

    def raise_on_failed(self) -> None:
        """Raise if the command `cf-invoices documents` would not end with exit code 0.

        Raises:
            NotVerifiedError: An invoice that needs a document has none.
        """
        _raise_on(self.problems, "Not every invoice has its document.")


_REMEDIES: Mapping[str, str] = {
    "changed": "put the file back from a backup",
    "missing": "put the file back from a backup; cf-invoices documents fetches those that are needed again",
    "unknown": "find out who put it there, and move it away",
}


@dataclass(frozen=True, slots=True)
class Verification:
    """What an archive holds, compared with the table `invoice_documents`.

    Attributes:
        archive: Where it is, without secrets.
        documents: How many documents the table names.
        intact: How many of them are there, byte by byte.
        changed: Paths of files whose bytes are not those that were archived.
        missing: Paths of files that are gone.
        unknown: Paths of files that the table does not name.
    """

    pipeline_name: str
    dataset_name: str
    destination: str
    archive: str
    documents: int
    intact: int
    changed: tuple[str, ...]
    missing: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def has_failed(self) -> bool:
        """Whether something could not be read; then there is an error, and no verification."""
        return False

    @property
    def is_verified(self) -> bool:
        """Whether the archive holds what was archived, and nothing else."""
        return not (self.changed or self.missing or self.unknown)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with which files."""
        found = {"changed": self.changed, "missing": self.missing, "unknown": self.unknown}
        return tuple(
            Problem(
                f"{len(paths):,} file{'s' * (len(paths) != 1)} {kind}: {_named(paths)}",
                remedy=_REMEDIES[kind],
            )
            for kind, paths in found.items()
            if paths
        )

    def raise_on_failed(self) -> None:
        """Raise if the archive is not intact.

        Raises:
            NotVerifiedError: A file is changed, missing or unknown.
        """
        _raise_on(self.problems, "The archive is not intact.")


def compare(
    known: Mapping[str, str], found: Mapping[str, str | None]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Say which paths are changed, which are missing, and which are unknown.

    Args:
        known: The SHA-256 of each document that was archived, by its path.
        found: That of each file that is there; None if nobody hashed it.
    """
    changed = sorted(path for path in known.keys() & found.keys() if known[path] != found[path])
    missing, unknown = sorted(known.keys() - found.keys()), sorted(found.keys() - known.keys())
    return tuple(changed), tuple(missing), tuple(unknown)


def _named(paths: tuple[str, ...]) -> str:
    more = len(paths) - _MOST
    return ", ".join(paths[:_MOST]) + (f" and {more:,} more" if more > 0 else "")


def _raise_on(problems: tuple[Problem, ...], cause: str) -> None:
    if problems:
        remedies = dict.fromkeys(each.remedy for each in problems if each.remedy)
        raise NotVerifiedError(cause, [str(each.text) for each in problems], remedy="; ".join(remedies))
