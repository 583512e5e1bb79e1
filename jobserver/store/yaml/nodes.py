"""Parses YAML to nodes with their lines.

Refuses text that is not UTF-8, duplicate keys, tags, keys that are not scalars, a second document, and nesting deeper
than 32. Refuses anchors and aliases unless the caller allows them. Scalars stay text: YAML's implicit conversions
(``no`` is False, ``0123456`` is 42798) do not happen here.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from jobserver.domain.base.yaml_positions import Mapping, Node, Scalar, Sequence
from jobserver.errors import Error, Fault, invalid

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MAX_DEPTH = 32
MAX_NODES = 1_000_000  # takes a second or two
MAX_TAGS = 100  # libyaml compares each %TAG with all before it, and holds the interpreter lock meanwhile
_TAG = re.compile("(?:\\A|[\n\r\x85\u2028\u2029])\ufeff?%TAG")


class _Builder:
    def __init__(self, events: Iterator[Any], path: str, aliases: bool, collected: list[Fault] | None) -> None:
        self.events = events
        self.path = path
        self.aliases = aliases
        self.collected = collected
        self.anchored: dict[str, Node] = {}
        self.count = 0

    def fault(self, event: Any, message: str, key: str = "") -> Error:
        fault = Fault(message, self.path, event.start_mark.line + 1, key)
        return invalid(str(fault), faults=[fault])

    def note(self, event: Any, message: str, key: str = "") -> None:
        """Records a fault after which reading can go on; raises it if the caller does not collect faults."""
        error = self.fault(event, message, key)
        if self.collected is None:
            raise error
        self.collected += error.faults

    def node(self, event: Any, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self.fault(event, f"nested deeper than {MAX_DEPTH} levels")
        self.count += 1
        if self.count > MAX_NODES:
            raise self.fault(event, f"more than {MAX_NODES} values")
        if isinstance(event, yaml.AliasEvent):
            if not self.aliases:
                raise self.fault(event, f"alias *{event.anchor}: write the value out")
            if event.anchor not in self.anchored:
                raise self.fault(event, f"alias *{event.anchor} has no anchor before it")
            return self.anchored[event.anchor]
        anchor = event.anchor
        if anchor and not self.aliases:
            self.note(event, f"anchor &{anchor}: not allowed")
        if event.tag:
            self.note(event, f"tag {event.tag}: not allowed")
        node = self.bare(event, depth)
        if anchor:
            self.anchored[anchor] = node
        return node

    def bare(self, event: Any, depth: int) -> Node:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(event.value, event.style is None or event.style == "", line)
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(item := next(self.events), yaml.SequenceEndEvent):
                items.append(self.node(item, depth + 1))
            return Sequence(tuple(items), line)
        entries: list[tuple[Scalar, Node]] = []
        seen: dict[str, int] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.node(event, depth + 1)
            value = self.node(next(self.events), depth + 1)
            if not isinstance(key, Scalar):
                self.note(event, "a key must be plain text")
            elif key.text in seen:
                self.note(event, f"duplicate key, first on line {seen[key.text]}", key.text)
            else:
                seen[key.text] = key.line
                entries.append((key, value))
        return Mapping(tuple(entries), line)


def read_nodes(
    data: bytes, path: str = "", *, aliases: bool = False, collected: list[Fault] | None = None
) -> Node | None:
    """The one document in ``data``, or None if there is none. Raises `Error` (invalid) with one fault and its line.

    ``collected`` gets the faults after which reading can go on; of a duplicate key, the first one counts.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        fault = Fault(f"not UTF-8 at byte {error.start}", path, data.count(b"\n", 0, error.start) + 1)
        raise invalid(str(fault), faults=[fault]) from None
    if sum(1 for _ in _TAG.finditer(text)) > MAX_TAGS:
        fault = Fault(f"more than {MAX_TAGS} lines begin with %TAG; tags are not allowed", path)
        raise invalid(str(fault), faults=[fault])
    try:
        loader = _Loader(text)
        try:
            return _only_document(_Builder(iter(loader.get_event, None), path, aliases, collected))
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        fault = _explained(error, text, path)
        raise invalid(str(fault), faults=[fault]) from None


