"""Lists of released files and their bytes, in the shapes of job-server's."""

from email.utils import format_datetime
from typing import Any

from bottle import HTTPResponse

from jobserver.domain.base.permissions import Actor
from jobserver.domain.outputs.documents import CheckedRelease
from jobserver.domain.releases import may_view
from jobserver.domain.workspaces import Workspace
from jobserver.errors import forbidden, not_found
from jobserver.index.items import time_text
from jobserver.index.queries.releases import ReleasedFile, newest_files
from jobserver.web import http
from jobserver.web.api.airlock.names import ReleaseFinder
from jobserver.web.api.common import person_of
from jobserver.web.downloads import attachment
from jobserver.web.services import Services


class FilesApi:
    """For people who may look at releases of the workspace: with a session, a token, or ``name:token``."""

    def __init__(self, services: Services) -> None:
        self._index, self._base_url = services.index, services.options.base_url
        self._finder, self._visible = ReleaseFinder(services), services.visible
        self._views = services.views

    def of_workspace(self, actor: Actor, workspace: str) -> HTTPResponse:
        """The newest version of each file that left a backend and was not withdrawn, by backend and path."""
        self._check(actor, workspace)
        with self._index.view() as sql:
            files = [file for slug in sorted(self._visible.slugs()) for file in newest_files(sql, workspace, [slug])]
        return http.answer({"files": [self._newest(file) for file in files]})

    def of_release(self, actor: Actor, identifier: str) -> HTTPResponse:
        release = self._viewed(actor, self._finder.release(identifier))
        return http.answer({"files": [self._item(release, number) for number in range(len(release.files))]})

    def download(self, actor: Actor, file_id: str) -> HTTPResponse:
        release, number = self._finder.file(file_id)
        self._viewed(actor, release)
        file = release.files[number]
        if release.is_gone(file):
            raise not_found(f"{file.path} was withdrawn")
        if file.uploaded is None:
            raise not_found("File not yet uploaded")
        headers = {
            **attachment(file.path, file.size),
            "Cache-Control": "no-store",
            "Last-Modified": format_datetime(file.uploaded.at, usegmt=True),
        }
        self._views.record(actor, release.workspace, release.backend, release.identifier, "http")
        return HTTPResponse(self._finder.service.open(release, file.path), 200, headers)

    def _viewed(self, actor: Actor, release: CheckedRelease) -> CheckedRelease:
        """Raises `Error` (forbidden)."""
        self._check(actor, release.workspace)
        return release

    def _check(self, actor: Actor, name: str) -> Workspace:
        """Raises `Error` (forbidden, not_found)."""
        directory = self._index.directory()
        user, workspace = person_of(directory, actor), directory.workspace(name)
        if workspace is None:
            raise not_found(f"Workspace {name[:100]} does not exist")
        if not may_view(directory, user, workspace):
            raise forbidden(f"{user.username} can't view the releases of {name}")
        return workspace

    def _newest(self, file: ReleasedFile) -> dict[str, Any]:
        return {
            "name": f"{file.backend}/{file.path}",
            **self._version(file.release, file.number, file.sha256, file.size),
            "user": file.uploaded_by,
            "date": time_text(file.uploaded_at),
            "is_deleted": file.is_gone,
            "backend": file.backend,
        }

    def _item(self, release: CheckedRelease, number: int) -> dict[str, Any]:
        file = release.files[number]
        uploaded = file.uploaded
        return {
            "name": file.path,
            **self._version(release.identifier, number, file.sha256, file.size),
            "user": uploaded.by if uploaded is not None else release.author,
            "date": time_text(uploaded.at if uploaded is not None else release.created_at),
            "is_deleted": release.is_gone(file),
            "backend": release.backend,
        }

    def _version(self, release: str, number: int, sha256: str, size: int) -> dict[str, Any]:
        return {
            "id": f"{release}-{number}",
            "url": f"{self._base_url}/api/v2/releases/file/{release}-{number}",
            "sha256": sha256,
            "size": size,
            "metadata": {"airlock_id": release},
            "review": None,
        }
