"""A study's pipeline: which actions project.yaml defines, what each needs, and all that is wrong with it.

Pure rules over nodes with lines (`jobserver.domain.marked`). What the actions' images, versions and
configuration mean is the business of those who run them: it is neither judged nor kept here.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypedDict

from jobserver.domain import marked
from jobserver.domain.marked import Node
from jobserver.errors import MAX_FAULTS, Fault, invalid

RUN_ALL = "run_all"
MAX_ACTIONS = 1000
MAX_RUN_BYTES = 16 * 1024
MAX_TOTAL_BYTES = 512 * 1024  # a request document holds the pipeline, and may have 1 MiB

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_NOT_TEXT = re.compile(
    r"true|True|TRUE|false|False|FALSE|[-+]?(?:[0-9][0-9_]*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
)
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")  # no process can be given these

Outputs = Mapping[str, Mapping[str, str]]


class ActionDocument(TypedDict):
    """An action as a request document holds it."""

    needs: list[str]
    run: str


@dataclass(frozen=True, slots=True)
class Action:
    """``outputs`` is privacy level -> {name: pattern}; for runners, and not part of what a request stores."""

    needs: tuple[str, ...]
    run: str
    outputs: Outputs = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Actions by name, in the order of the file. ``run_all`` is always among those that `parse` returns."""

    actions: Mapping[str, Action]

    def __post_init__(self) -> None:
        object.__setattr__(self, "actions", MappingProxyType(dict(self.actions)))

    def unknown(self, actions: Iterable[str]) -> tuple[str, ...]:
        """Those of ``actions`` that the pipeline does not define, each once, in the order given."""
        return tuple(name for name in dict.fromkeys(actions) if name not in self.actions)

    def closure(self, actions: Iterable[str]) -> tuple[str, ...]:
        """The actions and all that they need, each once and after what it needs.

        The same input gives the same order. ``run_all`` stands for what it needs and is not in the answer.
        Raises `Error` (invalid) that names the actions that do not exist.
        """
        requested = tuple(dict.fromkeys(actions))
        if unknown := self.unknown(requested):
            raise invalid(f"Unknown actions: {', '.join(unknown)}")
        done: list[str] = []
        met = set[str]()
        for first in requested:
            path: list[tuple[str, Iterator[str]]] = []
            step: str | None = first
            while step is not None or path:
                if step is not None:
                    if step not in met:
                        met.add(step)
                        path.append((step, iter(self.actions[step].needs)))
                    step = None
                    continue
                name, rest = path[-1]
                step = next(rest, None)
                if step is None:
                    path.pop()
                    done.append(name)
        return tuple(name for name in done if name != RUN_ALL)

    def as_document(self) -> dict[str, ActionDocument]:
        """What a request document stores under ``pipeline``."""
        return {name: {"needs": list(a.needs), "run": a.run} for name, a in self.actions.items()}


def parse(node: Node | None, path: str = "project.yaml") -> Pipeline:
    """The pipeline in a project.yaml. Raises `Error` (invalid) with every fault, its line and its key.

    ``run_all`` is added if absent, and needs every action unless the file says which.
    """
    reader = _Reader(path)
    pipeline = reader.pipeline(node)
    if not reader.faults:
        return pipeline
    if reader.more:
        reader.faults.append(Fault(f"{reader.more} more faults are not shown", path))
    first, *others = reader.faults
    count = len(others) + max(reader.more - 1, 0)
    rest = f" (and {count} more {'fault' if count == 1 else 'faults'})" if count else ""
    raise invalid(f"{first}{rest}", faults=reader.faults)


