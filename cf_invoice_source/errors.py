"""One small family of errors; the class says what the caller can do about it."""

from __future__ import annotations

from pathlib import Path
from traceback import extract_tb

from cf_invoice_source.redaction import shown


class InvoiceSourceError(Exception):
    """Base of every error that this package raises on purpose. Whatever it tells is fit to be shown.

    Args:
        cause: What happened, in one sentence, without any secret.
        remedy: What the reader can do about it.
        request: The request that was answered this way, as "GET https://...".
        ray: The answer's `cf-ray` header, by which Cloudflare's support finds a request.
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
    """Credentials, an account, a URL or another setting is missing or wrong: mend it, then run again."""


class MixedTypesError(SettingsError):
    """The dataset holds invoices of another `type`: one dataset holds one."""


class TryLaterError(InvoiceSourceError):
    """Cloudflare, the network or another load that is under way stand in the way for now: run again later."""


class ApiChangedError(InvoiceSourceError):
    """The API answered in a shape that this version does not know: update, or report it."""


class DestinationError(InvoiceSourceError):
    """The destination could not be read or written: look at its settings, its disk, its locks."""


class NotVerifiedError(InvoiceSourceError):
    """Some account could not be read, is not verified, or has rejected records: the report says which."""


class UnexpectedError(InvoiceSourceError):
    """Something that this package did not expect went wrong: a bug, here or below."""

    @classmethod
    def of(cls, error: Exception) -> UnexpectedError:
        """Say where an error came from. Its own words are not repeated: they may hold a secret."""
        while isinstance(error.__cause__, Exception):  # what dlt wraps
            error = error.__cause__
        frames = extract_tb(error.__traceback__)
        where = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
        said = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
        return cls(
            f"Something unexpected went wrong: {type(error).__name__}{where}{said}.",
            remedy="run again with --debug, which shows the traceback, and report it",
        )
