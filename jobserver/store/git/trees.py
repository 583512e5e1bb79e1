"""Finds and replaces entries of raw git trees, without parsing the whole tree.

A day's folder holds thousands of requests, and parsing it for each commit would cost more than everything else. Its
entries all have the same length (16-character ids), so bisection finds the right one.
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
    """The bytes of ``entry`` in the raw tree; if ``entry`` is None, the place to insert it (start == end)."""

    start: int
    end: int
    entry: TreeEntry | None


def entries(raw: bytes) -> Iterator[TreeEntry]:
    """Every entry, in the tree's order. Raises ValueError for bytes that are not a tree."""
    start, size = 0, len(raw)
    while start < size:
        space = raw.index(b" ", start)
        end = raw.index(b"\0", space) + 21
        if end > size:
            raise ValueError("cut off")
        yield TreeEntry(raw[start:space], raw[space + 1 : end - 21], raw[end - 20 : end])
        start = end


_ENTRY = re.compile(rb"([0-7]+) ([^\0]+)\0(.{20})", re.DOTALL)


def entry_set(raw: bytes) -> frozenset[tuple[bytes, bytes, bytes]]:
    """Every (mode, name, id), to compare trees by. Raises ValueError for bytes that are not a tree."""
    rows = _ENTRY.findall(raw)
    if sum(len(mode) + len(name) for mode, name, _ in rows) + 22 * len(rows) != len(raw):
        raise ValueError("not a tree")
    return frozenset(rows)


def order(entry: TreeEntry) -> bytes:
    """The key by which git sorts a tree's entries."""
    return entry.name + b"/" if entry.mode == FOLDER else entry.name


def _bisect(raw: bytes, name: bytes) -> Spot | None:
    """The spot in a tree of folders whose names have the same length; None for any other tree."""
    size = 27 + len(name)  # "40000 " + name + NUL + sha
    count, rest = divmod(len(raw), size)
    if rest or count < 16:
        return None
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        start, end = middle * size, (middle + 1) * size
        if raw[start : start + 6] != b"40000 " or raw[end - 21] != 0 or 0 in raw[start + 6 : end - 21]:
            return None
        candidate = raw[start + 6 : end - 21]
        if candidate == name:
            return Spot(start, end, TreeEntry(FOLDER, name, raw[end - 20 : end]))
        if candidate < name:
            low = middle + 1
        else:
            high = middle
    return Spot(low * size, low * size, None)


def ends(raw: bytes) -> tuple[bytes, bytes] | None:
    """The first and the last name in a tree of folders whose names have the same length; None for any other tree."""
    size = raw.find(b"\0") + 21
    last = raw[-size:]
    if size <= 27 or len(raw) % size or raw[:6] != b"40000 " or last[:6] != b"40000 " or last.find(b"\0") + 21 != size:
        return None
    return raw[6 : size - 21], last[6 : size - 21]


def find(raw: bytes, name: bytes, mode: bytes) -> Spot:
    """The entry called ``name``, of any mode; or the place to insert one of this ``mode``."""
    if mode == FOLDER and (spot := _bisect(raw, name)) is not None:
        return spot
    if mode == FILE and len(name) > 8 and b" " not in name:
        # The name is too long to be in a 20-byte id by chance, and the mode before it can't be part of another name.
        pattern = b"100644 %s\0" % name
        start = raw.find(pattern)
        if start >= 0:
            end = start + len(pattern) + 20
            return Spot(start, end, TreeEntry(FILE, name, raw[end - 20 : end]))
    wanted = name + b"/" if mode == FOLDER else name
    start, size, place = 0, len(raw), None
    while start < size:  # as `entries`, which takes three times as long
        space = raw.index(b" ", start)
        end = raw.index(b"\0", space) + 21
        other = raw[space + 1 : end - 21]
        if other == name:
            return Spot(start, end, TreeEntry(raw[start:space], name, raw[end - 20 : end]))
        if place is None and other + b"/" * (raw[start:space] == FOLDER) > wanted:
            place = start
        start = end
    if place is None:
        place = size
    return Spot(place, place, None)


def encode(entry: TreeEntry) -> bytes:
    return b"%s %s\0%s" % entry
