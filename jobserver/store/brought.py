"""Whether a push names only what it brought itself, or what its branch has had: looked at before any of it is read.

git takes a commit that names any object of the repository, whoever it belongs to. What a fault quotes of such an
object would give it away, and so would the branch once it has it; so a stranger's commits, folders and files are
told by where they are named, unread.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

from jobserver.errors import invalid
from jobserver.store import trees
from jobserver.store.diff import MAX_DEPTH
from jobserver.store.git import git
from jobserver.store.objects import Objects

_MAX_ENTRIES = 200_000  # of all folders that one commit changes
_MAX_LOOKED_UP = 16  # each reads the branch's history
_SUBMODULE = b"160000"


def named(objects: Objects, before: bytes | None, after: bytes) -> list[tuple[str, bytes]]:
    """(path, id) of what the tree ``after`` names, ``before`` does not, and the push did not bring.

    A folder's path ends in ``/``; the tree itself is ``""``. What is named this way is not entered.
    Raises `Error` (invalid) for folders nested too deep or holding too much to be looked through.
    """
    if after == before:
        return []
    if not objects.brought(after):
        return [("", after)]
    return list(_named(objects, before, after, "", MAX_DEPTH, itertools.count()))


def _named(
    objects: Objects, before: bytes | None, after: bytes, path: str, depth: int, seen: "itertools.count[int]"
) -> Iterator[tuple[str, bytes]]:
    if depth == 0:
        raise invalid(f"folders are nested deeper than {MAX_DEPTH}")
    stood = objects.entry_set(before)
    folders = {name: sha for mode, name, sha in stood if mode == trees.FOLDER}
    for mode, name, sha in sorted(objects.entry_set(after) - stood):
        if next(seen) == _MAX_ENTRIES:
            raise invalid(f"one commit changes more than {_MAX_ENTRIES} files and folders")
        inner = path + name.decode(errors="surrogateescape") + ("/" if mode == trees.FOLDER else "")
        if mode == _SUBMODULE:
            continue  # names nothing of this repository
        if not objects.brought(sha):
            yield inner, sha
        elif mode == trees.FOLDER:
            yield from _named(objects, folders.get(name), sha, inner, depth - 1, seen)


def not_in_history(repository: Path, tip: str, wanted: set[bytes]) -> set[bytes]:
    """Those ids that no commit up to ``tip`` has had: what a push to its branch may not take.

    Cheap for what stands in ``active/`` now. Else it reads history, and takes what is too much to look up for strange.
    """
    left = set(wanted)
    if left:
        left.discard(bytes.fromhex(git(repository, "log", "-1", "--format=%T", tip).strip()))
        listed = git(repository, "ls-tree", "-r", "-t", "-z", tip, "active")
        left.difference_update(bytes.fromhex(line.split(" ", 2)[2][:40]) for line in listed.split("\0") if line)
    if not left or len(left) > _MAX_LOOKED_UP:
        return left
    for sha in tuple(left):
        if git(repository, "log", "-1", "--format=%H", "--no-renames", f"--find-object={sha.hex()}", tip):
            left.discard(sha)
    if left:  # a commit's own tree is no part of any other
        left.difference_update(map(bytes.fromhex, git(repository, "log", "--format=%T", tip).split()))
    return left
