"""Every setting, by every way to set it: which of them count, and which belong to other tools."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dlt
import pytest

from cf_invoice_source import cf_invoice_source, list_accounts
from cf_invoice_source.simulator import Account, Simulator, World
from tests.conftest import Command, Ended, Extract, Load, Warehouse
from tests.support.make import make_invoices

OWN = "sources.cf_invoice_source"
PIPELINE = "cloudflare_invoices"
OTHER_ACCOUNT = "0123456789abcdef0123456789abcdef"


@dataclass
class Outcome:
    """What came of a run: its error, and what two servers were asked."""

    error: str
    here: str
    elsewhere: str


def _asks(what: str) -> Callable[[Outcome], bool]:
    return lambda outcome: what in outcome.here


def _says(what: str) -> Callable[[Outcome], bool]:
    return lambda outcome: what in outcome.error


SETTINGS: dict[str, tuple[str, str, Callable[[Outcome], bool]]] = {
    # Its key; a telling value ("ELSEWHERE" is the address of another server); how it shows that it counts.
    "account_id": ("account_id", OTHER_ACCOUNT, _asks(OTHER_ACCOUNT)),
    "type": ("type", "manual", _asks("manual")),
    "base_url": ("base_url", "ELSEWHERE", lambda outcome: bool(outcome.elsewhere)),
    "credentials": ("credentials", "of-the-setting", _asks("Bearer of-the-setting")),
    "a token": ("credentials.api_token", "of-the-setting", _asks("Bearer of-the-setting")),
    "a token, in short": ("api_token", "of-the-setting", _asks("Bearer of-the-setting")),
    "an e-mail": ("credentials.email", "a@example.com", _says("no API key to go with it")),
    "an e-mail, in short": ("email", "a@example.com", _says("no API key to go with it")),
    "a key": ("credentials.api_key", "of-the-setting", _says("no e-mail to go with it")),
    "a key, in short": ("api_key", "of-the-setting", _says("no e-mail to go with it")),
    "full": ("full", "nonsense", _says("full cannot be read as bool")),
    "accept_deletions": ("accept_deletions", "nonsense", _says("accept_deletions cannot be read as bool")),
    "full_sync_every_days": ("full_sync_every_days", "-1", _says("full_sync_every_days makes no sense")),
    "leave_out": ("leave_out", "nonsense", _says("no field nonsense that could be left out")),
    "schema_contract": (
        "schema_contract",
        '{"columns": "nonsense"}',
        _says("schema_contract makes no sense"),
    ),
    "table_format": ("table_format", "nonsense", _says("no such table_format")),
    "file_format": ("file_format", "nonsense", _says("no such file_format")),
    "write_disposition": ("write_disposition", "append", _says("not with append")),
}

WAYS: dict[str, tuple[str, ...]] = {
    # E in the environment, T in a toml file: before the key stands one of these.
    "E our section": (f"{OWN}.",),
    "E our section, for one pipeline": (f"{PIPELINE}.{OWN}.",),
    "T our section": (f"{OWN}.",),
    "T our section, for one pipeline": (f"{PIPELINE}.{OWN}.",),
    "E everywhere else": ("", "sources.", f"{PIPELINE}.", "sources.github.", f"github.{OWN}."),
    "T everywhere else": ("", "sources.", f"{PIPELINE}.", "sources.github."),
}

ARGUMENTS = {
    # The cursor is an argument and nothing more: dlt would make a range of the load.
    "the beginning of a range": ("created.initial_value", "nonsense"),
    "the end of a range": ("created.end_value", "2020-01-01"),
    "how rows are sorted": ("created.row_order", "desc"),
}


def write(place: Path, key: str, value: str, file: str = "secrets.toml") -> None:
    """Add a setting to a file of dlt's."""
    section, _, name = key.rpartition(".")
    path = place / ".dlt" / file
    path.parent.mkdir(exist_ok=True)
    written = value.replace(": ", " = ") if value.startswith("{") else f'"{value}"'
    with path.open("a") as text:
        text.write(f"[{section}]\n{name} = {written}\n" if section else f"{name} = {written}\n")


@pytest.fixture
def put(place: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, str], None]:
    """Set something in one of the ways."""

    def put_there(way: str, key: str, value: str) -> None:
        for before in WAYS[way]:
            if way.startswith("E"):
                monkeypatch.setenv(f"{before}{key}".replace(".", "__").upper(), value)
            else:
                write(place, f"{before}{key}", value)

    return put_there


