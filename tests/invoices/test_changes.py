"""What is new, updated or gone, by what the two tables of the destination hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cf_invoice_source.invoices.changes import NOTHING_STORED, Stored, Verdict, judge


@pytest.mark.parametrize(
    ("known", "verdict"),
    [
        pytest.param(NOTHING_STORED, Verdict(True, "new", 1), id="never seen"),
        pytest.param(Stored("a", 3, "a"), Verdict(False, None, 4), id="the same as before"),
        pytest.param(Stored("b", 3, "b"), Verdict(True, "updated", 4), id="changed"),
        pytest.param(Stored(None, 3, None), Verdict(True, "new", 4), id="deleted before, and back"),
        pytest.param(Stored(None, 3, "a"), Verdict(True, None, 4), id="its row was lost"),
        pytest.param(
            Stored(None, 3, "b"), Verdict(True, "updated", 4), id="its row was lost, and it changed"
        ),
        pytest.param(Stored("a", 0, None), Verdict(False, "new", 1), id="its changes were lost"),
        pytest.param(
            Stored("b", 0, None), Verdict(True, "new", 1), id="its changes were lost, and it changed"
        ),
        pytest.param(Stored("a", 3, "b"), Verdict(False, "updated", 4), id="its change was not written"),
        pytest.param(Stored("b", 3, "a"), Verdict(True, None, 4), id="its row was not written"),
    ],
)
def test_an_invoice_that_is_listed(known: Stored, verdict: Verdict) -> None:
    assert judge("a", known) == verdict


@pytest.mark.parametrize(
    ("known", "verdict"),
    [
        pytest.param(NOTHING_STORED, Verdict(False, None, 1), id="never seen"),
        pytest.param(Stored("a", 3, "a"), Verdict(True, "deleted", 4), id="held"),
        pytest.param(Stored("a", 0, None), Verdict(True, None, 1), id="held, but its changes were lost"),
        pytest.param(Stored(None, 3, "a"), Verdict(False, "deleted", 4), id="its row was lost before"),
        pytest.param(Stored(None, 3, None), Verdict(False, None, 4), id="known to be deleted"),
    ],
)
def test_an_invoice_that_is_not_listed_any_more(known: Stored, verdict: Verdict) -> None:
    assert judge(None, known) == verdict


SEEN = st.lists(st.none() | st.sampled_from("ABC"), max_size=12)
"""What the list shows of one invoice, run after run; None when it is not there."""


@given(seen=SEEN, lost=st.sets(st.integers(0, 12)))
def test_both_tables_tell_the_truth_after_each_run_and_every_change_is_noted_once(
    seen: list[str | None], lost: set[int]
) -> None:
    """Even if the row is lost before some of the runs, for someone emptied the table."""
    row, changes = None, list[tuple[int, str, str | None]]()
    for run, shown in enumerate(seen):
        row = None if run in lost else row
        known = known_of(row, changes)
        verdict = judge(shown, known)
        row = shown if verdict.writes_row else row
        if verdict.change:
            changes.append((verdict.version, verdict.change, shown))

        assert row == shown

    steps = [shown for run, shown in enumerate(seen) if shown != ([None, *seen])[run]]
    assert [shown for _, _, shown in changes] == steps
    assert [version for version, _, _ in changes] == list(range(1, len(changes) + 1))
    for before, (_, change, shown) in zip([None, *steps], changes, strict=False):
        assert change == ("deleted" if shown is None else "new" if before is None else "updated")


@given(seen=SEEN, shown=st.none() | st.sampled_from("ABC"))
def test_the_same_again_writes_nothing(seen: list[str | None], shown: str | None) -> None:
    known = Stored() if shown is None else Stored(shown, len(seen) + 1, shown)
    verdict = judge(shown, known)

    assert not verdict.writes_row
    assert verdict.change is None


def known_of(row: str | None, changes: list[tuple[int, str, str | None]]) -> Stored:
    version, _, change_hash = changes[-1] if changes else (0, "", None)
    return Stored(row, version, change_hash)


def test_of_what_was_never_seen_nothing_is_held() -> None:
    assert Stored(row_hash=None, version=0, change_hash=None, is_final=False) == NOTHING_STORED
