"""The record of a release, in its folder: `release.json`, and what `release.json` says of the files.

A release's folder holds `release.json` (the release, with the size and SHA-256 of every file), `commit` (the id of the
commit that records the release; missing until there is one) and `files/`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from jobserver.domain.base import names
from jobserver.domain.base.values import Document, Slug, Time, named
from jobserver.domain.releases import Release, ReleaseFile, digest, path_fault
from jobserver.errors import unavailable
from jobserver.store.fs import file_digest

RECORD, COMMIT, FILES = "release.json", "commit", "files"


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
    """One release. ``commit``: the id of the commit that records it; empty if there is none yet."""

    backend: str
    received_at: Time
    release: Release
    files: tuple[ReleaseFile, ...]
    commit: str = ""

    def has_file(self, path: str) -> bool:
        return any(file.path == path for file in self.files)


def record_bytes(stored: StoredRelease) -> bytes:
    """The contents of `release.json`."""
    files = tuple(_FileRecord(path=file.path, size=file.size, sha256=file.sha256) for file in stored.files)
    record = _Record(backend=stored.backend, received_at=stored.received_at, release=stored.release, files=files)
    return record.model_dump_json(indent=1).encode() + b"\n"


def read_release(folder: Path) -> StoredRelease:
    """The release in a folder.

    Raises FileNotFoundError if there is no record, and `Error` (unavailable) if the record is damaged.
    """
    try:
        record = _Record.model_validate_json((folder / RECORD).read_bytes())
    except ValidationError:
        raise unavailable(f"{RECORD} can't be read", folder.name) from None
    files = tuple(ReleaseFile(file.path, file.size, file.sha256) for file in record.files)
    if any(path_fault(file.path) for file in files) or digest(files) != record.release.sha256:
        raise unavailable(f"{RECORD} contradicts itself", folder.name)
    commit = folder / COMMIT
    commit_id = commit.read_bytes()[:40].decode("ascii", "replace") if commit.is_file() else ""
    return StoredRelease(record.backend, record.received_at, record.release, files, commit_id)


def file_faults(folder: Path, stored: StoredRelease) -> list[str]:
    """What is wrong with the files in the release's ``folder``."""
    root = folder / FILES
    faults = []
    for file in stored.files:
        try:
            if file_digest(root / file.path) != file.sha256:
                faults.append(f"{file.path} differs from the uploaded file")
        except OSError as error:
            faults.append(f"{file.path} can't be read: {error.strerror}")
    known = {file.path for file in stored.files}
    present = [path.relative_to(root).as_posix() for path in sorted(root.rglob("*")) if not path.is_dir()]
    return faults + [f"{path} was not uploaded" for path in present if path not in known]
