"""`cf-invoices check`: a tick or a cross for everything that a load needs, and nothing left behind."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from cf_invoice_source.simulator import Account, Fault, Request, Simulator, World
from cf_invoice_source.simulator.answers import Answer, failure
from cf_invoice_source.simulator.faults import Answering, html, status
from tests.conftest import Command, Ended, Warehouse, tree
from tests.support.breaks import Break, denied, fault, setting, wrong_token
from tests.support.make import make_invoice, make_invoices
from tests.support.postgres import Database

SECRET = "simulator-token"
"""How the token of the simulator begins."""

ENVIRONMENT = "an API token, from CLOUDFLARE_API_TOKEN"


def rows(ended: Ended) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ended.stdout)["rows"]
    return found


def states(ended: Ended) -> dict[str, str]:
    """What became of each thing that was looked at, the last account standing for all."""
    return {row["what"]: row["state"] for row in rows(ended)}


def said(ended: Ended, what: str) -> str:
    """What was said of it, and what to do."""
    [row] = [row for row in rows(ended) if row["what"] == what]
    return f"{row['said']} {row['remedy']}"


def row(what: str, words: str, account_id: str = "") -> dict[str, str]:
    return {
        "what": what,
        "state": "passed",
        "said": words,
        "remedy": "",
        "request": "",
        "cf_ray": "",
        "account_id": account_id,
    }


DISCOVERED: Mapping[str, str | None] = {"CLOUDFLARE_ACCOUNT_ID": None}
"""An environment that names no account."""

ALL = ("credentials", "settings", "token", "accounts", "account", "destination")


# All is well


def test_the_document_says_what_was_found_value_for_value(
    simulator: Simulator, world: World, account: Account, warehouse: Warehouse, command: Command
) -> None:
    account.records += make_invoices(1_234)
    other = world.add_account("Other")

    ended = command("check", "--json", env={"CLOUDFLARE_ACCOUNT_ID": f"{account.id},{other.id}"})

    assert ended.exit_code == 0
    assert ended.stderr == ""
    assert json.loads(ended.stdout) == {
        "passed": True,
        "rows": [
            row("credentials", ENVIRONMENT),
            row("settings", "type all, a full walk every 7 days"),
            row("token", "active"),
            row("accounts", "2, named by the settings"),
            row("account", "1,234 invoices can be read", account.id),
            row("account", "0 invoices can be read", other.id),
            row(
                "destination",
                f"can be written: a file can be made in {warehouse.path}, dataset cf_invoices",
            ),
        ],
        "error": None,
    }


@pytest.mark.slow
def test_the_screen_has_a_tick_for_each(
    simulator: Simulator, account: Account, warehouse: Warehouse, process: Command
) -> None:
    ended = process("check", env={"COLUMNS": "200"})

    assert ended.exit_code == 0
    assert ended.stderr == ""
    assert [line.split()[:2] for line in ended.stdout.splitlines()] == [["✓", what] for what in ALL]


def test_accounts_are_those_of_the_option_of_the_settings_or_all_there_are(
    simulator: Simulator, world: World, account: Account, warehouse: Warehouse, command: Command
) -> None:
    other = world.add_account("Other")

    by_option = command("check", "--json", "--account", other.id)
    by_settings = command("check", "--json")
    discovered = command("check", "--json", env=DISCOVERED)

    def looked_at(ended: Ended) -> list[str]:
        return [row["account_id"] for row in rows(ended) if row["what"] == "account"]

    assert looked_at(by_option) == [other.id]
    assert looked_at(by_settings) == [account.id]
    assert looked_at(discovered) == [account.id, other.id]
    assert said(by_option, "accounts") == "1, named by --account "
    assert said(discovered, "accounts") == "2, all that the credentials can see "


def test_one_page_of_each_account_is_asked_for(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command
) -> None:
    account.records += make_invoices(120)

    command("check")

    paths = [request.path.removeprefix("/client/v4") for request in simulator.requests]
    assert paths == ["/user/tokens/verify", f"/accounts/{account.id}/ai-gateway/billing/invoice-history"]


# Where the credentials come from

SECTION = "SOURCES__CF_INVOICE_SOURCE"

SOURCES: dict[str, tuple[dict[str, str], str]] = {
    "dlt's name": (
        {f"{SECTION}__CREDENTIALS__API_TOKEN": SECRET},
        f"an API token, from {SECTION}__CREDENTIALS__API_TOKEN",
    ),
    "dlt's short name": ({f"{SECTION}__API_TOKEN": SECRET}, f"an API token, from {SECTION}__API_TOKEN"),
    "dlt's name for all": ({f"{SECTION}__CREDENTIALS": SECRET}, f"an API token, from {SECTION}__CREDENTIALS"),
    "the pipeline's name": (
        {f"CLOUDFLARE_INVOICES__{SECTION}__CREDENTIALS__API_TOKEN": SECRET},
        f"an API token, from CLOUDFLARE_INVOICES__{SECTION}__CREDENTIALS__API_TOKEN",
    ),
    "a pair": (
        {"CLOUDFLARE_EMAIL": "ada@example.com", "CLOUDFLARE_API_KEY": SECRET},
        "an e-mail with a global API key, from CLOUDFLARE_EMAIL and CLOUDFLARE_API_KEY",
    ),
    "a pair under dlt's name": (
        {f"{SECTION}__CREDENTIALS__EMAIL": "ada@example.com", f"{SECTION}__CREDENTIALS__API_KEY": SECRET},
        (
            "an e-mail with a global API key, "
            f"from {SECTION}__CREDENTIALS__EMAIL and {SECTION}__CREDENTIALS__API_KEY"
        ),
    ),
}


@pytest.mark.parametrize(("environment", "words"), SOURCES.values(), ids=SOURCES)
def test_the_setting_that_holds_the_credentials_is_named_and_its_value_is_not(
    simulator: Simulator,
    account: Account,
    warehouse: Warehouse,
    command: Command,
    environment: dict[str, str],
    words: str,
) -> None:
    ended = command("check", "--json", "--debug", env={"CLOUDFLARE_API_TOKEN": "", **environment})

    assert said(ended, "credentials") == f"{words} "
    assert SECRET not in ended.output


@pytest.mark.quick("sources.cf_invoice_source.credentials")
@pytest.mark.parametrize("section", ["sources.cf_invoice_source", "sources.cf_invoice_source.credentials"])
def test_the_file_that_holds_the_credentials_is_named(
    simulator: Simulator, account: Account, warehouse: Warehouse, place: Path, process: Command, section: str
) -> None:
    (place / ".dlt").mkdir()
    (place / ".dlt" / "secrets.toml").write_text(f'[{section}]\napi_token = "{simulator.token}"\n')

    ended = process("check", "--json", env={"CLOUDFLARE_API_TOKEN": ""})

    assert ended.exit_code == 0
    assert said(ended, "credentials") == f"an API token, from api_token under [{section}] in secrets.toml "
    assert SECRET not in ended.output


# Tokens


def test_a_global_key_cannot_be_verified_and_the_rest_is_looked_at(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command
) -> None:
    pair = {"CLOUDFLARE_EMAIL": simulator.email, "CLOUDFLARE_API_KEY": simulator.api_key}

    ended = command("check", "--json", env={"CLOUDFLARE_API_TOKEN": "", **pair})

    assert ended.exit_code == 0
    assert states(ended) == dict.fromkeys(ALL, "passed") | {"token": "skipped"}
    assert "not a global API key" in said(ended, "token")


@pytest.mark.parametrize("accounts", ["named", "discovered"])
def test_a_token_that_belongs_to_an_account_is_verified_there(
    simulator: Simulator,
    world: World,
    account: Account,
    warehouse: Warehouse,
    command: Command,
    accounts: str,
) -> None:
    other = world.add_account("Owner")
    simulator.token_owner = other.id
    named = f"{account.id},{other.id}" if accounts == "named" else None

    ended = command("check", "--json", env={"CLOUDFLARE_ACCOUNT_ID": named})

    assert ended.exit_code == 0
    assert states(ended) == dict.fromkeys(ALL, "passed")


def test_a_token_of_an_account_that_nobody_names_is_not_called_wrong(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command
) -> None:
    """Only that account knows the token, and it may not list accounts."""
    said_by_cloudflare = "List accounts endpoint does not support account owned tokens."

    def refuse_the_list(request: Request, answering: Answering) -> Answer | None:
        is_list = request.path.endswith("/accounts")
        return failure(400, 1001, said_by_cloudflare) if is_list else answering(request)

    simulator.token_owner = account.id
    simulator.faults.append(Fault(refuse_the_list))

    unnamed, loaded = command("check", "--json", env=DISCOVERED), command("load", "--json", env=DISCOVERED)
    named = command("check", "--json")

    assert named.exit_code == 0
    assert said(unnamed, "token").startswith("Cloudflare knows no such user token: Invalid API Token")
    assert "if the token belongs to an account, name the account: --account ID" in said(unnamed, "token")
    error = json.loads(loaded.stdout)["error"]
    assert said_by_cloudflare.rstrip(".") in error["cause"]
    assert error["remedy"].startswith("name the account: --account ID")


@pytest.mark.parametrize("token_status", ["expired", "disabled"])
def test_a_token_that_is_not_active_is_a_cross(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command, token_status: str
) -> None:
    simulator.token_status = token_status

    ended = command("check", "--json")

    assert ended.exit_code == 1
    assert f"it is {token_status}. renew it at https://dash.cloudflare.com" in said(ended, "token")


# Crosses, each provoked

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


def half_a_pair(simulator: Simulator, _account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN")
    monkeypatch.setenv("CLOUDFLARE_EMAIL", simulator.email)


NO_CREDENTIALS = {"credentials": FAILED, "token": SKIPPED, "account": SKIPPED}
NO_TOKEN = {"token": FAILED, "account": SKIPPED}

CROSSES: dict[str, tuple[Break, dict[str, str], str, str]] = {
    "no token": (
        setting("CLOUDFLARE_API_TOKEN", ""),
        NO_CREDENTIALS,
        "no Cloudflare credentials",
        "CLOUDFLARE_API_TOKEN",
    ),
    "half a pair": (half_a_pair, NO_CREDENTIALS, "no API key to go with it", "CLOUDFLARE_API_KEY"),
    "token with a space": (
        setting("CLOUDFLARE_API_TOKEN", f"{SECRET} x"),
        NO_CREDENTIALS,
        "has a space",
        "copy it again",
    ),
    "wrong token": (wrong_token, NO_TOKEN, "Invalid API Token", "complete, active and not expired"),
    "unreachable": (
        setting("CLOUDFLARE_BASE_URL", "https://127.0.0.1:9/client/v4"),
        NO_TOKEN,
        "could not be reached",
        "check the network",
    ),
    "unsafe address": (
        setting("CLOUDFLARE_BASE_URL", "http://example.com/"),
        NO_TOKEN,
        "must be an https:// address",
        "CLOUDFLARE_BASE_URL",
    ),
    "the edge is down": (fault(status(503)), NO_TOKEN, "HTTP 503", "run again in a few minutes"),
    "a gateway answers": (fault(html()), NO_TOKEN, "not JSON", "proxy"),
    "bad account": (
        setting("CLOUDFLARE_ACCOUNT_ID", f"{SECRET}-1"),
        {"accounts": FAILED, "account": SKIPPED},
        "not a Cloudflare account ID",
        "32 hexadecimal characters",
    ),
    "unknown account": (
        setting("CLOUDFLARE_ACCOUNT_ID", "0" * 32),
        {"account": FAILED},
        "Could not route",
        "32 hexadecimal characters",
    ),
    "denied account": (denied, {"account": FAILED}, "Authentication error", "AI Gateway Read"),
    "no such type": (
        setting(f"{SECTION}__TYPE", "automatic"),
        {"settings": FAILED},
        "The setting type cannot be read as",
        "in the environment",
    ),
    "a number of days that makes no sense": (
        setting(f"{SECTION}__FULL_SYNC_EVERY_DAYS", "-1"),
        {"settings": FAILED},
        "full_sync_every_days makes no sense",
        "from 0 to",
    ),
    "a contract that makes no sense": (
        setting(f"{SECTION}__SCHEMA_CONTRACT", '{"columns": "thaw"}'),
        {"settings": FAILED},
        "schema_contract makes no sense",
        "discard_value",
    ),
    "a disposition that would spoil the table": (
        setting(f"{SECTION}__WRITE_DISPOSITION", "replace"),
        {"settings": FAILED},
        "loaded with merge, not with replace",
        "invoice_changes",
    ),
    "refused rows to be passed over": (
        setting("LOAD__RAISE_ON_FAILED_JOBS", "false"),
        {"settings": FAILED},
        "pass over rows that the destination refuses",
        "raise_on_failed_jobs",
    ),
    "a format that the destination does not keep": (
        setting(f"{SECTION}__TABLE_FORMAT", "delta"),
        {"destination": FAILED},
        "keeps no tables in the format delta",
        "leave table_format out",
    ),
}
"""What to break; what becomes of it, all else being well; cause and remedy."""


@pytest.mark.quick("no token", "wrong token", "the edge is down", "denied account", "no such type")
@pytest.mark.parametrize(("break_it", "became", "cause", "remedy"), CROSSES.values(), ids=CROSSES)
def test_a_cross_has_its_cause_and_remedy_and_does_not_hide_the_next(
    simulator: Simulator,
    account: Account,
    warehouse: Warehouse,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    break_it: Break,
    became: dict[str, str],
    cause: str,
    remedy: str,
) -> None:
    break_it(simulator, account, monkeypatch)

    ended = command("check", "--json", "--debug")

    [cross] = [row for row in rows(ended) if row["state"] == FAILED]
    assert ended.exit_code == 1
    assert json.loads(ended.stdout)["passed"] is False
    assert states(ended) == dict.fromkeys(ALL, PASSED) | became
    assert cause in cross["said"]
    assert remedy in cross["remedy"]
    assert SECRET not in ended.output


def test_a_wrong_token_leaves_nothing_to_discover(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command
) -> None:
    simulator.token = "simulator-token-that-was-rolled"

    ended = command("check", "--json", env=DISCOVERED)

    assert states(ended) == {
        "credentials": PASSED,
        "settings": PASSED,
        "token": FAILED,
        "accounts": SKIPPED,
        "account": SKIPPED,
        "destination": PASSED,
    }
    assert said(ended, "accounts") == "needs token "


def test_one_account_that_is_refused_does_not_hide_the_others(
    simulator: Simulator, world: World, account: Account, warehouse: Warehouse, command: Command
) -> None:
    simulator.denied.add(account.id)
    other = world.add_account("Other")

    ended = command("check", "--json", env=DISCOVERED)

    looked_at = {row["account_id"]: row for row in rows(ended) if row["what"] == "account"}
    assert (looked_at[account.id]["state"], looked_at[other.id]["state"]) == (FAILED, PASSED)
    assert looked_at[account.id]["cf_ray"].endswith("-SIM")
    assert account.id in looked_at[account.id]["request"]


def test_the_screen_shows_the_remedy_beside_the_cross(
    simulator: Simulator, account: Account, warehouse: Warehouse, process: Command
) -> None:
    simulator.denied.add(account.id)

    ended = process("check", env={"COLUMNS": "200"})

    lines = ended.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("✗"))
    assert ended.exit_code == 1
    assert lines[at].split()[:3] == ["✗", "account", f"{account.id}:"]
    assert [line.split(":")[0].strip() for line in lines[at + 1 : at + 4]] == [
        "What to do",
        "Request",
        "cf-ray",
    ]


# Settings


def test_the_accounts_are_asked_for_the_type_that_would_be_loaded(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command
) -> None:
    account.records += [make_invoice(id=f"in_{n}", invoice_origin="auto_topup") for n in range(3)]
    account.records += [make_invoice(id="in_9", invoice_origin="manual_topup")]

    ended = command("check", "--json", env={f"{SECTION}__TYPE": "manual"})

    assert said(ended, "settings") == "type manual, a full walk every 7 days "
    assert said(ended, "account") == "1 invoices can be read "


@pytest.mark.parametrize(
    ("name", "value", "cause"),
    [
        ("TYPE", "auto", "The dataset holds invoices of type all, not auto"),
    ],
)
def test_a_dataset_that_does_not_go_with_the_settings_is_a_cross(
    simulator: Simulator,
    account: Account,
    warehouse: Warehouse,
    command: Command,
    name: str,
    value: str,
    cause: str,
) -> None:
    account.records += make_invoices(1)
    command("load")

    fine = command("check", "--json")
    ended = command("check", "--json", env={f"{SECTION}__{name}": value})

    assert fine.exit_code == 0
    assert states(ended) == dict.fromkeys(ALL, PASSED) | {"destination": FAILED}
    assert cause in said(ended, "destination")


# The destination


def tables(warehouse: Warehouse) -> list[tuple[str, str]]:
    return warehouse.query(
        "SELECT table_schema, table_name FROM information_schema.tables ORDER BY table_schema, table_name"
    )


def test_where_nothing_is_yet_nothing_is_made(
    simulator: Simulator, account: Account, warehouse: Warehouse, process: Command, tmp_path: Path
) -> None:
    before = tree(tmp_path)

    ended = process("check", "--json")

    assert states(ended)["destination"] == PASSED
    assert tree(tmp_path) == before


@pytest.mark.slow
def test_a_dataset_that_is_loaded_stays_as_it_is_to_the_byte(
    simulator: Simulator, account: Account, warehouse: Warehouse, process: Command, tmp_path: Path
) -> None:
    account.records += make_invoices(3)
    process("load")
    before = tree(tmp_path)

    ended = process("check", "--json")

    assert "a table was made and dropped" in said(ended, "destination")
    assert tree(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize("there", ["no dataset", "an empty dataset", "a table of the user's"])
def test_a_database_of_others_stays_as_it_is(
    simulator: Simulator, account: Account, warehouse: Warehouse, process: Command, tmp_path: Path, there: str
) -> None:
    warehouse.query("CREATE TABLE main.mine (a INTEGER)")
    if there != "no dataset":
        warehouse.query("CREATE SCHEMA cf_invoices")
    if there == "a table of the user's":
        warehouse.query("CREATE TABLE cf_invoices.mine AS SELECT 1 AS a")
    before, tables_before = tree(tmp_path), tables(warehouse)

    ended = process("check", "--json")

    what = "dataset" if there == "no dataset" else "table"
    assert f"a {what} was made and dropped" in said(ended, "destination")
    assert tables(warehouse) == tables_before
    assert tree(tmp_path) == before


def destination_cross(ended: Ended) -> str:
    """Cause and remedy of the destination's cross, all else being well."""
    assert ended.exit_code == 1
    assert states(ended) == dict.fromkeys(ALL, PASSED) | {"destination": FAILED}
    return said(ended, "destination")


