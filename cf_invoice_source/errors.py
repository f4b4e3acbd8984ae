"""Our errors: the class says what the caller can do about it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from traceback import extract_tb

from cf_invoice_source.redaction import shown


class InvoiceSourceError(Exception):
    """Base of every error that this package raises on purpose. Its texts hold no secret and can be shown.

    Args:
        cause: What happened, in one sentence, without any secret.
        remedy: What the reader can do about it.
        request: The request that failed, as "GET https://...".
        ray: The answer's `cf-ray` header, by which Cloudflare's support finds the request.
        account_id: The Cloudflare account concerned.
    """

    def __init__(
        self, cause: str, *, remedy: str = "", request: str = "", ray: str = "", account_id: str = ""
    ) -> None:
        self.cause, self.remedy, self.request, self.ray = map(shown, (cause, remedy, request, ray))
        super().__init__(self.cause)
        self.account_id = account_id

    def __str__(self) -> str:
        details = {"Do": self.remedy, "Request": self.request, "cf-ray": self.ray}
        return "\n".join([self.cause, *(f"{name}: {text}" for name, text in details.items() if text)])


class SettingsError(InvoiceSourceError, ValueError):
    """Credentials, an account, a URL or another setting is missing or wrong: correct it, then run again."""


class MixedTypesError(SettingsError):
    """The dataset holds invoices of another `type`; a dataset can hold only one."""


class TryLaterError(InvoiceSourceError):
    """Cloudflare or the network did not answer, or another load is under way: run again later."""


class ApiChangedError(InvoiceSourceError):
    """The API answered in a shape that this version does not know: update, or report it."""


class DestinationError(InvoiceSourceError):
    """The destination could not be read or written: check its settings, its disk and its locks."""


class NotVerifiedError(InvoiceSourceError):
    """An account could not be read, is not verified, or has rejected records: `cause` has a line for each."""

    def __init__(self, cause: str, problems: Iterable[str] = (), *, remedy: str = "") -> None:
        super().__init__(cause, remedy=remedy)
        self.cause = "\n".join([self.cause, *map(shown, problems)])


class UnexpectedError(InvoiceSourceError):
    """An error that this package did not expect: a bug, here or in a library."""

    @classmethod
    def of(cls, error: Exception) -> UnexpectedError:
        """Say where an error came from. Its own message is left out, because it may hold a secret."""
        while isinstance(error.__cause__, Exception):  # the one that dlt has wrapped
            error = error.__cause__
        frames = extract_tb(error.__traceback__)
        where = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
        said = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
        return cls(
            f"Something unexpected went wrong: {type(error).__name__}{where}{said}.",
            remedy="run again with --debug, which shows the traceback, and report it",
        )
