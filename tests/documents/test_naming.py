"""A document's file has a name that says whose it is, and that cannot lead out of the archive."""

from datetime import datetime, timezone
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cf_invoice_source.documents.naming import folder_of, is_counted, path_of

ACCOUNT = "780241c281f479976f41ebac3931bab3"
DIGEST = "0123456789abcdef" * 4
NEW_YEARS_EVE = datetime(2025, 12, 31, 23, 59, 59, tzinfo=timezone.utc)

NAMES = {
    "as a rule": (("in_1abc", NEW_YEARS_EVE), f"{ACCOUNT}/2025/2025-12-31_in_1abc_0123456789abcdef.pdf"),
    "without a date": (("in_1abc", None), f"{ACCOUNT}/undated/undated_in_1abc_0123456789abcdef.pdf"),
    "a year of one digit": (
        ("in_1", datetime(7, 1, 2, tzinfo=timezone.utc)),
        f"{ACCOUNT}/0007/0007-01-02_in_1_0123456789abcdef.pdf",
    ),
    "without an id": (
        ("anonymous:0f0f:1", None),
        f"{ACCOUNT}/undated/undated_anonymous-0f0f-1_0123456789abcdef.pdf",
    ),
    "up": (("../../etc", None), f"{ACCOUNT}/undated/undated_------etc_0123456789abcdef.pdf"),
    "nothing": (("", None), f"{ACCOUNT}/undated/undated_-_0123456789abcdef.pdf"),
}


@pytest.mark.parametrize(("given", "path"), NAMES.values(), ids=NAMES)
def test_a_name_says_account_year_date_id_and_hash(given: tuple[str, datetime | None], path: str) -> None:
    assert path_of(ACCOUNT, *given, DIGEST) == path


@given(account=st.text(), invoice=st.text(), created=st.none() | st.datetimes(), digest=st.binary())
def test_whatever_the_ids_are_a_path_stays_inside(
    account: str, invoice: str, created: datetime | None, digest: bytes
) -> None:
    path = path_of(account, invoice, created, DIGEST)

    for flavour in (PurePosixPath, PureWindowsPath):
        parts = flavour(path).parts
        assert len(parts) == 3
        assert not flavour(path).is_absolute()
        assert not flavour(path).drive
        assert not {"..", "."} & set(parts)
    assert all(len(part) < 200 for part in path.split("/"))
    assert path.startswith(f"{folder_of(account)}/")
    assert is_counted(path)


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("extra.pdf", True),
        ("a/b/extra.csv", True),
        ("manifest.csv", False),
        (".DS_Store", False),
        ("a/b/.x.pdf.0123.partial", False),
    ],
)
def test_manifests_at_the_top_and_hidden_files_need_not_be_known(path: str, counts: bool) -> None:
    assert is_counted(path) is counts
