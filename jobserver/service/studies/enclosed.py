"""Opens a local repository only if nothing in it leads outside of its folder.

Somebody who can write to a study's folder must not make the server read other files, or wait. So this module ignores
the repository's settings, which can include files, and reads only its own folders and ordinary files: no links, no
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
    """The path is not a repository."""


class OutsideRepository(Exception):
    """``part``: the part of the repository that leads outside the folder; empty if the repository itself does."""

    def __init__(self, part: str = "") -> None:
        super().__init__(part)
        self.part = part


@dataclass(frozen=True, slots=True)
class OpenRepository:
    """The refs and objects of a repository, until it is closed."""

    refs: DiskRefsContainer
    objects: DiskObjectStore
    place: Path

    def object(self, sha: bytes) -> ShaFile | None:
        """None if there is no such object. Raises `OutsideRepository`, and dulwich's errors for a damaged object."""
        name = sha.decode()
        self._check_folder_of(name)
        _must_be(self.place / "objects" / name[:2] / name[2:], stat.S_ISREG, "objects")
        try:
            return self.objects[ObjectID(sha)]
        except KeyError:
            return None

    def ids(self, start: bytes) -> Iterator[bytes]:
        """The ids of all objects that begin so; ``start`` has at least two digits."""
        self._check_folder_of(start.decode())
        yield from self.objects.iter_prefix(start)

    def _check_folder_of(self, name: str) -> None:
        _must_be(self.place / "objects" / name[:2], stat.S_ISDIR, "objects")


@contextmanager
def enclosed(path: Path, holds: Callable[[Path], bool]) -> Iterator[OpenRepository]:
    """Opens the repository at ``path``, bare or not. ``holds`` tells whether a path is inside the allowed folder.

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
    """The folder of the refs and objects: ``path``, its `.git`, or the folder that the `.git` file of a linked work
    tree names.
    """
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
    """Raises `OutsideRepository` if ``path`` exists and is not of this ``kind``."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if not kind(mode):
        raise OutsideRepository(name)


def _check_folder(folder: Path, name: str) -> None:
    """Raises `OutsideRepository` if the folder contains anything but folders and ordinary files."""
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _check_folder(Path(entry.path), name)
            elif not entry.is_file(follow_symlinks=False):
                raise OutsideRepository(name)
