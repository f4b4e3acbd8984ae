"""Makes mutants of a room: its code with one small mistake in it, which the room's tests should catch.

    python -m tests.support.mutants invoices walk

It prints each mutant that survives, and the share of those that were caught. Mutants that no test can tell
from the original stand in `equivalent_mutants.txt`, each with the reason, and are left out.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

TOP = Path(__file__).parents[2]
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.txt")

WANTED = 95
"""Mutants that have to be caught, in percent."""

ROOMS = {
    "invoices": (["invoices", "exact_json.py"], "tests/invoices"),
    "walk": (["walk"], "tests/walk"),
}
"""By room: its folders and files in the package, and the folder of its tests."""

NEGATIONS = {ast.Eq: ast.NotEq, ast.Is: ast.IsNot, ast.In: ast.NotIn}
SWAPS: dict[type[Any], type[Any]] = {
    ast.Lt: ast.LtE,
    ast.Gt: ast.GtE,
    ast.Add: ast.Sub,
    ast.Mult: ast.Div,
    ast.And: ast.Or,
    **NEGATIONS,
}
SWAPS |= {other: operator for operator, other in SWAPS.items()}
SWAPS |= {ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult}

NO_BEHAVIOUR = {"annotation", "returns", "decorator_list"}
"""Parts of a syntax tree that are for the type checker, or say how a class is made."""


@dataclass(frozen=True)
class Mutant:
    """One mistake in one file: where it is, and the whole file with it."""

    path: str
    line: int
    scope: str
    change: str
    source: str

    @property
    def key(self) -> str:
        """Its name in the list of equivalent mutants: without a line number, for lines move."""
        return f"{self.path} {self.scope}: {self.change}"


def mutants_of(path: str, source: str) -> Iterator[Mutant]:
    """Make every mutant of one file."""
    tree = ast.parse(source)
    for scope, parent, field, index in _slots(tree, "module"):
        container: Any = vars(parent) if index is None else getattr(parent, field)
        key = field if index is None else index
        node = container[key]
        shown = parent if isinstance(node, ast.Constant) else None  # a number alone tells nothing
        before = _brief(shown or node)
        for other in [*_mistakes(node), *_negations(node, field)]:
            container[key] = other
            change = f"{before} -> {_brief(shown or other)}"
            yield Mutant(path, node.lineno, scope, change, ast.unparse(tree))
        container[key] = node


def _slots(parent: ast.AST, scope: str) -> Iterator[tuple[str, ast.AST, str, Any]]:
    """Give each place of a node: its scope, the node above it, the field there, and the index in a list."""
    for field, value in ast.iter_fields(parent):
        for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(node, ast.AST) and field not in NO_BEHAVIOUR:
                yield scope, parent, field, index
                is_scope = isinstance(node, ast.FunctionDef | ast.ClassDef)
                inner = f"{scope}.{getattr(node, 'name', '')}".removeprefix("module.")
                yield from _slots(node, inner if is_scope else scope)


def _mistakes(node: Any) -> Iterator[ast.AST]:
    """Make the mistakes that can be made in one expression or statement."""
    match node:
        case ast.Compare():
            for index, operator in enumerate(node.ops):
                swapped = SWAPS[type(operator)]()
                yield _with(node, ops=[*node.ops[:index], swapped, *node.ops[index + 1 :]])
        case ast.BinOp() | ast.AugAssign() | ast.BoolOp() if type(node.op) in SWAPS:
            yield _with(node, op=SWAPS[type(node.op)]())
        case ast.UnaryOp(ast.Not()):
            yield node.operand
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value)):
            yield ast.Constant(1 - value if value in {0, 1} else value + 1)
        case ast.Return(ast.expr()) if ast.unparse(node) != "return None":
            yield _with(node, value=ast.Constant(None))
        case ast.Expr(ast.Call()):
            yield ast.Pass()


def _negations(node: Any, field: str) -> Iterator[ast.AST]:
    """Negate a condition, unless swapping its operator does so."""
    if field in {"test", "ifs"} and not isinstance(node, ast.UnaryOp):
        operators = {type(operator) for operator in getattr(node, "ops", ())}
        if not operators & {*NEGATIONS, *NEGATIONS.values()}:
            yield ast.UnaryOp(ast.Not(), node)


def _with(node: ast.AST, **fields: Any) -> ast.AST:
    return type(node)(**vars(node) | fields)


def _brief(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())


def mutants_in(room: str) -> list[Mutant]:
    """Make every mutant of a room."""
    paths = [TOP / "cf_invoice_source" / part for part in ROOMS[room][0]]
    files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*.py")))]
    return [each for file in files for each in mutants_of(str(file.relative_to(TOP)), file.read_text())]


def equivalent_mutants() -> set[str]:
    """Read the keys of the mutants that cannot be caught; the reason is indented below each."""
    return {line for line in EQUIVALENT.read_text().splitlines() if line and line[0] not in "# "}


def in_order(tests: str, mutated: str) -> list[str]:
    """Name the files of a room's tests: those that are about the file first, random worlds last."""
    about = f"test_{Path(mutated).stem}.py"
    names = sorted(path.name for path in (TOP / tests).glob("test_*.py"))
    return [f"{tests}/{name}" for name in sorted(names, key=lambda name: (name != about, "worlds" in name))]


