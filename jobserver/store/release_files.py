"""Releases on the disk, beside the repository: each whole and durable under its final name, or not there at all.

``<workspace>/<backend>/<id>/`` holds `release.json` (what it is, with every file's size and SHA-256), `commit` (the one
that records it) and `files/`. One is made in ``.incoming/``, synced from the files upwards with `release.json` as the
last, and renamed when the record has it. A folder in ``.incoming`` is its maker's for as long as that holds its lock;
what a killed process left there can be finished or thrown away by anybody (`leftovers`).
"""

import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO

from pydantic import Field, ValidationError

from jobserver.domain.base import names
from jobserver.domain.base.values import Document, Slug, Time, named
from jobserver.domain.releases import Release, ReleaseFile, digest, path_fault
from jobserver.errors import Error, invalid, not_found, unavailable
from jobserver.store.fs import disk_error
from jobserver.store.git.packs import sync_folder, write_all

_log = logging.getLogger(__name__)
_INCOMING = ".incoming"
_RECORD, _COMMIT, _FILES = "release.json", "commit", "files"
_CHUNK = 1024 * 1024
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST)

Contents = Callable[[str], Iterable[bytes]]
"""The bytes of the file of this path, in parts."""


class _FileRecord(Document):
    path: str
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, named(names.DIGEST)]


class _Record(Document):
    """`release.json`."""

    backend: Slug
    received_at: Time
    release: Release
    files: tuple[_FileRecord, ...]


@dataclass(frozen=True, slots=True)
class StoredRelease:
    """One release. ``commit`` records it; empty while none does."""

    backend: str
    received_at: Time
    release: Release
    files: tuple[ReleaseFile, ...]
    commit: str = ""

    def has(self, path: str) -> bool:
        return any(file.path == path for file in self.files)


class StagedRelease:
    """A release that nobody sees yet: durable, and this process's."""

    def __init__(self, root: Path, folder: Path, kept: StoredRelease) -> None:
        self._root, self._folder, self.kept = root, folder, kept

    def publish(self, commit: str) -> bool:
        """Gives it its name, durably; False if there is one of that name. Raises OSError."""
        _write(self._folder / _COMMIT, [commit.encode() + b"\n"])
        sync_folder(self._folder)
        release = self.kept.release
        above = self._root
        for name in (release.workspace, self.kept.backend):
            _make(above / name)
            above /= name
        try:
            self._folder.rename(above / release.identifier)
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            raise
        sync_folder(above)
        sync_folder(self._folder.parent)
        return True

    def discard(self) -> None:
        _discard(self._folder)

    def is_whole(self) -> bool:
        """Whether the files are what they are said to be."""
        return not altered(self._folder, self.kept)


class ReleaseStore:
    """Thread-safe; several processes may share a folder."""

    def __init__(self, root: Path) -> None:
        """Makes the folder if it is missing. Raises `Error` (invalid) if that can't be written."""
        self.root = root
        self._incoming = root / _INCOMING
        try:
            for folder in (root, self._incoming):
                _make(folder)
            folder, lock = self._claim()
            with lock:
                folder.rmdir()
        except OSError as error:
            raise invalid(f"expected a folder that can be written: {error.strerror}", "RELEASE_STORAGE") from None

    def find(self, workspace: str, backend: str, identifier: str) -> StoredRelease | None:
        """Raises `Error` (unavailable) if it is there and can't be read."""
        folder = self.root / workspace / backend / identifier
        with _told():
            return read(folder) if folder.is_dir() else None

    def confirm(self, kept: StoredRelease) -> None:
        """Returns once its name would survive a power cut: somebody may have given it a moment ago."""
        with _told():
            sync_folder(self.root / kept.release.workspace / kept.backend)

    def of_workspace(self, workspace: str, backends: Sequence[str]) -> list[StoredRelease]:
        """Newest first; those that can't be read are left out, and logged."""
        found = []
        for backend in backends:
            folder = self.root / workspace / backend
            with _told():
                folders = sorted(folder.iterdir()) if folder.is_dir() else []
            for one in folders:
                try:
                    found.append(read(one))
                except (OSError, Error) as error:
                    _log.warning("the release %s can't be read: %s", one, error)
        return sorted(found, key=lambda kept: (kept.received_at, kept.release.identifier), reverse=True)

    def open(self, kept: StoredRelease, path: str) -> BinaryIO:
        """One of its files, with its path as ``name``. Raises `Error` (not_found, unavailable)."""
        if not kept.has(path):
            raise not_found(f"there is no file {path!r} in this release")
        folder = self.root / kept.release.workspace / kept.backend / kept.release.identifier / _FILES
        with _told():
            return open(folder / path, "rb", opener=_open)

    @contextlib.contextmanager
    def staged(self, kept: StoredRelease, contents: Contents) -> Iterator[StagedRelease]:
        """Writes it where nobody sees it. What is left of it when an exception ends this is for `leftovers`.

        Raises `Error` (unavailable), with nothing left, if the disk refuses.
        """
        with _told():
            folder, lock = self._claim()
            with lock:
                try:
                    _fill(folder, kept, contents)
                except BaseException:
                    _discard(folder)
                    raise
                yield StagedRelease(self.root, folder, kept)

    def leftovers(self) -> Iterator[StagedRelease]:
        """What killed processes left and is complete; the rest is thrown away. Raises `Error` (unavailable)."""
        with _told():
            for folder, lock in self._abandoned():
                with lock:
                    try:
                        kept = read(folder)
                    except (FileNotFoundError, Error):
                        _discard(folder)
                    else:
                        yield StagedRelease(self.root, folder, kept)

    def _claim(self) -> "tuple[Path, _Lock]":
        """A new folder in ``.incoming``, and the lock that says that it is in use."""
        while True:
            folder = self._incoming / secrets.token_hex(16)
            folder.mkdir(mode=0o700)
            lock = _Lock(folder)
            if lock.holds() and folder.is_dir():  # or else somebody has just taken it for abandoned
                return folder, lock
            lock.close()

    def _abandoned(self) -> "Iterator[tuple[Path, _Lock]]":
        for folder in sorted(self._incoming.iterdir()):
            try:
                lock = _Lock(folder)
            except (FileNotFoundError, NotADirectoryError):
                continue
            if lock.holds() and folder.is_dir():
                yield folder, lock
            else:
                lock.close()


