"""Folders that a process locks while it fills them; another process finds what a killed one left."""

import contextlib
import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from jobserver.errors import unavailable
from jobserver.store.fs import disk_error, sync_folder


def claim(incoming: Path) -> tuple[Path, AbstractContextManager[None]]:
    """A new folder in ``incoming``, and its lock. Raises OSError."""
    while True:
        folder = incoming / secrets.token_hex(16)
        folder.mkdir(mode=0o700)
        with contextlib.suppress(FileNotFoundError):  # another process has just taken it for abandoned
            lock = _Lock(folder)
            if lock.holds() and folder.is_dir():
                return folder, lock
            lock.close()


def abandoned(incoming: Path) -> Iterator[tuple[Path, AbstractContextManager[None]]]:
    """The folders that no living process has locked, with a lock for the caller. Raises OSError."""
    for folder in sorted(incoming.iterdir()):
        try:
            lock = _Lock(folder)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if lock.holds() and folder.is_dir():
            yield folder, lock
        else:
            lock.close()


class _Lock(AbstractContextManager[None]):
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
def storage_errors() -> Iterator[None]:
    """Turns an OSError into an `Error` (unavailable) without the machine's paths, which are not for clients."""
    try:
        yield
    except OSError as error:
        raise unavailable(disk_error(error).message, "RELEASE_STORAGE") from None


def open_regular(path: str, flags: int) -> int:
    """Opens regular files only. Raises `Error` (unavailable)."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise unavailable("is not a regular file", "RELEASE_STORAGE")
    return descriptor


def make_folder(folder: Path, mode: int = 0o700) -> None:
    """Makes one folder durable. It may exist already, and not be durable yet."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=mode)
    sync_folder(folder.parent)


def make_folders(root: Path, folder: Path, mode: int = 0o700) -> None:
    """Makes ``folder`` durable, with each folder between it and ``root``, which exists."""
    for part in folder.relative_to(root).parts:
        root /= part
        make_folder(root, mode)


def discard_folder(folder: Path, record: str) -> None:
    """Deletes the record first: without it the folder is incomplete, even if the rest can't be deleted now."""
    with contextlib.suppress(OSError):
        (folder / record).unlink(missing_ok=True)
        sync_folder(folder)
    shutil.rmtree(folder, ignore_errors=True)
