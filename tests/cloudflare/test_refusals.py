"""What a refusal means follows from what was answered: path, codes, words, kind of answer; then status."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cf_invoice_source import ApiChangedError, SettingsError, TryLaterError
from cf_invoice_source.cloudflare.answers import ApiMessage
from cf_invoice_source.cloudflare.refusals import Asked, Refusal, meaning_of


def refusal(
    status: int,
    *errors: tuple[str, str],
    asked: Asked = "invoices",
    has_key: bool = False,
    is_web_page: bool = False,
    is_challenge: bool = False,
) -> Refusal:
    said = tuple(ApiMessage(code, message) for code, message in errors)
    return Refusal(status, asked, said, has_key=has_key, is_web_page=is_web_page, is_challenge=is_challenge)


AUTHENTICATION = ("10000", "Authentication error")
LOCATION = ("9109", "Cannot use the access token from location: 192.0.2.7")
HEADERS = ("6003", "Invalid request headers")
UNAUTHORIZED = ("9109", "Unauthorized to access requested resource")
LIST = ("1001", "List accounts endpoint does not support account owned tokens.")

SETTINGS: dict[str, tuple[Refusal, str]] = {
    "a filter of IP addresses": (refusal(403, LOCATION), "IP address filter"),
    "the same as a 401": (refusal(401, LOCATION), "IP address filter"),
    "an access token that is none": (refusal(403, ("9109", "Invalid access token")), "copy the token again"),
    "no right to the account": (refusal(403, UNAUTHORIZED), "'AI Gateway Read' for this account"),
    "no right to the list": (refusal(403, UNAUTHORIZED, asked="accounts"), "--account ID"),
    "quotes around the token": (
        refusal(400, HEADERS, ("6111", "Invalid format for Authorization header")),
        "without quotes",
    ),
    "a key of another form": (
        refusal(400, HEADERS, ("6103", "Invalid format for X-Auth-Key header")),
        "an API token goes into CLOUDFLARE_API_TOKEN",
    ),
    "an e-mail of another form": (
        refusal(400, HEADERS, ("6102", "Invalid format for X-Auth-Email header")),
        "check the e-mail",
    ),
    "an unknown pair": (refusal(403, ("9103", "Unknown X-Auth-Key or X-Auth-Email")), "37 hexadecimal"),
    "no sign-in arrived": (refusal(400, ("9106", "Missing X-Auth-Key")), "removes the header"),
    "an account's token lists accounts": (refusal(400, LIST, asked="accounts"), "name the account"),
    "no token of a user": (
        refusal(401, ("1000", "Invalid API Token"), asked="user token"),
        "if the token belongs to an account, name the account",
    ),
    "no token of the account": (
        refusal(401, ("1000", "Invalid API Token"), asked="account token"),
        "complete, active and not expired",
    ),
    "the list of accounts refused": (refusal(401, AUTHENTICATION, asked="accounts"), "may not list accounts"),
    "the same with a key": (refusal(403, AUTHENTICATION, asked="accounts", has_key=True), "check the e-mail"),
    "one account refused": (refusal(403, AUTHENTICATION), "give the token the permission 'AI Gateway Read'"),
    "one account refused as a 400": (refusal(400, AUTHENTICATION), "give the token the permission"),
    "one account refused to a user": (refusal(403, AUTHENTICATION, has_key=True), "administrator"),
    "a token that is no longer one": (refusal(401, AUTHENTICATION), "complete, active and not expired"),
    "no such account": (refusal(404, ("7003", "Could not route to /")), "32 hexadecimal characters"),
    "a gateway's page": (refusal(403, is_web_page=True), "the base URL and the proxy"),
    "a path that is not there": (refusal(404, is_web_page=True), "the base URL and the proxy"),
    "a proxy that wants a password": (refusal(407, is_web_page=True), "HTTPS_PROXY"),
    "a redirect": (refusal(302, is_web_page=True), "set base_url"),
    "another 400": (refusal(400, ("7001", "Input Validation Error")), "the account ID"),
    "an empty answer": (refusal(404), "32 hexadecimal characters"),
    "another 401": (refusal(401), "complete, active and not expired"),
    "another 403": (refusal(403), "'AI Gateway Read'"),
    "another 404": (refusal(404), "32 hexadecimal characters"),
}
"""Refusals that a person has to mend, and what the remedy must say."""

LATER: dict[str, tuple[Refusal, str]] = {
    "a challenge": (refusal(403, is_web_page=True, is_challenge=True), "another network"),
    "throttling": (refusal(429, ("971", "Please wait")), "in a few minutes"),
    "the edge": (refusal(522, is_web_page=True), "in a few minutes"),
    "a status that nobody knows": (refusal(799), "in a few minutes"),
    "an API that is down": (refusal(500, AUTHENTICATION), "in a few minutes"),
}


@pytest.mark.parametrize(("answered", "remedy"), SETTINGS.values(), ids=SETTINGS)
def test_what_a_person_has_to_mend_is_told_by_what_was_answered(answered: Refusal, remedy: str) -> None:
    meaning = meaning_of(answered)

    assert meaning.error is SettingsError
    assert remedy in meaning.remedy


@pytest.mark.parametrize(("answered", "remedy"), LATER.values(), ids=LATER)
def test_what_passes_is_told_apart(answered: Refusal, remedy: str) -> None:
    meaning = meaning_of(answered)

    assert meaning.error is TryLaterError
    assert remedy in meaning.remedy


@pytest.mark.parametrize("status", [200, 304, 405, 418])
def test_what_nobody_knows_is_to_be_reported(status: int) -> None:
    assert meaning_of(refusal(status, ("7000", "No luck"))).error is ApiChangedError


def test_a_token_that_may_be_an_accounts_is_not_called_wrong() -> None:
    causes = [meaning_of(SETTINGS[f"no token of {whose}"][0]).cause for whose in ("a user", "the account")]

    assert [cause.partition(":")[0] for cause in causes] == [
        "Cloudflare knows no such user token",
        "Cloudflare refused the request",
    ]


@given(
    answered=st.builds(
        Refusal,
        status=st.integers(100, 599),
        asked=st.sampled_from(["invoices", "accounts", "user token", "account token"]),
        errors=st.lists(
            st.builds(
                ApiMessage, st.sampled_from(["1000", "1001", "6111", "7003", "9109", "10000", "x"]), st.text()
            )
        ).map(tuple),
        has_key=st.booleans(),
        is_web_page=st.booleans(),
        is_challenge=st.booleans(),
    )
)
def test_every_refusal_has_a_cause_that_takes_what_was_said_and_a_remedy(answered: Refusal) -> None:
    meaning = meaning_of(answered)

    assert "{said}" in meaning.cause
    assert meaning.remedy
