"""What is foreign is shown without a credential, on one line, and printable: tables of cases, and chance."""

from __future__ import annotations

import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cf_invoice_source.errors import SettingsError
from cf_invoice_source.redaction import keep_secret, readable, redacted, shown, without_values

TOKEN = "Zx9Qw7Er5Ty3Ui1Op0As2Df4Gh6Jk8Lz_Xc-Vb5n"
EMAIL = "canary.of.redaction@example.org"
PIECE = 8
"""Characters of the token in a row, which must not be seen."""

LINK = "https://pay.stripe.com/invoice/acct_1/live_CANARY/pdf?s=ap"

keep_secret(TOKEN)
keep_secret(EMAIL, as_a_whole=True)


def gives_away(text: str) -> bool:
    """Whether a piece of the token can be read, written once more in another way than the package does."""
    folded = unicodedata.normalize("NFKC", text)
    plain = "".join(char for char in folded if char in string.printable and not char.isspace()).lower()
    return any(TOKEN[at : at + PIECE].lower() in plain for at in range(len(TOKEN) - PIECE + 1))


ECHOES = {
    "as it is": TOKEN,
    "in capitals": TOKEN.upper(),
    "cut at the end": TOKEN[:20],
    "cut at the start": TOKEN[25:],
    "a part": TOKEN[10:19],
    "in small parts": " ".join(TOKEN[at : at + 5] for at in range(0, 40, 5)),
    "over two lines": f"{TOKEN[:20]}\r\n{TOKEN[20:]}",
    "with invisible characters": "\u200b".join(TOKEN),
    "with marks of direction": f"\u202e{TOKEN[:7]}\u2066{TOKEN[7:]}",
    "with escapes": "\x1b".join(TOKEN),
    "in wide characters": "".join(chr(ord(char) + 0xFEE0) for char in TOKEN),
    "with accents": "\u0301".join(TOKEN),
    "twice": TOKEN * 2,
    "deep in a text": "x" * 290 + TOKEN,
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
@pytest.mark.parametrize("show", [redacted, shown, readable, without_values])
def test_a_token_is_not_shown_however_it_is_echoed(show: object, echo: str) -> None:
    assert callable(show)
    said = show(f"Unknown token {echo} of yours")

    assert not gives_away(said)
    assert said.startswith("Unknown token ")


@given(
    st.lists(st.sampled_from([*TOKEN, *TOKEN.lower(), " ", "\u200b", "é", "\n"]) | st.text(), max_size=30),
    st.integers(0, 30),
    st.integers(8, 40),
    st.text(max_size=20),
)
def test_a_piece_of_a_token_is_never_shown(around: list[str], at: int, length: int, within: str) -> None:
    piece = within.join(TOKEN[at : at + length])

    assert not gives_away(shown("".join([*around, piece, *around])))
    assert not gives_away(readable("".join([*around, piece, *around])))


def test_an_email_is_secret_as_a_whole() -> None:
    assert redacted(f"of {EMAIL.upper()}, at example.org") == "of ***, at example.org"


def test_what_is_no_credential_stays() -> None:
    said = "Zażółć gęślą jaźń: 漢字, 1,999.00 € (code 10000)"

    assert shown(said) == said


def test_a_short_word_is_no_credential() -> None:
    keep_secret("token")

    assert shown("The token is wrong.") == "The token is wrong."


@given(st.text())
def test_what_is_shown_is_printable_and_one_line(text: str) -> None:
    assert shown(text).isprintable()
    assert len(readable(text * 1_000)) <= 303


def test_an_error_is_fit_to_be_shown_whoever_made_it() -> None:
    said = f"\x1b[2J{TOKEN}\nError: forged\u202e\ud800"
    error = SettingsError(said, remedy=said, request=said, ray=said)

    for text in (error.cause, error.remedy, error.request, error.ray, *error.args):
        assert text.isprintable()
        assert not gives_away(text)
    assert len(str(error).splitlines()) == 4


QUOTES = {
    f"Conversion Error: Could not convert string '{LINK}' to INT64": (
        "Conversion Error: Could not convert string (***) to INT64"
    ),
    f"Could not convert string '{LINK[:30]}": "Could not convert string (***)",
    f'invalid input syntax for type bigint: "{LINK}"': "invalid input syntax for type bigint: (***)",
    f"duplicate key\nDETAIL:  Key (invoice_pdf)=({LINK}, 7) exists.": "duplicate key\n",
    f"[SQL: INSERT] [parameters: ({LINK})]": "[SQL: INSERT] ",
    f"a link, {LINK}, and more": "a link, (address) and more",
    "it's a value: 'it's Ada's'": "it's a value: (***)",
    "value 'ada@example.com\nover two lines": "value (***)",
    'Could not set lock on file "/srv/my data/a.duckdb": Conflicting': (
        'Could not set lock on file "/srv/my data/a.duckdb": Conflicting'
    ),
}


@pytest.mark.parametrize(("said", "expected"), QUOTES.items(), ids=range(len(QUOTES)))
def test_what_a_driver_quotes_is_taken_out(said: str, expected: str) -> None:
    assert without_values(said) == expected


@given(st.text(), st.text(), st.sampled_from(["'{}'", '"{}"', "({})", "{}", "'{}", "E'{}'"]))
def test_a_link_is_taken_out_of_whatever_a_driver_says(before: str, after: str, quoted: str) -> None:
    assert "CANARY" not in without_values(before + quoted.format(LINK) + after)
