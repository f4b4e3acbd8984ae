"""The command: exit codes, one screen for each error, one JSON document, quick help, and no secret."""

import json
import re
import resource
from dataclasses import fields
from datetime import datetime, timezone
from decimal import Decimal
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from cf_invoice_source import __version__
from cf_invoice_source.simulator import Account, Fault, Simulator, World
from cf_invoice_source.simulator.faults import (
    cut_body,
    cut_json,
    docs_example,
    drop_connection,
    edit,
    failed_envelope,
    html,
    ignore_page,
    rate_limited,
    redirect,
    status,
)
from tests.conftest import Command, Ended, Warehouse, run_python
from tests.support.breaks import Break, denied, fault, wrong_token
from tests.support.copies import documented
from tests.support.make import expected_row, make_invoice, make_invoices

SECRET = "simulator-token"
"""How the token of the simulator begins."""

SCREEN_LINES = 12


def table_of(screen: str) -> dict[str, dict[str, str]]:
    """The summary of a load: what stands in each column, by account as it is shown."""
    _, header, _, *rows = (re.split(r"\s{2,}", line.strip()) for line in screen.splitlines())
    return {
        row[0]: dict(zip(header, row, strict=True))
        for row in takewhile(lambda row: len(row) == len(header), rows)
    }


# The main job


def test_the_command_fills_the_warehouse_exactly_and_a_second_run_changes_nothing(
    simulator: Simulator, account: Account, warehouse: Warehouse, process: Command
) -> None:
    account.records += make_invoices(118)
    account.records[3] |= {"amount_due": Decimal("19.99"), "description": "🙂", "status": None}
    account.records += [make_invoice(id="last", created=None), make_invoice(id="really last", created=0)]

    first = process("load")
    before = [documented(row) for row in warehouse.rows()]
    second = process("load")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert before == sorted(
        (expected_row(account.id, record) for record in account.records), key=lambda row: row["id"]
    )
    assert [documented(row) for row in warehouse.rows()] == before


def test_a_load_shows_its_accounts_and_where_the_rows_are(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command
) -> None:
    account.records += make_invoices(7)

    ended = command("load")

    assert ended.exit_code == 0
    assert table_of(ended.stdout) == {
        account.id: {
            "account": account.id,
            "invoices": "7",
            "new": "7",
            "updated": "0",
            "requests": "1",
            "verified": "yes",
        }
    }
    assert str(warehouse.path) in ended.stdout.replace("\n", "")
    assert f"Every row was last compared on {datetime.now(timezone.utc):%Y-%m-%d}" in ended.stdout
    assert ended.stderr == ""


@pytest.mark.quick("40")
@pytest.mark.parametrize("columns", [30, 40, 60])
def test_on_a_narrow_screen_accounts_are_shortened_and_the_verdict_stays(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command, columns: int
) -> None:
    account.records += [*make_invoices(7), "garbage"]

    ended = command("load", env={"COLUMNS": str(columns)})

    [(shown, told)] = table_of(ended.stdout).items()
    assert len(shown) >= 8
    assert f"{account.id[: len(shown) - 1]}…" == shown
    assert (told["invoices"], told["verified"]) == ("7", "no" if columns < 40 else "no (1 rejected)")
    assert max(map(len, ended.stdout.splitlines()[:-1])) <= columns


@pytest.mark.slow
def test_the_default_file_lies_in_the_working_directory_under_a_name_that_duckdb_can_tell_apart(
    simulator: Simulator, account: Account, place: Path, command: Command
) -> None:
    account.records += make_invoices(1)

    command("load")

    assert Warehouse(place / "cloudflare_invoices.duckdb").ids() == ["in_1"]


@pytest.mark.slow
def test_accounts_by_option_beat_the_environment(
    simulator: Simulator, world: World, account: Account, warehouse: Warehouse, command: Command
) -> None:
    others = [world.add_account(name, invoices=1) for name in ("Other", "Another")]
    account.records += make_invoices(1)

    command("load", "--account", others[0].id, "--account", others[1].id)

    assert {row["account_id"] for row in warehouse.rows()} == {other.id for other in others}


