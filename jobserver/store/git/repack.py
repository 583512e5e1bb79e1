"""Joins packs by `git pack-objects`, which finds better deltas than the writer has time for.

Does as `git repack --geometric=2 -d`: each pack that stays has at least twice the objects of the next smaller one, so
that an object is packed again only when the repository has doubled. Why not that command: it walks through all files
of the newest commits, archived ones too, for names that help with deltas. Here, git gets an object folder with only the
packs that it joins, and the walk ends where their objects end. Objects that a larger pack has too are packed again.
"""

import contextlib
import hashlib
import shutil
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from jobserver.store.fs import sync_file, sync_folder
from jobserver.store.git.command import environment, git

_OPTIONS = ("--quiet", "--stdin-packs", "--unpacked", "--delta-base-offset", "--non-empty")
_COUNT_AT = 8 + 255 * 4  # in an index of version 2: the last entry of its fan-out table
# The index goes first: git must not look for a pack that is gone.
_SUFFIXES = (".idx", ".pack", ".rev", ".bitmap", ".mtimes", ".keep")
_MANY = 1024 * 1024  # bytes to read at once


def repack(repository: Path) -> None:
    """The caller holds the lock of all who delete packs.

    Packs with a ``.keep`` stay, and those whose index is not whole: git would leave their objects out. Raises `Error`
    (unavailable) if git fails; then all packs stay.
    """
    objects = repository / "objects"
    folder = objects / "pack"
    counts = sorted((count, path) for path in folder.glob("pack-*.idx") if (count := _count(path)) is not None)
    indexes = [path for _, path in counts[: packs_to_join([count for count, _ in counts])] if _is_whole(path)]
    loose = [path for path in objects.iterdir() if len(path.name) == 2]
    if not indexes and not loose:
        return
    with _objects_of(indexes, loose, objects) as place:
        names = "".join(f"{path.stem}.pack\n" for path in indexes)
        variables = environment(GIT_OBJECT_DIRECTORY=str(place.resolve()))
        arguments = ("pack-objects", *_OPTIONS, str(folder.resolve() / "pack"))
        joined = git(repository, *arguments, gently=True, variables=variables, text=names).split()
    for name in joined:
        for suffix in (".pack", ".idx"):
            sync_file(folder / f"pack-{name}{suffix}")
    sync_folder(folder)
    # Earlier versions wrote it. It names packs that go now, and for the few packs that stay nobody needs it.
    (folder / "multi-pack-index").unlink(missing_ok=True)
    for index in indexes:
        if index.stem.removeprefix("pack-") not in joined:
            delete(index.with_suffix(""))
    if loose:
        git(repository, "prune-packed", "--quiet")


def packs_to_join(counts: Sequence[int]) -> int:
    """How many of the first packs are to become one, so that each has at least twice the objects of the one before.

    ``counts``: the number of objects of each pack, in ascending order.
    """
    split = next((last + 1 for last in range(len(counts) - 1, 0, -1) if counts[last] < 2 * counts[last - 1]), 0)
    while 0 < split < len(counts) and counts[split] < 2 * sum(counts[:split]):
        split += 1
    return split


def _count(index: Path) -> int | None:
    """The number of objects, or None if the pack is to stay as it is."""
    if index.with_suffix(".keep").exists() or not index.with_suffix(".pack").exists():
        return None
    with index.open("rb") as file:
        head = file.read(_COUNT_AT + 4)
    is_known = head.startswith(b"\377tOc\0\0\0\2") and len(head) == _COUNT_AT + 4
    return int(struct.unpack_from(">I", head, _COUNT_AT)[0]) if is_known else None


def _is_whole(index: Path) -> bool:
    """Whether the index has the checksum that it ends with."""
    digest, end = hashlib.sha1(usedforsecurity=False), b""
    with index.open("rb") as file:
        while part := file.read(_MANY):
            digest.update((end + part)[:-20])
            end = (end + part)[-20:]
    return digest.digest() == end


@contextlib.contextmanager
def _objects_of(indexes: Sequence[Path], loose: Sequence[Path], objects: Path) -> Iterator[Path]:
    """A folder of objects with only these. On the same disk, because git moves new packs out of it."""
    place = objects / "tmp_objdir-repack"  # git ignores such a folder, and so does who sweeps leftovers, for an hour
    shutil.rmtree(place, ignore_errors=True)
    try:
        (place / "pack").mkdir(parents=True)
        for index in indexes:
            for path in (index, index.with_suffix(".pack")):
                (place / "pack" / path.name).symlink_to(path.resolve())
        for path in loose:
            (place / path.name).symlink_to(path.resolve())
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def delete(stem: Path) -> None:
    """Deletes a pack whose objects are elsewhere, durably."""
    for suffix in _SUFFIXES:
        stem.with_suffix(suffix).unlink(missing_ok=True)
