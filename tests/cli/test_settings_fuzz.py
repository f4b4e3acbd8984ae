"""Any environment and any files of settings: no traceback, no secret said, none sent where nobody meant."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cf_invoice_source.simulator import Account, Simulator, World
from tests.conftest import Command
from tests.support.make import make_invoices

EXAMPLES = int(os.environ.get("FUZZ", "50"))
OWN = "sources.cf_invoice_source"
IN_FILE = "s3cr3t-of-a-file-that-nobody-may-see-or-g"
PASSWORD = "s3cr3t-password"

OURS = [
    "account_id",
    "type",
    "full",
    "accept_deletions",
    "full_sync_every_days",
    "leave_out",
    "file_format",
    "schema_contract",
    "table_format",
    "write_disposition",
    "api_token",
    "credentials",
    "credentials.api_token",
    "credentials.email",
    "credentials.api_key",
    "created.end_value",
    "base_url",
]
DLTS = [
    "runtime.log_level",
    "runtime.log_format",
    "runtime.request_timeout",
    "runtime.request_backoff_factor",
    "runtime.request_max_retry_delay",
    "load.workers",
    "load.raise_on_failed_jobs",
    "load.delete_completed_jobs",
    "load.parallelism_strategy",
    "load.truncate_staging_dataset",
    "normalize.workers",
    "normalize.loader_file_format",
    "extract.workers",
    "extract.max_parallel_items",
    "data_writer.buffer_max_items",
    "data_writer.disable_compression",
    "schema.naming",
    "destination.credentials",
    "destination.duckdb.credentials",
    "destination.duckdb.create_indexes",
    "destination.duckdb.staging_dataset_name_layout",
    "destination.name",
    "dataset_name",
    "pipelines_dir",
    "dev_mode",
    "refresh",
    "restore_from_destination",
    "progress",
    "use_single_dataset",
    "import_schema_path",
]
FOREIGN = [
    "base_url",
    "credentials",
    "type",
    "account_id",
    "token",
    "api_token",
    "api_key",
    "email",
    "host",
    "full",
]
FOREIGN += ["database", "password", "username", "sources.base_url", "sources.credentials", "github.api_token"]

VALUES = st.sampled_from(
    [
        *(
            "",
            " ",
            "0",
            "-1",
            "1",
            "nan",
            "inf",
            "1e400",
            "true",
            "False",
            "None",
            "nonsense",
            "ELSEWHERE",
            "ä€ \u2028",
        ),
        *(
            "{}",
            "[]",
            '{"a": 1}',
            "[1, 2]",
            '"',
            "a,b,",
            ",",
            "0" * 32,
            "0" * 5000,
            "../../etc",
            "/nowhere/at/all",
        ),
        *(
            "manual",
            "delta",
            "append",
            "JSON",
            "DEBUG",
            IN_FILE,
            f"postgresql://u:{PASSWORD}@127.0.0.1:9/finance",
        ),
        *(
            "http://127.0.0.2:9\\[::1]",
            "https://evil.example@x",
            "file.duckdb",
            ":memory:",
            "md:x",
            "x/y.duckdb",
        ),
    ]
)
TOML_VALUES = VALUES | st.sampled_from([0, -1, 1.5, True, [], ["a"], [[1]], {"a": 1}, {}, float("nan")])
PREFIXES = st.sampled_from(["", "", "cloudflare_invoices."])


def named(*prefixed: tuple[str, list[str]]) -> st.SearchStrategy[str]:
    names = [f"{prefix}{name}" for prefix, names in prefixed for name in names]
    return st.builds(lambda prefix, name: prefix + name, PREFIXES, st.sampled_from(names))


# In the environment our own name of the address is its user's wish: the simulator's stays there.
IN_ENVIRONMENT = named((f"{OWN}.", [name for name in OURS if name != "base_url"]), ("", DLTS), ("", FOREIGN))
IN_FILES = named((f"{OWN}.", OURS), ("", DLTS), ("", FOREIGN))


@pytest.fixture
def elsewhere() -> Iterator[Simulator]:
    with Simulator(World(seed=2)) as simulator:
        yield simulator


def write(path: Path, values: Mapping[str, Any]) -> None:
    """Write a file of settings, each under its sections; where two want one place, the first has it."""
    document: dict[str, Any] = {}
    for key, value in values.items():
        *sections, name = key.split(".")
        table: Any = document
        for section in sections:
            table = table.setdefault(section, {}) if isinstance(table, dict) else None
        if isinstance(table, dict):
            table.setdefault(name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(tomlkit.dumps(document), encoding="utf-8")


Run = Callable[[str, Mapping[str, str], Mapping[str, Any], Mapping[str, Any]], None]


@pytest.fixture
def run(
    simulator: Simulator,
    elsewhere: Simulator,
    account: Account,
    command: Command,
    place: Path,
    tmp_path: Path,
) -> Run:
    """Run a command once, in an empty directory, and look at what came of it."""
    account.records += make_invoices(3)
    begin_anew()

    def run_once(
        asked: str, environment: Mapping[str, str], config: Mapping[str, Any], secrets: Mapping[str, Any]
    ) -> None:
        for directory in (place, tmp_path / "dlt"):
            shutil.rmtree(directory, ignore_errors=True)
        place.mkdir()
        os.chdir(place)
        elsewhere.requests.clear()
        said = [simulator.token, IN_FILE, PASSWORD]
        put = {"ELSEWHERE": elsewhere.base_url}
        for file, values in (("config.toml", config), ("secrets.toml", secrets)):
            write(
                place / ".dlt" / file,
                {
                    name: put.get(value, value) if isinstance(value, str) else value
                    for name, value in values.items()
                },
            )
        env = {name.replace(".", "__").upper(): put.get(value, value) for name, value in environment.items()}

        try:
            ended = command(asked, "--wait", "0", env=env) if asked == "load" else command(asked, env=env)
        finally:
            shutil.rmtree(place / ".dlt")
            begin_anew()

        assert ended.exit_code in {0, 1, 3}, ended.output
        assert "Traceback" not in ended.output
        assert [secret for secret in said if secret in ended.output] == []
        sent = [f"{request.headers}" for request in elsewhere.requests]
        assert [one for one in sent if simulator.token in one] == []
        if not any(name.endswith(f"{OWN}.base_url") for name in (*config, *secrets)):
            assert sent == []

    return run_once


def begin_anew() -> None:
    """Let dlt, which reads its files once in each process, begin as in a new one when it is asked next."""
    from dlt.common.configuration.container import Container
    from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
    from dlt.common.pipeline import PipelineContext

    Container()[PipelineContext].clear()
    if PluggableRunContext in Container():
        del Container()[PluggableRunContext]


EXAMPLE = {
    "asked": st.sampled_from(["load", "check", "status"]),
    "environment": st.dictionaries(IN_ENVIRONMENT, VALUES, max_size=5),
    "config": st.dictionaries(IN_FILES, TOML_VALUES, max_size=3),
    "secrets": st.dictionaries(IN_FILES, TOML_VALUES, max_size=3),
}
HERE = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),  # to shrink would take minutes: what fails is small as it is
)


@HERE
@given(**EXAMPLE)
def test_no_settings_lead_to_a_traceback_or_a_secret_in_the_wrong_place(
    run: Run, asked: str, environment: dict[str, str], config: dict[str, Any], secrets: dict[str, Any]
) -> None:
    run(asked, environment, config, secrets)


@pytest.mark.slow
@settings(HERE, max_examples=EXAMPLES)
@given(**EXAMPLE)
def test_many_settings_lead_to_no_traceback_and_no_secret_in_the_wrong_place(
    run: Run, asked: str, environment: dict[str, str], config: dict[str, Any], secrets: dict[str, Any]
) -> None:
    run(asked, environment, config, secrets)
