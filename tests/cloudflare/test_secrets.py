"""No credential anywhere it does not belong, whatever happens; and no setting's value in a message."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import duckdb
import pytest

from cf_invoice_source import InvoiceSourceError, SettingsError, cf_invoice_source
from cf_invoice_source.simulator import Account, Simulator
from cf_invoice_source.simulator.faults import failed_envelope, html, redirect, reset_in_body, status
from tests.conftest import Command, Ended, Extract, Load, Warehouse, run_warm
from tests.support.make import make_invoices

TOKEN = "t0k3n-of-the-tests-that-opens-nothing-els"
EMAIL = "who.signs.in@example.com"
KEY = "0e7a1b2c3d4e5f60718293a4b5c6d7e8f9012"
SECRETS = {"token": [TOKEN], "key": [EMAIL, KEY]}
PDF = "pay.stripe.com"


@pytest.fixture(params=SECRETS)
def secrets(
    request: pytest.FixtureRequest, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """What must not be seen, for each of the two ways to sign in; the environment signs in with it."""
    simulator.token, simulator.email, simulator.api_key = TOKEN, EMAIL, KEY
    if request.param == "token":
        monkeypatch.setenv("CLOUDFLARE_API_TOKEN", TOKEN)
    else:
        monkeypatch.delenv("CLOUDFLARE_API_TOKEN")
        monkeypatch.setenv("CLOUDFLARE_EMAIL", EMAIL)
        monkeypatch.setenv("CLOUDFLARE_API_KEY", KEY)
    return SECRETS[request.param]


# A whole run, as loud as it can be

LOUD = {"RUNTIME__LOG_LEVEL": "DEBUG"}

FAIL_IN = """
import os, sys
from unittest.mock import patch
from cf_invoice_source.cli.main import main
from dlt.destinations.impl.duckdb.duck import DuckDbCopyJob
from dlt.destinations.exceptions import DatabaseTerminalException
from dlt.normalize import Normalize

def fail(*_arguments, **_more):
    raise DatabaseTerminalException(RuntimeError("made to fail"))  # which dlt does not try again

def crash(*_arguments, **_more):
    os._exit(9)

sys.argv = ["cf-invoices", "load", "--debug"]
where = {
    "normalize": (Normalize, "run", fail),
    "load": (DuckDbCopyJob, "run", fail),
    "a crash in mid-load": (DuckDbCopyJob, "run", crash),
}[%r]
with patch.object(where[0], where[1], where[2]):
    main()
