"""What is remembered between runs: it survives JSON, and what is not ours reads as nothing remembered."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cf_invoice_source.walk.bookmark import (
    NOTHING,
    VERSION,
    Bookmark,
    Equal,
    HighWaterMark,
    Rejected,
    bare,
    difference,
    from_text,
    to_text,
)
from tests.support.named import NAMES, text_of, values_of

MARK = HighWaterMark(
    ordinal=9,
    identity="in_9",
    unsettled={2: "in_2", 4: "anonymous:4d:2", 9: "in_9"},
    rejected={3: Rejected("ab:1", "in_3"), 5: Rejected("cd:1", None)},
    anonymous={"anonymous:4d": Equal(2, 1_767_225_600_000_000), "anonymous:5e": Equal(1, None)},
)
BOOKMARK = Bookmark(
    MARK,
    HighWaterMark(3, "in_3"),
    invoices=7,
    rejects=2,
    full_sync_at=1_767_225_600,
    unfinished_since=1_767_225_000,
    unlisted=3,
    unlisted_ids=("in_7", "in_8"),
    kept_rejects=1,
    fields=("tax",),
)


def read(values: dict[str, Any]) -> Bookmark:
    return from_text(text_of(values))


# Whether a mark can be found again


@pytest.mark.parametrize(
    ("mark", "is_ambiguous"),
    [
        pytest.param(NOTHING, False, id="nothing"),
        pytest.param(MARK, False, id="an invoice with an id"),
        pytest.param(
            HighWaterMark(2, "anonymous:4d", anonymous={"anonymous:4d": Equal(1, None)}),
            False,
            id="an invoice without id, unlike any other",
        ),
        pytest.param(
            HighWaterMark(2, "anonymous:4d", anonymous={"anonymous:4d": Equal(2, None)}),
            True,
            id="one of two invoices without id that are alike",
        ),
        pytest.param(
            HighWaterMark(2, "rejected:ab", {}, {1: Rejected("cd:1", None), 2: Rejected("ab:1", None)}),
            False,
            id="a rejected record without id, unlike any other",
        ),
        pytest.param(
            HighWaterMark(2, "rejected:ab", {}, {1: Rejected("ab:2", None), 2: Rejected("ab:1", None)}),
            True,
            id="one of two rejected records without id that are alike",
        ),
    ],
)
def test_a_mark_is_ambiguous_where_a_record_below_it_could_be_taken_for_it(
    mark: HighWaterMark, is_ambiguous: bool
) -> None:
    assert mark.is_ambiguous() is is_ambiguous


# What must stand where


@pytest.mark.parametrize(
    ("ordinal", "claim"),
    [
        pytest.param(9, "in_9", id="the frontier"),
        pytest.param(2, "in_2", id="an unsettled invoice"),
        pytest.param(4, "anonymous:4d", id="one without id, by what never changes about it"),
        pytest.param(3, "in_3", id="a rejected record with an id"),
        pytest.param(5, None, id="a rejected record without id may be corrected into anything"),
        pytest.param(1, None, id="a final invoice is not remembered"),
        pytest.param(10, None, id="a new one"),
    ],
)
def test_a_mark_claims_what_must_stand_at_an_ordinal(ordinal: int, claim: str | None) -> None:
    assert MARK.claims(ordinal) == claim


def test_the_frontier_is_claimed_by_its_hash_where_it_is_a_rejected_record_without_id() -> None:
    mark = HighWaterMark(5, "rejected:cd", rejected={5: Rejected("cd:1", None)})

    assert mark.claims(5) == "rejected:cd"


@pytest.mark.parametrize("ordinal", range(3))
def test_no_mark_claims_nothing_about_a_record(ordinal: int) -> None:
    assert not NOTHING.claims(ordinal)


@pytest.mark.parametrize(
    ("key", "identity"),
    [
        ("anonymous:4d:2", "anonymous:4d"),
        ("anonymous:4d:12", "anonymous:4d"),
        ("in_1", "in_1"),
        ("in:1:2", "in:1:2"),
    ],
)
def test_only_the_key_of_an_invoice_without_id_has_a_number_to_take_off(key: str, identity: str) -> None:
    assert bare(key) == identity


# To and from a plain dict

WHOLE = st.integers(0, 10**12)
SECONDS = st.integers(0, 253_402_300_799)
TEXT = st.text(max_size=5)
REJECT_KEYS = st.builds("{}:{}".format, TEXT, st.integers(1, 99))


@st.composite
def marks(draw: st.DrawFn) -> HighWaterMark:
    last = draw(WHOLE)
    ordinals, most = st.integers(1, max(1, last)), min(last, 3)
    return HighWaterMark(
        last,
        draw(TEXT),
        draw(st.dictionaries(ordinals, TEXT, max_size=most)),
        draw(st.dictionaries(ordinals, st.builds(Rejected, REJECT_KEYS, st.none() | TEXT), max_size=most)),
        draw(st.dictionaries(TEXT, st.builds(Equal, WHOLE, st.none() | st.integers()), max_size=3)),
    )


@st.composite
def bookmarks(draw: st.DrawFn) -> Bookmark:
    """Bookmarks as a walk leaves them: whoever has a mark has counted up to it."""
    mark, named = draw(st.none() | marks()), draw(st.lists(TEXT, max_size=3))
    rejects = len(mark.rejected) if mark else draw(WHOLE)
    return Bookmark(
        mark,
        draw(st.none() | marks()),
        mark.ordinal - rejects if mark else draw(st.none() | WHOLE),
        rejects,
        full_sync_at=draw(st.none() | SECONDS),
        unfinished_since=draw(st.none() | SECONDS),
        unlisted=len(named) + draw(WHOLE),
        unlisted_ids=tuple(named),
        kept_rejects=draw(WHOLE),
        fields=tuple(draw(st.lists(TEXT, max_size=3))),
    )


BOOKMARKS = bookmarks()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


@given(bookmark=BOOKMARKS)
def test_a_bookmark_survives_a_round_trip_through_json(bookmark: Bookmark) -> None:
    assert from_text(to_text(bookmark)) == bookmark


def test_its_shape_stays_the_same_between_versions_of_this_package() -> None:
    """Every user's state has it: another shape needs another version, and costs a full walk."""
    mark = [
        9,
        "in_9",
        {"2": "in_2", "4": "anonymous:4d:2", "9": "in_9"},
        {"3": ["ab:1", "in_3"], "5": ["cd:1", None]},
        {"anonymous:4d": [2, 1_767_225_600_000_000], "anonymous:5e": [1, None]},
    ]
    unfinished = [3, "in_3", {}, {}, {}]
    times = [1_767_225_600, 1_767_225_000]

    assert json.loads(to_text(BOOKMARK)) == [
        *[1, mark, unfinished, 7, 2],
        *times,
        *[3, ["in_7", "in_8"], 1, ["tax"]],
    ]


