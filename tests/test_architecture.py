"""Import arrows point down; the pure room imports nothing but the standard library."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import cf_invoice_source
from tests.conftest import run_python

PACKAGE = Path(cf_invoice_source.__file__).parent
OURS = "cf_invoice_source"

FILES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", "."): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
"""Every module of the package, as "walk.ordinals"."""

PURE = [
    name
    for name in FILES
    if name.startswith(("invoices.", "walk."))
    and name not in {"invoices.rows", "invoices.tables", "walk.walker"}
] + ["exact_json", "schema.capabilities", "simulator.world"]


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            assert node.module is not None
            if node.module == OURS:
                yield from (f"{OURS}.{name.name}" for name in node.names)
            else:
                yield node.module


def imports_of_ours(path: Path) -> set[str]:
    """The parts of our package that a file imports: "walk", "cloudflare"."""
    return {name.split(".")[1] for name in imports(path) if name.startswith(f"{OURS}.")}


@pytest.mark.parametrize("name", PURE)
def test_the_pure_room_imports_only_the_standard_library_and_itself(name: str) -> None:
    foreign = {module.partition(".")[0] for module in imports(FILES[name])} - sys.stdlib_module_names

    assert foreign <= {OURS}
    assert imports_of_ours(FILES[name]) <= {"cloudflare", "exact_json", "invoices", "walk"}


@pytest.mark.parametrize("name", PURE)
def test_the_pure_room_does_not_reach_out(name: str) -> None:
    """No file, socket, process, clock or chance: values in, values out."""
    reaching = {
        "io",
        "os",
        "pathlib",
        "socket",
        "subprocess",
        "tempfile",
        "threading",
        "time",
        "urllib",
        "http",
    }

    assert {module.partition(".")[0] for module in imports(FILES[name])} & reaching == set()


def test_only_the_command_line_imports_the_simulator() -> None:
    importing = {name for name, path in FILES.items() if "simulator" in imports_of_ours(path)}

    assert {name for name in importing if not name.startswith("simulator.")} <= {"cli.main"}


def test_the_simulator_imports_nothing_else_of_ours() -> None:
    used = {
        part
        for name, path in FILES.items()
        if name.startswith("simulator.")
        for part in imports_of_ours(path)
    }

    assert used <= {"simulator"}


def test_only_the_client_sends_requests() -> None:
    """`auth` takes the types of `requests`, but nothing that could send."""
    ways = {"dlt.sources.helpers", "dlt.sources.helpers.requests", "http.client", "httpx", "urllib.request"}
    senders = {
        name
        for name, path in FILES.items()
        if not name.startswith("simulator.") and ways & set(imports(path))
    }

    assert senders == {"cloudflare.client"}


@pytest.mark.parametrize(
    "imported",
    [
        "cf_invoice_source",
        "cf_invoice_source.cli.main",
        "cf_invoice_source.simulator",
        "cf_invoice_source.invoices.record",
    ],
)
def test_importing_does_not_import_dlt(imported: str) -> None:
    ended = run_python("-c", f"import sys, {imported}; print('dlt' in sys.modules)")

    assert ended.stdout.strip() == "False"


def test_every_public_name_is_there() -> None:
    ended = run_python("-c", "import cf_invoice_source as c; print([getattr(c, name) for name in c.__all__])")

    assert ended.exit_code == 0, ended.stderr


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = cf_invoice_source.nonsense