@pytest.mark.slow
@pytest.mark.parametrize(("option", "ids"), [("auto", ["in_1"]), ("manual", ["in_2"])])
def test_the_type_by_option(
    simulator: Simulator,
    account: Account,
    warehouse: Warehouse,
    command: Command,
    option: str,
    ids: list[str],
) -> None:
    account.records += [
        make_invoice(id="in_2", invoice_origin="manual_topup"),
        make_invoice(id="in_1", invoice_origin="auto_topup"),
    ]

    command("load", "--type", option)

    assert warehouse.ids() == ids


@pytest.mark.slow
def test_the_dataset_by_option(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command
) -> None:
    account.records += make_invoices(1)

    command("load", "--dataset", "finance")

    assert warehouse.query("SELECT id FROM finance.invoices") == [("in_1",)]


@pytest.mark.slow
def test_the_pipeline_name_by_option(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command, tmp_path: Path
) -> None:
    command("load", "--pipeline-name", "my_invoices")

    assert [path.name for path in (tmp_path / "dlt" / "pipelines").iterdir() if path.is_dir()] == [
        "my_invoices"
    ]


# Exit code 3


def test_rejected_records_are_exit_code_3_and_people_and_machines_are_told_where_they_are(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command
) -> None:
    account.records += [make_invoice(id="in_1"), "garbage", make_invoice(id="in_2", currency=None)]

    ended = command("load", "--json")

    document = json.loads(ended.stdout)
    told = table_of(ended.stderr)[account.id]
    assert ended.exit_code == 3
    assert (told["invoices"], told["verified"]) == ("1", "no (2 rejected)")
    assert document["verified"] is False
    assert document["accounts"][0]["problem"] == "2 records rejected: see invoice_rejects"
    assert document["accounts"][0]["remedy"].startswith("SELECT reason, raw FROM invoice_rejects")
    assert ended.stderr.splitlines()[-3:] == [
        f"Account {account.id}: 2 records rejected: see invoice_rejects",
        "Reason: currency is missing; the record is not an object",
        f"What to do: {document['accounts'][0]['remedy']}",
    ]
    assert warehouse.ids() == ["in_1"]


@pytest.mark.slow
def test_a_walk_that_is_not_verified_is_exit_code_3_and_the_screen_says_why(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command
) -> None:
    account.records += make_invoices(60)
    simulator.faults.append(edit(lambda document: document["result"]["pagination"].update(has_more=True)))

    ended = command("load")

    assert ended.exit_code == 3
    assert f"Account {account.id}: not verified: page 3 is empty, but says that more follow" in ended.stderr
    assert "What to do: run cf-invoices load again" in ended.stderr
    assert re.search(rf"^{account.id} .* no *$", ended.stdout, re.MULTILINE)
    assert len(warehouse.ids()) == 60


# Exit code 1: cause, remedy, ray, on one screen