def tester(top: Path, tests: str) -> Callable[[str, float | None], bool]:
    """Copy package and tests; give a function that says if the tests pass there in so many seconds."""
    for part in ("cf_invoice_source", "tests"):
        shutil.copytree(TOP / part, top / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(TOP / "pyproject.toml", top)
    options = ["-x", "-q", "-n", "0", "-p", "no:randomly", "-p", "no:cacheprovider"]
    profile = ["--hypothesis-profile", "at the first failure"]  # nobody wants the smallest example
    command = [sys.executable, "-m", "pytest", *options, *profile]

    def passes(mutated: str, timeout: float | None) -> bool:
        # CI: the same examples each time. Bytecode is kept of the original alone: a mutant may be as long.
        env = os.environ | {"CI": "1", "PYTHONDONTWRITEBYTECODE": "1" if timeout else ""}
        env["PYTHONPATH"] = str(top)
        try:
            ended = subprocess.run(
                [*command, *in_order(tests, mutated)],
                cwd=top,
                env=env,
                timeout=timeout,
                capture_output=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
        return ended.returncode == 0

    return passes


def survivors_of(mutants: list[Mutant], tests: str) -> Iterator[Mutant]:
    """Run the tests with each mutant in turn, and give those with which they pass."""
    with TemporaryDirectory() as folder:
        passes = tester(Path(folder), tests)
        started = monotonic()
        if not passes("", None):
            sys.exit(f"{tests} fails without any mutant")
        timeout = 30 + 5 * (monotonic() - started)
        for mutant in mutants:
            (Path(folder) / mutant.path).write_text(mutant.source)
            if passes(mutant.path, timeout):
                yield mutant
            shutil.copy2(TOP / mutant.path, Path(folder) / mutant.path)


def main(rooms: list[str]) -> int:
    """Print what survives in each room, and its score; 1 where too much does."""
    scores = []
    for room in rooms or ROOMS:
        equivalent = equivalent_mutants()
        mutants = [mutant for mutant in mutants_in(room) if mutant.key not in equivalent]
        caught = len(mutants)
        for mutant in survivors_of(mutants, ROOMS[room][1]):
            caught -= 1
            print(f"{mutant.path}:{mutant.line} {mutant.scope}: {mutant.change}", flush=True)  # noqa: T201
        scores.append(100 * caught / len(mutants))
        print(f"{room}: {caught} of {len(mutants)} mutants caught, {scores[-1]:.1f} %")  # noqa: T201
    return 0 if min(scores) >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