"""


def refuse_and_repeat(simulator: Simulator) -> None:
    """Some servers repeat what they were sent."""
    simulator.faults.append(failed_envelope(9103, f"Unknown {TOKEN} or {KEY} of {EMAIL}", status=403))


RUNS: dict[str, tuple[Callable[[Simulator], object], str, int]] = {
    "a success": (lambda _simulator: None, "", 0),
    "refused": (refuse_and_repeat, "", 1),
    "a web page": (lambda simulator: simulator.faults.append(html()), "", 1),
    "redirected": (lambda simulator: simulator.faults.append(redirect("https://example.com/")), "", 1),
    "cut off": (lambda simulator: simulator.faults.append(reset_in_body()), "", 1),
    "a failure in normalize": (lambda _simulator: None, "normalize", 1),
    "a failure in load": (lambda _simulator: None, "load", 1),
    "a crash in mid-load": (lambda _simulator: None, "a crash in mid-load", 9),
}


@pytest.mark.quick("key-refused")
@pytest.mark.parametrize(("prepare", "stage", "exit_code"), RUNS.values(), ids=RUNS)
def test_the_loudest_run_leaves_no_secret_in_any_output_file_or_table(
    simulator: Simulator,
    account: Account,
    warehouse: Warehouse,
    tmp_path: Path,
    secrets: list[str],
    prepare: Callable[[Simulator], object],
    stage: str,
    exit_code: int,
) -> None:
    account.records += make_invoices(60)
    prepare(simulator)

    program = ["-c", FAIL_IN % stage] if stage else ["-m", "cf_invoice_source", "load", "--debug"]
    ended = run_warm(*program, env=LOUD)

    assert ended.exit_code == exit_code
    assert "DEBUG" in ended.output
    assert simulator.requests
    assert found_in(ended, tmp_path, warehouse, secrets) == []
    assert PDF not in ended.output


def found_in(ended: Ended, folder: Path, warehouse: Warehouse, secrets: list[str]) -> list[str]:
    """Every place where a secret is: the two streams, all files, all tables and the catalog."""
    places = {"stdout": ended.stdout.encode(), "stderr": ended.stderr.encode()}
    places |= {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    places |= {f"table {name}": text.encode() for name, text in tables_of(warehouse)}
    return [
        place for place, content in places.items() if any(secret.encode() in content for secret in secrets)
    ]


def tables_of(warehouse: Warehouse) -> Iterator[tuple[str, str]]:
    """Each table of the database as text: in the file itself it may be compressed."""
    if not warehouse.path.exists():
        return
    with duckdb.connect(str(warehouse.path), read_only=True) as connection:
        tables = connection.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
        yield "catalog", str(connection.execute("SELECT sql FROM duckdb_tables()").fetchall())
        for schema, table in tables:
            yield table, str(connection.execute(f'SELECT * FROM "{schema}"."{table}"').fetchall())  # noqa: S608


# In the process


@pytest.mark.quick("token-True")
@pytest.mark.parametrize("is_refused", [False, True])
def test_trace_state_source_and_errors_hold_no_secret(
    load: Load,
    simulator: Simulator,
    account: Account,
    secrets: list[str],
    *,
    is_refused: bool,
) -> None:
    import dlt

    account.records += make_invoices(3)
    told = repr(cf_invoice_source()) + str(cf_invoice_source())
    if is_refused:
        refuse_and_repeat(simulator)
        with pytest.raises(InvoiceSourceError) as caught:
            load()
        told += all_of(caught.value)
    else:
        told += repr(load())

    pipeline = dlt.pipeline("cloudflare_invoices")
    trace = pipeline.last_trace
    assert trace is not None
    told += str(trace) + json.dumps(trace.asdict(), default=str) + trace.asstr(verbosity=2)
    told += json.dumps(pipeline.state, default=str)

    assert [secret for secret in secrets if secret in told] == []


def all_of(error: BaseException) -> str:
    """All that can be read of an error, and of what lies below it: text, attributes, traceback."""
    told = "".join(traceback.format_exception(error))
    below: BaseException | None = error
    seen: list[BaseException] = []
    while below and below not in seen:
        seen.append(below)
        told += f"{below} {below!r} {below.args} {vars(below)}"
        below = below.__cause__ or below.__context__
    return told


# Settings

VALUE = "s3cr3t-value"

WRONG: dict[str, tuple[Mapping[str, str], str]] = {
    "a token for an account": ({"CLOUDFLARE_ACCOUNT_ID": VALUE}, "12 characters"),
    "a token among accounts": ({"CLOUDFLARE_ACCOUNT_ID": f"{'0' * 32},{VALUE}"}, "Account 2 of 2"),
    "a type": ({"SOURCES__CF_INVOICE_SOURCE__TYPE": VALUE}, "'all', 'auto', 'manual'"),
    "a flag": ({"SOURCES__CF_INVOICE_SOURCE__FULL": VALUE}, "The setting full cannot be read as bool"),
    "a number": (
        {"SOURCES__CF_INVOICE_SOURCE__FULL_SYNC_EVERY_DAYS": VALUE},
        "The setting full_sync_every_days cannot be read as float",
    ),
    "not a number": ({"SOURCES__CF_INVOICE_SOURCE__FULL_SYNC_EVERY_DAYS": "nan"}, "from 0 to 36,500"),
    "a base URL": ({"CLOUDFLARE_BASE_URL": f"https://{VALUE}@example.com"}, "must be an https:// address"),
    "a timeout of dlt's": ({"RUNTIME__REQUEST_TIMEOUT": VALUE}, "request_timeout cannot be read as float"),
    "a token with a space": ({"CLOUDFLARE_API_TOKEN": f"{VALUE} {VALUE}"}, "has a space or a line end"),
    "a token that is not ASCII": ({"CLOUDFLARE_API_TOKEN": f"{VALUE}é"}, "cannot be sent"),
    "a connection string": (
        {"DESTINATION": "postgres", "DESTINATION__POSTGRES__CREDENTIALS": f"{VALUE}:not a url"},
        "`PostgresCredentials` cannot parse",
    ),
    "a password in a connection string": (
        {"DESTINATION": "postgres", "DESTINATION__POSTGRES__CREDENTIALS": f"postgresql://u:{VALUE}@h:port/d"},
        "`PostgresCredentials` cannot parse",
    ),
    "a port": (
        {
            "DESTINATION": "postgres",
            **{
                f"DESTINATION__POSTGRES__CREDENTIALS__{name}": VALUE
                for name in ("HOST", "PORT", "DATABASE", "USERNAME", "PASSWORD")
            },
        },
        "The setting port cannot be read as int",
    ),
}


@pytest.mark.quick("a token for an account", "a number", "a base URL", "a password in a connection string")
@pytest.mark.parametrize(("environment", "words"), WRONG.values(), ids=WRONG)
def test_a_setting_that_is_wrong_is_named_and_its_value_not_shown(
    simulator: Simulator,
    warehouse: Warehouse,
    command: Command,
    environment: Mapping[str, str],
    words: str,
) -> None:
    destination = environment.get("DESTINATION", "duckdb")
    settings = {name: value for name, value in environment.items() if name != "DESTINATION"}

    ended = command("load", "--debug", "--json", "--destination", destination, env=settings)

    document = json.loads(ended.stdout)
    assert ended.exit_code == 1
    assert words in document["error"]["cause"] + document["error"]["remedy"]
    assert document["error"]["type"] == "SettingsError"
    assert VALUE not in ended.output
    assert simulator.requests == []


@pytest.mark.parametrize("name", ["FULL", "FULL_SYNC_EVERY_DAYS", "TYPE"])
def test_an_error_about_a_setting_does_not_hold_its_value_below(
    load: Load, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"SOURCES__CF_INVOICE_SOURCE__{name}", VALUE)

    with pytest.raises(SettingsError) as caught:
        load()

    assert VALUE not in all_of(caught.value)


# Where requests go

AWAY = {
    "another host": "http://127.0.0.2:{port}/client/v4",
    "another port": "http://127.0.0.1:9/client/v4",
    "another scheme": "https://127.0.0.1:{port}/client/v4",
    "no scheme": "//example.com/client/v4",
    "a user": "http://127.0.0.1@example.com/",
    "a backslash": "/\\example.com/",
}


@pytest.mark.quick("another host-302", "another port-307")
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("away", AWAY.values(), ids=AWAY)
def test_no_redirect_is_followed_with_a_credential(
    extract: Extract, simulator: Simulator, code: int, away: str
) -> None:
    port = simulator.base_url.split(":")[2].split("/")[0]
    simulator.faults.append(status(code, b"", {"location": away.format(port=port)}))

    with pytest.raises(Exception, match="redirects"):
        extract()

    assert len(simulator.requests) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "proxy",
    [
        f"http://user:{VALUE}@127.0.0.1:9",
        f"http://user:{VALUE}@127.0.0.1:port",
        f"http://user:{VALUE}@[::1",
        f"socks5://user:{VALUE}@127.0.0.1:9",
        f"nonsense://user:{VALUE}@127.0.0.1:9",
    ],
)
def test_the_user_of_a_proxy_is_not_shown(
    simulator: Simulator, warehouse: Warehouse, command: Command, tmp_path: Path, proxy: str
) -> None:
    env = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), proxy) | {"NO_PROXY": "", "no_proxy": ""}

    ended = command(
        "load", "--debug", env={**env, "CLOUDFLARE_BASE_URL": "https://api.example.com/client/v4"}
    )

    assert ended.exit_code == 1
    assert "could not be reached" in ended.stderr
    assert VALUE not in ended.output
    assert found_in(ended, tmp_path, warehouse, [VALUE]) == []
    assert simulator.requests == []