def test_a_database_that_another_process_holds_is_a_cross(
    simulator: Simulator, account: Account, held_elsewhere: None, command: Command
) -> None:
    cross = destination_cross(command("check", "--json"))

    assert "Conflicting lock is held" in cross
    assert "another program has the file open: close it" in cross


@pytest.mark.parametrize("there", ["a database", "nothing"])
def test_a_read_only_database_is_a_cross(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command, tmp_path: Path, there: str
) -> None:
    if there == "a database":
        warehouse.query("SELECT 1")
    before = tree(tmp_path)

    ended = command("check", "--json", env={"DESTINATION__DUCKDB__CREDENTIALS__READ_ONLY": "true"})

    assert "read-only mode" in destination_cross(ended)
    assert tree(tmp_path) == before


def test_a_file_that_is_no_database_is_a_cross_and_stays(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command
) -> None:
    warehouse.path.write_text("no database")

    ended = command("check", "--json")

    assert "not a valid DuckDB database file" in destination_cross(ended)
    assert warehouse.path.read_text() == "no database"


def test_a_directory_that_does_not_exist_is_a_cross_and_is_not_made(
    simulator: Simulator, account: Account, command: Command, tmp_path: Path
) -> None:
    env = {"DESTINATION__DUCKDB__CREDENTIALS": str(tmp_path / "no" / "such.duckdb")}

    ended = command("check", "--json", env=env)

    assert "The directory of the database file" in destination_cross(ended)
    assert not (tmp_path / "no").exists()


