"""Raw git trees, found in and spliced without parsing them whole.

A day's folder holds thousands of requests; parsing it for each commit would cost more than everything else. Its
entries all have the same length (16-character ids), so the right one is found by bisection.
Format: gitformat "tree": ``<octal mode> SP <name> NUL <20 bytes>``, sorted as if a folder's name ended in ``/``.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

FILE = b"100644"
FOLDER = b"40000"


class TreeEntry(NamedTuple):
    mode: bytes
    name: bytes
    sha: bytes  # 20 bytes


class Spot(NamedTuple):
    """Where ``entry`` stands in the raw tree, or, if it is None, where it would (start == end)."""

    start: int
    end: int
    entry: TreeEntry | None


def entries(raw: bytes) -> Iterator[TreeEntry]:
    """Every entry, in the tree's order. Raises ValueError for bytes that are no tree."""
    at, size = 0, len(raw)
    while at < size:
        space = raw.index(b" ", at)
        end = raw.index(b"\0", space) + 21
        if end > size:
            raise ValueError("cut off")
        yield TreeEntry(raw[at:space], raw[space + 1 : end - 21], raw[end - 20 : end])
        at = end


_ENTRY = re.compile(rb"([0-7]+) ([^\0]+)\0(.{20})", re.DOTALL)


def entry_set(raw: bytes) -> frozenset[tuple[bytes, bytes, bytes]]:
    """Every (mode, name, id): what two trees are compared by. Raises ValueError for bytes that are no tree."""
    found = _ENTRY.findall(raw)
    if sum(len(mode) + len(name) for mode, name, _ in found) + 22 * len(found) != len(raw):
        raise ValueError("not a tree")
    return frozenset(found)


def order(entry: TreeEntry) -> bytes:
    """What git sorts a tree's entries by."""
    return entry.name + b"/" if entry.mode == FOLDER else entry.name


def _bisect(raw: bytes, name: bytes) -> Spot | None:
    """The spot among folders of equally long names, or None if these are not such."""
    size = 27 + len(name)  # "40000 " + name + NUL + sha
    count, rest = divmod(len(raw), size)
    if rest or count < 16:
        return None
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        at = middle * size
        if raw[at : at + 6] != b"40000 " or raw[at + size - 21] != 0 or 0 in raw[at + 6 : at + size - 21]:
            return None
        found = raw[at + 6 : at + size - 21]
        if found == name:
            return Spot(at, at + size, TreeEntry(FOLDER, name, raw[at + size - 20 : at + size]))
        if found < name:
            low = middle + 1
        else:
            high = middle
    return Spot(low * size, low * size, None)


def find(raw: bytes, name: bytes, mode: bytes) -> Spot:
    """The entry called ``name``, of any mode, or the spot where one of this ``mode`` belongs."""
    if mode == FOLDER and (spot := _bisect(raw, name)) is not None:
        return spot
    if mode == FILE and len(name) > 8 and b" " not in name:
        # Too long to stand inside a 20-byte id by chance, and the mode before it can't be part of another name.
        pattern = b"100644 %s\0" % name
        start = raw.find(pattern)
        if start >= 0:
            end = start + len(pattern) + 20
            return Spot(start, end, TreeEntry(FILE, name, raw[end - 20 : end]))
    wanted = name + b"/" if mode == FOLDER else name
    at = 0
    spot = None
    for entry in entries(raw):
        end = at + len(entry.mode) + len(entry.name) + 22
        if entry.name == name:
            return Spot(at, end, entry)
        if spot is None and order(entry) > wanted:
            spot = Spot(at, at, None)
        at = end
    return spot or Spot(at, at, None)


def encode(entry: TreeEntry) -> bytes:
    return b"%s %s\0%s" % entry
