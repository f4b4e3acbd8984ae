"""The simulator over real HTTP: the published shape, Cloudflare's refusals, and each fault."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from decimal import Decimal
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import cloudflare
import jsonschema  # type: ignore[import-untyped]
import pytest
import requests
import simplejson
from hypothesis import given, settings
from hypothesis import strategies as st

from cf_invoice_source.simulator import Record, Request, Simulator, World, demo_world, faults

# The facts of Cloudflare's published schema: JSON type, nullable, required.
INVOICE_FIELDS = {
    "amount_due": ("number", False, True),
    "amount_paid": ("number", False, True),
    "amount_remaining": ("number", False, True),
    "currency": ("string", False, True),
    "attempt_count": ("number", False, False),
    "attempted": ("boolean", False, False),
    "auto_advance": ("boolean", True, False),
    "created": ("number", False, False),
    "created_by": ("string", False, False),
    "description": ("string", True, False),
    "id": ("string", True, False),
    "invoice_origin": ("string", False, False),
    "invoice_pdf": ("string", True, False),
    "status": ("string", True, False),
}


def strict(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


REMARK = strict(code={"type": "number"}, message={"type": "string"})
REMARKS = {"type": "array", "items": REMARK}
INVOICE = {
    "type": "object",
    "properties": {
        name: {"type": [kind, "null"] if nullable else kind}
        for name, (kind, nullable, _) in INVOICE_FIELDS.items()
    },
    "required": [name for name, (_, _, required) in INVOICE_FIELDS.items() if required],
}
PAGINATION = strict(
    has_more={"type": "boolean"},
    page={"type": "number"},
    per_page={"type": "number"},
    total_count={"type": "number"},
)
INVOICES_ANSWER = strict(
    errors=REMARKS,
    messages=REMARKS,
    result=strict(invoices={"type": "array", "items": INVOICE}, pagination=PAGINATION),
    result_info=PAGINATION,
    success={"const": True},
)
ERROR_ANSWER = strict(
    errors=REMARKS | {"minItems": 1}, result={"type": ["object", "null"]}, success={"const": False}
)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    world = World()
    world.add_account("Harbor Lane Robotics", invoices=45)
    with Simulator(world) as simulator:
        yield simulator


@pytest.fixture
def records(simulator: Simulator) -> list[Any]:
    return next(iter(simulator.world.accounts.values())).records


def ask(
    simulator: Simulator,
    path: str = "",
    *,
    method: str = "GET",
    headers: Mapping[str, str | None] | None = None,
    **query: Any,
) -> requests.Response:
    """Ask for a path, or for the invoices of the first account; signed in, unless the headers differ."""
    path = path or f"/accounts/{next(iter(simulator.world.accounts))}/ai-gateway/billing/invoice-history"
    headers = {"Authorization": f"Bearer {simulator.token}"} | dict(headers or {})
    with requests.Session() as session:
        session.trust_env = False
        return session.request(
            method,
            simulator.base_url + path,
            params=query,
            headers=headers,
            timeout=5,
            allow_redirects=False,
        )


def by_key(simulator: Simulator, **other: str) -> dict[str, str | None]:
    return {"Authorization": None, "X-Auth-Email": simulator.email, "X-Auth-Key": simulator.api_key} | other


@pytest.fixture
def connection(simulator: Simulator) -> Iterator[HTTPConnection]:
    connection = HTTPConnection(urlsplit(simulator.base_url).netloc, timeout=5)
    with closing(connection):
        yield connection


def invoices(response: requests.Response) -> list[Any]:
    return list(response.json()["result"]["invoices"])


def pagination(response: requests.Response) -> dict[str, Any]:
    return dict(response.json()["result"]["pagination"])


def error_codes(response: requests.Response) -> tuple[int, list[int]]:
    document = response.json()
    jsonschema.validate(document, ERROR_ANSWER)
    return response.status_code, [error["code"] for error in document["errors"]]


def without_link(record: Record) -> Record:
    return {name: value for name, value in record.items() if name != "invoice_pdf"}


# The published shape


def test_every_page_of_the_demo_has_the_published_shape() -> None:
    with Simulator(demo_world(3)) as simulator:
        for account_id in simulator.world.accounts:
            for page in (1, 2, 3, 4):
                path = f"/accounts/{account_id}/ai-gateway/billing/invoice-history"
                jsonschema.validate(ask(simulator, path, page=page, per_page=50).json(), INVOICES_ANSWER)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 9999), events=st.integers(0, 60), per_page=st.integers(1, 60))
def test_a_random_world_is_served_whole_and_in_the_published_shape(
    seed: int, events: int, per_page: int
) -> None:
    world = World(seed)
    account = world.add_account(invoices=5)
    world.live(events)
    served: list[Any] = []

    with Simulator(world) as simulator:
        page, has_more = 1, True
        while has_more:
            response = ask(simulator, page=page, per_page=per_page)
            jsonschema.validate(response.json(), INVOICES_ANSWER)
            served += invoices(response)
            page, has_more = page + 1, pagination(response)["has_more"]

    assert [without_link(record) for record in served] == [without_link(record) for record in account.records]


def test_an_invoice_has_exactly_the_documented_fields(simulator: Simulator) -> None:
    assert all(record.keys() == INVOICE_FIELDS.keys() for record in invoices(ask(simulator)))


def test_result_info_repeats_the_pagination(simulator: Simulator) -> None:
    document = ask(simulator, page=2).json()

    assert document["result_info"] == document["result"]["pagination"]


@pytest.mark.parametrize(
    ("amount", "digits"),
    [
        (Decimal("1234567890123456789.10"), "1234567890123456789.10"),
        (12345678901234567890, "12345678901234567890"),
    ],
)
def test_amounts_go_out_with_their_exact_digits(
    simulator: Simulator, records: list[Any], amount: Decimal | int, digits: str
) -> None:
    records[0]["amount_due"] = amount

    assert f'"amount_due": {digits},' in ask(simulator).text


def test_any_json_value_may_stand_in_the_list(simulator: Simulator, records: list[Any]) -> None:
    records[:] = [None, 7, "text", ["list"], {}]

    assert invoices(ask(simulator))[:4] == [None, 7, "text", ["list"]]


def test_an_invoice_has_another_pdf_link_in_every_answer(simulator: Simulator) -> None:
    links = [
        record["invoice_pdf"]
        for _ in range(2)
        for record in invoices(ask(simulator))
        if record["invoice_pdf"]
    ]

    assert len(set(links)) == len(links) > 20


def test_serving_a_link_leaves_the_world_as_it_was(simulator: Simulator, records: list[Any]) -> None:
    ask(simulator)

    assert not any(record.get("invoice_pdf") for record in records)


def test_a_record_that_says_it_has_no_pdf_gets_no_link(simulator: Simulator, records: list[Any]) -> None:
    records[0]["invoice_pdf"] = None

    assert invoices(ask(simulator))[0]["invoice_pdf"] is None


# Pages and types


@pytest.mark.parametrize(
    ("asked", "served"), [({}, 20), ({"per_page": 7}, 7), ({"per_page": 500}, 50), ({"per_page": 0}, 1)]
)
def test_the_page_size_is_clamped_and_the_answer_says_so(
    simulator: Simulator, asked: dict[str, Any], served: int
) -> None:
    response = ask(simulator, **asked)

    assert pagination(response)["per_page"] == served
    assert len(invoices(response)) == min(served, 45)


def test_a_server_that_clamps_lower_is_one_setting_away(simulator: Simulator) -> None:
    simulator.max_per_page = 3

    assert len(invoices(ask(simulator, per_page=50))) == 3


@pytest.mark.parametrize(
    ("page", "count", "has_more"), [(1, 20, True), (2, 20, True), (3, 5, False), (4, 0, False)]
)
def test_has_more_is_true_up_to_the_last_page(
    simulator: Simulator, page: int, count: int, *, has_more: bool
) -> None:
    response = ask(simulator, page=page)

    assert len(invoices(response)) == count
    assert pagination(response) == {"has_more": has_more, "page": page, "per_page": 20, "total_count": 45}


def test_a_full_last_page_says_that_there_is_no_more(simulator: Simulator) -> None:
    assert pagination(ask(simulator, page=3, per_page=15))["has_more"] is False


@pytest.mark.parametrize("kind", ["auto", "manual"])
def test_the_type_filters_the_list_and_its_total(simulator: Simulator, records: list[Any], kind: str) -> None:
    meant = [record["id"] for record in records if record["invoice_origin"] == f"{kind}_topup"]

    response = ask(simulator, type=kind, per_page=50)

    assert [record["id"] for record in invoices(response)] == meant
    assert pagination(response)["total_count"] == len(meant) < 45


@pytest.mark.parametrize(
    "query",
    [{"type": "none"}, {"page": 0}, {"page": -1}, {"page": "two"}, {"page": ""}, {"per_page": "many"}],
)
def test_a_query_that_makes_no_sense_is_refused(simulator: Simulator, query: dict[str, Any]) -> None:
    assert error_codes(ask(simulator, **query)) == (400, [7001])


# Accounts, tokens, refusals


def test_accounts_come_in_pages_of_twenty(simulator: Simulator) -> None:
    for _ in range(21):
        simulator.world.add_account()

    document = ask(simulator, "/accounts", page=2).json()

    assert [account["id"] for account in document["result"]] == list(simulator.world.accounts)[20:]
    assert document["result_info"] == {
        "page": 2,
        "per_page": 20,
        "count": 2,
        "total_count": 22,
        "total_pages": 2,
    }


@pytest.mark.parametrize(("asked", "served"), [(1, 5), (9, 9), (99, 50)])
def test_the_page_size_of_accounts_is_five_to_fifty(simulator: Simulator, asked: int, served: int) -> None:
    assert ask(simulator, "/accounts", per_page=asked).json()["result_info"]["per_page"] == served


def test_a_senseless_page_of_accounts_is_refused(simulator: Simulator) -> None:
    assert error_codes(ask(simulator, "/accounts", page="x")) == (400, [7001])


@pytest.mark.parametrize("path", ["/user/tokens/verify", "/accounts/{}/tokens/verify"])
def test_a_good_token_is_active(simulator: Simulator, path: str) -> None:
    document = ask(simulator, path.format(*simulator.world.accounts)).json()

    assert document["result"]["status"] == "active"
    assert document["messages"][0]["message"] == "This API Token is valid and active"


def test_an_email_and_a_key_sign_in_too(simulator: Simulator) -> None:
    assert ask(simulator, headers=by_key(simulator)).ok


def test_a_key_is_no_token_that_could_be_verified(simulator: Simulator) -> None:
    assert error_codes(ask(simulator, "/user/tokens/verify", headers=by_key(simulator))) == (400, [1001])


@pytest.mark.parametrize(
    ("headers", "path", "refusal"),
    [
        ({}, "", (400, [9106])),
        ({"X-Auth-Email": "demo@example.com"}, "", (400, [9106])),
        ({"X-Auth-Email": "demo@example.com", "X-Auth-Key": "0" * 37}, "", (403, [9103])),
        ({"Authorization": "simulator-token"}, "", (400, [6003])),
        ({"Authorization": "Bearer two words"}, "", (400, [6003])),
        ({"Authorization": "Bearer wrong"}, "", (401, [10000])),
        ({"Authorization": "Bearer wrong"}, "/user/tokens/verify", (401, [1000])),
    ],
)
def test_a_bad_sign_in_is_refused_as_cloudflare_does(
    simulator: Simulator, headers: dict[str, str | None], path: str, refusal: tuple[int, list[int]]
) -> None:
    assert error_codes(ask(simulator, path, headers={"Authorization": None} | headers)) == refusal


def test_a_malformed_authorization_names_the_header_in_the_error_chain(simulator: Simulator) -> None:
    [error] = ask(simulator, headers={"Authorization": "Basic eA=="}).json()["errors"]

    assert error["error_chain"] == [{"code": 6111, "message": "Invalid format for Authorization header"}]


def test_a_denied_account_is_listed_but_its_invoices_may_not_be_read(simulator: Simulator) -> None:
    simulator.denied.update(simulator.world.accounts)

    assert error_codes(ask(simulator)) == (403, [10000])
    assert len(ask(simulator, "/accounts").json()["result"]) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/accounts/unknown/ai-gateway/billing/invoice-history",
        "/accounts/unknown/tokens/verify",
        "/zones",
        "/accounts/",
    ],
)
def test_what_is_not_there_cannot_be_routed_to(simulator: Simulator, path: str) -> None:
    response = ask(simulator, path)

    assert error_codes(response) == (404, [7003, 7000])
    assert response.json()["errors"][0]["message"].startswith(f"Could not route to /client/v4{path}, perhaps")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_can_be_written(simulator: Simulator, method: str) -> None:
    assert error_codes(ask(simulator, "/accounts", method=method)) == (405, [10405])


def test_a_head_request_gets_no_body(connection: HTTPConnection) -> None:
    connection.connect()
    connection.sock.sendall(b"HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n")

    with connection.sock.makefile("rb") as answer:
        assert answer.read().endswith(b"\r\n\r\n")


@pytest.mark.parametrize(("method", "body"), [("HEAD", None), ("POST", b'{"pay": true}'), ("GET", None)])
def test_every_method_leaves_the_connection_ready_for_the_next_request(
    connection: HTTPConnection, method: str, body: bytes | None
) -> None:
    for _ in range(2):
        connection.request(method, "/client/v4/accounts", body)
        connection.getresponse().read()
        socket = connection.sock
        connection.request("GET", "/client/v4/accounts")
        answer = connection.getresponse()

        assert connection.sock is socket
        assert b"Missing X-Auth-Key" in answer.read()


# Headers, quota, bookkeeping


def test_every_answer_has_its_own_ray(simulator: Simulator) -> None:
    rays = [ask(simulator, path).headers["cf-ray"] for path in ("", "", "/nowhere")]

    assert len(set(rays)) == 3
    assert all(len(ray) == len("0123456789abcdef-SIM") and ray.endswith("-SIM") for ray in rays)


def test_the_quota_counts_down_and_then_refuses_until_the_window_ends() -> None:
    now = 1000.0
    with Simulator(World(), quota=2, window_s=300, clock=lambda: now) as simulator:
        first = ask(simulator, "/accounts")
        now += 10.5
        last = ask(simulator, "/accounts")
        refused = ask(simulator, "/accounts")
        now += 289.5
        after = ask(simulator, "/accounts")

    assert (first.ok, first.headers["Ratelimit"]) == (True, '"default";r=1;t=300')
    assert (last.ok, last.headers["Ratelimit"]) == (True, '"default";r=0;t=290')
    assert error_codes(refused) == (429, [971])
    assert refused.headers["retry-after"] == "290"
    assert refused.headers["Ratelimit"] == '"default";r=0;t=290'
    assert refused.headers["Ratelimit-Policy"] == '"default";q=2;w=300'
    assert after.headers["Ratelimit"] == '"default";r=1;t=300'


def test_requests_are_recorded_as_they_came(simulator: Simulator) -> None:
    ask(simulator, "/accounts", page=3, headers={"User-Agent": "me"})
    ask(simulator, "/nowhere")

    first, second = simulator.requests
    assert (first.number, first.method, first.path) == (1, "GET", "/client/v4/accounts")
    assert (first.query, first.page, first.headers["user-agent"]) == ({"page": "3"}, 3, "me")
    assert second.number == 2


def test_the_world_can_change_between_two_requests(simulator: Simulator, records: list[Any]) -> None:
    account = next(iter(simulator.world.accounts.values()))

    def arrive(request: Request) -> None:
        if request.number == 2:
            simulator.world.new_invoice(account)

    simulator.before_answer = arrive

    assert [pagination(ask(simulator))["total_count"] for _ in range(3)] == [45, 46, 46]
    assert invoices(ask(simulator))[0]["id"] == records[0]["id"]


def test_leaving_the_simulator_ends_open_connections() -> None:
    with Simulator(World()) as simulator:
        connection = HTTPConnection(urlsplit(simulator.base_url).netloc, timeout=5)
        connection.request("GET", "/")
        connection.getresponse().read()

    with closing(connection):
        assert connection.sock.recv(1) == b""


# Faults


def test_a_fault_spoils_as_many_answers_as_it_is_told(simulator: Simulator) -> None:
    simulator.faults.append(faults.status(503).only(times=2))

    assert [ask(simulator).status_code for _ in range(3)] == [503, 503, 200]


def test_a_fault_spoils_only_the_pages_it_is_told(simulator: Simulator) -> None:
    simulator.faults.append(faults.status(503).only(pages={2}))

    assert [ask(simulator, page=page).status_code for page in (1, 2, 3)] == [200, 503, 200]


def test_a_fault_spoils_only_the_paths_it_is_told(simulator: Simulator) -> None:
    simulator.faults.append(faults.status(503).only(path="/tokens"))

    assert [ask(simulator, path).status_code for path in ("", "/user/tokens/verify")] == [200, 503]


def test_faults_wrap_around_each_other_and_the_first_is_outermost(simulator: Simulator) -> None:
    simulator.faults += [faults.status(503).only(times=1), faults.docs_example().only(times=1)]

    assert ask(simulator).status_code == 503
    assert pagination(ask(simulator))["per_page"] == 0
    assert pagination(ask(simulator))["per_page"] == 20


def test_two_edits_both_apply_and_the_inner_one_first(simulator: Simulator) -> None:
    def say(word: str) -> faults.Fault:
        return faults.edit(lambda document: document["messages"].append(word))

    simulator.faults += [say("outer"), say("inner")]

    assert ask(simulator).json()["messages"] == ["inner", "outer"]


def test_the_edge_answers_with_html(simulator: Simulator) -> None:
    simulator.faults.append(faults.status(520))
    response = ask(simulator)

    assert (response.status_code, response.headers["content-type"]) == (520, "text/html; charset=UTF-8")
    assert response.text.startswith("<!DOCTYPE html>")
    assert response.headers["cf-ray"]


def test_a_web_page_may_come_with_status_200(simulator: Simulator) -> None:
    simulator.faults.append(faults.html())
    response = ask(simulator)

    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=UTF-8")


@pytest.mark.parametrize("status", [200, 403])
def test_an_envelope_may_say_that_it_failed(simulator: Simulator, status: int) -> None:
    simulator.faults.append(faults.failed_envelope(1234, "no", status=status))

    assert error_codes(ask(simulator)) == (status, [1234])


@pytest.mark.parametrize("retry_after", ["7", "Wed, 21 Oct 2026 07:28:00 GMT", None])
def test_a_429_may_come_with_any_retry_after(simulator: Simulator, retry_after: str | None) -> None:
    simulator.faults.append(faults.rate_limited(retry_after))
    response = ask(simulator)

    assert error_codes(response) == (429, [971])
    assert response.headers.get("retry-after") == retry_after


def test_a_connection_may_be_dropped(simulator: Simulator) -> None:
    simulator.faults.append(faults.drop_connection().only(times=1))

    with pytest.raises(requests.ConnectionError):
        ask(simulator)
    assert ask(simulator).ok


def test_a_body_may_end_before_its_length_is_reached(simulator: Simulator) -> None:
    simulator.faults.append(faults.cut_body())

    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        ask(simulator)


def test_a_well_framed_body_may_be_half_a_document(simulator: Simulator) -> None:
    simulator.faults.append(faults.cut_json())
    response = ask(simulator)

    assert response.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        response.json()


def test_a_redirect_names_another_address(simulator: Simulator) -> None:
    simulator.faults.append(faults.redirect("https://example.com/"))
    response = ask(simulator)

    assert (response.status_code, response.headers["location"]) == (302, "https://example.com/")


def test_any_bytes_may_be_the_body(simulator: Simulator) -> None:
    simulator.faults.append(faults.body(b"\xff\xfe", {"content-type": "text/plain"}))
    response = ask(simulator)

    assert (response.content, response.headers["content-type"]) == (b"\xff\xfe", "text/plain")


def test_an_edit_changes_the_answer_and_not_the_world(simulator: Simulator, records: list[Any]) -> None:
    records[0]["more"] = {"amount": Decimal("1.10")}
    simulator.faults.append(
        faults.edit(lambda document: document["result"]["invoices"][0]["more"].update(amount=2))
    )

    assert invoices(ask(simulator))[0]["more"] == {"amount": 2}
    assert records[0]["more"] == {"amount": Decimal("1.10")}


def test_an_edit_keeps_the_exact_digits_of_what_it_leaves_alone(
    simulator: Simulator, records: list[Any]
) -> None:
    records[0]["amount_due"] = Decimal("0.10")
    simulator.faults.append(faults.edit(lambda document: document.pop("result_info")))
    document = simplejson.loads(ask(simulator).text, use_decimal=True)

    assert str(document["result"]["invoices"][0]["amount_due"]) == "0.10"
    assert "result_info" not in document


def test_an_edit_leaves_refusals_and_other_paths_alone(simulator: Simulator) -> None:
    simulator.faults.append(faults.edit(lambda document: document.clear()).only(pages={1}))

    assert error_codes(ask(simulator, type="none")) == (400, [7001])
    assert ask(simulator, "/accounts").json()["success"] is True


def test_an_ignored_page_serves_the_first_under_the_number_asked_for(simulator: Simulator) -> None:
    simulator.faults.append(faults.ignore_page())
    first, third = ask(simulator), ask(simulator, page=3)

    assert [record["id"] for record in invoices(first)] == [record["id"] for record in invoices(third)]
    assert (pagination(third)["page"], third.json()["result_info"]["page"]) == (3, 3)


@pytest.mark.parametrize("page", [1, 2, 99])
def test_the_documentations_example_says_that_there_is_always_more(simulator: Simulator, page: int) -> None:
    simulator.faults.append(faults.docs_example())
    response = ask(simulator, page=page)

    jsonschema.validate(response.json(), INVOICES_ANSWER)
    assert invoices(response) == [faults.DOCS_INVOICE]
    assert pagination(response) == {"has_more": True, "page": 0, "per_page": 0, "total_count": 0}


# Cloudflare's own SDK


@pytest.fixture
def sdk(simulator: Simulator) -> Iterator[cloudflare.Cloudflare]:
    with cloudflare.Cloudflare(
        api_token=simulator.token, base_url=simulator.base_url, max_retries=0
    ) as client:
        yield client


def test_cloudflares_sdk_reads_the_same_invoices(
    simulator: Simulator, sdk: cloudflare.Cloudflare, records: list[Any]
) -> None:
    [account_id] = simulator.world.accounts
    read: list[Record] = []

    for page in (1, 2, 3):
        answer = sdk.ai_gateway.billing.invoice_history(account_id=account_id, extra_query={"page": page})
        read += [invoice.to_dict(exclude_unset=False) for invoice in answer.invoices]

    assert [without_link(record) for record in read] == [without_link(record) for record in records]
    assert answer.pagination.has_more is False


def test_cloudflares_sdk_reads_one_type(simulator: Simulator, sdk: cloudflare.Cloudflare) -> None:
    [account_id] = simulator.world.accounts

    answer = sdk.ai_gateway.billing.invoice_history(account_id=account_id, type="auto")

    assert {invoice.invoice_origin for invoice in answer.invoices} == {"auto_topup"}


def test_cloudflares_sdk_walks_all_accounts(simulator: Simulator, sdk: cloudflare.Cloudflare) -> None:
    for _ in range(30):
        simulator.world.add_account()

    listed = [(account.id, account.name) for account in sdk.accounts.list()]

    assert listed == [(account.id, account.name) for account in simulator.world.accounts.values()]


def test_cloudflares_sdk_finds_the_token_active(simulator: Simulator, sdk: cloudflare.Cloudflare) -> None:
    [account_id] = simulator.world.accounts
    verified = [sdk.user.tokens.verify(), sdk.accounts.tokens.verify(account_id=account_id)]

    assert [token.status for token in verified if token is not None] == ["active", "active"]


def test_cloudflares_sdk_knows_a_refusal(simulator: Simulator, sdk: cloudflare.Cloudflare) -> None:
    simulator.denied.update(simulator.world.accounts)
    [account_id] = simulator.world.accounts

    with pytest.raises(cloudflare.PermissionDeniedError) as caught:
        sdk.ai_gateway.billing.invoice_history(account_id=account_id)
    assert [error.code for error in caught.value.errors] == [10000]


def test_cloudflares_sdk_signs_in_with_email_and_key(simulator: Simulator) -> None:
    with cloudflare.Cloudflare(
        api_email=simulator.email, api_key=simulator.api_key, base_url=simulator.base_url
    ) as client:
        assert len(list(client.accounts.list())) == 1
