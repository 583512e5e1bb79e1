"""The bytes of checked releases, beside the repository: each file is whole and durable at its place, or not there.

A file is at `.checked/<workspace>/<backend>/<id>/<path>` below RELEASE_STORAGE. The store fills a folder in
`.checked/.incoming/` with `bytes` and, last, `upload.json`, and renames `bytes` once a commit says that the file left
its backend. A withdrawn file is erased after its commit.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO

from pydantic import Field, ValidationError

from jobserver.domain.base import names
from jobserver.domain.base.values import Document, Slug, Username, WorkspaceName, named
from jobserver.domain.outputs.documents import CheckedRelease, FilePath
from jobserver.domain.releases import path_fault
from jobserver.errors import not_found
from jobserver.store.fs import file_digest, move_durably, sync_folder, write_durably
from jobserver.store.incoming import (
    abandoned,
    claim,
    discard_folder,
    make_folder,
    make_folders,
    open_regular,
    storage_errors,
)

ROOT = ".checked"
_INCOMING, _BYTES, _RECORD = ".incoming", "bytes", "upload.json"


class StagedUpload(Document):
    """`upload.json`: whose bytes are beside it, and who lets them out."""

    workspace: WorkspaceName
    backend: Slug
    identifier: Annotated[str, named(names.CHECKED_RELEASE_ID)]
    path: FilePath
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, named(names.DIGEST)]
    user: Username


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A file that is durable, locked by this process, and not visible yet."""

    upload: StagedUpload
    _folder: Path
    _target: Path
    _root: Path

    def is_whole(self) -> bool:
        with contextlib.suppress(OSError):
            return file_digest(self._folder / _BYTES) == self.upload.sha256
        return False

    def publish(self) -> None:
        """Puts the file at its place, durably. Raises `Error` (unavailable)."""
        with storage_errors():
            make_folders(self._root, self._target.parent)
            move_durably(self._folder / _BYTES, self._target)
        self.discard()

    def discard(self) -> None:
        discard_folder(self._folder, _RECORD)


class CheckedFileStore:
    """Thread-safe; several processes may share a folder."""

    def __init__(self, storage: Path) -> None:
        """``storage``: RELEASE_STORAGE, which exists. Raises `Error` (unavailable)."""
        self.root = storage / ROOT
        self._incoming = self.root / _INCOMING
        with storage_errors():
            make_folder(self.root)
            make_folder(self._incoming)

    def has(self, release: CheckedRelease, path: str) -> bool:
        return self._place(release.workspace, release.backend, release.identifier, path).is_file()

    def open(self, release: CheckedRelease, path: str) -> BinaryIO:
        """Opens a file that left its backend and is not withdrawn. Raises `Error` (not_found, unavailable)."""
        file = release.file(path)
        if file is None or file.uploaded is None or release.is_gone(file):
            raise not_found(f"release {release.identifier} has no released file {path!r}")
        with storage_errors():
            place = self._place(release.workspace, release.backend, release.identifier, path)
            return open(place, "rb", opener=open_regular)

    @contextlib.contextmanager
    def staged(self, upload: StagedUpload, body: bytes) -> Iterator[StagedFile]:
        """Writes the bytes where they are not visible. After an exception in the block, `leftovers` finds them."""
        with storage_errors():
            folder, lock = claim(self._incoming)
            with lock:
                try:
                    write_durably(folder / _BYTES, [body])
                    write_durably(folder / _RECORD, [upload.model_dump_json().encode()])
                    sync_folder(folder)
                    sync_folder(folder.parent)
                except BaseException:
                    discard_folder(folder, _RECORD)
                    raise
                yield self._file(folder, upload)

    def leftovers(self) -> Iterator[StagedFile]:
        """The whole files that killed processes left; deletes the others. Raises `Error` (unavailable)."""
        with storage_errors():
            for folder, lock in abandoned(self._incoming):
                with lock:
                    try:
                        upload = StagedUpload.model_validate_json((folder / _RECORD).read_bytes())
                    except (FileNotFoundError, ValidationError):
                        discard_folder(folder, _RECORD)
                        continue
                    staged = self._file(folder, upload)
                    if path_fault(upload.path) or not staged.is_whole():
                        staged.discard()
                    else:
                        yield staged

    def erase(self, release: CheckedRelease, path: str) -> bool:
        """Whether there were bytes of a file. Nobody can read them any more when this returns."""
        with storage_errors():
            folder = self._release(release.workspace, release.backend, release.identifier)
            place = folder / path
            try:
                place.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return False
            sync_folder(place.parent)
            with contextlib.suppress(OSError):  # other files are in it
                while place.parent != folder.parent:
                    place = place.parent
                    place.rmdir()
            return True

    def releases(self) -> Iterator[tuple[str, str, str]]:
        """(workspace, backend, identifier) of each release that has bytes here."""
        with storage_errors():
            for folder in sorted(self.root.glob("[!.]*/*/*")):
                workspace, backend, identifier = folder.relative_to(self.root).parts
                yield workspace, backend, identifier

    def _file(self, folder: Path, upload: StagedUpload) -> StagedFile:
        place = self._place(upload.workspace, upload.backend, upload.identifier, upload.path)
        return StagedFile(upload, folder, place, self.root)

    def _release(self, workspace: str, backend: str, identifier: str) -> Path:
        return self.root / workspace / backend / identifier

    def _place(self, workspace: str, backend: str, identifier: str, path: str) -> Path:
        return self._release(workspace, backend, identifier) / path
