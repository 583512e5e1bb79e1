"""What differs between two trees, file by file; equal folders are not entered, so it costs what changed."""

from collections.abc import Iterator
from typing import NamedTuple

from jobserver.store import trees
from jobserver.store.objects import Objects


class Difference(NamedTuple):
    """One file: ``old`` and ``new`` are blob ids (20 bytes), None where it is not there."""

    path: str
    old: bytes | None
    new: bytes | None


def diff(objects: Objects, old: bytes | None, new: bytes | None, path: str = "") -> Iterator[Difference]:
    """Files that differ between the trees ``old`` and ``new``; None is the empty tree."""
    if old == new:
        return
    before = {entry.name: entry for entry in trees.entries(objects.tree(old))} if old else {}
    after = {entry.name: entry for entry in trees.entries(objects.tree(new))} if new else {}
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if was == now:
            continue
        inner = path + name.decode(errors="surrogateescape")
        folders = [entry.sha if entry and entry.mode == trees.FOLDER else None for entry in (was, now)]
        if any(folders):
            yield from diff(objects, folders[0], folders[1], inner + "/")
        files = [entry.sha if entry and entry.mode != trees.FOLDER else None for entry in (was, now)]
        if files[0] != files[1]:
            yield Difference(inner, files[0], files[1])