def test_a_server_that_is_not_there_is_a_cross_that_does_not_show_the_password(
    simulator: Simulator, account: Account, command: Command
) -> None:
    pytest.importorskip("psycopg2")
    env = {"DESTINATION__POSTGRES__CREDENTIALS": f"postgresql://loader:{SECRET}@127.0.0.1:9/finance"}

    ended = command("check", "--json", "--debug", "--destination", "postgres", env=env)

    assert "Connection refused" in destination_cross(ended)
    assert SECRET not in ended.output


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (["--destination", "nonsense"], "no such destination"),
        (["--destination", "filesystem"], "bucket_url"),
        (["--pipeline-name", "a/b"], "name of the pipeline"),
    ],
    ids=str,
)
def test_a_destination_that_cannot_be_found_is_a_cross_beside_the_ticks(
    simulator: Simulator, account: Account, command: Command, arguments: list[str], cause: str
) -> None:
    assert cause in destination_cross(command("check", "--json", *arguments))


@pytest.mark.quick("the dataset")
@pytest.mark.parametrize("there", ["nothing", "the dataset"])
def test_a_bucket_is_tried_with_a_file_that_goes_again(
    simulator: Simulator,
    account: Account,
    process: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    there: str,
) -> None:
    bucket = tmp_path / "bucket"
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", str(bucket))
    if there == "the dataset":
        (bucket / "cf_invoices").mkdir(parents=True)
        (bucket / "cf_invoices" / "mine").write_text("mine")
    before = tree(tmp_path)

    ended = process("check", "--json", "--destination", "filesystem")

    assert "a file was made and removed" in said(ended, "destination")
    assert tree(tmp_path) == before


