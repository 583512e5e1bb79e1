"""How many small mistakes in `jobserver/domain/` its unit tests notice: each is made, and the tests are run on it.

``python -m tests.faults.mutation`` (all mistakes; ``--mutants 100`` for a sample) prints what survived and the score.
Mistakes: a comparison turned round, `and` for `or`, a condition negated, a filter or guard dropped, a number off by
one, True for False, a statement left out. Each is made in a process of its own, forked where pytest is loaded already
and the package is not yet; the first test that fails ends it, and so does a limit on the time that it computes.
"""

import argparse
import ast
import importlib.util
import os
import random
import resource
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

import hypothesis
import pydantic  # noqa: F401 - loaded once, for all
import pytest
import yaml  # noqa: F401
from hypothesis import Phase

ROOT = Path(__file__).parents[2]
PACKAGE = "jobserver/domain"
TESTS = "tests/unit/domain"
SECONDS = 60  # of computing, for one mistake: an endless loop is noticed too
FIRST = {  # where a mistake is most likely noticed, if not in the tests of the same name
    "backends": "plan",
    "accounts": "users",
    "identifiers": "names",
    "layout": "names",
    "members": "projects",
    "orgs": "projects",
    "output_rules": "rules",
    "planning": "plan",
    "registration": "projects",
    "reserved": "names",
    "rights": "permissions",
    "state": "requests",
    "tokens": "admit",
    "urls": "names",
    "validation": "documents",
    "values": "documents",
    "workspaces": "plan",
}
_OPTIONS = ("-q", "-x", "--assert=plain", "-p", "no:cacheprovider")
_TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


def mutants(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(place among all nodes, what to do there) of every mistake."""
    decorated = [one for node in ast.walk(tree) for one in getattr(node, "decorator_list", ())]
    silent = {id(node) for one in decorated for node in ast.walk(one)}  # slots=True says nothing of what is done
    silent |= {id(node) for one in ast.walk(tree) if isinstance(one, ast.Assert) for node in ast.walk(one)}
    for place, node in enumerate(ast.walk(tree)):
        if id(node) in silent:
            continue
        if isinstance(node, ast.Compare) and type(node.ops[0]) in _TURNED:
            yield place, "turned"
        elif isinstance(node, ast.BoolOp):
            yield place, "and for or"
        elif isinstance(node, ast.If | ast.IfExp):
            yield place, "negated"
        elif (isinstance(node, ast.comprehension) and node.ifs) or (isinstance(node, ast.match_case) and node.guard):
            yield place, "dropped"
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
            yield place, "constant"
        elif isinstance(node, ast.Raise | ast.AugAssign | ast.Expr) and not isinstance(
            getattr(node, "value", None), ast.Constant
        ):
            yield place, "left out"


def mutate(tree: ast.Module, place: int) -> int:
    """Makes the mistake; its line."""
    node = list(ast.walk(tree))[place]
    line = 0
    match node:
        case ast.Compare():
            node.ops[0] = _TURNED[type(node.ops[0])]()
        case ast.BoolOp():
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        case ast.If() | ast.IfExp():
            node.test = ast.UnaryOp(ast.Not(), node.test)
        case ast.comprehension():
            line, node.ifs = node.ifs[0].lineno, []
        case ast.match_case():
            line, node.guard = node.pattern.lineno, None
        case ast.Constant(bool() as value):
            node.value = not value
        case ast.Constant(int() | float() as value):
            node.value = value + 1
        case _:
            for parent in ast.walk(tree):
                for field in ("body", "orelse", "handlers"):
                    statements = getattr(parent, field, None)
                    if isinstance(statements, list) and node in statements:
                        statements[statements.index(node)] = ast.copy_location(ast.Pass(), node)
    ast.fix_missing_locations(tree)
    return line or int(getattr(node, "lineno", 0))


class Mutated(MetaPathFinder, SourceFileLoader):
    """Imports one module as ``code``; all others come from their files."""

    def __init__(self, path: Path, code: CodeType) -> None:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        SourceFileLoader.__init__(self, module, str(path))
        self._code = code

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return importlib.util.spec_from_loader(fullname, self) if fullname == self.name else None

    def get_code(self, fullname: str) -> CodeType:
        return self._code


def tests_of(path: Path) -> list[list[str]]:
    """All tests: those of this module, and then the others, which most mistakes need not wait for."""
    folder = ROOT / TESTS / path.relative_to(ROOT / PACKAGE).parent
    own = f"test_{FIRST.get(path.stem, path.stem)}"
    files = sorted((ROOT / TESTS).rglob("test_*.py"))
    first = [str(file) for file in files if file.parent == folder and f"{file.stem}_".startswith(f"{own}_")]
    others = [str(file) for file in files if str(file) not in first]
    return [first, others] if first else [others]


def run(tests: Sequence[Sequence[str]], finder: Mutated | None) -> int:
    """Starts the tests in a process of their own; its id. It ends with 0 if all of them pass."""
    if child := os.fork():
        return child
    code = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        if finder is not None:
            sys.meta_path.insert(0, finder)
        code = next((code for some in tests if (code := int(pytest.main([*_OPTIONS, *some])))), 0)
    finally:
        os._exit(code)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=0, help="how many; 0: all that can be made")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--module", default="*", help="of this module only, such as admit")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    os.chdir(ROOT)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # none is needed, and some take a second to load
    slow = [hypothesis.HealthCheck.too_slow]  # a busy machine must not be taken for a mistake that was noticed
    hypothesis.settings.register_profile(
        "mutation",
        max_examples=30,
        derandomize=True,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=slow,
    )
    hypothesis.settings.load_profile("mutation")
    paths = sorted((ROOT / PACKAGE).rglob(f"{options.module}.py"))
    if os.waitpid(run(tests_of(paths[0]), None), 0)[1] != 0:
        sys.exit("the tests fail without a mistake")
    places = [(path, *one) for path in paths for one in mutants(ast.parse(path.read_text()))]
    chosen = random.Random(options.seed).sample(places, options.mutants) if options.mutants else list(places)
    running: dict[int, str] = {}
    done, survived = 0, list[str]()

    def wait() -> None:
        nonlocal done
        child, status = os.wait()
        done += 1
        said = running.pop(child)
        if status == 0:
            survived.append(said)
            print(f"survived: {said}", flush=True)
        print(f"{done - len(survived)} of {done} noticed", file=sys.stderr, flush=True)

    for path, place, how in chosen:
        text = path.read_text()
        tree = ast.parse(text)
        line = mutate(tree, place)
        finder = Mutated(path, compile(tree, str(path), "exec"))
        if len(running) == options.processes:
            wait()
        running[run(tests_of(path), finder)] = f"{path.name}:{line} {how}: {text.splitlines()[line - 1].strip()}"
    while running:
        wait()
    score = f"{done - len(survived)} of {done} mistakes noticed ({100 * (done - len(survived)) / done:.1f}%)"
    print(f"{score}, of {len(places)} that can be made")


if __name__ == "__main__":
    main()
