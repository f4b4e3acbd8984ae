"""What a user installs."""

from importlib.metadata import entry_points, metadata
from pathlib import Path

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