def test_a_bucket_that_cannot_be_written_is_a_cross(
    simulator: Simulator, account: Account, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "bucket").write_text("a file")
    env = {"DESTINATION__FILESYSTEM__BUCKET_URL": str(tmp_path / "bucket")}

    ended = command("check", "--json", "--destination", "filesystem", env=env)

    assert "The destination failed" in destination_cross(ended)


@pytest.mark.parametrize("destination", ["dummy", "sqlalchemy"])
def test_a_destination_that_nothing_can_be_tried_in_is_skipped(
    simulator: Simulator, account: Account, command: Command, tmp_path: Path, destination: str
) -> None:
    if destination == "sqlalchemy":
        pytest.importorskip("sqlalchemy")
    env = {"DESTINATION__SQLALCHEMY__CREDENTIALS": f"sqlite:///{tmp_path / 'invoices.db'}"}

    ended = command("check", "--json", "--destination", destination, env=env)

    assert ended.exit_code == 0
    assert not (tmp_path / "invoices.db").exists()
    assert states(ended)["destination"] == SKIPPED
    assert "cannot be tried" in said(ended, "destination")


# A server database, with its rights


TO_POSTGRES = ("--destination", "postgres")


def objects(database: Database) -> list[tuple[Any, ...]]:
    """Every schema and table that is there."""
    tables = "SELECT table_schema, table_name FROM information_schema.tables"
    return database.query(f"{tables} UNION SELECT nspname, '' FROM pg_namespace ORDER BY 1, 2")  # noqa: S608


