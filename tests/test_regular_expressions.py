"""No regular expression of ours takes for ever over what others wrote: none has a repetition within a repetition."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from re import _constants as op
from re import _parser
from typing import Any

import jobserver

PACKAGE = Path(jobserver.__file__).parent
_REPEATS = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)


def is_nested(parsed: Any, inside: bool = False) -> bool:
    """Whether a repetition that may be of several lengths stands within another one, and gives back what it took.

    Then a text of n characters can be cut up in 2 to the n ways, and all are tried. One that gives nothing back (`++`,
    `(?>...)`) cuts it up in one way.
    """
    for kind, argument in parsed:
        if kind in _REPEATS:
            low, high, repeated = argument
            repeats = high > 1 and low != high and kind is not op.POSSESSIVE_REPEAT
            if (repeats and inside) or is_nested(repeated, repeats or (inside and kind is not op.POSSESSIVE_REPEAT)):
                return True
        elif kind is op.ATOMIC_GROUP:
            if is_nested(argument):
                return True
        elif kind in (op.SUBPATTERN, op.ASSERT, op.ASSERT_NOT):
            if is_nested(argument[-1], inside):
                return True
        elif kind is op.BRANCH and any(is_nested(branch, inside) for branch in argument[1]):
            return True
    return False


def calls(path: Path) -> Iterator[ast.expr]:
    """The patterns, as they are written, of all calls of the module `re`. Most files have none: they are not parsed."""
    text = path.read_text()
    for node in ast.walk(ast.parse(text)) if re.search(r"\bre\.\w+\(", text) else ():
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr=name), args=[pattern, *_]) if (
                name != "escape"
            ):
                yield pattern


def found() -> list[tuple[str, str | bytes]]:
    """(module, pattern) of all that there are."""
    patterns: list[tuple[str, str | bytes]] = []
    for path in sorted(PACKAGE.rglob("*.py")):
        written = list(calls(path))
        if not written:
            continue
        name = ".".join(("jobserver", *path.relative_to(PACKAGE).with_suffix("").parts))
        module = vars(importlib.import_module(name))
        for pattern in written:
            try:
                value = eval(compile(ast.Expression(pattern), name, "eval"), module)
            except NameError:  # made in a loop
                assert name == "jobserver.domain.base.layout", ast.unparse(pattern)
                patterns += [(name, made.pattern) for _, made in module["_MAIN_PATHS"]]
            else:
                patterns.append((name, value))
    return patterns


def test_no_repetition_stands_within_another() -> None:
    patterns = found()
    assert [(module, pattern) for module, pattern in patterns if is_nested(_parser.parse(pattern))] == []
    assert len(patterns) > 60  # all are looked at
