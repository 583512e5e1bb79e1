"""Released files of the old server, from the folder that was its RELEASE_STORAGE."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from jobserver.domain.base.state import Origin
from jobserver.domain.base.validation import checked
from jobserver.domain.releases import Release, ReleaseFile, clashes, digest, is_release_id, path_fault
from jobserver.errors import Error, conflict
from jobserver.service.imports import database as tables
from jobserver.service.imports.context import EPOCH, ImportContext, origin
from jobserver.service.imports.database import Row
from jobserver.service.imports.values import line_of, list_of, time_of
from jobserver.store.release_record import StoredRelease

_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ImportedRelease:
    """``sources``: path of a file in the release -> where it is on the disk."""

    stored: StoredRelease
    sources: Mapping[str, Path]
    origin: Origin
    row: str

    def contents(self, path: str) -> Iterator[bytes]:
        with self.sources[path].open("rb") as file:
            while part := file.read(_CHUNK):
                yield part


class ImportedReleases:
    """``folder``: the old server's RELEASE_STORAGE, or a copy of it; without one, no release is taken."""

    def __init__(self, context: ImportContext, folder: Path | None) -> None:
        self._context, self._database, self._notes = context, context.database, context.notes
        self._folder = folder.resolve() if folder is not None else None

    def all(self) -> Iterator[ImportedRelease]:
        """Those whose files are there. The others get a note."""
        listed = self._listed()
        for row in self._database.rows(tables.RELEASES):
            if self._folder is None:
                self._note(row, "files", "are in the old server's folder", "not taken without --releases")
                continue
            try:
                yield self._release(row, listed, self._folder)
            except Error as error:
                self._context.not_taken(tables.RELEASES, row["id"], error)

    def _note(self, row: Row, column: str, problem: str, action: str) -> None:
        self._notes.add(tables.RELEASES, row["id"], column, problem, action)

    def _listed(self) -> dict[object, dict[str, str]]:
        """id of a release -> {path of a file in it: path below the old folder}, in the schema of 2025 and 2026."""
        listed: dict[object, dict[str, str]] = defaultdict(dict)
        for row in self._database.rows(tables.RELEASE_FILES):
            if not row.get("deleted_at"):
                listed[row["release_id"]][str(row["name"])] = str(row["path"])
        return listed

    def _release(self, row: Row, listed: Mapping[object, Mapping[str, str]], folder: Path) -> ImportedRelease:
        workspace = self._context.workspaces.get(row.get("workspace_id"))
        backend = self._context.backends.get(row.get("backend_id"))
        if workspace is None or backend is None:
            raise conflict("names no workspace or no backend")
        below = row.get("upload_dir")
        paths = listed.get(row["id"], {})
        if below is not None:
            paths = {str(name): f"{below}/{name}" for name in list_of(row.get("files"))}
        sources = {name: path for name, old in paths.items() if (path := self._source(row, name, folder / old, folder))}
        if not sources or (clash := next(iter(clashes(sources)), "")):
            raise conflict(clash if sources else "has no files that can be taken")
        files = tuple(
            ReleaseFile(name, sources[name].stat().st_size, _sha256(sources[name])) for name in sorted(sources)
        )
        author = self._context.users.get(row.get("created_by_id", row.get("publishing_user_id")))
        old = str(row["id"])
        values = {
            "workspace": workspace,
            "identifier": old if is_release_id(old) else hashlib.md5(old.encode(), usedforsecurity=False).hexdigest(),
            "user": line_of(row.get("backend_user"))[:200] or author or "unknown",
            "files": len(files),
            "size": sum(file.size for file in files),
            "sha256": digest(files),
        }
        created_at = time_of(row.get("created_at", row.get("published_at"))) or EPOCH
        stored = StoredRelease(backend, created_at, checked(Release, values), files)
        return ImportedRelease(stored, sources, origin(author, created_at), f"{tables.RELEASES}/{old}")

    def _source(self, row: Row, name: str, path: Path, folder: Path) -> Path | None:
        """Where the file is on the disk; None, with a note, if it is missing or can't be taken."""
        resolved = path.resolve()
        if (fault := path_fault(name)) or not resolved.is_relative_to(folder) or not resolved.is_file():
            self._note(row, "files", f"{name!r:.80} {fault or 'is not in the folder'}", "not taken")
            return None
        return resolved


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