@pytest.mark.parametrize(
    "stored", [{}, [], "", "x", 0, 7, True, "[]", "[1]", "null", '"x"', "[{}]", "{}", "[" * 100_000]
)
def test_what_is_no_text_of_a_bookmark_is_lost(stored: Any) -> None:
    assert from_text(stored) == Bookmark()
    assert from_text(stored).lost == "the bookmark cannot be read"


def test_where_nothing_was_stored_nothing_is_lost() -> None:
    assert from_text(None) == Bookmark()
    assert from_text(None).lost == ""


def test_a_number_is_read_up_to_what_any_column_holds() -> None:
    assert read(values_of(BOOKMARK) | {"unlisted": 10**15}).unlisted == 10**15
    assert read(values_of(BOOKMARK) | {"unlisted": 10**15 + 1}).lost == "the bookmark cannot be read"


def test_the_last_second_of_the_calendar_is_read() -> None:
    stored = values_of(BOOKMARK) | {"full_sync_at": 253_402_300_799}

    assert read(stored).full_sync_at == 253_402_300_799


@pytest.mark.parametrize("version", [0, VERSION + 1])
def test_another_version_reads_as_none_and_says_so(version: int) -> None:
    found = from_text(json.dumps([version, "a shape of another time"]))

    assert found == Bookmark()
    assert found.lost == f"the bookmark is of version {version}, not 1"


@pytest.mark.parametrize("version", ["1", None, 1.5])
def test_a_version_that_is_none_reads_as_none_and_says_so(version: Any) -> None:
    found = read(values_of(BOOKMARK) | {"version": version})

    assert found == Bookmark()
    assert found.lost == "the bookmark cannot be read"


@pytest.mark.parametrize("name", NAMES)
def test_a_bookmark_that_lacks_a_part_reads_as_none(name: str) -> None:
    stored = values_of(BOOKMARK)
    del stored[name]

    assert read(stored) == Bookmark()


