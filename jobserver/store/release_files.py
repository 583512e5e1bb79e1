"""Releases on the disk, beside the repository. Each is whole and durable under its final name, or not there at all.

A release's folder is ``<workspace>/<backend>/<id>/``; `release_record` describes what is in it. The store fills the
folder in ``.incoming/``, syncs the files first and `release.json` last, and renames the folder once a commit records
the release. The process that fills a folder in ``.incoming`` locks it; after that process was killed, any other may
finish or delete the folder (`leftovers`).
"""

import contextlib
import errno
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from jobserver.errors import Error, invalid, not_found
from jobserver.store.fs import move_durably, sync_folder, write_durably
from jobserver.store.incoming import abandoned, claim, discard_folder, make_folder, open_regular, storage_errors
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
            make_folder(above / name)
            above /= name
        try:
            move_durably(self._folder, above / release.identifier)
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            raise
        return True

    def discard(self) -> None:
        discard_folder(self._folder, RECORD)

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
                make_folder(folder)
            folder, lock = claim(self._incoming)
            with lock:
                folder.rmdir()
        except OSError as error:
            raise invalid(f"expected a writable folder: {error.strerror}", "RELEASE_STORAGE") from None

    def find(self, workspace: str, backend: str, identifier: str) -> StoredRelease | None:
        """Raises `Error` (unavailable) if the release exists and can't be read."""
        folder = self.root / workspace / backend / identifier
        with storage_errors():
            return read_release(folder) if folder.is_dir() else None

    def confirm(self, kept: StoredRelease) -> None:
        """Returns once the release's name would survive a power cut: another process may have just published it."""
        with storage_errors():
            sync_folder(self.root / kept.release.workspace / kept.backend)

    def of_workspace(self, workspace: str, backends: Sequence[str]) -> list[StoredRelease]:
        """Newest first; releases that can't be read are left out, and logged."""
        releases = []
        for backend in backends:
            parent = self.root / workspace / backend
            with storage_errors():
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
        with storage_errors():
            return open(folder / path, "rb", opener=open_regular)

    @contextlib.contextmanager
    def staged(self, kept: StoredRelease, contents: Contents) -> Iterator[StagedRelease]:
        """Writes the release where it is not visible. After an exception in the block, `leftovers` finds it.

        Raises `Error` (unavailable) with nothing left if the disk refuses.
        """
        with storage_errors():
            folder, lock = claim(self._incoming)
            with lock:
                try:
                    _fill(folder, kept, contents)
                except BaseException:
                    discard_folder(folder, RECORD)
                    raise
                yield StagedRelease(self.root, folder, kept)

    def leftovers(self) -> Iterator[StagedRelease]:
        """The complete releases that killed processes left; deletes the others. Raises `Error` (unavailable)."""
        with storage_errors():
            for folder, lock in abandoned(self._incoming):
                with lock:
                    try:
                        kept = read_release(folder)
                    except (FileNotFoundError, Error):
                        discard_folder(folder, RECORD)
                    else:
                        yield StagedRelease(self.root, folder, kept)


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
