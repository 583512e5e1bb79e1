"""Reads a study's pipeline from project.yaml: its actions, what each needs, and everything that is wrong with it.

Pure; works on nodes with lines (`domain.base.yaml_positions`). This module checks the structure. `rules` checks what
OpenSAFELY's runners refuse.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypedDict

from jobserver.domain.base import names, yaml_positions
from jobserver.domain.base.yaml_positions import Node
from jobserver.domain.pipeline.graph import RUN_ALL, closure, cycles
from jobserver.domain.pipeline.rules import Doubts, Written, is_text, judge, null, short
from jobserver.errors import MAX_FAULTS, Fault, invalid, some

MAX_FILE_BYTES = 8 * 1024 * 1024
MAX_ACTIONS = 20_000
MAX_RUN_BYTES = 16 * 1024
MAX_TOTAL_BYTES = 8 * 1024 * 1024  # of what a request's pipeline.yaml then holds
MAX_VALUES = 1_000_000  # because merges and aliases let a small file repeat values without end
_ONE_VALUE = 64  # characters: longer text counts as several values

_ACTION_BYTES, _NEED_BYTES = 32, 9  # in pipeline.yaml, beside the names and the command themselves
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")  # no process can be given these

Outputs = Mapping[str, Mapping[str, str]]
Fields = dict[str, tuple[yaml_positions.Scalar, Node]]


class ActionDocument(TypedDict):
    """An action in a request's pipeline.yaml."""

    needs: list[str]
    run: str


@dataclass(frozen=True, slots=True)
class Action:
    """``outputs`` (privacy level -> {name: pattern}) and ``config`` are for runners; no request stores them. ``line``:
    where the file has the command."""

    needs: tuple[str, ...]
    run: str
    outputs: Outputs = field(default_factory=dict, compare=False)
    config: yaml_positions.Mapping | None = field(default=None, compare=False)
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Actions by name, in the order of the file, without ``run_all``, which stands for all of them.

    ``warnings``: problems that may not stop a runner.
    """

    actions: Mapping[str, Action]
    warnings: tuple[Fault, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "actions", MappingProxyType(dict(self.actions)))

    def unknown(self, actions: Iterable[str]) -> tuple[str, ...]:
        """Those of ``actions`` that the pipeline does not define, each once, in the order given."""
        return tuple(name for name in dict.fromkeys(actions) if name not in self.actions and name != RUN_ALL)

    def closure(self, actions: Iterable[str]) -> tuple[str, ...]:
        """The actions and all that they need, each once and after what it needs.

        The same input gives the same order. ``run_all`` stands for every action and is not in the answer.
        Raises `Error` (invalid) that names the actions that do not exist.
        """
        requested = tuple(dict.fromkeys(actions))
        if unknown := self.unknown(requested):
            raise invalid(f"Unknown actions: {some(unknown)}")
        return tuple(closure(requested, self.actions))

    def as_document(self) -> dict[str, ActionDocument]:
        """The ``actions`` of a request's pipeline.yaml."""
        return {name: {"needs": list(a.needs), "run": a.run} for name, a in self.actions.items()}


def parse(node: Node | None, path: str = "project.yaml", tab: int = 0) -> Pipeline:
    """The pipeline in a project.yaml. Raises `Error` (invalid) with every fault, its line and its key.

    ``tab``: the line of a tab outside of quotes, if there is one.
    """
    reader = _Reader(path, tab)
    actions: Mapping[str, Action] = {}
    try:
        actions = reader.pipeline(node)
    except _TooMuch as fault:
        reader.doubts.fault(str(fault), fault.node)
    faults, more = reader.doubts.faults, reader.doubts.more
    if not faults:
        return Pipeline(actions, tuple(reader.doubts.warnings))
    if more:
        faults.append(Fault(f"{more} more faults are not shown", path))
    first, *others = faults
    count = len(others) + max(more - 1, 0)
    rest = f" (and {count} more {'fault' if count == 1 else 'faults'})" if count else ""
    raise invalid(f"{first}{rest}", faults=faults)


class _TooMuch(Exception):
    def __init__(self, node: Node) -> None:
        super().__init__(f"more than {MAX_VALUES} values, with merges and aliases followed")
        self.node = node


