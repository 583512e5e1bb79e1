"""What a library says of an error never reaches a user: it may hold a path, a line of a file, a header or a key."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "jobserver"
OURS = {"Error", "BrokenBody", "Unreadable"}  # whose texts are written for users
TELLS = {
    "Error",
    "Fault",
    "invalid",
    "unavailable",
    "not_found",
    "conflict",
    "forbidden",
    "too_many",
    "unauthenticated",
}
ROOMS = ("store", "index", "service", "web", "domain")


def names_of(caught: ast.expr | None) -> set[str]:
    if caught is None:
        return {"BaseException"}
    parts = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return {ast.unparse(one).rpartition(".")[2] for one in parts}


def told(handler: ast.ExceptHandler) -> Iterator[int]:
    """Lines where the exception itself, and not some attribute of it, becomes a part of what a user is told."""
    for call in ast.walk(handler):
        if not isinstance(call, ast.Call) or ast.unparse(call.func).rpartition(".")[2] not in TELLS:
            continue
        within = {id(one.value) for one in ast.walk(call) if isinstance(one, ast.Attribute)}
        within |= {id(one.args[0]) for one in ast.walk(call) if isinstance(one, ast.Call) and _is_harmless(one)}
        for argument in [*call.args, *(word.value for word in call.keywords)]:
            for name in ast.walk(argument):
                if isinstance(name, ast.Name) and name.id == handler.name and id(name) not in within:
                    yield call.lineno


def _is_harmless(call: ast.Call) -> bool:
    """What says in a word what it was; `_words` quotes a caller's own zip, cut and made printable, to that caller."""
    return ast.unparse(call.func) in ("type", "isinstance", "reason", "disk_error", "_words")


def found_in(text: str) -> list[int]:
    lines: list[int] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ExceptHandler) and node.name and not names_of(node.type) <= OURS:
            lines += told(node)
    return lines


@pytest.mark.parametrize("room", ROOMS)
def test_no_text_of_a_library_is_told(room: str) -> None:
    found = [
        f"{path.name}:{line}" for path in sorted((PACKAGE / room).rglob("*.py")) for line in found_in(path.read_text())
    ]
    assert found == []


def test_a_text_of_a_library_in_a_message_is_found() -> None:
    handler = "try:\n    x()\nexcept {caught} as error:\n    raise unavailable(f'it failed: {{{said}}}')\n"
    assert found_in(handler.format(caught="OSError", said="error")) == [4]
    assert found_in(handler.format(caught="(KeyError, Error)", said="str(error)")) == [4]
    assert found_in(handler.format(caught="OSError", said="error.strerror")) == []
    assert found_in(handler.format(caught="Error", said="error")) == []
