"""A local repository opened where nothing in it leads out of its folder.

Whoever may write a study's folder must not have the server read another file through it, nor wait for one. So its
settings are not read at all (they include files), and what is read are its own folders and ordinary files: no links, no
pipes, no objects of other repositories. May import errors and dulwich.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dulwich.object_store import DiskObjectStore
from dulwich.objects import ObjectID, ShaFile
from dulwich.refs import DiskRefsContainer

_POINTER_BYTES = 4096
_MAX_LOOSE_BYTES = 64 * 1024 * 1024


class NoRepository(Exception):
    """There is none at this path."""


class OutsideRepository(Exception):
    """``part`` of it leads outside the folder; empty if the repository itself does."""

    def __init__(self, part: str = "") -> None:
        super().__init__(part)
        self.part = part


@dataclass(frozen=True, slots=True)
class OpenRepository:
    """What a repository holds; used up once it is closed."""

    refs: DiskRefsContainer
    objects: DiskObjectStore
    place: Path

    def object(self, sha: bytes) -> ShaFile | None:
        """None if it is not there. Raises `OutsideRepository`, and what dulwich does of a damaged one."""
        name = sha.decode()
        _must_be(self.place / "objects" / name[:2], stat.S_ISDIR, "objects")
        _must_be(self.place / "objects" / name[:2] / name[2:], stat.S_ISREG, "objects")
        try:
            return self.objects[ObjectID(sha)]
        except KeyError:
            return None


@contextmanager
def enclosed(path: Path, holds: Callable[[Path], bool]) -> Iterator[OpenRepository]:
    """Opens the repository at ``path``, bare or not, whose every part ``holds`` says to be inside.

    Raises `NoRepository` and `OutsideRepository`.
    """
    place = _place(path, holds)
    if not (place / "objects").is_dir() or not os.path.lexists(place / "HEAD"):
        raise NoRepository
    for name in ("HEAD", "packed-refs"):
        _must_be(place / name, stat.S_ISREG, name)
    for name in ("refs", "objects", "objects/info", "objects/pack"):
        _must_be(place / name, stat.S_ISDIR, name)
    for name in ("refs", "objects/info", "objects/pack"):
        _check_folder(place / name, name)
    for name in ("alternates", "http-alternates"):
        if os.path.lexists(place / "objects" / "info" / name):
            raise OutsideRepository(f"objects/info/{name}")
    objects = DiskObjectStore(place / "objects", loose_object_size_limit=_MAX_LOOSE_BYTES)
    try:
        yield OpenRepository(DiskRefsContainer(place), objects, place)
    finally:
        with suppress(BufferError):  # a traceback still holds a view of a pack
            objects.close()


def _place(path: Path, holds: Callable[[Path], bool]) -> Path:
    """Where its refs and objects are: here, in `.git`, or where that, of a linked work tree, says."""
    inner = path / ".git"
    place = path
    if inner.is_dir():
        place = inner.resolve()
    elif os.path.lexists(inner):
        _must_be(inner, stat.S_ISREG, ".git")
        pointer = _pointer(inner)
        if not pointer.startswith("gitdir: "):
            raise NoRepository
        place = (path / pointer.removeprefix("gitdir: ")).resolve()
    if not holds(place):
        raise OutsideRepository
    common = place / "commondir"
    if os.path.lexists(common):
        _must_be(common, stat.S_ISREG, "commondir")
        place = (place / _pointer(common)).resolve()
        if not holds(place):
            raise OutsideRepository
    return place


def _pointer(file: Path) -> str:
    with file.open("rb") as opened:
        return opened.read(_POINTER_BYTES).decode(errors="surrogateescape").strip()


def _must_be(path: Path, kind: Callable[[int], bool], name: str) -> None:
    """If it is there."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if not kind(mode):
        raise OutsideRepository(name)


def _check_folder(folder: Path, name: str) -> None:
    """Only folders and ordinary files are in it."""
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _check_folder(Path(entry.path), name)
            elif not entry.is_file(follow_symlinks=False):
                raise OutsideRepository(name)
