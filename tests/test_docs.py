"""The documents name paths and methods that exist."""

import ast
import re
from pathlib import Path

import click
import pytest

from jobserver.cli.main import cli
from jobserver.web.api.openapi.document import describe

ROOT = Path(__file__).parent.parent
OF_AIRLOCK = (
    "POST /releases/",
    "POST /airlock/",
    "POST /workspaces/{name}/snapshots",
)  # one program calls these; section 4 describes them
DOCUMENTS = ("CONTRIBUTING.md", "docs/architecture.md", "docs/developer.md", "docs/reliability.md")
DECISIONS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs" / "decisions").glob("*.md"))
PATH = re.compile(r"(?<![\w./<-])((?:[a-z_0-9]+/)+[a-z_0-9]*(?:\.[a-z]+)?|[a-z_]+\.py)(?![\w*<])")
METHOD = re.compile(r"\b([A-Z][A-Za-z]+)\.([a-z_]+)\b(?!/)")
ALL_DOCUMENTS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))
COMMAND = re.compile(r"(?<![\w./-])(?<!-u )jobserver (?!jobserver)([a-z][a-z-]*)(?:\s([a-z][a-z-]*))?")
NOT_OURS = (
    *("org/", "orgs/", "and/", "api/v2/", "backends/", "job-requests/", "jobs/", "refs/", "active/", "archive/"),
    *("screenshots/", "text/", "static/pico"),
)


def code_in(text: str) -> list[str]:
    """Blocks without a language, diagrams, and the words between backticks."""
    blocks = re.findall(r"```(?:mermaid)?\n(.*?)```", text, re.DOTALL)
    return [*blocks, *re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))]


def paths_in(text: str) -> set[str]:
    paths = {path for code in code_in(text) for path in PATH.findall(code)}
    return {path for path in paths if not path.startswith(NOT_OURS) and "//" not in path}


@pytest.fixture(scope="module")
def existing() -> set[str]:
    """Each file and folder of the tree, and each end of its path: a reader knows which one is meant."""
    folders = ("jobserver", "tests", "docs", "benchmarks")
    tree = [path for folder in folders for path in (ROOT / folder, *(ROOT / folder).rglob("*"))]
    names = [str(path.relative_to(ROOT)).split("/") for path in (*tree, *ROOT.glob("*.*"))]
    ends = {"/".join(parts[start:]) for parts in names for start in range(len(parts))}
    return ends | {f"{end}/" for end in ends}


@pytest.fixture(scope="module")
def methods() -> dict[str, set[str]]:
    """By class name: what its classes define."""
    defined: dict[str, set[str]] = {}
    for path in (ROOT / "jobserver").rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                names = {part.name for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)}
                defined.setdefault(node.name, set()).update(names)
    return defined


def test_the_map_and_the_guides_name_paths() -> None:
    for name in ("CONTRIBUTING.md", "docs/architecture.md", "docs/developer.md"):
        assert len(paths_in((ROOT / name).read_text())) > 10, name


@pytest.mark.parametrize("name", [*DOCUMENTS, *DECISIONS])
def test_every_path_that_a_document_names_exists(name: str, existing: set[str]) -> None:
    assert sorted(paths_in((ROOT / name).read_text()) - existing) == []


@pytest.mark.parametrize("name", [*DOCUMENTS, *DECISIONS])
def test_every_method_that_a_document_names_exists(name: str, methods: dict[str, set[str]]) -> None:
    named = {match for code in code_in((ROOT / name).read_text()) for match in METHOD.findall(code)}
    assert sorted(f"{owner}.{method}" for owner, method in named if method not in methods.get(owner, ())) == []


def test_each_decision_record_has_a_number_of_its_own() -> None:
    numbers = [Path(name).name[:4] for name in DECISIONS]
    assert len(numbers) == len(set(numbers))


def _commands() -> set[tuple[str, str]]:
    """("user", "add") for each command of a group, ("serve", "") for each other."""
    with click.Context(cli) as context:
        named = [(name, cli.get_command(context, name)) for name in cli.list_commands(context)]
    return {
        (name, below)
        for name, command in named
        for below in (command.commands if isinstance(command, click.Group) else [""])
    }


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", *ALL_DOCUMENTS])
def test_every_command_that_a_document_names_exists(name: str) -> None:
    known = _commands()
    groups = {command for command, below in known if below}
    unknown = []
    for code in re.findall(r"```.*?```|`[^`]+`", (ROOT / name).read_text(), re.DOTALL):
        for command, below in COMMAND.findall(code):
            pair = (command, below if command in groups else "")
            if pair not in known and pair not in {(group, "") for group in groups}:
                unknown.append(f"{command} {below}".strip())
    assert unknown == []


def test_the_contract_says_where_each_change_of_the_api_is_made() -> None:
    """Its table has every operation that changes something, and each call in it exists."""
    paths = describe("https://jobs.example")["paths"]
    operations = {
        f"{method.upper()} {path.removeprefix('/api/v2')}"
        for path, item in paths.items()
        for method in item
        if method != "parameters" and path.startswith("/api/v2/")
    }
    section = (ROOT / "docs" / "contract.md").read_text().partition("## 5. ")[2]
    named = set(re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /[^`]*)`", section))
    assert named - operations == set()
    of_runners = {"POST /jobs/", "PUT /workspaces/{name}/releases/{hash}"}
    changes = {operation for operation in operations if not operation.startswith("GET ")} - named
    assert {change for change in changes if not change.startswith(OF_AIRLOCK)} == of_runners
