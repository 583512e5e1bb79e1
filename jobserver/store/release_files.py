"""Releases on the disk, beside the repository. Each is whole and durable under its final name, or not there at all.

A release's folder is ``<workspace>/<backend>/<id>/``; `release_record` describes what is in it. The store fills the
folder in ``.incoming/``, syncs the files first and `release.json` last, and renames the folder once a commit records
the release. The process that fills a folder in ``.incoming`` locks it; after that process was killed, any other may
finish or delete the folder (`leftovers`).
"""

import contextlib
import errno
import fcntl
import logging
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from jobserver.errors import Error, invalid, not_found, unavailable
from jobserver.store.fs import disk_error, move_durably, sync_folder, write_durably
from jobserver.store.release_record import (
    COMMIT,
    FILES,
    RECORD,
    StoredRelease,
    file_faults,
    read_release,
    record_bytes,
)

_log = logging.getLogger(__name__)
_INCOMING = ".incoming"
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST)

Contents = Callable[[str], Iterable[bytes]]
"""The bytes of the file at a path, in parts."""


class StagedRelease:
    """A release that is durable, locked by this process, and not visible yet."""

    def __init__(self, root: Path, folder: Path, kept: StoredRelease) -> None:
        self._root, self._folder, self.kept = root, folder, kept

    def publish(self, commit: str) -> bool:
        """Gives the release its final name, durably; False if the name is taken. Raises OSError."""
        write_durably(self._folder / COMMIT, [commit.encode() + b"\n"])
        sync_folder(self._folder)
        release = self.kept.release
        above = self._root
        for name in (release.workspace, self.kept.backend):
            _make(above / name)
            above /= name
        try:
            move_durably(self._folder, above / release.identifier)
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            raise
        return True

    def discard(self) -> None:
        _discard(self._folder)

    def is_whole(self) -> bool:
        """Whether the files are as the record says."""
        return not file_faults(self._folder, self.kept)


class ReleaseStore:
    """Thread-safe; several processes may share a folder."""

    def __init__(self, root: Path) -> None:
        """Makes the folder if it is missing. Raises `Error` (invalid) if it is not writable."""
        self.root = root
        self._incoming = root / _INCOMING
        try:
            for folder in (root, self._incoming):
                _make(folder)
            folder, lock = self._claim()
            with lock:
                folder.rmdir()
        except OSError as error:
            raise invalid(f"expected a writable folder: {error.strerror}", "RELEASE_STORAGE") from None

    def find(self, workspace: str, backend: str, identifier: str) -> StoredRelease | None:
        """Raises `Error` (unavailable) if the release exists and can't be read."""
        folder = self.root / workspace / backend / identifier
        with _disk_errors():
            return read_release(folder) if folder.is_dir() else None

    def confirm(self, kept: StoredRelease) -> None:
        """Returns once the release's name would survive a power cut: another process may have just published it."""
        with _disk_errors():
            sync_folder(self.root / kept.release.workspace / kept.backend)

    def of_workspace(self, workspace: str, backends: Sequence[str]) -> list[StoredRelease]:
        """Newest first; releases that can't be read are left out, and logged."""
        releases = []
        for backend in backends:
            parent = self.root / workspace / backend
            with _disk_errors():
                folders = sorted(parent.iterdir()) if parent.is_dir() else []
            for folder in folders:
                try:
                    releases.append(read_release(folder))
                except (OSError, Error) as error:
                    _log.warning("the release %s can't be read: %s", folder, error)
        return sorted(releases, key=lambda stored: (stored.received_at, stored.release.identifier), reverse=True)

    def open(self, kept: StoredRelease, path: str) -> BinaryIO:
        """Opens one of the release's files. Raises `Error` (not_found, unavailable)."""
        if not kept.has_file(path):
            raise not_found(f"this release has no file {path!r}")
        folder = self.root / kept.release.workspace / kept.backend / kept.release.identifier / FILES
        with _disk_errors():
            return open(folder / path, "rb", opener=_open)

    @contextlib.contextmanager
    def staged(self, kept: StoredRelease, contents: Contents) -> Iterator[StagedRelease]:
        """Writes the release where it is not visible. After an exception in the block, `leftovers` finds it.

        Raises `Error` (unavailable) with nothing left if the disk refuses.
        """
        with _disk_errors():
            folder, lock = self._claim()
            with lock:
                try:
                    _fill(folder, kept, contents)
                except BaseException:
                    _discard(folder)
                    raise
                yield StagedRelease(self.root, folder, kept)

    def leftovers(self) -> Iterator[StagedRelease]:
        """The complete releases that killed processes left; deletes the others. Raises `Error` (unavailable)."""
        with _disk_errors():
            for folder, lock in self._abandoned():
                with lock:
                    try:
                        kept = read_release(folder)
                    except (FileNotFoundError, Error):
                        _discard(folder)
                    else:
                        yield StagedRelease(self.root, folder, kept)

    def _claim(self) -> "tuple[Path, _Lock]":
        """A new folder in ``.incoming``, and its lock."""
        while True:
            folder = self._incoming / secrets.token_hex(16)
            folder.mkdir(mode=0o700)
            with contextlib.suppress(FileNotFoundError):  # another process has just taken it for abandoned
                lock = _Lock(folder)
                if lock.holds() and folder.is_dir():
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
    """`flock` on a folder: the lock ends with the process, however that ends."""

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
def _disk_errors() -> Iterator[None]:
    """Turns an OSError into an `Error` (unavailable) without the machine's paths, which are not for clients."""
    try:
        yield
    except OSError as error:
        raise unavailable(disk_error(error).message, "RELEASE_STORAGE") from None


def _open(path: str, flags: int) -> int:
    """Opens regular files only. Raises `Error` (unavailable)."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise unavailable("is not a regular file", "RELEASE_STORAGE")
    return descriptor


def _make(folder: Path) -> None:
    """Makes one folder durable. It may exist already, and not be durable yet."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    sync_folder(folder.parent)


def _discard(folder: Path) -> None:
    """Deletes the record first: without it the folder is incomplete, even if the rest can't be deleted now."""
    with contextlib.suppress(OSError):
        (folder / RECORD).unlink(missing_ok=True)
        sync_folder(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _fill(folder: Path, kept: StoredRelease, contents: Contents) -> None:
    root = folder / FILES
    root.mkdir(mode=0o700)
    folders = {root}
    for file in kept.files:
        above = root
        for part in file.path.split("/")[:-1]:
            above /= part
            if above not in folders:
                above.mkdir(mode=0o700)
                folders.add(above)
        write_durably(root / file.path, contents(file.path))
    for inner in folders:
        sync_folder(inner)
    sync_folder(folder)
    write_durably(folder / RECORD, [record_bytes(kept)])
    sync_folder(folder)
    sync_folder(folder.parent)