class _Lock:
    """`flock` on a folder: it ends with the process, however that ends."""

    def __init__(self, folder: Path) -> None:
        self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def holds(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        os.close(self._descriptor)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What the disk refuses, without the machine's paths: whoever asked is a client."""
    try:
        yield
    except OSError as error:
        raise unavailable(disk_error(error).message, "RELEASE_STORAGE") from None


def _open(path: str, flags: int) -> int:
    """Nothing but a file. Raises `Error` (unavailable)."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise unavailable("is no file", "RELEASE_STORAGE")
    return descriptor


def _make(folder: Path) -> None:
    """One folder, durably; also if it is there already, for whoever made it may not have come that far."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    sync_folder(folder.parent)


def _discard(folder: Path) -> None:
    """Without its record it is nothing any more, also where the rest can't be removed just now."""
    with contextlib.suppress(OSError):
        (folder / _RECORD).unlink(missing_ok=True)
        sync_folder(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _fill(folder: Path, kept: StoredRelease, contents: Contents) -> None:
    root = folder / _FILES
    root.mkdir(mode=0o700)
    made = {root}
    for file in kept.files:
        above = root
        for part in file.path.split("/")[:-1]:
            above /= part
            if above not in made:
                above.mkdir(mode=0o700)
                made.add(above)
        _write(root / file.path, contents(file.path))
    for one in made:
        sync_folder(one)
    sync_folder(folder)
    files = tuple(_FileRecord(path=file.path, size=file.size, sha256=file.sha256) for file in kept.files)
    record = _Record(backend=kept.backend, received_at=kept.received_at, release=kept.release, files=files)
    _write(folder / _RECORD, [record.model_dump_json(indent=1).encode() + b"\n"])
    sync_folder(folder)
    sync_folder(folder.parent)


def _write(path: Path, parts: Iterable[bytes]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        for part in parts:
            write_all(descriptor, part)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(folder: Path) -> StoredRelease:
    """The release in a folder of its own.

    Raises FileNotFoundError without a record, `Error` (unavailable) for one that was tampered with.
    """
    try:
        record = _Record.model_validate_json((folder / _RECORD).read_bytes())
    except ValidationError:
        raise unavailable(f"{_RECORD} can't be read", folder.name) from None
    files = tuple(ReleaseFile(file.path, file.size, file.sha256) for file in record.files)
    if any(path_fault(file.path) for file in files) or digest(files) != record.release.sha256:
        raise unavailable(f"{_RECORD} does not agree with itself", folder.name)
    commit = folder / _COMMIT
    said = commit.read_bytes()[:40].decode("ascii", "replace") if commit.is_file() else ""
    return StoredRelease(record.backend, record.received_at, record.release, files, said)


def altered(folder: Path, kept: StoredRelease) -> list[str]:
    """What is wrong with the files of the release in ``folder``, in words."""
    root = folder / _FILES
    found = []
    for file in kept.files:
        try:
            if _sha256(root / file.path) != file.sha256:
                found.append(f"{file.path} is not what was uploaded")
        except OSError as error:
            found.append(f"{file.path} can't be read: {error.strerror}")
    known = {file.path for file in kept.files}
    there = [path.relative_to(root).as_posix() for path in sorted(root.rglob("*")) if not path.is_dir()]
    return found + [f"{path} was not uploaded" for path in there if path not in known]


def _sha256(path: Path) -> str:
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_CHUNK):
            hasher.update(part)
    return hasher.hexdigest()
