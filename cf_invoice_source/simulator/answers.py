"""Requests as they were read, answers as they will be sent, and Cloudflare's envelopes."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import simplejson

JSON_TYPE = "application/json"


@dataclass(frozen=True)
class Request:
    """One request that reached the simulator.

    Attributes:
        number: 1 for the first one since the simulator was made.
        method: In capitals.
        path: As sent, without the query.
        query: The last value of each name.
        headers: Names in lower case.
    """

    number: int
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]

    @property
    def page(self) -> int | None:
        """The page asked for: 1 if the query does not say, None if it is not a number of at least 1."""
        text = self.query.get("page", "1")
        return int(text) if text.isdecimal() and int(text) > 0 else None


class Ending(Enum):
    """How a connection ends after a spoilt answer."""

    CLOSE = "close"
    RESET = "reset"
    HANG = "hang until the client goes"


@dataclass(frozen=True)
class Wire:
    """What is sent in place of a well-formed answer.

    Attributes:
        pieces: Takes the bytes of the whole answer, head and body, and yields the pieces to send.
        ending: What follows the last piece.
        pause_s: Seconds after each piece.
    """

    pieces: Callable[[bytes], Iterable[bytes]]
    ending: Ending = Ending.CLOSE
    pause_s: float = 0.0


@dataclass(frozen=True)
class Answer:
    """What will be sent back.

    Attributes:
        status: The HTTP status code.
        body: A JSON document, or bytes that are sent as they are.
        headers: Names in lower case. They are added to those of every answer, or replace them.
        promised_bytes: A wrong `content-length`; None for the true one.
        wire: How the bytes are changed on their way; None if they are not.
    """

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    promised_bytes: int | None = None
    wire: Wire | None = None

    @property
    def is_document(self) -> bool:
        """Whether the body is a JSON document that can still be edited."""
        return not isinstance(self.body, bytes)

    def encode(self) -> bytes:
        """The body's bytes. Decimal amounts are sent with all their digits."""
        return (
            self.body
            if isinstance(self.body, bytes)
            else simplejson.dumps(self.body, use_decimal=True).encode()
        )


def success(result: object, **more: object) -> Answer:
    """Wrap a result in Cloudflare's envelope; `more` is added beside it (`result_info`, `messages`)."""
    return Answer(200, {"success": True, "errors": [], "messages": [], "result": result, **more})


def failure(status: int, code: int, message: str, **more: object) -> Answer:
    """Make an error envelope; `more` is added to the error, such as its `error_chain`."""
    return failures(status, [{"code": code, "message": message, **more}])


def failures(status: int, errors: list[dict[str, object]]) -> Answer:
    """Make an error envelope with several errors."""
    return Answer(status, {"success": False, "errors": errors, "messages": [], "result": None})


def too_many_requests(retry_after: str | None) -> Answer:
    """Make a 429, with `retry-after` unless that is None."""
    refusal = failure(429, 971, "Please wait and consider throttling your request speed")
    return refusal if retry_after is None else Answer(429, refusal.body, {"retry-after": retry_after})
