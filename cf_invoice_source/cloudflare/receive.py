"""Takes in the body of an answer, within bounds of time and size."""

from __future__ import annotations

import time
from io import BytesIO
from typing import Any

import urllib3
from requests import ConnectionError, Response, Timeout  # noqa: A004 - so `requests` names it

from cf_invoice_source.settings import LARGEST_ANSWER_BYTES, LONGEST_ANSWER_S


def receive(response: Response, **_settings: Any) -> None:
    """Read the body within bounds; `requests` calls this before it would read it, or look at a redirect.

    It is not to look: it reads the address even of one that it does not follow, and some make it fail.
    """
    response.headers.pop("location", None)
    deadline = time.monotonic() + LONGEST_ANSWER_S
    body = bytearray()
    try:
        while part := response.raw.read1(_READ_BYTES, decode_content=True):
            body += part
            if time.monotonic() > deadline or len(body) > LARGEST_ANSWER_BYTES:
                response.close()
                raise Timeout("the answer is too slow or too long")
    except urllib3.exceptions.HTTPError as error:
        raise ConnectionError(error) from error
    response.raw = BytesIO(body)


_READ_BYTES = 2**16
