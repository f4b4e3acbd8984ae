"""One load at a time writes to a dataset of files: a real directory, and a clock that goes on at once."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from shutil import rmtree
from threading import Barrier, Thread

import pytest
from fsspec.implementations.local import LocalFileSystem

from cf_invoice_source.errors import DestinationError, TryLaterError
from cf_invoice_source.warehouse import lease as leases
from cf_invoice_source.warehouse.lease import BEAT_S, SILENT_S, lease
from tests.conftest import Naps

SYSTEM = LocalFileSystem()


@pytest.fixture
def waits(naps: Naps, monkeypatch: pytest.MonkeyPatch) -> Naps:
    monkeypatch.setattr(leases, "sleep", naps.sleep)
    monkeypatch.setattr(leases, "monotonic", naps.clock)
    return naps


def files(place: Path) -> dict[str, str]:
    return {each.name: each.read_text() for each in place.glob("_cf_*")}


def left_by_a_killed_load(place: Path, number: int = 1, beats: str = "7") -> None:
    (place / f"_cf_invoices_load_{number}").write_text(beats)


def test_loads_in_turn_leave_one_file_that_says_that_they_have_ended(tmp_path: Path, waits: Naps) -> None:
    for _ in range(3):
        with lease(SYSTEM, str(tmp_path), wait_s=0):
            pass

    assert files(tmp_path) == {"_cf_invoices_load_3": "ended"}
    assert waits == []


def test_a_load_that_fails_has_ended_too(tmp_path: Path, waits: Naps) -> None:
    with pytest.raises(ZeroDivisionError), lease(SYSTEM, str(tmp_path), wait_s=0):
        _ = 1 / 0

    with lease(SYSTEM, str(tmp_path), wait_s=0):
        pass
    assert waits == []


def test_the_error_of_a_load_counts_although_its_end_cannot_be_noted(tmp_path: Path, waits: Naps) -> None:
    place = tmp_path / "dataset"
    place.mkdir()

    def load_that_fails() -> None:
        rmtree(place)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), lease(SYSTEM, str(place), wait_s=0):
        load_that_fails()


def test_a_second_load_is_told_to_come_back_when_the_first_goes_on(tmp_path: Path, waits: Naps) -> None:
    left_by_a_killed_load(tmp_path)
    beats = iter(range(10_000))
    sleep = waits.sleep

    def sleep_while_the_other_beats(seconds: float) -> None:
        sleep(seconds)
        left_by_a_killed_load(tmp_path, beats=str(next(beats)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leases, "sleep", sleep_while_the_other_beats)
        refused = pytest.raises(TryLaterError, match="still under way, after 600 seconds")
        with refused, lease(SYSTEM, str(tmp_path), wait_s=600):
            pytest.fail("two loads at once")

    assert sum(waits) == 600
    assert files(tmp_path).keys() == {"_cf_invoices_load_1"}


def test_a_load_that_may_not_wait_fails_at_once(tmp_path: Path, waits: Naps) -> None:
    left_by_a_killed_load(tmp_path)

    with pytest.raises(TryLaterError, match="after 0 seconds"), lease(SYSTEM, str(tmp_path), wait_s=0):
        pytest.fail("two loads at once")
    assert waits == []


def test_a_load_that_was_killed_holds_the_others_up_for_a_while_only(tmp_path: Path, waits: Naps) -> None:
    left_by_a_killed_load(tmp_path)

    with lease(SYSTEM, str(tmp_path), wait_s=600):
        assert files(tmp_path) == {"_cf_invoices_load_2": "0"}

    assert SILENT_S < sum(waits) < SILENT_S + 3
    assert SILENT_S > 10 * BEAT_S


def test_a_load_that_was_taken_for_dead_is_told_so_and_does_not_end_the_other(
    tmp_path: Path, waits: Naps
) -> None:
    first, other = ExitStack(), ExitStack()
    first.enter_context(lease(SYSTEM, str(tmp_path), wait_s=0))
    other.enter_context(lease(SYSTEM, str(tmp_path), wait_s=600))

    with pytest.raises(DestinationError, match="and another took"):
        first.close()

    assert files(tmp_path) == {"_cf_invoices_load_2": "0"}
    other.close()
    assert files(tmp_path) == {"_cf_invoices_load_2": "ended"}


def test_one_that_is_late_with_an_old_number_does_not_get_in(tmp_path: Path, waits: Naps) -> None:
    """It looked, was held up, and makes the next number when that has come and gone."""
    left_by_a_killed_load(tmp_path, 5, "ended")
    found = leases._Files(SYSTEM, str(tmp_path))  # noqa: SLF001 - a race that cannot be had otherwise

    assert not found.make(4)
    assert found.make(6)


def test_of_many_at_once_one_gets_in(tmp_path: Path, waits: Naps) -> None:
    start, inside, done = Barrier(8), list[int](), list[str]()

    def run() -> None:
        start.wait()
        try:
            with lease(SYSTEM, str(tmp_path), wait_s=0):
                inside.append(1)
                assert len(inside) == 1
                done.append("loaded")
                inside.pop()
        except TryLaterError:
            done.append("refused")

    threads = [Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(done) == 8
    assert "loaded" in done
