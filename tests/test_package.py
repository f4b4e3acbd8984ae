"""What a user installs."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import entry_points, metadata
from importlib.util import find_spec
from pathlib import Path

import pytest

import cf_invoice_source

ROOT = Path(__file__).parents[1]


def test_the_marker_for_type_checkers_lies_inside_the_package() -> None:
    assert (Path(cf_invoice_source.__file__).parent / "py.typed").is_file()


def test_the_version_of_the_package_is_the_one_that_is_installed() -> None:
    assert metadata("cf-invoice-source")["Version"] == cf_invoice_source.__version__


def test_the_command_is_installed() -> None:
    [command] = entry_points(group="console_scripts", name="cf-invoices")

    assert command.value == "cf_invoice_source.cli.main:main"


def test_every_python_that_we_promise_is_at_least_the_one_we_require() -> None:
    assert metadata("cf-invoice-source")["Requires-Python"] == ">=3.10"


def test_no_secrets_file_is_in_the_tree() -> None:
    assert "secrets.toml" in (ROOT / ".gitignore").read_text()
    assert (ROOT / ".dlt" / "example.secrets.toml").is_file()


DIRT = (
    ".env",
    ".envrc",
    "secrets.toml",
    ".dlt/secrets.toml",
    ".dlt/config.toml",
    ".dlt/.pipelines/state.json",
    "cloudflare_invoices.duckdb",
    "cloudflare_invoices.duckdb.wal",
    "invoices.csv",
    "notes.md",
    "notes.txt",
    "run.log",
    "token",
)
"""What lies in a tree that somebody works in."""

CANARY = "canary" * 7  # so that it does not stand in this file


@pytest.mark.slow
def test_what_is_built_from_a_dirty_tree_has_tracked_files_only(tmp_path: Path) -> None:
    if not (find_spec("hatchling") and (ROOT / ".git").exists()):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("needs a clone, and the extra dev")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S607
    tracked = set(listed.stdout.splitlines())
    for name in tracked:
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "tree" / name)
    places = {path.parent for path in (tmp_path / "tree").rglob("*") if path.is_file()}
    for path in (place / name for place in places for name in DIRT):
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as file:
            file.write(CANARY)

    built = tmp_path / "built"
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", built], cwd=tmp_path / "tree", check=True
    )

    [wheel], [sdist] = built.glob("*.whl"), built.glob("*.tar.gz")
    in_wheel, in_sdist = wheel_files(wheel), sdist_files(sdist)
    assert {name for name, content in in_wheel.items() if CANARY.encode() in content} == set()
    assert {name for name, content in in_sdist.items() if CANARY.encode() in content} == set()
    package = {name for name in tracked if name.startswith("cf_invoice_source/") and "README" not in name}
    assert {name for name in in_wheel if ".dist-info/" not in name} == package
    assert in_sdist.keys() - tracked == {"PKG-INFO"}
    assert tracked - in_sdist.keys() <= {name for name in tracked if name.startswith(".")}


def wheel_files(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def sdist_files(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        files = ((member, archive.extractfile(member)) for member in archive.getmembers())
        return {member.name.partition("/")[2]: file.read() for member, file in files if file}
