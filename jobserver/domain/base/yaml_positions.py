"""YAML as it was written: scalars as text, each node with its line, so that a fault can be shown where it stands.

Plain data; `jobserver.store.yaml.nodes` makes it from bytes. Kept in the domain because the readers of
documents and of project.yaml are rules, and rules must not import a YAML library.
"""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Scalar:
    """``plain`` is False for quoted and block scalars, which are never anything but text."""

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
