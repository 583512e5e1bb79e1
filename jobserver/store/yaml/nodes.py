"""Bytes of YAML to nodes with lines, and nothing that YAML could do behind the reader's back.

Refused always: what is not UTF-8, duplicate keys, tags, keys that are not scalars, a second document, nesting
deeper than 32. Refused unless asked for: anchors and aliases. Scalars stay text: YAML's guesses (``no`` is False,
``0123456`` is 42798) are not made here.
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
MAX_TAGS = 100  # libyaml compares each %TAG with all before it, and nobody else runs meanwhile
_TAG = re.compile("(?:\\A|[\n\r\x85\u2028\u2029])\ufeff?%TAG")


class _Builder:
    def __init__(self, events: Iterator[Any], path: str, aliases: bool, found: list[Fault] | None) -> None:
        self.events = events
        self.path = path
        self.aliases = aliases
        self.found = found
        self.anchored: dict[str, Node] = {}
        self.count = 0

    def fault(self, event: Any, message: str, key: str = "") -> Error:
        fault = Fault(message, self.path, event.start_mark.line + 1, key)
        return invalid(str(fault), faults=[fault])

    def note(self, event: Any, message: str, key: str = "") -> None:
        """A fault beside which reading can go on, if anybody wants to hear of more than one."""
        error = self.fault(event, message, key)
        if self.found is None:
            raise error
        self.found += error.faults

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


def read_nodes(data: bytes, path: str = "", *, aliases: bool = False, found: list[Fault] | None = None) -> Node | None:
    """The one document in ``data``, or None if it holds none. Raises `Error` (invalid) with one fault and its line.

    With ``found``, faults beside which reading can go on are put there: of a key that stands twice, the first counts.
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
            return _only_document(_Builder(iter(loader.get_event, None), path, aliases, found))
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        fault = _explained(error, text, path)
        raise invalid(str(fault), faults=[fault]) from None


_NO_KEY = "could not find expected ':'"
_INDENT = "its indent fits nothing above it, or a text with ': ' in it needs quotes"
_TAB = "a tab: indent with spaces"
# What libyaml and PyYAML say, and what those who wrote the file can do about it.
_PROBLEMS = {
    _NO_KEY: "a key without ': ' behind it",
    "mapping values are not allowed": _INDENT,
    "expected key": _INDENT,
    "block end": _INDENT,
    "'-' indicator": _INDENT,
    "',' or ']'": "a list in [ ] that does not end, or has no comma between two items",
    "',' or '}'": "a mapping in { } that does not end, or has no comma between two keys",
    "unexpected end of stream": "a text in quotes that does not end",
    "unexpected document": "a text in quotes that does not end",
    "document start": "something stands behind the end of the document",
    "characters are not allowed": "a control character",
    "tab character": _TAB,
    "unknown escape": "in double quotes a \\ begins an escape: write it twice, or use single quotes",
}


def _explained(error: yaml.YAMLError, text: str, path: str) -> Fault:
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None))
    if problem == _NO_KEY:
        mark = getattr(error, "context_mark", None) or mark  # where the key stands; the other is where it was missed
    said = next((words for part, words in _PROBLEMS.items() if part in problem), "it can't be read here")
    if mark is not None and "cannot start any token" in problem:
        char = text[mark.index : mark.index + 1]
        said = _TAB if char == "\t" else f"{char} can't begin a text: put it in quotes"
    at = getattr(error, "position", None)  # of a character that may stand nowhere
    line = mark.line if mark is not None else text.count("\n", 0, at) if isinstance(at, int) else -1
    return Fault(f"not YAML: {said}", path, line + 1)


_COMMENT = re.compile(r"(?:\A|\s)#")


def has_comments(data: bytes) -> bool:
    """Whether there are comments in what `read_nodes` can read."""
    text = data.decode()
    if _COMMENT.search(text) is None:
        return False
    loader: Any = _Loader(text)
    at = 0
    try:
        for event in iter(loader.get_event, None):
            if not isinstance(event, yaml.ScalarEvent):
                continue
            assert event.start_mark is not None
            assert event.end_mark is not None
            begins, ends = event.start_mark.index, event.end_mark.index
            head = text[begins:ends].partition("\n")[0] if event.style in ("|", ">") else ""
            if _COMMENT.search(text[at:begins]) or _COMMENT.search(head):
                return True
            at = ends
        return _COMMENT.search(text[at:]) is not None
    finally:
        loader.dispose()


_AFTER_SPACE = re.compile(r"(?:\A|(?<=\s))#[^\n]*")


def stray_tab(data: bytes) -> int:
    """The line of the first tab outside of quotes, block text and comments in what `read_nodes` can read; 0: none.

    libyaml takes it there; other readers refuse it.
    """
    if b"\t" not in data:
        return 0
    text = data.decode()
    loader: Any = _Loader(text)
    ours: list[str] = []
    at = 0
    try:
        for event in iter(loader.get_event, None):
            if isinstance(event, yaml.ScalarEvent) and event.style not in (None, ""):
                assert event.start_mark is not None
                assert event.end_mark is not None
                ours.append(text[at : event.start_mark.index])
                at = event.end_mark.index
                ours.append("\n" * text.count("\n", event.start_mark.index, at))
    finally:
        loader.dispose()
    ours.append(text[at:])
    before, tab, _ = _AFTER_SPACE.sub("", "".join(ours)).partition("\t")
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


def value_of(node: Node, most: int) -> Any:
    """What YAML means by a node: texts, numbers, booleans, None, lists and dicts; an alias counts each time.

    Raises `Error` (invalid) for more than ``most`` values.
    """
    left = most

    def value(node: Node) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise invalid(f"more than {most} values, aliases followed")
        if isinstance(node, Scalar):
            return yaml.load(node.text, _Loader) if node.plain else node.text
        if isinstance(node, Sequence):
            return [value(item) for item in node.items]
        merged = [one for key, source in node.entries if key.plain and key.text == "<<" for one in _mappings(source)]
        own = {key.text: value(item) for key, item in node.entries if not (key.plain and key.text == "<<")}
        return {key: item for one in reversed(merged) for key, item in value(one).items()} | own

    return value(node)


def _mappings(node: Node) -> list[Mapping]:
    return [one for one in (node.items if isinstance(node, Sequence) else [node]) if isinstance(one, Mapping)]
