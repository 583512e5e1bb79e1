"""Files: durable writes, the disk's errors in plain words, and what a file is."""

import contextlib
import errno
import hashlib
import os
import pwd
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from jobserver.errors import Error, invalid, unavailable

_SQLITE = b"SQLite format 3\0"
_HEADER_BYTES = 100
_FAST_SYNC = 0.0003  # seconds: to wake threads and wait for them takes as long
_last_syncs = [1.0]  # the seconds of the last sync: whether this disk is fast
_CHUNK = 1024 * 1024


def write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable."""
    _sync(folder, os.O_DIRECTORY)


def sync_together(descriptors: Sequence[int]) -> None:
    """Makes durable what was written to these files, and waits once: disks sync files side by side.

    Raises an OSError of one of them, when all of them have ended.
    """
    for error in _fsync_all(descriptors):
        if error is not None:
            raise error


def _fsync_all(descriptors: Sequence[int]) -> list[OSError | None]:
    if _last_syncs[0] < _FAST_SYNC:
        return [_fsync_timed(descriptor) for descriptor in descriptors]
    waiting = [_syncers().submit(fsync_outcome, descriptor) for descriptor in descriptors[1:]]
    own = [_fsync_timed(descriptor) for descriptor in descriptors[:1]]
    return own + [outcome.result() for outcome in waiting]


def _fsync_timed(descriptor: int) -> OSError | None:
    began = time.perf_counter()
    outcome = fsync_outcome(descriptor)
    _last_syncs[0] = time.perf_counter() - began
    return outcome


def fsync_outcome(descriptor: int) -> OSError | None:
    """Why the file could not be synced."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        return error
    return None


@cache
def _syncers() -> ThreadPoolExecutor:
    """Threads that wait for the disk; they hold no lock of Python meanwhile."""
    return ThreadPoolExecutor(8, "sync")


os.register_at_fork(after_in_child=_syncers.cache_clear)  # a forked process has none of the threads


def sync_tree(folder: Path) -> None:
    """Makes durable what others wrote to the folder: git, sqlite or shutil."""
    for path in folder.rglob("*"):
        if path.is_dir():
            sync_folder(path)
        elif path.is_file():
            sync_file(path)
    sync_folder(folder)


def sync_file(path: Path) -> None:
    """Makes durable the bytes that others wrote to the file."""
    _sync(path)


def _sync(path: Path, flags: int = 0) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(
    path: Path, parts: Iterable[bytes], mode: int = 0o600, flags: int = os.O_TRUNC, chmod: int | None = None
) -> None:
    """Writes the file and syncs its bytes; `sync_folder` makes its name durable. Never follows a link.

    ``flags``: os.O_EXCL to refuse a file that exists. ``chmod``: the mode of the file once it is written. After
    an OSError, part of the file may be there.
    """
    descriptor = create(path, parts, mode, flags)
    try:
        if chmod is not None:
            os.fchmod(descriptor, chmod)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create(path: Path, parts: Iterable[bytes], mode: int = 0o600, flags: int = os.O_EXCL) -> int:
    """As `write_durably`, and neither synced nor closed: returns the descriptor."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | flags, mode)
    try:
        for part in parts:
            write_all(descriptor, part)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def replace_durably(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Writes the file whole or not at all, durably. The file never has wider permissions than ``mode``."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)  # left by a process with this id that was killed
    write_durably(partial, [data], flags=os.O_EXCL, chmod=mode)
    move_durably(partial, path)


def move_durably(source: Path, target: Path) -> None:
    """Renames a file or folder whose contents are durable. Replaces a file: readers see the old one or the new one."""
    source.replace(target)
    sync_folder(target.parent)
    if source.parent != target.parent:
        sync_folder(source.parent)


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hex. Raises OSError."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_CHUNK):
            hasher.update(part)
    return hasher.hexdigest()


def disk_error(error: OSError) -> Error:
    """Says in plain words what the disk refused: `Error` (unavailable)."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    where = str(error.filename) if error.filename is not None else ""
    return unavailable("the disk is full" if full else f"the disk refused: {error.strerror}", where)


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Turns an OSError of its block into an `Error` (unavailable)."""
    try:
        yield
    except OSError as error:
        raise disk_error(error) from None


def reason(error: Exception) -> str:
    """The cause of an error, for users: a few words without any of the data, which texts of libraries may contain."""
    return str(getattr(error, "strerror", None) or getattr(error, "sqlite_errorname", None) or type(error).__name__)


def user_name(uid: int) -> str:
    """The user's name on this machine; the number if the machine does not know it, as in a container."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def home(path: Path) -> Path:
    """The path with a leading `~` replaced, which shells leave alone in `--root=~/x`. Raises `Error` (invalid)."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise invalid("this machine does not know this home folder", str(path)) from None


def check_owner(path: Path) -> None:
    """Raises `Error` (invalid) if ``path`` belongs to another user, who could not read what we write there."""
    owner, we = path.stat().st_uid, os.geteuid()
    if owner != we:
        name = user_name(owner)
        raise invalid(f"belongs to the user {name}, and this is {user_name(we)}: run the command as {name}", str(path))


def application_of(path: Path) -> int | None:
    """The application id in the SQLite file at ``path``; None if the file does not exist, or is empty.

    Raises `Error` (invalid) for any other file. Format: sqlite.org/fileformat.html, "The Database Header".
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise invalid(f"{path} can't be read: {error.strerror}") from None
    if not header.strip(b"\0"):
        return None
    if not header.startswith(_SQLITE):
        raise invalid(f"expected an SQLite database or a new file: {path} is another kind of file")
    return int.from_bytes(header[68:72])