def wrong_key(simulator: Simulator, _account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN")
    monkeypatch.setenv("CLOUDFLARE_EMAIL", simulator.email)
    monkeypatch.setenv("CLOUDFLARE_API_KEY", "simulator-token-no-key")


def unknown_account(_simulator: Simulator, _account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", "0" * 32)


def unreachable(_simulator: Simulator, _account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDFLARE_BASE_URL", "https://127.0.0.1:9/client/v4")


def unsafe_address(_simulator: Simulator, _account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDFLARE_BASE_URL", "http://example.com/client/v4")


def no_account(simulator: Simulator, _account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOUDFLARE_ACCOUNT_ID")
    simulator.world.accounts.clear()


def bad_account(_simulator: Simulator, _account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", "acme/../x")


def token_with_a_space(simulator: Simulator, _account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", f"{simulator.token} ")


ANSWERED: dict[str, tuple[Break, str, str]] = {
    "wrong token": (wrong_token, "Authentication error (code 10000)", "complete, active and not expired"),
    "wrong key": (wrong_key, "Unknown X-Auth-Key or X-Auth-Email", "37 hexadecimal characters"),
    "denied account": (denied, "Authentication error", "AI Gateway Read"),
    "unknown account": (unknown_account, "Could not route", "32 hexadecimal characters"),
    "HTML with 200": (fault(html()), "not JSON (content-type: text/html", "base URL and the proxy"),
    "success false with 200": (fault(failed_envelope(7000, "No luck")), "No luck (code 7000)", "report it"),
    "pagination missing": (
        fault(edit(lambda document: document["result"].pop("pagination"))),
        "result.pagination should be an object",
        "report it",
    ),
    "invoices moved": (
        fault(edit(lambda document: document["result"].update(invoices={"items": []}))),
        "result.invoices should be a list",
        "report it",
    ),
    "503 for ever": (fault(status(503)), "HTTP 503", "run again in a few minutes"),
    "429 for ever": (fault(rate_limited("0")), "throttling", "run again in a few minutes"),
    "cut JSON for ever": (fault(cut_json()), "not JSON", "proxy"),
    "redirect": (
        fault(redirect("https://evil.example.com/")),
        "The server redirects to another address",
        "set base_url",
    ),
}
"""What to break, and the cause and remedy that the screen must name."""

NOT_ANSWERED: dict[str, tuple[Break, str, str]] = {
    "unreachable host": (unreachable, "could not be reached", "check the network"),
    "connections dropped for ever": (fault(drop_connection()), "could not be reached", "check the network"),
    "cut bodies for ever": (fault(cut_body()), "could not be reached", "check the network"),
    "unsafe base URL": (unsafe_address, "must be an https:// address", "CLOUDFLARE_BASE_URL"),
    "no account": (no_account, "no Cloudflare account", "--account ID"),
    "bad account": (bad_account, "not a Cloudflare account ID", "32 hexadecimal characters"),
    "token with a space": (token_with_a_space, "has a space or a line end", "copy it again"),
    "the server ignores page": (fault(ignore_page()), "repeats records of earlier pages", "report it"),
    "the docs' example": (fault(docs_example()), "repeats records of earlier pages", "report it"),
}


@pytest.mark.quick("wrong token", "503 for ever")
@pytest.mark.parametrize(
    ("break_it", "cause", "remedy", "has_ray"),
    [(*case, True) for case in ANSWERED.values()] + [(*case, False) for case in NOT_ANSWERED.values()],
    ids=[*ANSWERED, *NOT_ANSWERED],
)
def test_an_error_is_one_screen_and_one_document_with_cause_remedy_and_ray_and_no_secret(
    simulator: Simulator,
    account: Account,
    warehouse: Warehouse,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    break_it: Break,
    cause: str,
    remedy: str,
    has_ray: bool,
) -> None:
    account.records += make_invoices(120)
    break_it(simulator, account, monkeypatch)

    ended = command("load", "--json")

    document = json.loads(ended.stdout)
    assert ended.exit_code == 1
    assert ended.stderr.startswith("Error: ")
    assert len(ended.stderr.splitlines()) <= SCREEN_LINES
    assert "Traceback" not in ended.stderr
    assert cause in ended.stderr
    assert remedy in ended.stderr.partition("What to do: ")[2]
    assert ("cf-ray: " in ended.stderr) is has_ray
    assert document["verified"] is False
    assert cause in document["error"]["cause"]
    assert remedy in document["error"]["remedy"]
    assert document["error"]["cf_ray"].endswith("-SIM") is has_ray
    assert SECRET not in ended.output
    assert files_with(SECRET, tmp_path) == []
    assert "invoices" not in warehouse.tables() or warehouse.rows() == []


def test_no_credentials_says_where_to_get_a_token_and_that_the_demo_needs_none(command: Command) -> None:
    ended = command("load", env={"CLOUDFLARE_ACCOUNT_ID": "0" * 32})

    assert ended.exit_code == 1
    for words in (
        "CLOUDFLARE_API_TOKEN",
        "AI Gateway Read",
        "https://dash.cloudflare.com/profile/api-tokens",
        "--demo",
    ):
        assert words in ended.stderr


@pytest.mark.quick("*-load", "?'--account'*")
@pytest.mark.parametrize("name", ["load", "status", "report", "check"])
@pytest.mark.parametrize(
    "given",
    [
        ["--destination", "nonsense"],
        ["--destination", "postgresql://loader:nonsense@db.example.com:5432/finance"],
        ["--destination", "../nonsense"],
        ["--destination", "nonsense.nonsense"],
        ["--pipeline-name", "nonsense/nonsense"],
        ["--account", "nonsense nonsense"],
    ],
    ids=str,
)
def test_a_setting_that_makes_no_sense_is_one_screen_that_does_not_repeat_it(
    simulator: Simulator, warehouse: Warehouse, command: Command, name: str, given: list[str]
) -> None:
    """It may hold a password, or be a token that was pasted into the wrong place."""
    ended, debugged = command(name, *given), command(name, "--debug", "--json", *given)

    assert ended.exit_code == 1
    assert "Traceback" not in ended.output
    assert len(ended.stderr.splitlines()) <= SCREEN_LINES
    assert "nonsense" not in ended.output + debugged.output
    assert json.loads(debugged.stdout)


@pytest.mark.parametrize("name", ["load", "status", "report", "check"])
@pytest.mark.parametrize(
    ("setting", "value", "cause"),
    [
        (
            "DESTINATION__DUCKDB__CREDENTIALS__READ_ONLY",
            "nonsense",
            "The setting read_only cannot be read as bool",
        ),
        ("DESTINATION__POSTGRES__CREDENTIALS", "loader:nonsense@db", "cannot parse the configuration value"),
    ],
)
def test_a_setting_of_dlt_that_makes_no_sense_is_not_repeated(
    simulator: Simulator, account: Account, command: Command, name: str, setting: str, value: str, cause: str
) -> None:
    destination = setting.split("__")[1].lower()
    if destination == "postgres":
        pytest.importorskip("psycopg2")

    ended = command(name, "--debug", "--destination", destination, env={setting: value})

    assert ended.exit_code == 1
    assert cause in " ".join(ended.output.split())
    assert "nonsense" not in ended.output


@pytest.mark.quick("load")
@pytest.mark.parametrize("name", ["load", "status", "report", "check"])
def test_a_settings_file_that_cannot_be_read_is_one_screen(place: Path, process: Command, name: str) -> None:
    (place / ".dlt").mkdir()
    (place / ".dlt" / "config.toml").write_text("[runtime\n")

    ended = process(name, "--json")

    assert ended.exit_code == 1
    assert "config.toml" in json.loads(ended.stdout)["error"]["cause"]
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.splitlines()) <= SCREEN_LINES


def test_a_destination_without_its_settings_says_what_is_missing(
    simulator: Simulator, command: Command
) -> None:
    ended = command("load", "--destination", "filesystem")

    assert ended.exit_code == 1
    assert "bucket_url" in ended.stderr
    assert len(ended.stderr.splitlines()) <= SCREEN_LINES


def test_a_log_level_that_does_not_exist_is_told_and_not_repeated(
    simulator: Simulator, process: Command
) -> None:
    ended = process("load", env={"RUNTIME__LOG_LEVEL": "nonsense"})

    assert ended.exit_code == 1
    assert ended.stderr.startswith("Error: The setting log_level")
    assert "nonsense" not in ended.output


def test_a_destination_that_cannot_be_written_says_so(
    simulator: Simulator, account: Account, tmp_path: Path, command: Command
) -> None:
    account.records += make_invoices(1)

    ended = command("load", env={"DESTINATION__DUCKDB__CREDENTIALS": str(tmp_path / "no" / "such.duckdb")})

    assert ended.exit_code == 1
    assert ended.stderr.startswith("Error: The directory of the database file")
    assert not (tmp_path / "no").exists()
    assert len(ended.stderr.splitlines()) <= SCREEN_LINES


@pytest.mark.slow
def test_the_next_healthy_run_after_a_failure_is_exact(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command
) -> None:
    account.records += make_invoices(120)
    simulator.faults.append(status(503).only(pages={2}))
    failed = command("load")
    simulator.faults.clear()

    healthy = command("load")

    assert (failed.exit_code, healthy.exit_code) == (1, 0)
    assert [documented(row) for row in warehouse.rows()] == sorted(
        (expected_row(account.id, record) for record in account.records), key=lambda row: row["id"]
    )


PASSING = {"503": status(503), "cut body": cut_body(), "dropped connection": drop_connection()}


@pytest.mark.slow
@pytest.mark.parametrize("passing", PASSING.values(), ids=PASSING)
def test_what_passes_is_not_noticed(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command, passing: Fault
) -> None:
    account.records += make_invoices(120)
    simulator.faults.append(passing.only(times=2, pages={2}))

    ended = command("load")

    assert ended.exit_code == 0
    assert len(warehouse.ids()) == 120


# No secret anywhere


def files_with(secret: str, folder: Path) -> list[Path]:
    """Files under a folder that hold the secret: working files, logs, the database."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if secret.encode() in path.read_bytes()]


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
@pytest.mark.parametrize("name", ["load", "status", "check"])
def test_a_terminal_that_cannot_show_every_character_gets_its_answer(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command, name: str, encoding: str
) -> None:
    account.records += make_invoices(1)
    simulator.denied.add(account.id)
    if name == "status":
        command("load")

    environment = {"PYTHONIOENCODING": encoding, "COLUMNS": "60"}
    ended = run_python("-m", "cf_invoice_source", name, "--debug", env=environment)

    assert ended.exit_code == 1
    assert "Authentication error" in ended.output
    if name != "load":
        assert ("✗" if encoding == "utf-8" else "x ") in ended.stdout


# JSON


def test_json_is_one_document_on_stdout_with_a_row_for_each_account(
    simulator: Simulator, account: Account, world: World, warehouse: Warehouse, process: Command
) -> None:
    from cf_invoice_source import Outcome

    account.records += make_invoices(3)
    other = world.add_account("Other", invoices=2)

    ended = process("load", "--json", env={"CLOUDFLARE_ACCOUNT_ID": f"{account.id},{other.id}"})

    document = json.loads(ended.stdout)
    assert ended.exit_code == 0
    assert document["verified"] is True
    assert document["error"] is None
    assert [row["account_id"] for row in document["accounts"]] == [account.id, other.id]
    assert document["accounts"][0].keys() == {field.name for field in fields(Outcome)} | {"problem", "remedy"}
    assert account.id in ended.stderr


# Logs for machines, by dlt's own settings

JSON_LOGS = {"RUNTIME__LOG_FORMAT": "JSON", "RUNTIME__LOG_LEVEL": "INFO"}


def logged(ended: Ended) -> list[dict[str, Any]]:
    """Every line on stderr, each a JSON document."""
    return [json.loads(line) for line in ended.stderr.splitlines()]


@pytest.mark.quick("?'--json'?")
@pytest.mark.parametrize("arguments", [[], ["--json"], ["--demo"]], ids=str)
def test_each_line_on_stderr_is_a_json_document_without_a_secret(
    simulator: Simulator, account: Account, warehouse: Warehouse, process: Command, arguments: list[str]
) -> None:
    account.records += make_invoices(2)

    ended = process("load", *arguments, env=JSON_LOGS)

    assert ended.exit_code == 0
    assert {line["level"] for line in logged(ended)} == {"INFO"}
    assert SECRET not in ended.output
    assert "pay.stripe.com" not in ended.output
    if arguments == ["--json"]:
        assert json.loads(ended.stdout)["verified"] is True


@pytest.mark.slow
@pytest.mark.parametrize("level", ["INFO", None])
def test_an_error_is_one_line_of_the_log_with_what_the_screen_would_say(
    simulator: Simulator, account: Account, warehouse: Warehouse, process: Command, level: str | None
) -> None:
    simulator.denied.add(account.id)

    ended = process("load", "--json", env={**JSON_LOGS, "RUNTIME__LOG_LEVEL": level})

    [error] = [line for line in logged(ended) if line["level"] == "CRITICAL"]
    assert ended.exit_code == 1
    told = json.loads(ended.stdout)["error"]
    assert told["type"] == "SettingsError"
    assert {name: error["error_type" if name == "type" else name] for name in told} == told
    assert SECRET not in ended.output


@pytest.mark.slow
def test_a_traceback_is_part_of_that_line(
    simulator: Simulator, account: Account, warehouse: Warehouse, process: Command
) -> None:
    simulator.denied.add(account.id)

    ended = process("load", "--debug", env=JSON_LOGS)

    assert "Traceback" in logged(ended)[-1]["exc_info"]
    assert SECRET not in ended.output


@pytest.mark.slow
def test_bad_usage_that_only_the_destination_knows_of_is_a_line_of_the_log(
    simulator: Simulator, account: Account, warehouse: Warehouse, process: Command
) -> None:
    process("load")

    ended = process("load", "--type", "auto", env=JSON_LOGS)

    assert ended.exit_code == 2
    assert "The dataset holds invoices of type all" in logged(ended)[-1]["msg"]
    assert logged(ended)[-1]["error_type"] == "MixedTypesError"


# Help and usage errors


def words_of(value: object) -> str:
    return " ".join(value) if isinstance(value, list) else str(value)


def seconds_of(*arguments: str) -> tuple[Ended, float]:
    """Run the command, and give the time of the processor that it took: others may be at work here."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = run_python("-m", "cf_invoice_source", *arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


AT_ONCE_S = 0.3


@pytest.mark.quick("load --help-*", "load --type automatic-*")
@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (["--help"], 0),
        (["load", "--help"], 0),
        (["status", "--help"], 0),
        (["check", "--help"], 0),
        (["--version"], 0),
        (["load", "--type", "automatic"], 2),
        (["load", "--no-such-option"], 2),
        (["status", "--full"], 2),
        (["check", "surplus"], 2),
        (["load", "--demo", "--account", "0"], 2),
        (["no-such-command"], 2),
    ],
    ids=words_of,
)
def test_help_and_usage_errors_do_not_import_dlt(arguments: list[str], exit_code: int) -> None:
    program = (
        "import sys; from cf_invoice_source.cli.main import main\n"
        "try: main()\n"
        "finally: print('dlt' in sys.modules, 'duckdb' in sys.modules, file=sys.stderr)"
    )

    ended = run_python("-c", program, *arguments)

    assert ended.exit_code == exit_code
    assert ended.stderr.splitlines()[-1] == "False False"


@pytest.mark.slow
def test_a_load_imports_neither_pandas_nor_arrow_nor_the_table_of_currencies(
    simulator: Simulator, account: Account, warehouse: Warehouse
) -> None:
    """They cost start-up and memory. Nothing may even look for them: here they need not be installed."""
    account.records += make_invoices(3)
    program = (
        "import sys\n"
        "class Watch:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name in {'pandas', 'pyarrow', 'iso4217'}: print('asked for', name)\n"
        "sys.meta_path.insert(0, Watch())\n"
        "from cf_invoice_source.cli.main import main; main()"
    )

    ended = run_python("-c", program, "load")

    assert ended.exit_code == 0
    assert "asked for" not in ended.stdout
    assert len(warehouse.ids()) == 3


def test_help_answers_at_once() -> None:
    ended, seconds = seconds_of("--help")

    assert ended.exit_code == 0
    assert all(name in ended.stdout for name in ("load", "status", "report", "check"))
    assert seconds < AT_ONCE_S


def test_a_usage_error_answers_at_once() -> None:
    ended, seconds = seconds_of("load", "--type", "automatic")

    assert ended.exit_code == 2
    assert seconds < AT_ONCE_S


def test_the_help_of_load_names_every_option(process: Command) -> None:
    ended = process("load", "--help")

    for option in (
        "--account",
        "--type",
        "--destination",
        "--dataset",
        "--pipeline-name",
        "--demo",
        "--json",
    ):
        assert option in ended.stdout


@pytest.mark.parametrize("name", ["status", "report", "check"])
def test_the_help_of_the_others_names_the_options_that_mean_what_they_mean_to_load(
    process: Command, name: str
) -> None:
    told, of_load = process(name, "--help").stdout, process("load", "--help").stdout

    for option in ("--account", "--destination", "--dataset", "--pipeline-name", "--json", "--debug"):
        assert option_help(told, option) == option_help(of_load, option)


def option_help(text: str, option: str) -> list[str]:
    """What the help says of an option, wherever its lines break."""
    words = " ".join(text.split()).partition(f" {option} ")[2]
    return re.split(r" (?=--|-h, )", words)[0].split()


def test_the_version_is_the_one_of_the_package(process: Command) -> None:
    ended = process("--version")

    assert ended.stdout.strip() == f"cf-invoices, version {__version__}"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["load", "--type", "automatic"], "automatic"),
        (["load", "--demo", "--account", "0"], "--account"),
        (["load", "surplus"], "surplus"),
    ],
    ids=words_of,
)
def test_bad_usage_is_exit_code_2_on_stderr(process: Command, arguments: list[str], words: str) -> None:
    ended = process(*arguments)

    assert ended.exit_code == 2
    assert words in ended.stderr
    assert ended.stdout == ""


# The demo


def test_the_demo_needs_no_account_and_its_second_run_shows_invoices_being_paid(
    process: Command, place: Path, simulator: Simulator
) -> None:
    warehouse = Warehouse(place / "cloudflare_invoices_demo.duckdb")
    first = process("load", "--demo", "--json")
    before = {(row["account_id"], row["id"]): row["status"] for row in warehouse.rows()}

    second = process("load", "--demo")

    after = {(row["account_id"], row["id"]): row["status"] for row in warehouse.rows()}
    paid = [key for key, status in before.items() if status == "open" and after.get(key) == "paid"]
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert len(json.loads(first.stdout)["accounts"]) == 3
    assert "Made-up" in first.stderr
    assert paid
    assert set(after) - set(before)
    assert simulator.requests == []  # it is not the account of the settings


@pytest.mark.slow
def test_the_demo_does_not_share_a_file_with_real_invoices_even_if_told_to(
    place: Path, command: Command
) -> None:
    command("load", "--demo", "--pipeline-name", "cloudflare_invoices")

    assert [path.name for path in place.glob("*.duckdb")] == ["cloudflare_invoices_demo.duckdb"]


@pytest.mark.slow
def test_what_stays_on_this_machine_takes_no_proxy(
    simulator: Simulator, account: Account, warehouse: Warehouse, command: Command
) -> None:
    """It would carry the credential elsewhere, and the demo would need a network."""
    proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"), "http://127.0.0.1:9")

    ended = command("load", env={**proxies, "NO_PROXY": "", "no_proxy": ""})

    assert ended.exit_code == 0
    assert simulator.requests


def test_an_account_that_is_refused_does_not_stop_the_others(
    command: Command, simulator: Simulator, account: Account, warehouse: Warehouse
) -> None:
    account.records += make_invoices(3)
    refused = simulator.world.add_account("Refused")
    simulator.denied.add(refused.id)

    ended = command("load", "--account", refused.id, "--account", account.id)

    assert ended.exit_code == 1
    assert f"Account {refused.id}: failed: Cloudflare refused the request" in ended.stderr
    assert "Do: give the token the permission 'AI Gateway Read'" in ended.stderr
    assert "no (failed)" in ended.stdout
    assert len(warehouse.rows()) == 3
    failures = warehouse.query("SELECT account_id, verified FROM cf_invoices.invoice_syncs WHERE error <> ''")
    assert failures == [(refused.id, False)]