@pytest.fixture
def loaded(simulator: Simulator, account: Account, database: Database, command: Command) -> Database:
    """A PostgreSQL database after a first load."""
    account.records += make_invoices(3)
    assert command("load", *TO_POSTGRES).exit_code == 0
    return database


def as_role(database: Database, *grants: str) -> dict[str, str]:
    """An environment that signs in to the database as somebody who may do just this."""
    role = f"role_{uuid4().hex}"
    database.query(f"CREATE ROLE {role} LOGIN PASSWORD 'role'")
    for grant in grants:
        database.query(f"GRANT {grant} TO {role}")
    dsn = f"postgresql://{role}:role@127.0.0.1:{database.server.port}/{database.name}"
    return {"DESTINATION__POSTGRES__CREDENTIALS": dsn}


def test_an_empty_database_is_tried_and_left_empty(
    simulator: Simulator, account: Account, database: Database, command: Command
) -> None:
    before = objects(database)

    ended = command("check", "--json", *TO_POSTGRES)

    assert "a dataset was made and dropped" in said(ended, "destination")
    assert objects(database) == before
    assert ended.exit_code == 0


@pytest.mark.slow
def test_a_database_that_was_loaded_is_tried_and_left_as_it_was(loaded: Database, command: Command) -> None:
    before = objects(loaded)

    ended = command("check", "--json", *TO_POSTGRES)

    assert "a table was made and dropped" in said(ended, "destination")
    assert objects(loaded) == before
    assert ended.exit_code == 0


