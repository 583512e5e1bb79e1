"""What differs between two trees, file by file; equal folders are not entered, so it costs what changed."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from jobserver.errors import invalid
from jobserver.store.git import trees
from jobserver.store.git.objects import Objects

MAX_DEPTH = 16  # what we write has 6


class Difference(NamedTuple):
    """One file: ``old`` and ``new`` are blob ids (20 bytes), None where it is not there. ``mode`` is the new one's."""

    path: str
    old: bytes | None
    new: bytes | None
    mode: bytes = trees.FILE


def diff(
    objects: Objects, old: bytes | None, new: bytes | None, max_folders: int | None = None
) -> Iterator[Difference]:
    """Files that differ between the trees ``old`` and ``new``; None is the empty tree.

    Raises `Error` (invalid) for folders nested deeper than `MAX_DEPTH`, or more than ``max_folders`` that differ: a
    few trees that name each other many times stand for more than anybody could look through.
    """
    yield from _diff(objects, old, new, "", MAX_DEPTH, itertools.count(), max_folders)


def _diff(
    objects: Objects,
    old: bytes | None,
    new: bytes | None,
    path: str,
    depth: int,
    entered: "itertools.count[int]",
    max_folders: int | None,
) -> Iterator[Difference]:
    if old == new:
        return
    if depth == 0:
        raise invalid(f"folders are nested deeper than {MAX_DEPTH}", path)
    if next(entered) == max_folders:
        raise invalid(f"one commit changes more than {max_folders} folders")
    before, after = objects.entry_set(old), objects.entry_set(new)
    gone = {entry.name: entry for entry in map(trees.TreeEntry._make, before - after)}
    come = {entry.name: entry for entry in map(trees.TreeEntry._make, after - before)}
    for name in sorted(gone.keys() | come.keys()):
        was, now = gone.get(name), come.get(name)
        inner = path + name.decode(errors="surrogateescape")
        folders = [entry.sha if entry and entry.mode == trees.FOLDER else None for entry in (was, now)]
        if any(folders):
            yield from _diff(objects, folders[0], folders[1], inner + "/", depth - 1, entered, max_folders)
        files = [entry if entry and entry.mode != trees.FOLDER else None for entry in (was, now)]
        if files[0] != files[1]:
            one, other = files
            yield Difference(
                inner, one.sha if one else None, other.sha if other else None, other.mode if other else trees.FILE
            )
