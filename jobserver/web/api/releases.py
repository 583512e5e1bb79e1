"""PUT /api/v2/workspaces/<name>/releases/<hash>: a zip of files that a backend releases.

Checks the token first, so that strangers can't find out which workspaces exist, then the rest in job-server's order.
"""

import contextlib

from bottle import HTTPResponse

from jobserver.domain.base.permissions import Actor
from jobserver.domain.releases import is_user, may_release, no_releaser
from jobserver.errors import forbidden, invalid, unavailable
from jobserver.service.releases.upload import Upload
from jobserver.web import http
from jobserver.web.api.common import require_backend
from jobserver.web.server.stream import UNREADABLE
from jobserver.web.services import Services


class ReleasesApi:
    def __init__(self, services: Services) -> None:
        self._index, self._service = services.index, services.releases
        self._base_url = services.options.base_url

    def upload(self, actor: Actor, name: str, identifier: str) -> HTTPResponse:
        require_backend(actor)
        if self._index.directory().workspace(name) is None:
            return HTTPResponse(b"", 404)
        user = _user()
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


def _user() -> str:
    """Backend-User. Many clients send UTF-8, though HTTP's headers are Latin-1. "" for an unreadable one."""
    value = (http.header("Backend-User") or "").strip()
    with contextlib.suppress(UnicodeError):
        value = value.encode("latin-1").decode("utf-8").strip()
    return "" if value == UNREADABLE else value
