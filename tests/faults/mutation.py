"""How many small mistakes in `jobserver/domain/` the tests notice: each is made in a copy, and the tests are run on it.

``python -m tests.faults.mutation --mutants 100`` prints the score and what survived. Mistakes: a comparison turned
round, `and` for `or`, a condition negated, a number off by one, True for False, a statement left out.
"""

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "jobserver/domain"
TESTS = (
    "tests/unit/domain",
    "tests/integration/service/test_gate.py",
    "tests/integration/audit",
    "tests/integration/index",
)
_TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


def mutants(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(place among all nodes, what to do there) of every mistake."""
    owners = (node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef))
    documents = {id(node.body[0].value) for node in owners if isinstance(node.body[0], ast.Expr)}
    decorated = [one for node in ast.walk(tree) for one in getattr(node, "decorator_list", ())]
    documents |= {id(node) for one in decorated for node in ast.walk(one)}  # slots=True says nothing of what is done
    for place, node in enumerate(ast.walk(tree)):
        if isinstance(node, ast.Compare) and type(node.ops[0]) in _TURNED:
            yield place, "turned"
        elif isinstance(node, ast.BoolOp):
            yield place, "and for or"
        elif isinstance(node, ast.If | ast.IfExp):
            yield place, "negated"
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
            if id(node) not in documents:
                yield place, "constant"
        elif isinstance(node, ast.Raise | ast.AugAssign):
            yield place, "left out"


def mutate(tree: ast.Module, place: int, how: str) -> int:
    """Makes the mistake; its line."""
    node = list(ast.walk(tree))[place]
    line: int = node.lineno  # type: ignore[attr-defined]
    if isinstance(node, ast.Compare):
        node.ops[0] = _TURNED[type(node.ops[0])]()
    elif isinstance(node, ast.BoolOp):
        node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    elif isinstance(node, ast.If | ast.IfExp):
        node.test = ast.UnaryOp(ast.Not(), node.test)
    elif isinstance(node, ast.Constant):
        node.value = not node.value if isinstance(node.value, bool) else node.value + 1  # type: ignore[operator]
    else:
        for parent in ast.walk(tree):
            for field in ("body", "orelse", "handlers"):
                statements = getattr(parent, field, None)
                if isinstance(statements, list) and node in statements:
                    statements[statements.index(node)] = ast.Pass()
    ast.fix_missing_locations(tree)
    return line


def is_noticed(folder: Path) -> bool:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", *TESTS]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=300).returncode != 0
    except subprocess.TimeoutExpired:
        return True  # it hangs: nobody would miss that


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "copy"
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".venv", ".git", ".cache", "screenshots", "demo"))
        if is_noticed(folder):
            sys.exit("the tests fail without a mistake")
        places = [
            (path, place, how)
            for path in sorted((folder / PACKAGE).glob("*.py"))
            for place, how in mutants(ast.parse(path.read_text()))
        ]
        chosen = random.Random(options.seed).sample(places, min(options.mutants, len(places)))
        noticed = 0
        for number, (path, place, how) in enumerate(chosen, 1):
            text = path.read_text()
            tree = copy.deepcopy(ast.parse(text))
            line = mutate(tree, place, how)
            path.write_text(ast.unparse(tree))
            found = is_noticed(folder)
            path.write_text(text)
            noticed += found
            if not found:
                print(f"survived: {path.name}:{line} {how}: {text.splitlines()[line - 1].strip()}", flush=True)
            print(f"{noticed} of {number} noticed", file=sys.stderr, flush=True)
    score = f"{noticed} of {len(chosen)} mistakes noticed ({100 * noticed / len(chosen):.0f}%)"
    print(f"{score}, of {len(places)} that can be made")


if __name__ == "__main__":
    main()
