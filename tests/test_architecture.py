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

GROUND = {"errors", "settings", "notices", "exact_json", "redaction"}

ROOMS: dict[str, set[str]] = {
    "redaction": set(),
    "errors": {"redaction"},
    "settings": set(),
    "notices": {"redaction"},
    "exact_json": set(),
    "walk": {"errors", "settings"},
    "invoices": {"exact_json"},
    "schema": {"invoices", *GROUND},
    "cloudflare": {"walk.page", *GROUND},
    "warehouse": {"schema", "walk.bookmark", "invoices", *GROUND},
    "loading": {"warehouse", "cloudflare", "schema", "walk", "invoices", *GROUND},
    "reporting": {"loading", "warehouse", "cloudflare", "invoices", *GROUND},
    "documents": {"loading", "warehouse", "cloudflare", "schema", "walk", "invoices", *GROUND},
    "source": {"loading", "warehouse", "cloudflare", "schema", "walk", "invoices", *GROUND},
    "runner": {"source", "loading", "warehouse", "cloudflare", "schema", "walk", "invoices", *GROUND},
    "cli": {
        "runner",
        "source",
        "reporting",
        "documents",
        "loading",
        "warehouse",
        "cloudflare",
        "schema",
        "walk",
        "invoices",
    }
    | {"simulator", *GROUND},
    "simulator": set(),
    "__init__": {"runner", "source", "reporting", "documents", "loading", "warehouse", "cloudflare", *GROUND},
    "__main__": {"cli"},
}
"""What each room may import: a room, or one module of a room."""

PURE = [name for name in FILES if name.startswith(("invoices.", "walk."))] + [
    "exact_json",
    "reporting.accounts",
    "reporting.book",
    "reporting.figures",
    "reporting.history",
    "reporting.sums",
    "documents.ledger",
    "documents.manifest",
    "documents.naming",
    "documents.report",
    "documents.search",
    "schema.capabilities",
    "simulator.world",
]
"""Values in, values out: nothing but the standard library, `simplejson` and `orjson`, and `iso4217`,
a table."""


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
    """The modules of our package that a file imports: "walk.page", "errors"."""
    return {name.partition(".")[2] for name in imports(path) if name.startswith(f"{OURS}.")}


def forbidden(room: str, imported: set[str]) -> set[str]:
    """Those of the modules that a room imports which it may not import."""
    allowed = {room, *ROOMS[room]}
    return {name for name in imported if name.partition(".")[0] not in allowed and not {name} & allowed}


@pytest.mark.parametrize("name", FILES)
def test_a_room_imports_only_what_it_may(name: str) -> None:
    room = name.partition(".")[0]

    assert forbidden(room, imports_of_ours(FILES[name])) == set()


def test_an_arrow_that_is_turned_round_is_forbidden() -> None:
    """Else the table would say nothing: no room may import one that imports it."""
    rooms = {room: {name.partition(".")[0] for name in allowed} for room, allowed in ROOMS.items()}
    arrows = [(room, below) for room, allowed in rooms.items() for below in allowed]

    assert arrows
    assert [arrow for arrow in arrows if not forbidden(arrow[1], {arrow[0]})] == []


def test_every_room_is_in_the_table() -> None:
    assert {name.partition(".")[0] for name in FILES} == ROOMS.keys()


def test_a_walk_knows_of_cloudflare_and_the_warehouse_nothing_but_pages_and_bookmarks() -> None:
    used = {
        name
        for room in ("cloudflare", "warehouse")
        for file, path in FILES.items()
        if file.startswith(f"{room}.")
        for name in imports_of_ours(path)
        if name.startswith("walk.")
    }

    assert used <= {"walk.page", "walk.bookmark"}


@pytest.mark.parametrize("name", PURE)
def test_the_pure_rooms_import_no_library_that_reaches_out(name: str) -> None:
    foreign = {module.partition(".")[0] for module in imports(FILES[name])} - sys.stdlib_module_names

    assert foreign <= {OURS, "orjson", "simplejson", "iso4217"}