@pytest.mark.slow
def test_somebody_who_may_only_read_gets_a_cross(loaded: Database, command: Command) -> None:
    env = as_role(loaded, "USAGE ON SCHEMA cf_invoices", "SELECT ON ALL TABLES IN SCHEMA cf_invoices")
    before = objects(loaded)

    ended = command("check", "--json", *TO_POSTGRES, env=env)

    assert "permission denied" in destination_cross(ended)
    assert objects(loaded) == before


@pytest.mark.slow
def test_rights_on_the_two_datasets_alone_are_enough(loaded: Database, command: Command) -> None:
    schemas = loaded.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'cf_invoices%'")
    rights = ("ALL ON SCHEMA", "ALL ON ALL TABLES IN SCHEMA")
    env = as_role(loaded, *(f"{right} {name}" for right in rights for (name,) in schemas))

    ended = command("check", "--json", *TO_POSTGRES, env=env)

    assert len(schemas) == 2
    assert ended.exit_code == 0


@pytest.mark.slow
def test_tables_that_may_not_be_read_are_a_cross(loaded: Database, command: Command) -> None:
    schemas = loaded.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'cf_invoices%'")
    env = as_role(loaded, *(f"ALL ON SCHEMA {name}" for (name,) in schemas))

    ended = command("check", "--json", *TO_POSTGRES, env=env)

    assert "permission denied for table" in destination_cross(ended)


