"""Lists the files that differ between two trees. Equal folders are skipped, so the cost is that of the changes."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from jobserver.errors import invalid
from jobserver.store.git import trees
from jobserver.store.git.objects import Objects

MAX_DEPTH = 16  # our own trees are 6 deep


class Difference(NamedTuple):
    """One file. ``old``, ``new``: blob ids (20 bytes), None if the file is not there. ``mode``: the new file's mode."""

    path: str
    old: bytes | None
    new: bytes | None
    mode: bytes = trees.FILE


def diff(
    objects: Objects, old: bytes | None, new: bytes | None, max_folders: int | None = None
) -> Iterator[Difference]:
    """The files that differ between the trees ``old`` and ``new``; None is the empty tree.

    Raises `Error` (invalid) for folders nested deeper than `MAX_DEPTH`, and for more than ``max_folders`` that differ:
    a few trees that refer to each other many times would never end.
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
    removed = {entry.name: entry for entry in map(trees.TreeEntry._make, before - after)}
    added = {entry.name: entry for entry in map(trees.TreeEntry._make, after - before)}
    for name in sorted(removed.keys() | added.keys()):
        was, now = removed.get(name), added.get(name)
        inner = path + name.decode(errors="surrogateescape")
        folders = [entry.sha if entry and entry.mode == trees.FOLDER else None for entry in (was, now)]
        if any(folders):
            yield from _diff(objects, folders[0], folders[1], inner + "/", depth - 1, entered, max_folders)
        files = [entry if entry and entry.mode != trees.FOLDER else None for entry in (was, now)]
        if files[0] != files[1]:
            before_file, after_file = files
            yield Difference(
                inner,
                before_file.sha if before_file else None,
                after_file.sha if after_file else None,
                after_file.mode if after_file else trees.FILE,
            )