class _Reader:
    """Reads one file. Goes on after a fault, so that all faults are reported together."""

    def __init__(self, path: str, tab: int = 0) -> None:
        self.doubts = Doubts(path, MAX_FAULTS)
        self.tab = tab
        self.fault = self.doubts.fault
        self.seen = 0
        self.known: dict[int, tuple[Fields, int]] = {}  # by identity, with its weight: aliases share what they name
        self.runs: dict[int, str] = {}  # what is wrong with each, by identity
        self.files_of: dict[int, Mapping[str, str]] = {}

    def count_values(self, count: int, node: Node) -> None:
        """Every loop over values of the file calls this. A value that an alias repeats counts again."""
        self.seen += count
        if self.seen > MAX_VALUES:
            raise _TooMuch(node)

    def pipeline(self, node: Node | None) -> Mapping[str, Action]:
        if node is None:
            self.fault("the file is empty; expected a mapping with `actions`", None)
            return {}
        if not isinstance(node, yaml_positions.Mapping):
            self.fault("expected a mapping with `actions`", node)
            return {}
        top = self.fields(node)
        if "actions" not in top:
            self.fault("`actions` is missing", node, "actions")
            return {}
        key, body = top["actions"]
        if null(body) or (isinstance(body, yaml_positions.Mapping) and not body.entries):
            self.fault("`actions` is empty; expected at least one action", key, "actions")
            return {}
        if not isinstance(body, yaml_positions.Mapping):
            self.fault("expected a mapping of action names to actions", body, "actions")
            return {}
        fields = self.fields(body, "actions")
        if len(fields) - (RUN_ALL in fields) > MAX_ACTIONS:
            self.fault(f"more than {MAX_ACTIONS} actions", body, "actions")
            return {}
        if fields.keys() == {RUN_ALL}:
            self.fault("`run_all` is the only action; expected at least one other action", key, "actions")
            return {}
        return self.actions(top, fields)

    def actions(self, top: Fields, fields: Fields) -> Mapping[str, Action]:
        own = fields.pop(RUN_ALL, None)
        written: dict[str, Written] = {}
        actions: dict[str, Action] = {}
        for name, (key, body) in fields.items():
            written[name], actions[name] = self.action(name, key, body, fields)
        for cycle in cycles({name: action.needs for name, action in actions.items()}):
            path = some([*cycle, cycle[0]], " -> ")
            self.fault(f"actions need each other: {path}", fields[cycle[0]][0], "actions", cycle[0], "needs")
        size = sum(map(_size, actions, actions.values()))
        if size > MAX_TOTAL_BYTES:
            self.fault(f"names, needs and runs take {size} bytes; at most {MAX_TOTAL_BYTES} are allowed", None)
        judge(top, written, own[0] if own else None, self.shared, self.doubts)
        if self.tab:
            self.doubts.doubt(
                "a tab: replace it with spaces, or put it in quotes", yaml_positions.Scalar("", True, self.tab)
            )
        return actions

    def action(self, name: str, key: yaml_positions.Scalar, body: Node, known: Fields) -> tuple[Written, Action]:
        if not names.is_action(name):
            self.fault(
                f"{short(name)!r} is not an action name; expected letters, digits, `_`, `.` and `-`, "
                "at most 128, not starting with `.` or `-`",
                key,
                "actions",
                name,
            )
        if not isinstance(body, yaml_positions.Mapping):
            self.fault("expected a mapping with `run`", key, "actions", name)
            return Written(key, {}), Action((), "")
        fields = self.fields(body, "actions", name)
        written = Written(key, fields)
        needs = self.needs(name, fields["needs"][1], known) if "needs" in fields else ()
        outputs = self.outputs(fields["outputs"][1]) if "outputs" in fields else {}
        if (run := fields.get("run")) is None:
            self.fault("`run` is missing", key, "actions", name, "run")
        else:
            written.run = self.run(name, run[1])
        config = fields["config"][1] if "config" in fields else None
        known_config = config if isinstance(config, yaml_positions.Mapping) else None
        return written, Action(needs, written.run, outputs, known_config, (run[1] if run else key).line)

    def run(self, name: str, node: Node) -> str:
        if id(node) not in self.runs:
            self.runs[id(node)] = _run_problem(node)
        if problem := self.runs[id(node)]:
            self.fault(problem, node, "actions", name, "run")
            return ""
        assert isinstance(node, yaml_positions.Scalar)
        return node.text

    def needs(self, name: str, node: Node, known: Fields) -> tuple[str, ...]:
        where = ("actions", name, "needs")
        if null(node):
            return ()
        if not isinstance(node, yaml_positions.Sequence):
            self.fault("expected a list of action names", node, *where)
            return ()
        self.count_values(len(node.items), node)
        needs: dict[str, None] = {}
        for item in node.items:
            if not isinstance(item, yaml_positions.Scalar) or null(item):
                self.fault("expected the name of an action", item, *where)
            elif item.text == RUN_ALL:
                self.fault("an action cannot need `run_all`", item, *where)
            elif item.text not in known:
                self.fault(f"needs {short(item.text)!r}, which is not an action in this file", item, *where)
            elif item.text in needs:
                self.doubts.warn(f"needs {short(item.text)!r} twice", item, *where)
            else:
                needs[item.text] = None
        return tuple(needs)

    def outputs(self, node: Node) -> Outputs:
        """The outputs that have the usual shape; `rules` reports the others."""
        if not isinstance(node, yaml_positions.Mapping):
            return {}
        levels = ((level, files) for level, (_, files) in self.shared(node).items())
        return {level: self.files(files) for level, files in levels if isinstance(files, yaml_positions.Mapping)}

    def files(self, node: yaml_positions.Mapping) -> Mapping[str, str]:
        if id(node) not in self.files_of:
            entries = self.shared(node).items()
            self.files_of[id(node)] = {name: v.text for name, (_, v) in entries if isinstance(v, yaml_positions.Scalar)}
        return self.files_of[id(node)]

    def shared(self, node: yaml_positions.Mapping) -> Fields:
        """As `fields`, for a mapping that several actions may share by an alias."""
        if id(node) not in self.known:
            fields = self.fields(node)
            self.known[id(node)] = fields, _weight(fields.values())
        fields, weight = self.known[id(node)]
        self.count_values(weight, node)
        return fields

    def fields(self, node: yaml_positions.Mapping, *keys: str) -> Fields:
        """A mapping's entries, with those that YAML's merge key ``<<`` adds. The nearest value of a key counts."""
        fields: Fields = {}
        waiting, met = [node], set[int]()
        while waiting:
            mapping = waiting.pop()
            if id(mapping) in met:
                continue
            met.add(id(mapping))
            self.count_values(_weight(mapping.entries), node)
            merged: list[yaml_positions.Mapping] = []
            for key, value in mapping.entries:
                if key.text != "<<" or not key.plain:
                    fields.setdefault(key.text, (key, value))
                    continue
                sources = value.items if isinstance(value, yaml_positions.Sequence) else (value,)
                self.count_values(len(sources), node)
                if not all(isinstance(source, yaml_positions.Mapping) for source in sources):
                    self.fault("`<<` merges mappings only", key, *keys, "<<")
                merged += [source for source in sources if isinstance(source, yaml_positions.Mapping)]
            waiting += reversed(merged)
        return fields


def _weight(entries: Collection[tuple[yaml_positions.Scalar, Node]]) -> int:
    """How many values these entries count as."""
    text = sum(
        len(key.text) + (len(value.text) if isinstance(value, yaml_positions.Scalar) else 0) for key, value in entries
    )
    return len(entries) + text // _ONE_VALUE


def _run_problem(node: Node) -> str:
    """What is wrong with a command; empty if nothing is."""
    if null(node) or (isinstance(node, yaml_positions.Scalar) and not node.text.strip()):
        return "`run` is empty; expected a command"
    if not is_text(node):
        return "expected text, a command"
    if _UNUSABLE.search(node.text):
        return "has a character that is not allowed in a command"
    size = len(node.text.encode())
    return f"{size} bytes; at most {MAX_RUN_BYTES} are allowed" if size > MAX_RUN_BYTES else ""


def _size(name: str, action: Action) -> int:
    text = len(name) + len(action.run.encode(errors="replace")) + sum(map(len, action.needs))
    return text + _ACTION_BYTES + _NEED_BYTES * len(action.needs)