@pytest.mark.slow
@pytest.mark.quick("nothing-load")
@pytest.mark.parametrize("command_line", ["check", "load"])
@pytest.mark.parametrize("there", ["nothing", "the dataset", "both, of somebody else"])
def test_a_restricted_role_is_told_the_sql_that_makes_both_schemas(
    simulator: Simulator,
    account: Account,
    database: Database,
    command: Command,
    there: str,
    command_line: str,
) -> None:
    account.records += make_invoices(1)
    env = as_role(database)
    if there == "the dataset":
        [role] = re.findall(r"//(\w+):", env["DESTINATION__POSTGRES__CREDENTIALS"])
        database.query(f"CREATE SCHEMA cf_invoices AUTHORIZATION {role}")
    elif there != "nothing":
        assert command("load", *TO_POSTGRES).exit_code == 0

    ended = command(command_line, "--json", *TO_POSTGRES, env=env)

    assert ended.exit_code == 1
    statements = re.findall(r"(?:CREATE|GRANT) [^;]*;", ended.stdout.replace('\\"', '"'))
    assert statements
    for statement in statements:
        database.query(statement)
    assert command(command_line, "--json", *TO_POSTGRES, env=env).exit_code == 0


@pytest.mark.slow
def test_the_dataset_is_named_as_it_is_in_the_database(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command
) -> None:
    account.records += make_invoices(1)
    env = {"COLUMNS": "500"}
    dataset = ("--dataset", "CF-Invoices")

    said = [command(each, *dataset, env=env).output for each in ("load", "check", "status")]

    assert warehouse.query("SELECT count(*) FROM cf_invoices.invoices") == [(1,)]
    assert all("dataset cf_invoices" in each and "CF-Invoices" not in each for each in said)


@pytest.mark.slow
def test_the_staging_dataset_is_tried_too_where_it_is_missing(loaded: Database, command: Command) -> None:
    env = as_role(loaded, "ALL ON SCHEMA cf_invoices", "ALL ON ALL TABLES IN SCHEMA cf_invoices")
    [(staging,)] = loaded.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'cf_invoices_staging%'")
    loaded.query(f"DROP SCHEMA {staging} CASCADE")

    ended = command("check", "--json", *TO_POSTGRES, env=env)

    assert "permission denied for database" in destination_cross(ended)


@pytest.mark.slow
def test_status_reads_a_server_database_as_somebody_who_may_only_read(
    loaded: Database, command: Command
) -> None:
    env = as_role(loaded, "USAGE ON SCHEMA cf_invoices", "SELECT ON ALL TABLES IN SCHEMA cf_invoices")

    ended = command("status", "--json", *TO_POSTGRES, env=env)

    assert ended.exit_code == 0
    assert [each["invoices"] for each in json.loads(ended.stdout)["accounts"]] == [3]
