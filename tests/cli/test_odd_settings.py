"""Odd settings: each says what is wrong, on one screen, before anything is asked, made or remembered."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from cf_invoice_source import SettingsError
from cf_invoice_source.simulator import Account, Simulator
from tests.conftest import Command, Load, Warehouse, run_python, tree
from tests.support.make import make_invoices

BOM = "\ufeff"

ODD: dict[str, tuple[Mapping[str, str], str]] = {
    "a timeout of 0": ({"RUNTIME__REQUEST_TIMEOUT": "0"}, "request_timeout makes no sense"),
    "a timeout below 0": ({"RUNTIME__REQUEST_TIMEOUT": "-1"}, "request_timeout makes no sense"),
    "a timeout that is no number": ({"RUNTIME__REQUEST_TIMEOUT": "nan"}, "request_timeout makes no sense"),
    "an endless timeout": ({"RUNTIME__REQUEST_TIMEOUT": "inf"}, "request_timeout makes no sense"),
    "no attempt": ({"RUNTIME__REQUEST_MAX_ATTEMPTS": "0"}, "request_max_attempts makes no sense"),
    "a wait below 0": ({"RUNTIME__REQUEST_BACKOFF_FACTOR": "-1"}, "request_backoff_factor makes no sense"),
    "a longest wait below 0": (
        {"RUNTIME__REQUEST_MAX_RETRY_DELAY": "-1"},
        "request_max_retry_delay makes no",
    ),
    "a timeout that is a word": (
        {"RUNTIME__REQUEST_TIMEOUT": "soon"},
        "request_timeout cannot be read as float",
    ),
    "certificates that are not there": (
        {"CLOUDFLARE_BASE_URL": "https://127.0.0.1:9", "REQUESTS_CA_BUNDLE": "/nowhere.pem"},
        "The certificates in /nowhere.pem cannot be read: No such file",
    ),
    "certificates that are none": (
        {"CLOUDFLARE_BASE_URL": "https://127.0.0.1:9", "REQUESTS_CA_BUNDLE": os.devnull},
        "cannot be read: it holds none",
    ),
    "no account between commas": ({"CLOUDFLARE_ACCOUNT_ID": ","}, "is not a Cloudflare account ID"),
    "an account too few": ({"CLOUDFLARE_ACCOUNT_ID": f"{'0' * 32},,{'1' * 32}"}, "Account 2 of 3"),
    "a number for an account": ({"SOURCES__CF_INVOICE_SOURCE__ACCOUNT_ID": "7"}, "Account 1 of 1"),
    "credentials of PostgreSQL": (
        {"DESTINATION__CREDENTIALS": "postgresql://u:pw@h/finance"},
        "--destination",
    ),
    "credentials of MySQL": (
        {"DESTINATION__DUCKDB__CREDENTIALS": "mysql+pymysql://u:pw@h/f"},
        "--destination",
    ),
    "a host": (
        {
            "DESTINATION__DUCKDB__CREDENTIALS__HOST": "h",
            "DESTINATION__DUCKDB__CREDENTIALS__DATABASE": "finance",
        },
        "--destination",
    ),
}


@pytest.mark.parametrize(("environment", "words"), ODD.values(), ids=ODD)
def test_an_odd_setting_is_told_and_nothing_is_asked_or_made(
    simulator: Simulator, command: Command, tmp_path: Path, environment: Mapping[str, str], words: str
) -> None:
    before = tree(tmp_path)

    ended = command("load", env=environment)

    assert ended.exit_code == 1
    assert words in ended.stderr
    assert len(ended.stderr.splitlines()) == 2
    assert "pw" not in ended.output
    assert simulator.requests == []
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", ["credentials of PostgreSQL", "a host"])
@pytest.mark.parametrize("asked", ["status", "report", "check"])
def test_credentials_of_another_database_are_refused_by_all_commands(
    simulator: Simulator, command: Command, place: Path, asked: str, name: str
) -> None:
    ended = command(asked, env=ODD[name][0])

    assert ended.exit_code == 1
    assert "--destination postgres" in " ".join(ended.output.split())
    assert tree(place) == {}


def test_credentials_of_another_database_are_refused_in_python_too(
    load: Load, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", "postgresql://u:pw@h/finance")

    with pytest.raises(SettingsError, match="those of another database"):
        load()

    assert tree(place) == {}


@pytest.mark.parametrize("asked", ["load", "check", "status", "report"])
@pytest.mark.parametrize("option", ["--dataset", "--destination", "--pipeline-name", "--account"])
@pytest.mark.parametrize("given", ["", "  "])
def test_an_empty_option_is_bad_usage(
    simulator: Simulator, command: Command, place: Path, asked: str, option: str, given: str
) -> None:
    ended = command(asked, option, given)

    assert ended.exit_code == 2
    assert f"Invalid value for '{option}': it is empty" in ended.stderr
    assert simulator.requests == []
    assert tree(place) == {}


@pytest.mark.parametrize("given", ["", "nan", "-1", "soon"])
@pytest.mark.parametrize(("asked", "option"), [("load", "--wait"), ("status", "--max-age")])
def test_a_time_that_is_none_is_bad_usage(
    command: Command, place: Path, asked: str, option: str, given: str
) -> None:
    ended = command(asked, f"{option}={given}")

    assert ended.exit_code == 2
    assert f"Invalid value for '{option}'" in ended.stderr
    assert tree(place) == {}


@pytest.mark.parametrize("text", ["{0},", "{0},\n", " {0} , ", '["{0}"]'])
def test_a_comma_at_the_end_is_no_error(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command, text: str
) -> None:
    ended = command("check", env={"CLOUDFLARE_ACCOUNT_ID": text.format(account.id)})

    assert "1, named by the settings" in ended.stdout
    assert ended.exit_code == 0, ended.output


BROKEN = {
    "a byte order mark": (BOM + '[runtime]\nlog_level = "WARNING"\n', "begins with a byte order mark"),
    "half a header": ("[runtime\n", "at line 1"),
    "a name twice": ("a = 1\na = 2\n", 'Key "a" already exists'),
    "not TOML at all": ("{}", "at line 1"),
    "a timeout that is a word": (
        '[runtime]\nrequest_timeout = "soon"\n',
        "request_timeout cannot be read as float",
    ),
}


@pytest.mark.quick("a byte order mark-config.toml", "half a header-secrets.toml")
@pytest.mark.parametrize("file", ["config.toml", "secrets.toml"])
@pytest.mark.parametrize(("text", "words"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_of_settings_is_named(
    simulator: Simulator, place: Path, file: str, text: str, words: str
) -> None:
    (place / ".dlt").mkdir()
    (place / ".dlt" / file).write_text(text)

    ended = run_python("-m", "cf_invoice_source", "load")  # dlt reads its files once in each process

    assert ended.exit_code == 1
    assert words in ended.stderr
    assert f".dlt/{file}" in ended.stderr
    assert len(ended.stderr.splitlines()) == 2
    assert simulator.requests == []


# What cannot begin


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        ((), {"CLOUDFLARE_API_TOKEN": ""}),
        (("--destination", "postgres"), {}),
        (("--account", "nonsense"), {}),
        ((), {"SOURCES__CF_INVOICE_SOURCE__TYPE": "nonsense"}),
        ((), {"LOAD__RAISE_ON_FAILED_JOBS": "false"}),
    ],
    ids=["no credentials", "no destination", "a bad account", "a bad setting", "a bad setting of dlt's"],
)
def test_a_command_that_cannot_begin_leaves_nothing_behind(
    simulator: Simulator,
    command: Command,
    tmp_path: Path,
    arguments: tuple[str, ...],
    environment: Mapping[str, str],
) -> None:
    before = tree(tmp_path)

    ended = command("load", *arguments, env=environment)

    assert ended.exit_code == 1
    assert tree(tmp_path) == before
    assert simulator.requests == []


def test_python_that_cannot_begin_makes_no_database(
    load: Load, warehouse: Warehouse, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN")
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(warehouse.path.with_name("other.duckdb")))

    with pytest.raises(SettingsError, match="no Cloudflare credentials"):
        load()

    assert not warehouse.path.with_name("other.duckdb").exists()
    assert not warehouse.path.with_name("other.duckdb.lock").exists()


@pytest.mark.slow
def test_the_database_of_a_script_is_where_it_runs_though_a_command_failed_elsewhere(
    simulator: Simulator, account: Account, command: Command, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dlt

    from cf_invoice_source import load

    elsewhere = place.with_name("elsewhere")
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert command("load", env={"CLOUDFLARE_API_TOKEN": ""}).exit_code == 1
    monkeypatch.chdir(place)

    load(dlt.pipeline("cloudflare_invoices", destination="duckdb", dataset_name="cf_invoices"))

    assert tree(elsewhere) == {}
    assert "cloudflare_invoices.duckdb" in tree(place)
    assert command("status").exit_code == 0


@pytest.mark.slow
def test_a_command_that_could_not_begin_costs_the_next_load_nothing(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command
) -> None:
    account.records += make_invoices(120)
    assert command("load").exit_code == 0
    assert command("load", "--destination", "postgres").exit_code == 1
    simulator.requests.clear()

    ended = command("load")

    assert ended.exit_code == 0
    assert [sent.page for sent in simulator.requests] == [1]
