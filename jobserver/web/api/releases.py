"""Releases: a backend uploads them as zips; people who may view them list, show and download them.

An upload checks the token first, so that strangers can't find out which workspaces exist, then the rest in job-server's
order.
"""

from typing import Any

from bottle import HTTPResponse

from jobserver.domain.base.permissions import Actor
from jobserver.domain.releases import is_release_id, is_user, may_release, no_releaser
from jobserver.errors import forbidden, invalid, not_found, unavailable
from jobserver.index.items import time_text
from jobserver.service.releases.upload import ReleaseService, Upload
from jobserver.store.release_record import StoredRelease
from jobserver.web import http
from jobserver.web.api import lists
from jobserver.web.api.common import named_person, require_backend, viewed_releases
from jobserver.web.downloads import download
from jobserver.web.services import Services


class ReleasesApi:
    def __init__(self, services: Services) -> None:
        self._index, self._service = services.index, services.releases
        self._base_url, self._visible = services.options.base_url, services.visible
        self._views = services.views

    def upload(self, actor: Actor, name: str, identifier: str) -> HTTPResponse:
        require_backend(actor)
        if self._index.directory().workspace(name) is None:
            return HTTPResponse(b"", 404)
        user = named_person("Backend-User")
        if not is_user(user):
            raise forbidden("Backend-User not valid")
        if not may_release(self._index.directory(), user, name):  # `admit` asks again; here before the files are read
            raise no_releaser(user, name)
        body = http.read_body()
        if not body:
            raise invalid("No data uploaded")
        if self._service is None:
            raise unavailable("This server can't store releases: RELEASE_STORAGE is not set")
        kept, is_new = self._service.upload(actor, Upload(name, identifier, user, body), "http")
        headers = {
            "Location": f"{self._base_url}/{name}/releases/{kept.release.identifier}",
            "Release-Id": kept.release.identifier,
            "X-Commit": kept.commit,
        }
        return HTTPResponse(b"", 201 if is_new else 303, headers)

    def index(self, actor: Actor, name: str) -> HTTPResponse:
        workspace, service = viewed_releases(self._index.directory(), actor, name, self._service)
        releases = service.store.of_workspace(workspace.name, self._visible.slugs())
        named = [(f"{stored.backend}.{stored.release.identifier}", stored) for stored in releases]
        return lists.page_in_order(self._base_url, named, _item)

    def show(self, actor: Actor, name: str, identifier: str) -> HTTPResponse:
        """The release of each backend that has this identifier: the same files are the same identifier."""
        workspace, service = viewed_releases(self._index.directory(), actor, name, self._service)
        slugs = self._visible.slugs()
        releases = [
            release for slug in slugs if (release := _find(service, workspace.name, slug, identifier)) is not None
        ]
        if not releases:
            raise not_found(f"Release {identifier[:100]} does not exist")
        return http.answer({"results": [_item(stored) for stored in releases]})

    def download(self, actor: Actor, name: str, identifier: str, backend: str, path: str) -> HTTPResponse:
        workspace, service = viewed_releases(self._index.directory(), actor, name, self._service)
        is_visible = backend in self._visible.slugs()
        release = _find(service, workspace.name, backend, identifier) if is_visible else None
        if release is None:
            raise not_found(f"Release {identifier[:100]} does not exist")
        if not release.has_file(path):  # before the record names who looks at it
            raise not_found(f"this release has no file {path!r}")
        self._views.record(actor, name, backend, identifier, "http")
        return download(service.store, release, path, {"Cache-Control": "no-store"})


def _find(service: ReleaseService, workspace: str, backend: str, identifier: str) -> StoredRelease | None:
    return service.store.find(workspace, backend, identifier) if is_release_id(identifier) else None


def _item(stored: StoredRelease) -> dict[str, Any]:
    return {
        "identifier": stored.release.identifier,
        "backend": stored.backend,
        "vouched_by": stored.backend,
        "released_by": stored.release.user,
        "received_at": time_text(stored.received_at),
        "size": stored.release.size,
        "commit": stored.commit,
        "files": [{"path": file.path, "size": file.size, "sha256": file.sha256} for file in stored.files],
    }
