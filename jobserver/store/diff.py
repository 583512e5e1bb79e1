"""What differs between two trees, file by file; equal folders are not entered, so it costs what changed."""

from collections.abc import Iterator
from typing import NamedTuple

from jobserver.errors import invalid
from jobserver.store import trees
from jobserver.store.objects import Objects

MAX_DEPTH = 16  # what we write has 6


class Difference(NamedTuple):
    """One file: ``old`` and ``new`` are blob ids (20 bytes), None where it is not there. ``mode`` is the new one's."""

    path: str
    old: bytes | None
    new: bytes | None
    mode: bytes = trees.FILE


def diff(
    objects: Objects, old: bytes | None, new: bytes | None, path: str = "", depth: int = MAX_DEPTH
) -> Iterator[Difference]:
    """Files that differ between the trees ``old`` and ``new``; None is the empty tree.

    Raises `Error` (invalid) for folders nested deeper than ``depth``.
    """
    if old == new:
        return
    if depth == 0:
        raise invalid(f"folders are nested deeper than {MAX_DEPTH}", path)
    before, after = objects.entry_set(old), objects.entry_set(new)
    gone = {entry.name: entry for entry in map(trees.Entry._make, before - after)}
    come = {entry.name: entry for entry in map(trees.Entry._make, after - before)}
    for name in sorted(gone.keys() | come.keys()):
        was, now = gone.get(name), come.get(name)
        inner = path + name.decode(errors="surrogateescape")
        folders = [entry.sha if entry and entry.mode == trees.FOLDER else None for entry in (was, now)]
        if any(folders):
            yield from diff(objects, folders[0], folders[1], inner + "/", depth - 1)
        files = [entry if entry and entry.mode != trees.FOLDER else None for entry in (was, now)]
        if files[0] != files[1]:
            one, other = files
            yield Difference(
                inner, one.sha if one else None, other.sha if other else None, other.mode if other else trees.FILE
            )
