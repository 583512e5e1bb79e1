"""YAML nodes as plain data: scalars as text, each node with its line, so that a fault can name its line.

`jobserver.store.yaml.nodes` makes the nodes from bytes. The classes are in the domain because the rules for documents
and project.yaml use them, and the domain imports no YAML library.
"""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Scalar:
    """``plain`` is False for quoted and block scalars, which YAML always reads as text."""

    text: str
    plain: bool
    line: int


@dataclass(frozen=True, slots=True)
class Sequence:
    items: "tuple[Node, ...]"
    line: int


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys are unique (the reader refuses duplicates) and in the order of the file."""

    entries: "tuple[tuple[Scalar, Node], ...]"
    line: int


Node: TypeAlias = Scalar | Sequence | Mapping
