"""A server that repeats the credential, whole or in part, wherever it can: nobody gets to see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import pytest

from cf_invoice_source.cloudflare.client import Client
from cf_invoice_source.cloudflare.credentials import KeyAuth, TokenAuth
from cf_invoice_source.errors import ApiChangedError, InvoiceSourceError
from cf_invoice_source.simulator import Account, Fault, Simulator
from cf_invoice_source.simulator.answers import success
from cf_invoice_source.simulator.faults import body, failed_envelope, reset_in_body, status, wire
from tests.conftest import Load
from tests.support.captured import captured
from tests.support.make import make_invoices

pytestmark = pytest.mark.usefixtures("dlt_here")

TOKEN = "Ty5Ui8Op1As4Df7Gh0Jk3Lz6Xc9Vb2Nm5Qw8Er1T"
PIECE = 8

ECHOES = {"whole": TOKEN, "cut": TOKEN[:24], "in capitals": TOKEN[5:].upper(), "parted": "\u200b".join(TOKEN)}


def reason(text: str) -> Fault:
    return wire(lambda whole: [b"HTTP/1.1 403 %b\r\n" % text.encode() + whole.partition(b"\r\n")[2]])


def garbage(text: str) -> Fault:
    return wire(lambda _whole: [f"{text} is no status\r\n\r\n".encode()])


PLACES: dict[str, Callable[[str], Fault]] = {
    "reason": reason,
    "status line": garbage,
    "a message": lambda text: failed_envelope(9109, f"Invalid {text}", status=403),
    "a message that is cut": lambda text: failed_envelope(9109, "x" * 285 + text, status=403),
    "a message of an answer 200": lambda text: failed_envelope(9109, text),
    "a code": lambda text: body(b'{"success": false, "errors": [{"code": "%b"}]}' % text.encode()),
    "cf-ray": lambda text: status(500, headers={"cf-ray": text.encode().decode("latin-1")}),
    "content type": lambda text: body(b"{", {"content-type": text.encode().decode("latin-1")}),
    "content encoding": lambda text: body(b"x", {"content-encoding": text.encode().decode("latin-1")}),
    "address": lambda text: status(302, b"", {"location": f"https://x/{text.encode().decode('latin-1')}"}),
    "a field": lambda text: body(b'{"success": "%b"}' % text.encode()),
    "a body that is cut": lambda text: body(b'{"success": "%b' % text.encode()),
}


def pieces_in(text: str) -> list[str]:
    """Pieces of the token that can be read, as they are or without what stands in between."""
    plain = "".join(char for char in text if char.isascii() and char.isprintable()).lower()
    pieces = (TOKEN[at : at + PIECE].lower() for at in range(len(TOKEN) - PIECE + 1))
    return [piece for piece in pieces if piece in plain]


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_an_error_and_its_frames_give_no_credential_away(
    simulator: Simulator, account: Account, place: Callable[[str], Fault], echo: str
) -> None:
    simulator.token = TOKEN
    simulator.faults.append(place(echo))

    with pytest.raises(InvoiceSourceError) as caught:
        Client(TokenAuth(TOKEN), simulator.base_url).invoice_page(account.id, "all", 1)

    assert pieces_in(captured(caught.value)) == []


@pytest.mark.parametrize("fault", [reset_in_body(), garbage("x"), body(b"{"), status(503)])
def test_the_frames_of_the_transport_are_left_behind(
    simulator: Simulator, account: Account, fault: Fault
) -> None:
    """They have the headers of the request in their variables."""
    simulator.faults.append(fault)

    with pytest.raises(InvoiceSourceError) as caught:
        Client(KeyAuth("ada.canary@example.com", TOKEN), simulator.base_url).invoice_page(
            account.id, "all", 1
        )

    assert pieces_in(captured(caught.value)) == []
    assert "ada.canary" not in captured(caught.value)


def accounts(*ids: object) -> Fault:
    listed = [{"id": each, "name": f"\x1b[31m{TOKEN}"} for each in ids]
    answer = success(listed, result_info={"page": 1, "per_page": 50, "total_count": len(listed)})
    return Fault(lambda _request, _answering: answer, path="/accounts")


@pytest.mark.parametrize(
    "account_id", ["../../x", "x?a=b#", "", None, 7, "0" * 31, "0" * 33, f"{'0' * 31}/", TOKEN, "\uff10" * 32]
)
def test_an_account_that_is_listed_has_an_account_id(simulator: Simulator, account_id: object) -> None:
    simulator.faults.append(accounts("0" * 32, account_id))

    with pytest.raises(ApiChangedError, match="an account in the list has no account ID"):
        Client(TokenAuth(TOKEN), simulator.base_url).accounts()


def test_a_key_that_is_cut_to_an_account_id_is_none(simulator: Simulator) -> None:
    key = "0e7a1b2c3d4e5f60718293a4b5c6d7e8f9012"
    simulator.email, simulator.api_key = "ada.canary@example.com", key
    simulator.faults.append(accounts(key[:32]))

    with pytest.raises(ApiChangedError, match="a part of the credentials"):
        Client(KeyAuth(simulator.email, key), simulator.base_url).accounts()


def test_listed_accounts_are_in_lower_case_and_have_printable_names(simulator: Simulator) -> None:
    simulator.token = TOKEN
    simulator.faults.append(accounts("ABCDEF0123456789" * 2))

    [found] = Client(TokenAuth(TOKEN), simulator.base_url).accounts()

    assert asdict(found) == {"id": "abcdef0123456789" * 2, "name": " [31m***"}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
def test_what_is_said_of_a_token_does_not_repeat_it(simulator: Simulator, echo: str) -> None:
    said = success({"status": f"active {echo}", "expires_on": f"2030-01-01\x1b]8;;{echo}"})
    simulator.faults.append(Fault(lambda _request, _answering: said))

    token = Client(TokenAuth(TOKEN), simulator.base_url).token()

    assert pieces_in(repr(token)) == []
    assert (token.status + token.expires_on).isprintable()


# In whole loads


def refuse(simulator: Simulator) -> None:
    simulator.faults.append(failed_envelope(9109, f"Invalid {TOKEN}", status=403))


def close_in_mid_walk(simulator: Simulator) -> None:
    simulator.faults.append(reset_in_body().only(pages={2}))


def lie(simulator: Simulator) -> None:
    simulator.faults.append(body(b'{"success": "%b"}' % TOKEN.encode()).only(pages={2}))


@pytest.mark.quick("refuse")
@pytest.mark.parametrize("spoil", [refuse, close_in_mid_walk, lie])
def test_nobody_captures_a_credential_or_a_link_with_the_error_of_a_load(
    load: Load,
    simulator: Simulator,
    account: Account,
    spoil: Callable[[Simulator], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", TOKEN)
    simulator.token = TOKEN
    account.records += make_invoices(120)
    spoil(simulator)

    with pytest.raises(InvoiceSourceError) as caught:
        load()

    assert pieces_in(captured(caught.value)) == []
    assert "pay.stripe.com" not in captured(caught.value)


@pytest.mark.parametrize("given", [TOKEN, {"api_token": TOKEN}], ids=["text", "fields"])
def test_credentials_that_are_given_are_not_captured(load: Load, simulator: Simulator, given: object) -> None:
    refuse(simulator)

    with pytest.raises(InvoiceSourceError) as caught:
        load(credentials=given)

    assert pieces_in(captured(caught.value)) == []
