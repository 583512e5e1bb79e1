"""Which release a call is about, and the ids of its files.

A file's id is the release's with the file's place in it, because files are only added to a release, at the end.
"""

import re

from jobserver.domain.outputs.documents import CheckedFile, CheckedRelease
from jobserver.errors import invalid, not_found, unavailable
from jobserver.index.queries.releases import ReleaseSummary, releases_named
from jobserver.service.releases.checked import CheckedReleaseService, ReleaseName
from jobserver.web.services import Services

_FILE_ID = re.compile(r"([0-9A-Za-z]+)-(0|[1-9][0-9]{0,5})")


class ReleaseFinder:
    def __init__(self, services: Services) -> None:
        self._index, self._visible, self._service = services.index, services.visible, services.checked_releases

    @property
    def service(self) -> CheckedReleaseService:
        """Raises `Error` (unavailable) without RELEASE_STORAGE."""
        if self._service is None:
            raise unavailable("This server can't store releases: RELEASE_STORAGE is not set")
        return self._service

    def release(self, identifier: str, backend: str = "") -> CheckedRelease:
        """The release with this id; of several, that of ``backend``, else the oldest. Raises `Error` (not_found)."""
        known = self._named(identifier)
        for summary in sorted(known, key=lambda summary: summary.backend != backend):
            name = ReleaseName(summary.backend, summary.workspace, identifier)
            if (release := self.service.find(name)) is not None:
                return release
        raise not_found(f"Release {identifier[:100]} does not exist")

    def check_own(self, identifier: str, backend: str) -> None:
        """Raises `Error` (invalid) if this id is another backend's: it was the first that had a release with it."""
        for summary in self._named(identifier)[:1]:
            if summary.backend != backend:
                raise invalid(f"Release {identifier} is from backend {summary.backend} not {backend}")

    def _named(self, identifier: str) -> list[ReleaseSummary]:
        with self._index.view() as sql:
            return releases_named(sql, identifier, self._visible.slugs())

    def file(self, file_id: str) -> tuple[CheckedRelease, int]:
        """The release, and the place of the file in it. Raises `Error` (not_found)."""
        if match := _FILE_ID.fullmatch(file_id):
            release, number = self.release(match[1]), int(match[2])
            if number < len(release.files):
                return release, number
        raise not_found(f"File {file_id[:100]} does not exist")


def file_id(release: CheckedRelease, file: CheckedFile) -> str:
    number = next(number for number, other in enumerate(release.files) if other.path == file.path)
    return f"{release.identifier}-{number}"


def file_url(base_url: str, release: CheckedRelease, file: CheckedFile) -> str:
    """Where its bytes are."""
    return f"{base_url}/api/v2/releases/file/{file_id(release, file)}"
