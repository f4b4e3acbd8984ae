"""What Cloudflare says of an API token."""

from typing import Any

import pytest

from cf_invoice_source.cloudflare.answers import ApiMessage, Failed, Malformed, Token, read_token


def answer(result: Any) -> dict[str, Any]:
    return {"success": True, "errors": [], "messages": [], "result": result}


@pytest.mark.parametrize(
    ("document", "read"),
    [
        (answer({"id": "1", "status": "active"}), Token("active", "")),
        (
            answer({"status": "expired", "expires_on": "2026-01-01T00:00:00Z"}),
            Token("expired", "2026-01-01T00:00:00Z"),
        ),
        (answer({"status": "active", "expires_on": None}), Token("active", "")),
        (answer({"id": "1"}), Malformed("result.status should be a string")),
        (answer(None), Malformed("result should be an object, but is null or missing")),
        (
            {"success": False, "errors": [{"code": 1000, "message": "Invalid API Token"}]},
            Failed((ApiMessage("1000", "Invalid API Token"),)),
        ),
    ],
)
def test_an_answer_is_read_or_refused(document: Any, read: Token | Failed | Malformed) -> None:
    assert read_token(document) == read