@pytest.mark.parametrize("name", PURE)
def test_the_pure_rooms_do_not_reach_out(name: str) -> None:
    """No file, socket, process, clock or chance."""
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


@pytest.mark.parametrize("name", FILES)
def test_a_file_has_at_most_320_lines_and_a_function_45(name: str) -> None:
    text = FILES[name].read_text()
    functions = [
        node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]

    assert len(text.splitlines()) <= 320
    assert {function.name for function in functions if body_lines(function) > 45} == set()


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of a function below its signature and its docstring."""
    documented = ast.get_docstring(function)
    body = function.body[1:] if documented else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_only_the_command_line_imports_the_simulator() -> None:
    importing = {
        name
        for name, path in FILES.items()
        if any(each.startswith("simulator") for each in imports_of_ours(path))
    }

    assert {name for name in importing if not name.startswith("simulator.")} <= {"cli.demo", "cli.main"}


def test_the_simulator_imports_nothing_else_of_ours() -> None:
    used = {
        part
        for name, path in FILES.items()
        if name.startswith("simulator.")
        for part in imports_of_ours(path)
    }

    assert {name.partition(".")[0] for name in used} <= {"simulator"}


def test_only_the_client_and_the_fetcher_of_documents_send_requests() -> None:
    """`auth` takes the types of `requests`, but nothing that could send."""
    ways = {"dlt.sources.helpers", "dlt.sources.helpers.requests", "http.client", "httpx", "urllib.request"}
    senders = {
        name
        for name, path in FILES.items()
        if not name.startswith("simulator.") and ways & set(imports(path))
    }

    assert senders == {"cloudflare.client", "documents.fetcher"}


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


IMPORTED = """
import sys
try:
    {}
except SystemExit as end:
    assert not end.code, end.code
print(*sorted({{name.partition(".")[0] for name in sys.modules}} - sys.stdlib_module_names))
print(*sorted(name for name in sys.modules if name.startswith("cf_invoice_source.")))
"""
"""Does something, and names the libraries and the modules of ours that it took."""

COMMAND = "from cf_invoice_source.cli.main import cli; cli({})"

PLAIN_DLT = """import dlt
    from dlt.sources.helpers import requests
    rows = dlt.resource([{"id": 1}], name="rows", primary_key="id", write_disposition="merge")
    dlt.pipeline("plain", destination="duckdb", dataset_name="plain").run(rows)"""


def imported(statements: str) -> tuple[set[str], set[str]]:
    ended = run_python("-c", IMPORTED.format(statements))
    assert ended.exit_code == 0, ended.output
    libraries, modules = ended.stdout.splitlines()[-2:]
    return set(libraries.split()), set(modules.split())


def test_help_takes_no_library_but_that_of_the_command_line() -> None:
    """What starts quickly is measured by what it imports: a clock would measure the machine."""
    of_python, _ = imported("pass")

    libraries, modules = imported(COMMAND.format('["--help"]'))

    assert libraries - of_python == {OURS, "click"}
    assert {name for name in modules if name.startswith(f"{OURS}.cli.")} <= {
        f"{OURS}.cli.{name}" for name in ("main", "options", "signals", "streams")
    }


@pytest.mark.slow
@pytest.mark.usefixtures("simulator", "warehouse")
def test_a_load_takes_few_libraries_that_dlt_does_not_take_itself() -> None:
    of_dlt, _ = imported(PLAIN_DLT)

    libraries, modules = imported(COMMAND.format('["load", "--quiet"]'))

    assert libraries - of_dlt == {OURS, "click", "filelock", "rich"}
    assert not {name for name in modules if name.split(".")[1] == "simulator" or name.endswith(".check")}


def test_every_public_name_is_there() -> None:
    ended = run_python("-c", "import cf_invoice_source as c; print([getattr(c, name) for name in c.__all__])")

    assert ended.exit_code == 0, ended.stderr


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = cf_invoice_source.nonsense
