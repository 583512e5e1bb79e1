"""The package's shape: short functions, few arguments, folders that a stranger can name, one class for each name."""

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "jobserver"
DATA = {"study", "draft", "state_repo_template"}  # files of other repositories
FILES = sorted(path for path in PACKAGE.rglob("*.py") if not DATA & set(path.parts))
FOLDERS = sorted({path.parent for path in FILES})
MAX_LINES, MAX_ARGUMENTS, MAX_MODULES = 50, 7, 14


Nodes = dict[Path, list[ast.AST]]


@pytest.fixture(scope="module")
def nodes() -> Nodes:
    return {path: list(ast.walk(ast.parse(path.read_text()))) for path in FILES}


def long_functions(path: Path, nodes: Nodes) -> list[str]:
    """Lines are counted as they are written, without the docstring."""
    result = []
    for node in nodes[path]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[1 if ast.get_docstring(node) is not None and len(node.body) > 1 else 0]
            lines = (node.end_lineno or 0) - first.lineno + 1
            if lines > MAX_LINES:
                result.append(f"{path.relative_to(PACKAGE)}: {node.name}: {lines} lines")
    return result


def large_constructors(path: Path, nodes: Nodes) -> list[str]:
    result = []
    for node in nodes[path]:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            count = len([*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]) - 1
            if count > MAX_ARGUMENTS:
                result.append(f"{path.relative_to(PACKAGE)}:{node.lineno}: {count} arguments")
    return result


def modules(folder: Path) -> list[str]:
    names = [path.stem for path in folder.glob("*.py") if path.name != "__init__.py"]
    return sorted([*names, *(child.name for child in folder.iterdir() if (child / "__init__.py").exists())])


def test_functions_are_short(nodes: Nodes) -> None:
    assert [fault for path in FILES for fault in long_functions(path, nodes)] == []


def test_constructors_take_few_arguments(nodes: Nodes) -> None:
    assert [fault for path in FILES for fault in large_constructors(path, nodes)] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.relative_to(PACKAGE).as_posix())
def test_a_folder_is_small_and_lists_its_modules(folder: Path) -> None:
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    assert [name for name in modules(folder) if name not in docstring] == []
    assert len([name for name in modules(folder) if not (folder / name).is_dir()]) <= MAX_MODULES


def test_one_name_is_one_class(nodes: Nodes) -> None:
    places = defaultdict(list)
    for path in FILES:
        for node in nodes[path]:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path.relative_to(PACKAGE)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def test_folders_of_templates_are_small() -> None:
    counts = Counter(path.parent.name for path in (PACKAGE / "web" / "templates").rglob("*.html"))
    assert counts["templates"] > 0
    assert [name for name, count in counts.items() if count > MAX_MODULES] == []


NO_NAMES = {"found", "one", "at", "what", "look", "said", "told", "made"}
# The keys of `jobserver log --json` and of the documents of releases.
NAMED_SO = {"audit/log.py: at", "domain/outputs/documents.py: at"}


def names(path: Path, nodes: Nodes) -> Iterator[str]:
    """What a file gives a name to: variables, arguments, functions and classes."""
    for node in nodes[path]:
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name


def test_names_say_what_they_name(nodes: Nodes) -> None:
    """`found`, `one` and the like could be anything."""
    empty = {
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in FILES
        for name in names(path, nodes)
        if name.strip("_") in NO_NAMES
    }
    assert empty - NAMED_SO == set()


def test_no_merge_was_left_half_done() -> None:
    """Not even a linter reads all of these files."""
    texts = (path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".html", ".css", ".js", ".yaml", ".md"))
    marks = tuple(mark * 7 + " " for mark in "<>")
    half_done = [path for path in texts if any(line.startswith(marks) for line in path.read_text().splitlines())]
    assert half_done == []