@pytest.mark.parametrize("name", values_of(BOOKMARK)["mark"])
def test_a_mark_that_lacks_a_part_reads_as_none(name: str) -> None:
    stored = values_of(BOOKMARK)
    del stored["mark"][name]

    assert read(stored) == Bookmark()


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param({"mark": []}, id="a mark that is no object"),
        pytest.param({"unfinished": "in_1"}, id="an unfinished mark that is none"),
        pytest.param({"invoices": "7"}, id="invoices as text"),
        pytest.param({"rejects": None}, id="rejects unknown"),
        pytest.param({"rejects": True}, id="rejects true"),
        pytest.param({"full_sync_at": 1.5}, id="a time in fractions"),
        pytest.param({"full_sync_at": 10**15}, id="a time that no calendar has"),
        pytest.param({"full_sync_at": 253_402_300_800}, id="a second that no calendar has"),
        pytest.param({"full_sync_at": -1}, id="a time before all times"),
        pytest.param({"unfinished_since": 10**12}, id="a beginning that no calendar has"),
        pytest.param({"version": True}, id="version true"),
        pytest.param({"invoices": None}, id="a mark, and nothing counted: no check could fail"),
        pytest.param({"invoices": 8}, id="more than up to the mark"),
        pytest.param({"invoices": 10, "rejects": -1}, id="less than none"),
        pytest.param({"invoices": 6, "rejects": 3}, id="more rejects than at the mark"),
        pytest.param({"mark": None, "invoices": 10**400}, id="more than can be printed"),
        pytest.param({"unlisted": -3}, id="less than none are missing"),
        pytest.param({"unlisted": 1}, id="fewer are missing than are named"),
    ],
)
def test_a_bookmark_of_another_shape_reads_as_none(garbage: dict[str, Any]) -> None:
    assert read(values_of(BOOKMARK) | garbage) == Bookmark()


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param({"ordinal": "9"}, id="ordinal as text"),
        pytest.param({"ordinal": None}, id="ordinal unknown"),
        pytest.param({"identity": None}, id="identity unknown"),
        pytest.param({"unsettled": ["in_1"]}, id="unsettled without ordinals"),
        pytest.param({"unsettled": {"first": "in_1"}}, id="an ordinal that is no number"),
        pytest.param({"unsettled": {"1": None}}, id="an unsettled invoice without key"),
        pytest.param({"rejected": {"1": "ab:1"}}, id="a reject that is text"),
        pytest.param({"rejected": {"1": ["ab:1"]}}, id="a reject without id"),
        pytest.param({"rejected": {"1": ["ab:1", 7]}}, id="a reject whose id is a number"),
        pytest.param({"rejected": {"1": [None, None]}}, id="a reject without key"),
        pytest.param({"ordinal": 10**16}, id="an ordinal that no list has"),
        pytest.param({"unsettled": {"10": "in_10"}}, id="an unsettled invoice beyond the mark"),
        pytest.param({"unsettled": {"0": "in_0"}}, id="an unsettled invoice before the first"),
        pytest.param({"unsettled": {"01": "in_1"}}, id="an ordinal in other digits"),
        pytest.param({"rejected": {"3": ["ab:1", "in_3"], "12": ["cd:1", None]}}, id="a reject beyond it"),
        pytest.param({"rejected": {"3": ["ab", "in_3"], "5": ["cd:1", None]}}, id="a reject without number"),
        pytest.param({"rejected": {"3": ["ab:x", "in_3"], "5": ["cd:1", None]}}, id="a number that is none"),
        pytest.param({"anonymous": {"anonymous:4d": [-1, None]}}, id="fewer than none"),
        pytest.param({"anonymous": {"anonymous:4d": 2}}, id="a count alone"),
        pytest.param({"anonymous": {"anonymous:4d": ["2", None]}}, id="a count as text"),
        pytest.param({"anonymous": {"anonymous:4d": [2, "now"]}}, id="a time as text"),
    ],
)
@pytest.mark.parametrize("name", ["mark", "unfinished"])
def test_a_mark_of_another_shape_reads_as_none(name: str, garbage: dict[str, Any]) -> None:
    stored = values_of(replace(BOOKMARK, unfinished=MARK))

    assert read(stored | {name: stored[name] | garbage}) == Bookmark()


@given(stored=JSON)
def test_garbage_reads_as_none(stored: Any) -> None:
    assert from_text(stored) == Bookmark()
    assert from_text(json.dumps(stored)) == Bookmark()
    assert from_text(json.dumps([VERSION, stored])) == Bookmark()


@given(bookmark=BOOKMARKS, name=st.sampled_from(NAMES), garbage=JSON)
def test_a_bookmark_with_garbage_in_it_reads_as_none_or_as_what_it_says(
    bookmark: Bookmark, name: str, garbage: Any
) -> None:
    stored = values_of(bookmark) | {name: garbage}

    found = read(stored)

    assert found == Bookmark() or values_of(found) == stored


def test_what_is_not_counted_is_zero() -> None:
    bookmark = Bookmark(invoices=7)

    assert (bookmark.rows, bookmark.rejects, bookmark.unlisted, bookmark.kept_rejects) == (7, 0, 0, 0)
    assert HighWaterMark(0, "", {}, {}, {}) == NOTHING


@pytest.mark.parametrize(
    ("bookmark", "held", "told"),
    [
        (Bookmark(), (0, 0), ""),
        (Bookmark(), (5, 0), ""),
        (Bookmark(invoices=0), (0, 0), ""),
        (BOOKMARK, (7 + 3 + 1, 2), ""),
        (BOOKMARK, (10, 2), "the tables hold 10 invoices and 2 rejected records, verified were 11 and 2"),
        (BOOKMARK, (11, 1), "the tables hold 11 invoices and 1 rejected records, verified were 11 and 2"),
        (
            Bookmark(invoices=1_000),
            (0, 0),
            "the tables hold 0 invoices and 0 rejected records, verified were 1,000 and 0",
        ),
    ],
)
def test_tables_differ_from_what_was_verified_in_the_number_of_their_rows(
    bookmark: Bookmark, held: tuple[int, int], told: str
) -> None:
    assert difference(bookmark, held) == told
