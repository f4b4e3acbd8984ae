"""What to do about a destination goes by the words of its driver."""

import pytest

from cf_invoice_source import DestinationError
from cf_invoice_source.warehouse.dlt_errors import translated_driver_errors

SAID = {
    "a newer DuckDB's file": (
        "IO Error: Trying to read a database file with version number 99, but we can only read 64",
        "a newer DuckDB made this file: pip install -U duckdb",
    ),
    "a storage version that is newer": (
        "file was written with a storage version greater than the latest version supported",
        "a newer DuckDB made this file",
    ),
    "a connection with other settings": (
        "Connection Error: Can't open a connection to same database file with a different configuration",
        "close that connection",
    ),
    "a lock": ('IO Error: Could not set lock on file "x": Conflicting lock is held in PID 1.', "close it"),
    "another program's file": (
        'IO Error: The file "x" exists, but it is not a valid DuckDB database file!',
        "it seems to be another program's file",
    ),
    "a torn file": ('Could not read enough bytes from file "x"', "begun on a full disk"),
    "anything else": ("no such host", "check its address, rights, locks and disk space"),
}


@pytest.mark.parametrize(("said", "remedy"), SAID.values(), ids=SAID)
def test_what_to_do_goes_by_what_the_driver_said(said: str, remedy: str) -> None:
    with pytest.raises(DestinationError) as caught, translated_driver_errors():
        raise RuntimeError(said)

    assert said.replace('"x"', "(***)") in caught.value.cause
    assert remedy in caught.value.remedy
