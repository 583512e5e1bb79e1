"""The checks that OpenSAFELY's runners make of a project.yaml whose structure is valid. Part of `pipeline`.

For version 5, which the runners read now, each problem is a fault. For other versions it is a warning, because this
server does not know the rules of the runners that read them. Source: `opensafely._vendor.pipeline` (2.1.5); a test
compares this module with it.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeGuard

from jobserver.domain.base import yaml_positions
from jobserver.domain.base.yaml_positions import Node
from jobserver.domain.pipeline import output_rules
from jobserver.domain.pipeline.commands import words_of
from jobserver.domain.pipeline.output_rules import LEVELS
from jobserver.errors import Fault

CURRENT = 5
_TOP = ("version", "actions")
_OLD_TOP = ("expectations",)  # up to version 3
_QUOTED = "YAML does not read this as text: put it in quotes"
_KEYS = ("run", "needs", "outputs", "config", "dummy_data_file")
_IMAGE = re.compile(r"([^:]*):(v[\d.]+(?:-pre)?|dev|latest)")
_OLD_IMAGES = frozenset({"python:v1", "r:v1"})
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_NOT_TEXT = re.compile(
    r"true|True|TRUE|false|False|FALSE|[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?0x[0-9a-fA-F_]+|[-+]?0[bo][0-7_]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}"  # a date, and with its time
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?"
    r"(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?"
)

Fields = Mapping[str, tuple[yaml_positions.Scalar, Node]]


@dataclass(slots=True)
class Written:
    """An action as the file has it. ``run`` is empty if it is not a command."""

    key: yaml_positions.Scalar
    fields: Fields
    run: str = ""


class Doubts:
    """The faults and warnings of one file: at most ``limit`` of each. ``more`` counts further faults."""

    def __init__(self, path: str, limit: int) -> None:
        self.path, self.limit = path, limit
        self.faults: list[Fault] = []
        self.warnings: list[Fault] = []
        self.more = 0
        self.is_strict = False

    @property
    def has_room(self) -> bool:
        """Whether a further doubt would be kept."""
        return len(self.faults if self.is_strict else self.warnings) < self.limit

    def fault(self, message: str, node: Node | None, *keys: str) -> None:
        if len(self.faults) < self.limit:
            self.faults.append(self._fault_at(message, node, keys))
        else:
            self.more += 1

    def warn(self, message: str, node: Node | None, *keys: str) -> None:
        if len(self.warnings) < self.limit:
            self.warnings.append(self._fault_at(message, node, keys))

    def doubt(self, message: str, node: Node | None, *keys: str) -> None:
        """Adds a fault if the file has the current version, else a warning."""
        (self.fault if self.is_strict else self.warn)(message, node, *keys)

    def _fault_at(self, message: str, node: Node | None, keys: tuple[str, ...]) -> Fault:
        key = ".".join(short(part) for part in keys)
        return Fault(message, self.path, node.line if node is not None else 0, key)


def null(node: Node) -> bool:
    return isinstance(node, yaml_positions.Scalar) and node.plain and node.text in _NULL


def is_text(node: Node) -> TypeGuard[yaml_positions.Scalar]:
    """Whether YAML reads the node as text, and not as a number or another type."""
    if not isinstance(node, yaml_positions.Scalar):
        return False
    return not node.plain or (node.text not in _NULL and not _NOT_TEXT.fullmatch(node.text))


def short(text: str) -> str:
    return text if len(text) <= 64 else f"{text[:61]}..."


def judge(
    top: Fields,
    actions: Mapping[str, Written],
    run_all: yaml_positions.Scalar | None,
    fields: Callable[[yaml_positions.Mapping], Fields],
    doubts: Doubts,
) -> None:
    """Adds the problems of the file to ``doubts``.

    ``run_all``: the key of an action with that name, if there is one. ``fields`` returns a mapping's entries, including
    merged ones.
    """
    _version(top, doubts)
    for name, (key, value) in top.items():
        if name not in _TOP and (doubts.is_strict or name not in _OLD_TOP):
            doubts.doubt(_unknown(value, _TOP, fields), key, name)
    if run_all is not None:
        message = "`run_all` means every action; runners ignore one that project.yaml defines"
        doubts.doubt(message, run_all, "actions", "run_all")
    _Actions(fields, doubts).judge(actions)


def _version(top: Fields, doubts: Doubts) -> None:
    expected = f"expected `version: '{CURRENT}.0'`"
    if "version" not in top or null(top["version"][1]):
        doubts.warn(f"`version` is missing; {expected}, which OpenSAFELY's runners need", None, "version")
        return
    node = top["version"][1]
    version = _number(node)
    if version is None:
        doubts.fault(f"expected a number: {expected}", node, "version")
    elif version < CURRENT:
        doubts.warn(f"OpenSAFELY's runners read version {CURRENT} only, and not version {version:g}", node, "version")
    else:
        doubts.is_strict = True
        if version > CURRENT:
            doubts.warn(f"version {version:g} is not known; {expected}", node, "version")


def _number(node: Node) -> float | None:
    try:
        number = float(node.text) if isinstance(node, yaml_positions.Scalar) else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _unknown(value: Node, known: tuple[str, ...], fields: Callable[[yaml_positions.Mapping], Fields]) -> str:
    """The message for an unknown key."""
    if isinstance(value, yaml_positions.Mapping) and "run" in fields(value):
        return "unknown key; it looks like an action: should it be indented below `actions`?"
    return f"unknown key; expected one of: {', '.join(known)}"


class _Actions:
    def __init__(self, fields: Callable[[yaml_positions.Mapping], Fields], doubts: Doubts) -> None:
        self.fields, self.doubts = fields, doubts
        self.runs: dict[str, str] = {}
        self.words: dict[str, list[str]] = {}
        self.paths: dict[str, str] = {}

    def judge(self, actions: Mapping[str, Written]) -> None:
        for name, action in actions.items():
            where = ("actions", name)
            if action.key.plain and not is_text(action.key):
                self.doubts.warn(_QUOTED, action.key, *where)
            for key, (node, value) in action.fields.items():
                if key not in _KEYS:
                    self.doubts.doubt(_unknown(value, _KEYS, self.fields), node, *where, key)
            self.others(action.fields, where)
            levels = self.levels(action, where)
            if action.run:
                self.run(name, action, levels)

    def others(self, fields: Fields, where: tuple[str, ...]) -> None:
        if (
            "config" in fields
            and not isinstance(fields["config"][1], yaml_positions.Mapping)
            and not null(fields["config"][1])
        ):
            self.doubts.doubt("expected a mapping", fields["config"][1], *where, "config")
        dummy = fields["dummy_data_file"][1] if "dummy_data_file" in fields else None
        if dummy is not None and not is_text(dummy) and not null(dummy):
            self.doubts.doubt("expected text, a path", dummy, *where, "dummy_data_file")
        needs = fields["needs"][1] if "needs" in fields else None
        for item in needs.items if isinstance(needs, yaml_positions.Sequence) else ():
            if isinstance(item, yaml_positions.Scalar) and not null(item) and not is_text(item):
                self.doubts.doubt("YAML does not read this as text: put it in quotes", item, *where, "needs")

    def levels(self, action: Written, where: tuple[str, ...]) -> Mapping[str, list[str]]:
        """level -> the paths that can be read."""
        if not action.fields:
            return {}
        if "outputs" not in action.fields:
            self.doubts.doubt("`outputs` is missing", action.key, *where, "outputs")
            return {}
        key, node = action.fields["outputs"]
        if not isinstance(node, yaml_positions.Mapping):
            self.doubts.doubt("expected a mapping of levels to files", node, *where, "outputs")
            return {}
        paths: dict[str, list[str]] = {}
        for level, (name, files) in self.fields(node).items():
            if level not in LEVELS:
                meant = get_close_matches(level, LEVELS, 1) if self.doubts.has_room and level == short(level) else ()
                hint = f"did you mean {meant[0]}?" if meant else f"expected one of: {', '.join(LEVELS)}"
                self.doubts.doubt(f"unknown level; {hint}", name, *where, "outputs", short(level))
            elif not null(files):
                paths[level] = list(self.files(level, files, where))
        if not paths:
            self.doubts.doubt(f"no outputs; expected at least one of: {', '.join(LEVELS)}", key, *where, "outputs")
        return paths

    def files(self, level: str, node: Node, where: tuple[str, ...]) -> Iterator[str]:
        if not isinstance(node, yaml_positions.Mapping):
            self.doubts.doubt("expected a mapping of names to paths", node, *where, "outputs", level)
            return
        for name, (_, value) in self.fields(node).items():
            place = (*where, "outputs", level, name)
            if not is_text(value):
                self.doubts.doubt("expected text, a path", value, *place)
                continue
            if problem := output_rules.path_problem(value.text, level):
                self.doubts.doubt(f"{short(value.text)!r} {problem}", value, *place)
            if (first := self.paths.get(value.text)) is None:
                self.paths[value.text] = where[1]
            else:
                self.doubts.doubt(f"{short(value.text)!r} is already an output of {short(first)!r}", value, *place)
            yield value.text

    def run(self, name: str, action: Written, outputs: Mapping[str, list[str]]) -> None:
        node, where = action.fields["run"][1], ("actions", name, "run")
        if action.run not in self.words:
            self.words[action.run] = words_of(action.run)
        words = self.words[action.run]
        if not words:
            self.doubts.doubt("cannot be read as a command: is a quote missing?", node, *where)
            return
        match = _IMAGE.fullmatch(words[0])
        if match is None:
            image = words[0].partition(":")[0]
            message = f"{short(words[0])!r} is not an image with a version; expected something like {short(image)}:v2"
            self.doubts.doubt(message, node, *where)
        elif match[2] == "latest" and self.doubts.is_strict:
            message = f"{short(words[0])!r} is no longer supported; expected a version, such as {short(match[1])}:v2"
            self.doubts.fault(message, node, *where)
        elif words[0] in _OLD_IMAGES and self.doubts.is_strict:
            self.doubts.warn(f"{words[0]} will soon not be supported; use {match[1]}:v2", node, *where)
        if words[0].startswith("cohortextractor") and self.doubts.is_strict:
            self.doubts.fault("cohortextractor is no longer supported; expected ehrql", node, *where)
        if (first := self.runs.setdefault(action.run, name)) != name:
            self.doubts.doubt(f"{short(first)!r} already runs the same command", node, *where)
        if problem := output_rules.ehrql_problem(action.run, words, outputs):
            self.doubts.doubt(problem, action.key, "actions", name, "outputs")