class _Reader:
    """One reading of one file: goes on after a fault, so that all of them are told at once."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.faults: list[Fault] = []
        self.more = 0
        self.outputs_of: dict[int, dict[str, str]] = {}  # by identity: aliases share what they name

    def fault(self, message: str, node: Node | None, *keys: str) -> None:
        if len(self.faults) >= MAX_FAULTS:  # aliases let a small file hold millions
            self.more += 1
            return
        key = ".".join(_short(part) for part in keys)
        self.faults.append(Fault(message, self.path, node.line if node is not None else 0, key))

    def pipeline(self, node: Node | None) -> Pipeline:
        empty = Pipeline({})
        if node is None:
            self.fault("the file is empty; expected a mapping with `actions`", None)
            return empty
        if not isinstance(node, marked.Mapping):
            self.fault("expected a mapping with `actions`", node)
            return empty
        top = self.fields(node)
        if top is None:
            return empty
        if "actions" not in top:
            self.fault("there is no `actions`", node, "actions")
            return empty
        key, body = top["actions"]
        if _null(body) or (isinstance(body, marked.Mapping) and not body.entries):
            self.fault("`actions` is empty; expected at least one action", key, "actions")
            return empty
        if not isinstance(body, marked.Mapping):
            self.fault("expected a mapping of action names to actions", body, "actions")
            return empty
        found = self.fields(body, "actions", kind="actions")
        if found is None:
            return empty
        if found.keys() == {RUN_ALL}:
            self.fault("there is only `run_all`; expected at least one action for it to run", key, "actions")
            return empty
        return self.actions(found)

    def actions(self, found: Mapping[str, tuple[marked.Scalar, Node]]) -> Pipeline:
        actions = {name: self.action(name, key, body, found) for name, (key, body) in found.items()}
        every = tuple(name for name in actions if name != RUN_ALL)
        own = actions.get(RUN_ALL, Action((), ""))
        actions[RUN_ALL] = Action(own.needs or every, own.run, own.outputs)
        for cycle in _cycles({name: actions[name].needs for name in every}):
            names = " -> ".join([*cycle, cycle[0]])
            self.fault(f"actions need each other: {names}", found[cycle[0]][0], "actions", cycle[0], "needs")
        size = sum(len(f"{n}{a.run}{''.join(a.needs)}".encode(errors="replace")) for n, a in actions.items())
        if size > MAX_TOTAL_BYTES:
            self.fault(f"names, needs and runs take {size} bytes; at most {MAX_TOTAL_BYTES} are allowed", None)
        return Pipeline(actions)

    def action(self, name: str, key: marked.Scalar, body: Node, known: Mapping[str, Any]) -> Action:
        if not _NAME.fullmatch(name):
            self.fault(
                f"{_short(name)!r} is no action name; expected a letter or digit, then letters, digits, "
                "`_`, `.` or `-`, at most 128 in all",
                key,
                "actions",
                name,
            )
        if not isinstance(body, marked.Mapping):
            self.fault("expected a mapping with `run`", key, "actions", name)
            return Action((), "")
        fields = self.fields(body, "actions", name)
        if fields is None:
            return Action((), "")
        needs = self.needs(name, fields["needs"][1], known) if "needs" in fields else ()
        outputs = self.outputs(fields["outputs"][1]) if "outputs" in fields else {}
        if "run" in fields:
            return Action(needs, self.run(name, fields["run"][1]), outputs)
        if name != RUN_ALL:
            self.fault("there is no `run`", key, "actions", name, "run")
        return Action(needs, "", outputs)

    def run(self, name: str, node: Node) -> str:
        where = ("actions", name, "run")
        if not isinstance(node, marked.Scalar) or (node.plain and _NOT_TEXT.fullmatch(node.text)):
            self.fault("expected text, a command", node, *where)
        elif _null(node) or not node.text.strip():
            if name != RUN_ALL:
                self.fault("`run` is empty; expected a command", node, *where)
        elif _UNUSABLE.search(node.text):
            self.fault("holds a character that no command can hold", node, *where)
        elif (size := len(node.text.encode())) > MAX_RUN_BYTES:
            self.fault(f"{size} bytes; at most {MAX_RUN_BYTES} are allowed", node, *where)
        else:
            return node.text
        return ""

    def needs(self, name: str, node: Node, known: Mapping[str, Any]) -> tuple[str, ...]:
        where = ("actions", name, "needs")
        if _null(node):
            return ()
        if not isinstance(node, marked.Sequence):
            self.fault("expected a list of action names", node, *where)
            return ()
        if len(node.items) > MAX_ACTIONS:
            self.fault(f"{len(node.items)} needs; at most {MAX_ACTIONS} are allowed", node, *where)
            return ()
        needs: dict[str, None] = {}
        for item in node.items:
            if not isinstance(item, marked.Scalar) or _null(item):
                self.fault("expected the name of an action", item, *where)
            elif item.text == RUN_ALL:
                self.fault("`run_all` can't be needed by an action", item, *where)
            elif item.text not in known:
                self.fault(f"needs {_short(item.text)!r}, which is no action of this file", item, *where)
            elif item.text in needs:
                self.fault(f"needs {_short(item.text)!r} twice", item, *where)
            else:
                needs[item.text] = None
        return tuple(needs)

    def outputs(self, node: Node) -> Outputs:
        """As far as they have the usual shape: a runner that cares says what is wrong with the others."""
        if not isinstance(node, marked.Mapping):
            return {}
        levels = ((key.text, files) for key, files in node.entries[:MAX_ACTIONS])
        return {level: self.files(files) for level, files in levels if isinstance(files, marked.Mapping)}

    def files(self, node: marked.Mapping) -> dict[str, str]:
        if id(node) not in self.outputs_of:
            pairs = {key.text: v.text for key, v in node.entries if isinstance(v, marked.Scalar)}
            self.outputs_of[id(node)] = pairs
        return self.outputs_of[id(node)]

    def fields(
        self, node: marked.Mapping, *keys: str, kind: str = "keys"
    ) -> dict[str, tuple[marked.Scalar, Node]] | None:
        """A mapping's entries, with those that YAML's merge key ``<<`` brings in: the nearest one counts.

        None, and a fault, if there are too many to be meant.
        """
        fields: dict[str, tuple[marked.Scalar, Node]] = {}
        waiting, met = [node], set[int]()
        while waiting:
            mapping = waiting.pop()
            if id(mapping) in met:
                continue
            met.add(id(mapping))
            merged: list[marked.Mapping] = []
            for key, value in mapping.entries[: MAX_ACTIONS + 3]:
                if key.text != "<<" or not key.plain:
                    fields.setdefault(key.text, (key, value))
                    continue
                sources = value.items if isinstance(value, marked.Sequence) else (value,)
                sources = sources[: MAX_ACTIONS + 1]
                if not all(isinstance(source, marked.Mapping) for source in sources):
                    self.fault("`<<` merges mappings only", key, *keys, "<<")
                merged += [source for source in sources if isinstance(source, marked.Mapping)]
            waiting += reversed(merged)
            if len(fields) - (RUN_ALL in fields) > MAX_ACTIONS or len(met) > MAX_ACTIONS:
                self.fault(f"more than {MAX_ACTIONS} {kind}", node, *keys)
                return None
        return fields


def _cycles(needs: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """Cycles that share no action: for each group of actions that need each other, at least one."""
    finished = set[str]()
    for root in needs:
        depth: dict[str, int] = {}
        path: list[tuple[str, Iterator[str]]] = []
        step: str | None = root
        while step is not None or path:
            if step is not None and step in depth:
                # From there on the path is the cycle: done with all of it, so that each action is told once.
                cycle = tuple(name for name, _ in path[depth[step] :])
                del path[depth[step] :]
                for name in cycle:
                    finished.add(name)
                    del depth[name]
                yield cycle
            elif step is not None and step in needs and step not in finished:
                depth[step] = len(path)
                path.append((step, iter(needs[step])))
            step = None
            if path:
                name, rest = path[-1]
                step = next(rest, None)
                if step is None:
                    path.pop()
                    del depth[name]
                    finished.add(name)


def _null(node: Node) -> bool:
    return isinstance(node, marked.Scalar) and node.plain and node.text in _NULL


def _short(text: str) -> str:
    return text if len(text) <= 64 else f"{text[:61]}..."
