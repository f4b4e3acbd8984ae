"""An answer counts as a page only when the envelope says success and the list is there."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cf_invoice_source.cloudflare.answers import (
    ApiMessage,
    Failed,
    Malformed,
    read_errors,
    read_notices,
    read_page,
)
from cf_invoice_source.walk.page import Page
from tests.support.make import MISSING, make_document, make_invoice

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False)
    | st.just(Decimal("NaN"))
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)

ALMOST = st.fixed_dictionaries(
    {
        "success": st.sampled_from([True, True, True, False, None, 1]),
        "result": JSON
        | st.fixed_dictionaries(
            {
                "invoices": st.lists(JSON) | JSON,
                "pagination": JSON
                | st.fixed_dictionaries(
                    {
                        "has_more": st.booleans() | JSON,
                        "page": st.integers() | JSON,
                        "per_page": st.integers() | JSON,
                        "total_count": st.integers() | JSON,
                    }
                ),
            }
        ),
    },
    optional={"errors": JSON | st.lists(JSON | st.fixed_dictionaries({"code": JSON, "message": JSON}))},
)
"""Documents close enough to the published shape to reach every check."""


def test_a_document_of_the_published_shape_is_a_page() -> None:
    invoice = make_invoice()

    page = read_page(make_document(invoice, has_more=True, page=3, per_page=7, total_count=20), 3)

    assert page == Page(asked=3, records=(invoice,), has_more=True, page=3, per_page=7, total_count=20)


def test_an_empty_list_is_a_page_when_the_envelope_says_success() -> None:
    page = read_page(make_document(), 1)

    assert page == Page(asked=1, records=(), has_more=False, page=1, per_page=50, total_count=0)


def test_a_page_does_not_need_result_info() -> None:
    document = make_document()
    del document["result_info"]

    assert isinstance(read_page(document, 1), Page)


def test_unknown_fields_beside_the_known_ones_do_no_harm() -> None:
    document = make_document() | {"timing": 3}
    document["result"] |= {"currency": "usd"}

    assert isinstance(read_page(document, 1), Page)


@pytest.mark.parametrize("count", [20, Decimal("20.0"), Decimal("2E+1")], ids=str)
def test_a_count_is_whole_however_it_is_written(count: object) -> None:
    page = read_page(make_document(total_count=count), 1)

    assert isinstance(page, Page)
    assert page.total_count == 20


def test_a_failed_envelope_tells_its_codes_and_messages() -> None:
    document = {
        "success": False,
        "errors": [{"code": 10000, "message": "Authentication error"}, {"code": 1, "message": "Also"}],
        "result": None,
    }

    answer = read_page(document, 1)

    assert isinstance(answer, Failed)
    assert [str(error) for error in answer.errors] == ["Authentication error (code 10000)", "Also (code 1)"]


def test_what_stands_behind_an_error_is_told_with_it() -> None:
    chain = [{"code": 6111, "message": "Invalid format for Authorization header"}]
    document = {"errors": [{"code": 6003, "message": "Invalid request headers", "error_chain": chain}]}

    assert list(read_errors(document)) == [
        ApiMessage("6003", "Invalid request headers"),
        ApiMessage("6111", "Invalid format for Authorization header"),
    ]


@pytest.mark.parametrize("name", ["errors", "messages"])
@pytest.mark.parametrize(
    ("listed", "told"),
    [
        ([{"code": 1, "message": "Ends soon"}], ["Ends soon (code 1)"]),
        ([{"message": "Ends soon"}], ["Ends soon"]),
        (["Ends soon"], ["Ends soon"]),
        ([{"code": 1}, {"message": ""}, None, 3, []], []),
        ([], []),
        (None, []),
        ("Ends soon", []),
        ([{"message": "x" * 400}], ["x" * 300 + "..."]),
        ([{"message": f"{n}"} for n in range(9)], ["0", "1", "2", "3", "4"]),
    ],
)
def test_what_stands_beside_a_success_is_told(name: str, listed: object, told: list[str]) -> None:
    document = make_document() | {name: listed}

    assert [str(notice) for notice in read_notices(document)] == told


@pytest.mark.parametrize("errors", [None, [], {}, "no", 3], ids=repr)
def test_a_failed_envelope_may_say_nothing(errors: object) -> None:
    assert read_page({"success": False, "errors": errors}, 1) == Failed(())


def test_an_error_without_code_or_message_is_still_told() -> None:
    assert list(read_errors({"errors": [{}]})) == [ApiMessage("unknown", "no message")]


@pytest.mark.parametrize(
    ("document", "what"),
    [
        (None, "the answer should be an object, but is null or missing"),
        ([], "the answer should be an object, but is a list"),
        ("page", "the answer should be an object, but is a string"),
        (Decimal("1.5"), "the answer should be an object, but is a number of another kind"),
        ({}, "success should be true or false, but is null or missing"),
        ({"success": "true"}, "success should be true or false, but is a string"),
        ({"success": 1}, "success should be true or false, but is a number of another kind"),
        ({"success": True}, "result should be an object, but is null or missing"),
        ({"success": True, "result": []}, "result should be an object, but is a list"),
        ({"success": True, "result": {}}, "result.invoices should be a list, but is null or missing"),
        (
            {"success": True, "result": {"invoices": {}}},
            "result.invoices should be a list, but is an object",
        ),
        (
            {"success": True, "result": {"items": [], "pagination": {}}},
            "result.invoices should be a list, but is null or missing",
        ),
        (
            {"success": True, "result": {"invoices": []}},
            "result.pagination should be an object, but is null or missing",
        ),
    ],
    ids=repr,
)
def test_a_document_of_another_shape_is_malformed(document: object, what: str) -> None:
    assert read_page(document, 1) == Malformed(what)


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("has_more", MISSING, "pagination.has_more should be true or false, but is null or missing"),
        ("has_more", "false", "pagination.has_more should be true or false, but is a string"),
        ("has_more", 0, "pagination.has_more should be true or false, but is a number of another kind"),
        ("page", MISSING, "pagination.page should be a whole number, but is null or missing"),
        ("page", "1", "pagination.page should be a whole number, but is a string"),
        ("per_page", MISSING, "pagination.per_page should be a whole number, but is null or missing"),
        ("per_page", True, "pagination.per_page should be a whole number, but is a boolean"),
        (
            "total_count",
            MISSING,
            "pagination.total_count should be a whole number, but is null or missing",
        ),
        (
            "total_count",
            Decimal("1.5"),
            "pagination.total_count should be a whole number, but is a number of another kind",
        ),
        (
            "total_count",
            Decimal("Infinity"),
            "pagination.total_count should be a whole number, but is a number of another kind",
        ),
        (
            "total_count",
            Decimal("1E+999999"),
            "pagination.total_count should be a whole number, but is a number of another kind",
        ),
        (
            "total_count",
            10**18,
            "pagination.total_count should be a whole number, but is a number of another kind",
        ),
    ],
    ids=str,
)
def test_each_field_of_the_pagination_is_checked(field: str, value: object, what: str) -> None:
    assert read_page(make_document(**{field: value}), 1) == Malformed(what)


@given(document=JSON | ALMOST)
def test_any_json_at_all_is_a_page_or_a_failure_or_malformed(document: Any) -> None:
    answer = read_page(document, 1)

    assert isinstance(answer, Page | Failed | Malformed)


@given(document=ALMOST)
def test_a_page_has_exactly_the_records_of_the_document(document: Any) -> None:
    answer = read_page(document, 1)

    if isinstance(answer, Page):
        assert list(answer.records) == document["result"]["invoices"]


@given(secret=st.text(min_size=9, alphabet="XYZ"), document=ALMOST)
def test_a_malformed_answer_is_described_without_its_content(secret: str, document: Any) -> None:
    assume(secret not in str(document))  # what stands among the errors is shown
    document["result"] = secret

    answer = read_page(document, 1)

    assert secret not in str(answer)