_NO_KEY = "could not find expected ':'"
_INDENT = "its indent fits no line above it, or a text that contains ': ' needs quotes"
_TAB = "a tab: indent with spaces"
# What libyaml and PyYAML say -> what the author of the file can do about it.
_PROBLEMS = {
    _NO_KEY: "a key without ': ' after it",
    "mapping values are not allowed": _INDENT,
    "expected key": _INDENT,
    "block end": _INDENT,
    "'-' indicator": _INDENT,
    "',' or ']'": "a list in [ ] that does not end, or has no comma between two items",
    "',' or '}'": "a mapping in { } that does not end, or has no comma between two keys",
    "unexpected end of stream": "a text in quotes that does not end",
    "unexpected document": "a text in quotes that does not end",
    "document start": "something follows the end of the document",
    "characters are not allowed": "a control character",
    "tab character": _TAB,
    "unknown escape": "in double quotes a \\ begins an escape: write it twice, or use single quotes",
}


def _explained(error: yaml.YAMLError, text: str, path: str) -> Fault:
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None))
    if problem == _NO_KEY:
        mark = (
            getattr(error, "context_mark", None) or mark
        )  # the line of the key; the other mark is where the parser noticed
    message = next((words for part, words in _PROBLEMS.items() if part in problem), "it can't be read")
    if mark is not None and "cannot start any token" in problem:
        char = text[mark.index : mark.index + 1]
        message = _TAB if char == "\t" else f"a text can't begin with {char}: put it in quotes"
    position = getattr(error, "position", None)  # of a character that YAML does not allow
    line = mark.line if mark is not None else text.count("\n", 0, position) if isinstance(position, int) else -1
    return Fault(f"not YAML: {message}", path, line + 1)


_AFTER_SPACE = re.compile(r"(?:\A|(?<=\s))#[^\n]*")


def stray_tab(data: bytes) -> int:
    """The line of the first tab outside of quotes, block text and comments in what `read_nodes` can read; 0: none.

    libyaml accepts such a tab; other parsers refuse it.
    """
    if b"\t" not in data:
        return 0
    text = data.decode()
    loader: Any = _Loader(text)
    kept: list[str] = []
    position = 0
    try:
        for event in iter(loader.get_event, None):
            if isinstance(event, yaml.ScalarEvent) and event.style not in (None, ""):
                assert event.start_mark is not None
                assert event.end_mark is not None
                kept.append(text[position : event.start_mark.index])
                position = event.end_mark.index
                kept.append("\n" * text.count("\n", event.start_mark.index, position))
    finally:
        loader.dispose()
    kept.append(text[position:])
    before, tab, _ = _AFTER_SPACE.sub("", "".join(kept)).partition("\t")
    return before.count("\n") + 1 if tab else 0


def _only_document(builder: _Builder) -> Node | None:
    events = builder.events
    next(events)  # stream start
    if isinstance(next(events), yaml.StreamEndEvent):
        return None
    node = builder.node(next(events), 0)
    next(events)  # document end
    event = next(events)
    if not isinstance(event, yaml.StreamEndEvent):
        raise builder.fault(event, "a second document in the file")
    return node


def value_of(node: Node, limit: int) -> Any:
    """The node's value by YAML's rules: texts, numbers, booleans, None, lists and dicts.

    Raises `Error` (invalid) for more than ``limit`` values; an alias counts each time.
    """
    left = limit

    def value(node: Node) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise invalid(f"more than {limit} values, after following aliases")
        if isinstance(node, Scalar):
            return yaml.load(node.text, _Loader) if node.plain else node.text
        if isinstance(node, Sequence):
            return [value(item) for item in node.items]
        merged = [base for key, source in node.entries if key.plain and key.text == "<<" for base in _mappings(source)]
        own = {key.text: value(item) for key, item in node.entries if not (key.plain and key.text == "<<")}
        return {key: item for base in reversed(merged) for key, item in value(base).items()} | own

    return value(node)


def _mappings(node: Node) -> list[Mapping]:
    items = node.items if isinstance(node, Sequence) else [node]
    return [item for item in items if isinstance(item, Mapping)]
