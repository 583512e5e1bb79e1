"""Imports point down, rooms on one floor don't know each other, and each library is imported by its owner only."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "jobserver"
FLOORS = [
    {"errors"},
    {"cache", "logs", "steps", "worker"},
    {"domain"},
    {"store"},
    {"index", "audit", "runner"},
    {"service"},
    {"web"},
    {"config"},
    {"bootstrap"},
    {"serving"},
    {"cli"},
    {"__main__"},
]
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
OWNERS = {
    "dulwich": {"store", "service"},
    "yaml": {"store"},
    "watchdog": {"store"},
    "cryptography": {"store"},
    "pydantic": {"domain", "store", "config"},
    "pydantic_settings": {"config"},
    "github": {"service"},
    "httpx": {"runner", "service", "cli"},
    "jwt": {"service"},
    "orjson": {"index", "service", "web"},
    "bottle": {"web"},
    "jinja2": {"web"},
    "markupsafe": {"web"},
    "itsdangerous": {"web"},
    "prometheus_client": {"web"},
    "granian": {"web", "cli"},
    "sentry_sdk": {"service"},
    "opentelemetry": {"service"},
    "standardwebhooks": {"service"},
    "psycopg": {"service"},
    "click": {"cli"},
    "rich": {"cli"},
}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" or path.parent != PACKAGE)


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            yield node.module
            if node.module in ("jobserver", "jobserver.domain", "jobserver.store"):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def fault(room: str, name: str) -> str | None:
    top, *rest = name.split(".")
    if top == "jobserver":
        if not rest or rest[0] == "__version__":
            return None
        other = rest[0]
        if other != room and FLOOR[other] >= FLOOR[room]:
            return f"{room} imports {other}, which is not below it"
        return None
    if top in sys.stdlib_module_names:
        return None
    if room not in OWNERS.get(top, set()):
        return f"{room} imports {top}, which is not its to use"
    return None


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_imports_only_what_is_below_it(path: Path) -> None:
    assert not [found for name in imports(path) if (found := fault(room_of(path), name))]


@pytest.mark.parametrize(
    ("room", "name"),
    [
        ("domain", "jobserver.store.yaml.codec"),
        ("index", "jobserver.runner.loop"),
        ("domain", "yaml"),
        ("web", "dulwich.repo"),
    ],
)
def test_a_wrong_import_would_be_found(room: str, name: str) -> None:
    assert fault(room, name)


def test_the_domain_is_pure() -> None:
    forbidden = {"random", "secrets", "time", "os", "pathlib", "socket", "subprocess", "threading", "uuid", "io"}
    for path in (PACKAGE / "domain").rglob("*.py"):
        assert not forbidden & {name.split(".")[0] for name in imports(path)}, path
        assert ".now(" not in path.read_text(), path
