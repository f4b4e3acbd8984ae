"""Two ways to sign in, from every place where settings live; and no secret where it does not belong."""

from pathlib import Path
from typing import Any

import pytest

from cf_invoice_source import CloudflareCredentials, SettingsError
from cf_invoice_source.simulator import Request, Simulator
from tests.conftest import Extract

TOKEN = "SOURCES__CF_INVOICE_SOURCE__API_TOKEN"
CREDENTIALS_TOKEN = "SOURCES__CF_INVOICE_SOURCE__CREDENTIALS__API_TOKEN"
EMAIL = "SOURCES__CF_INVOICE_SOURCE__CREDENTIALS__EMAIL"
API_KEY = "SOURCES__CF_INVOICE_SOURCE__CREDENTIALS__API_KEY"


@pytest.fixture
def nothing_set(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN")


def secrets(place: Path, text: str) -> None:
    (place / ".dlt").mkdir()
    (place / ".dlt" / "secrets.toml").write_text(text)


def signed_by_token(simulator: Simulator) -> bool:
    return [sent.headers.get("authorization") for sent in simulator.requests] == [f"Bearer {simulator.token}"]


def signed_by_key(simulator: Simulator) -> bool:
    sent = [
        (request.headers.get("x-auth-email"), request.headers.get("x-auth-key"))
        for request in simulator.requests
    ]
    return sent == [(simulator.email, simulator.api_key)]


# Where credentials come from


def test_a_token_from_cloudflares_own_environment_name(extract: Extract, simulator: Simulator) -> None:
    extract()

    assert signed_by_token(simulator)


def test_an_email_with_a_key_from_cloudflares_own_environment_names(
    nothing_set: None, extract: Extract, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDFLARE_EMAIL", simulator.email)
    monkeypatch.setenv("CLOUDFLARE_API_KEY", simulator.api_key)

    extract()

    assert signed_by_key(simulator)


@pytest.mark.parametrize("name", [TOKEN, CREDENTIALS_TOKEN, "SOURCES__CF_INVOICE_SOURCE__CREDENTIALS"])
def test_a_token_from_dlts_environment_names(
    nothing_set: None, extract: Extract, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, simulator.token)

    extract()

    assert signed_by_token(simulator)


def test_an_email_with_a_key_from_dlts_environment_names(
    nothing_set: None, extract: Extract, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(EMAIL, simulator.email)
    monkeypatch.setenv(API_KEY, simulator.api_key)

    extract()

    assert signed_by_key(simulator)


@pytest.mark.parametrize("section", ["sources.cf_invoice_source", "sources.cf_invoice_source.credentials"])
def test_a_token_from_secrets_toml(
    nothing_set: None, place: Path, simulator: Simulator, section: str, request: pytest.FixtureRequest
) -> None:
    secrets(place, f'[{section}]\napi_token = "{simulator.token}"\n')
    extract: Extract = request.getfixturevalue("extract")

    extract()

    assert signed_by_token(simulator)


@pytest.mark.parametrize("section", ["sources.cf_invoice_source", "sources.cf_invoice_source.credentials"])
def test_an_email_with_a_key_from_secrets_toml(
    nothing_set: None, place: Path, simulator: Simulator, section: str, request: pytest.FixtureRequest
) -> None:
    secrets(place, f'[{section}]\nemail = "{simulator.email}"\napi_key = "{simulator.api_key}"\n')
    extract: Extract = request.getfixturevalue("extract")

    extract()

    assert signed_by_key(simulator)


@pytest.mark.parametrize("as_spec", [False, True], ids=["a dict", "the typed credentials"])
@pytest.mark.parametrize("way", ["token", "key"])
def test_credentials_from_arguments(
    nothing_set: None, extract: Extract, simulator: Simulator, way: str, as_spec: bool
) -> None:
    given = {"api_token": simulator.token}
    if way == "key":
        given = {"email": simulator.email, "api_key": simulator.api_key}
    credentials: Any = given
    if as_spec:
        credentials = CloudflareCredentials()
        for name, value in given.items():
            setattr(credentials, name, value)

    extract(credentials=credentials)

    assert signed_by_token(simulator) if way == "token" else signed_by_key(simulator)


def test_a_bare_text_as_credentials_is_a_token(
    nothing_set: None, extract: Extract, simulator: Simulator
) -> None:
    extract(credentials=simulator.token)

    assert signed_by_token(simulator)


# Which of several counts


def test_an_argument_beats_the_environment(
    extract: Extract, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CLOUDFLARE_API_TOKEN", TOKEN, CREDENTIALS_TOKEN):
        monkeypatch.setenv(name, "another-token")

    extract(credentials={"api_token": simulator.token})

    assert signed_by_token(simulator)


def test_an_email_with_a_key_as_an_argument_beats_a_token_of_the_environment(
    extract: Extract, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "another-token")

    extract(credentials={"email": simulator.email, "api_key": simulator.api_key})

    assert signed_by_key(simulator)


@pytest.mark.parametrize("name", [TOKEN, CREDENTIALS_TOKEN])
def test_dlts_settings_beat_cloudflares_names(
    extract: Extract, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "another-token")
    monkeypatch.setenv(name, simulator.token)

    extract()

    assert signed_by_token(simulator)


def test_a_token_beats_an_email_with_a_key(
    extract: Extract, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDFLARE_EMAIL", "someone@example.com")
    monkeypatch.setenv("CLOUDFLARE_API_KEY", "another-key")

    extract()

    assert signed_by_token(simulator)


# What is refused, before any request


def test_no_credentials_at_all_says_what_to_do(nothing_set: None, extract: Extract) -> None:
    with pytest.raises(SettingsError, match="no Cloudflare credentials") as caught:
        extract()

    for word in ("CLOUDFLARE_API_TOKEN", "AI Gateway Read", "https://dash.cloudflare.com/", "--demo"):
        assert word in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "missing"), [("CLOUDFLARE_EMAIL", "no API key"), ("CLOUDFLARE_API_KEY", "no e-mail")]
)
def test_half_of_a_pair_says_what_is_missing(
    nothing_set: None, extract: Extract, monkeypatch: pytest.MonkeyPatch, name: str, missing: str
) -> None:
    monkeypatch.setenv(name, "half")

    with pytest.raises(SettingsError, match=missing):
        extract()


def test_the_halves_of_a_pair_are_not_taken_from_two_places(
    nothing_set: None, extract: Extract, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_KEY", simulator.api_key)

    with pytest.raises(SettingsError, match="no API key"):
        extract(credentials={"email": simulator.email})


UNUSABLE = {
    "a space in it": "s3cr3t token",
    "a space before it": " s3cr3t",
    "a line end after it": "s3cr3t\n",
    "a carriage return in it": "s3cr3t\rtoken",
    "a header in it": "s3cr3t\r\nX-Evil: 1",
    "a letter beyond ASCII": "s3cr3t-ä",
    "a zero-width space": "s3cr3t\u200b",
    "a no-break space": "s3cr3t\u00a0",
    "a control character": "s3cr3t\x01",
    "a byte order mark": "\ufeffs3cr3t",
    "a placeholder": "<your s3cr3t token>",
    "only spaces": "   ",
}


@pytest.mark.quick(
    "token-a space in it", "key-a line end after it", "token-a letter beyond ASCII", "key-only spaces"
)
@pytest.mark.parametrize("value", UNUSABLE.values(), ids=UNUSABLE)
@pytest.mark.parametrize("way", ["token", "key"])
def test_a_secret_that_cannot_be_one_is_refused_without_showing_it(
    nothing_set: None, extract: Extract, simulator: Simulator, way: str, value: str
) -> None:
    credentials = {"api_token": value} if way == "token" else {"email": "a@example.com", "api_key": value}

    with pytest.raises(SettingsError, match=r"API (token|key)") as caught:
        extract(credentials=credentials)

    assert "s3cr3t" not in str(caught.value)
    assert simulator.requests == []


@pytest.mark.parametrize("value", ["", None], ids=repr)
def test_an_empty_token_is_no_token(nothing_set: None, extract: Extract, value: str | None) -> None:
    with pytest.raises(SettingsError, match="no Cloudflare credentials"):
        extract(credentials={"api_token": value})


def test_an_empty_environment_variable_is_no_token(extract: Extract, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "")

    with pytest.raises(SettingsError, match="no Cloudflare credentials"):
        extract()


def test_the_example_file_as_it_is_says_that_it_has_a_placeholder(
    nothing_set: None, place: Path, request: pytest.FixtureRequest
) -> None:
    example = Path(__file__).parents[2] / ".dlt" / "example.secrets.toml"
    secrets(place, example.read_text())
    extract: Extract = request.getfixturevalue("extract")

    with pytest.raises(SettingsError, match="placeholder"):
        extract()


# Where credentials go


def holders(request: Request, secret: str) -> set[str]:
    """Where in a request a secret stands."""
    inside = {name for name, value in request.headers.items() if secret in value}
    return inside | ({"url"} if secret in request.path or secret in str(request.query) else set())


def test_a_token_goes_into_its_header_only(extract: Extract, simulator: Simulator) -> None:
    extract()

    assert holders(simulator.requests[0], simulator.token) == {"authorization"}


def test_a_key_goes_into_its_header_only(nothing_set: None, extract: Extract, simulator: Simulator) -> None:
    extract(credentials={"email": simulator.email, "api_key": simulator.api_key})

    assert holders(simulator.requests[0], simulator.api_key) == {"x-auth-key"}
    assert holders(simulator.requests[0], simulator.email) == {"x-auth-email"}


def test_credentials_do_not_show_themselves() -> None:
    credentials = CloudflareCredentials()
    credentials.api_token = "s3cr3t"
    shown = [str(credentials), repr(credentials.to_auth())]

    assert not any("s3cr3t" in text for text in shown)
