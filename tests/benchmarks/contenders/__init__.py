"""The ways to load the invoices that are compared, each as its tool's documentation advises.

The programs beside this file are run, never imported. Each one is told by the environment:
`CLOUDFLARE_BASE_URL`, `CLOUDFLARE_API_TOKEN`, `CLOUDFLARE_ACCOUNT_ID`, and the file to fill, `DUCKDB_FILE`.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.rig import ROOT, file_in

HERE = Path(__file__).parent
_SINGER = Path(os.environ.get("SINGER_PYTHON", sys.executable))
"""The Python of an environment with `singer-sdk` and `target-duckdb`, which pin other versions than dlt."""


def _nothing(_place: Path) -> dict[str, str]:
    return {}


@dataclass(frozen=True)
class Contender:
    """A way to load the invoices.

    Attributes:
        label: What the table calls it.
        command: The words that start it.
        table: Where its rows are; empty if it loads none.
        prepare: Puts into its directory what it needs there, and says what else it is told.
        is_exact: Whether amounts that are not exact are a failure.
        most: The longest list that it can be asked to load on an ordinary machine.
    """

    label: str
    command: Sequence[str]
    table: str = ""
    prepare: Callable[[Path], dict[str, str]] = _nothing
    is_exact: bool = False
    most: int = 10**9


def script(label: str, name: str, table: str = "", *words: str, most: int = 10**9) -> Contender:
    """Make a contender of one of the programs here."""
    return Contender(label, (sys.executable, str(HERE / f"{name}.py"), *words), table, most=most)


def _into_its_file(place: Path) -> dict[str, str]:
    return {"DESTINATION__DUCKDB__CREDENTIALS": str(file_in(place))}


def _with_the_repositorys_settings(place: Path) -> dict[str, str]:
    shutil.copytree(
        ROOT / ".dlt", place / ".dlt", dirs_exist_ok=True, ignore=shutil.ignore_patterns("secrets.toml")
    )
    return _into_its_file(place)


def _with_a_target(place: Path) -> dict[str, str]:
    config = {"path": str(file_in(place)), "default_target_schema": "main"}
    (place / "target.json").write_text(json.dumps(config))
    return {"TAP": f"{_SINGER} {HERE / 'singer_tap.py'}", "TARGET": str(_SINGER.with_name("target-duckdb"))}


OURS = (str(Path(sys.executable).with_name("cf-invoices")), "load")

CONTENDERS: dict[str, Contender] = {
    "floor": script("The floor: 4 threads, orjson, Arrow, no dlt", "floor", "invoices"),
    "ours": Contender("**cf-invoices**", OURS, "cf_invoices.invoices", _into_its_file, is_exact=True),
    "ours_config": Contender(
        "**cf-invoices**, with the repository's `.dlt/config.toml`",
        OURS,
        "cf_invoices.invoices",
        _with_the_repositorys_settings,
        is_exact=True,
    ),
    "rest_api_tuned": script("dlt `rest_api_source`, tuned", "rest_api_tuned", "cloudflare.invoices"),
    "rest_api_two": script(
        "dlt `rest_api_source`, tuned, two tables", "rest_api_tuned", "cloudflare.invoices", "--two-tables"
    ),
    "rest_api": script("dlt `rest_api_source`", "rest_api", "cloudflare.invoices", most=100_000),
    "singer": Contender(
        "Singer SDK tap, `target-duckdb`",
        ("bash", "-c", "set -o pipefail; $TAP | $TARGET --config target.json"),
        "main.invoices",
        _with_a_target,
    ),
    "sdk": script("Cloudflare's SDK, looped", "cloudflare_sdk", "invoices"),
    "bare": script("A bare dlt pipeline: one page, no row", "bare_dlt"),
}
"""By the names that the command line knows. `rest_api` needs more than 2 GiB for 100,000 invoices."""


_VERSIONS = """
import json
from importlib.metadata import distributions
print(json.dumps({found.name: found.version for found in distributions()}))
"""


def versions() -> dict[str, str]:
    """Say which versions of the packages that matter are compared."""
    here = _packages(sys.executable)
    singer = _packages(str(_SINGER)) if is_installed("singer") else {}
    names = ("cf-invoice-source", "dlt", "duckdb", "pyarrow", "cloudflare")
    named = {name: here[name] for name in names if name in here}
    return named | {name: singer[name] for name in ("singer-sdk", "target-duckdb") if name in singer}


def _packages(python: str) -> dict[str, str]:
    found = subprocess.run([python, "-c", _VERSIONS], check=True, capture_output=True, text=True).stdout
    packages: dict[str, str] = json.loads(found)
    return packages


def is_installed(name: str) -> bool:
    """Say whether a contender can run here."""
    return name != "singer" or _SINGER.with_name("target-duckdb").exists()