@pytest.fixture
def elsewhere() -> Iterator[Simulator]:
    """A server that nobody meant, on this machine: it takes whatever it is sent."""
    with Simulator(World(seed=2)) as simulator:
        yield simulator


@pytest.fixture
def run(simulator: Simulator, elsewhere: Simulator, request: pytest.FixtureRequest) -> Callable[[], Outcome]:
    """Run the source in plain dlt, once the settings are there; a pipeline is under way."""

    def run_it() -> Outcome:
        extract: Extract = request.getfixturevalue("extract")
        error = ""
        try:
            extract()
        except Exception as raised:  # noqa: BLE001 - dlt wraps what is raised in a source
            error = str(raised)
        return Outcome(error, repr(simulator.requests), "".join(map(repr, elsewhere.requests)))

    return run_it


@pytest.mark.quick(
    "account_id-E our section", "credentials-[ET] our section*", "base_url-*T*", "credentials-E everywhere*"
)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_counts_from_our_own_section_only(
    run: Callable[[], Outcome],
    elsewhere: Simulator,
    put: Callable[[str, str, str], None],
    setting: str,
    way: str,
) -> None:
    key, value, has_counted = SETTINGS[setting]
    put(way, key, value.replace("ELSEWHERE", elsewhere.base_url))
    gives_way = setting == "base_url" and way.startswith("T")  # to Cloudflare's name in the environment
    counts = "our section" in way and not gives_way

    outcome = run()

    assert has_counted(outcome) is counts
    assert counts or ("invoice-history" in outcome.here and not outcome.error)
    assert counts or not outcome.elsewhere


@pytest.mark.quick("the end of a range")
@pytest.mark.parametrize("setting", ARGUMENTS)
def test_what_is_an_argument_only_counts_nowhere_else(
    run: Callable[[], Outcome], put: Callable[[str, str, str], None], account: Account, setting: str
) -> None:
    account.records += make_invoices(3)
    for way in WAYS:
        put(way, *ARGUMENTS[setting])

    outcome = run()

    assert not outcome.error
    cursor = dlt.attach(PIPELINE).state["sources"]["cf_invoice_source"]["resources"]["invoices"]
    assert cursor["incremental"]["created"]["initial_value"] is None
    assert cursor["incremental"]["created"]["last_value"] is not None
    assert cursor["bookmarks"]


EVERYTHING_FOREIGN = {
    **{key: value for key, value, _ in SETTINGS.values()},
    **dict(ARGUMENTS.values()),
}


@pytest.mark.slow
@pytest.mark.parametrize("actor", ["load", "check", "python", "plain", "list_accounts"])
def test_nothing_of_other_tools_counts_whoever_looks(
    simulator: Simulator,
    elsewhere: Simulator,
    account: Account,
    warehouse: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    actor: str,
) -> None:
    for key, value in EVERYTHING_FOREIGN.items():
        for prefix in ("", "sources.", f"{PIPELINE}."):
            name = f"{prefix}{key}".replace(".", "__").upper()
            monkeypatch.setenv(name, value.replace("ELSEWHERE", elsewhere.base_url))
    monkeypatch.delenv("CLOUDFLARE_ACCOUNT_ID")
    account.records += make_invoices(3)

    if actor in {"load", "check"}:
        command: Command = request.getfixturevalue("command")
        ended = command(actor)
        assert ended.exit_code == 0, ended.output
        assert elsewhere.base_url not in ended.output
    elif actor == "list_accounts":
        request.getfixturevalue("dlt_here")
        assert list_accounts() == [account.id]
    elif actor == "python":
        load: Load = request.getfixturevalue("load")
        assert load().is_verified
    else:
        extract: Extract = request.getfixturevalue("extract")
        extract()

    assert elsewhere.requests == []
    signed = {sent.headers.get("authorization") for sent in simulator.requests}
    assert signed == {f"Bearer {simulator.token}"}
    assert {sent.query.get("type", "all") for sent in simulator.requests} == {"all"}


# The order of those that count


