"""Writes a changed document into the YAML that somebody wrote by hand, so that its comments and order stay.

Only the values that change are written again, in the canonical form. A comment inside a list or mapping that changes
goes with it.
"""

from collections.abc import Mapping
from typing import Any

import yaml

from jobserver.domain.base.values import Document
from jobserver.errors import Error
from jobserver.store.yaml import canonical, codec

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def rewrite(old: bytes, before: Document, after: Document) -> bytes:
    """The YAML of ``after``, which follows ``before`` in a file that has ``old``."""
    new = codec.write(after)
    if old == codec.write(before):
        return new
    try:
        edited = _edited(old.decode(), dict(codec.values(before)), dict(codec.values(after))).encode()
        return edited if codec.read(type(after), edited) == after else new
    except (Error, yaml.YAMLError, _NotEditable):
        return new


class _NotEditable(Exception):
    """The text has no lines that can be replaced one by one."""


def _edited(text: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    places = _places(text)
    lines_end = {key: _line_end(text, end) for key, (_, end) in places.items()}
    edits: list[tuple[int, int, str]] = []
    previous = 0  # where the line after the key before this one begins
    for key, value in after.items():
        written = canonical.emit([(key, value)]).decode()
        if key in places:
            start, end = places[key]
            if key not in before or before[key] != value:
                edits.append((start, end, written.rstrip("\n")))
            previous = lines_end[key]
        elif key not in before or before[key] != value:
            edits.append(
                (previous, previous, written if previous == 0 or text[previous - 1] == "\n" else f"\n{written}")
            )
    edits += [(start, lines_end[key], "") for key, (start, _) in places.items() if key not in after]
    for start, end, written in sorted(edits, key=lambda edit: edit[:2], reverse=True):
        text = text[:start] + written + text[end:]
    return text


def _line_end(text: str, position: int) -> int:
    """Where the next line begins."""
    end = text.find("\n", position)
    return len(text) if end < 0 else end + 1


def _places(text: str) -> dict[str, tuple[int, int]]:
    """Where each top-level key begins, and where its value ends."""
    root = yaml.compose(text, _Loader)
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise _NotEditable
    places = {}
    for key, value in root.value:
        if key.start_mark.column != 0:
            raise _NotEditable
        places[key.value] = key.start_mark.index, max(_end(value, text), key.end_mark.index + 1)
    return places


def _end(node: yaml.Node, text: str) -> int:
    """Where the last value within the node ends: the mark of a block includes the comments after it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last, text)
    assert node.end_mark is not None
    return len(text[: node.end_mark.index].rstrip())