def test_an_argument_beats_every_setting(
    extract: Extract,
    simulator: Simulator,
    elsewhere: Simulator,
    account: Account,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = {"account_id": account.id, "type": "all", "base_url": simulator.base_url, "full": False}
    for name, value in {
        "account_id": "1",
        "type": "manual",
        "base_url": elsewhere.base_url,
        "full": "x",
    }.items():
        monkeypatch.setenv(f"SOURCES__CF_INVOICE_SOURCE__{name}".upper(), value)

    extract(**given)

    assert [sent.query["type"] for sent in simulator.requests] == ["all"]
    assert elsewhere.requests == []


@pytest.mark.parametrize(
    "unset", [None, "", dlt.config.value], ids=["None", "an empty text", "dlt's sentinel"]
)
def test_an_argument_that_is_none_is_looked_up(
    extract: Extract, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, unset: Any
) -> None:
    monkeypatch.setenv("SOURCES__CF_INVOICE_SOURCE__TYPE", "manual")
    if unset == "":
        monkeypatch.setenv("CLOUDFLARE_INVOICES__SOURCES__CF_INVOICE_SOURCE__TYPE", "")
        extract()
    else:
        extract(type=unset)

    assert [sent.query["type"] for sent in simulator.requests] == ["manual"]


# Base URLs of files


def test_a_base_url_of_a_file_gets_no_token_of_the_environment(
    simulator: Simulator,
    elsewhere: Simulator,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    command_at: Command,
) -> None:
    monkeypatch.delenv("CLOUDFLARE_BASE_URL")
    write(place, f"{OWN}.base_url", elsewhere.base_url, "config.toml")

    for ended in (command_at("load"), command_at("check")):
        assert ended.exit_code == 1
        assert "they are not sent there" in " ".join(ended.output.split())
        assert "CLOUDFLARE_BASE_URL" in ended.output

    assert elsewhere.requests == simulator.requests == []


@pytest.mark.slow
def test_a_base_url_of_a_file_gets_the_token_of_the_file_beside_it_and_is_told(
    simulator: Simulator, account: Account, place: Path, monkeypatch: pytest.MonkeyPatch, command_at: Command
) -> None:
    monkeypatch.delenv("CLOUDFLARE_BASE_URL")
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN")
    write(place, f"{OWN}.base_url", simulator.base_url, "config.toml")
    write(place, f"{OWN}.credentials.api_token", simulator.token)

    for ended in (command_at("load"), command_at("check")):
        assert ended.exit_code == 0, ended.output
        assert f"go to {simulator.base_url}, not to Cloudflare" in ended.stderr


def test_a_base_url_of_a_file_gets_no_token_of_dlts_directory_at_home(
    simulator: Simulator, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command_at: Command
) -> None:
    monkeypatch.delenv("CLOUDFLARE_BASE_URL")
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN")
    write(place, f"{OWN}.base_url", simulator.base_url, "config.toml")
    write(tmp_path, f"{OWN}.api_token", simulator.token)
    monkeypatch.setattr("dlt.common.runtime.run_context.global_dir", lambda: str(tmp_path / ".dlt"))

    ended = command_at("load")

    assert "they are not sent there" in " ".join(ended.stderr.split())
    assert simulator.requests == []


def test_cloudflares_own_address_may_stand_in_a_file(
    simulator: Simulator, place: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.delenv("CLOUDFLARE_BASE_URL")
    write(place, f"{OWN}.base_url", "https://api.cloudflare.com/client/v4/", "config.toml")
    request.getfixturevalue("dlt_here")

    assert cf_invoice_source() is not None


def test_an_address_that_is_neither_cloudflares_nor_of_this_machine_is_told_at_the_start(
    command: Command, simulator: Simulator, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDFLARE_BASE_URL", "https://127.0.0.2:9/client/v4")

    ended = command("load")

    assert "Requests and credentials go to https://127.0.0.2:9/client/v4, not to Cloudflare" in ended.stderr


def test_a_secret_in_the_file_that_is_not_for_secrets_is_refused_and_not_shown(
    place: Path, simulator: Simulator, command_at: Command
) -> None:
    write(place, f"{OWN}.api_token", "s3cr3t", "config.toml")

    ended = command_at("load")

    assert ended.exit_code == 1
    assert "api_token is in config.toml" in ended.stderr
    assert "s3cr3t" not in ended.output
    assert simulator.requests == []


@pytest.fixture
def command_at(warehouse: Warehouse, request: pytest.FixtureRequest) -> Command:
    """The command, made only after the files that it is to find."""

    def run(*arguments: str, env: Mapping[str, str | None] | None = None) -> Ended:
        command: Command = request.getfixturevalue("command")
        return command(*arguments, env=env)

    return run
