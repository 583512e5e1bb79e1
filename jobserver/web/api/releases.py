"""PUT /api/v2/workspaces/<name>/releases/<hash>: a zip of files that a backend let out; job-server's order of checks.

The workspace first, as job-server had it, also for who has no token; then the token; then what came with it.
"""

import contextlib

from bottle import HTTPResponse

from jobserver.domain.permissions import Actor, ActorKind
from jobserver.domain.releases import is_user
from jobserver.errors import forbidden, invalid, unavailable
from jobserver.index.follow import Index
from jobserver.service.releases.upload import Releases as Service
from jobserver.service.releases.upload import Upload
from jobserver.web import http
from jobserver.web.stream import UNREADABLE


class Releases:
    """``service`` is None where RELEASE_STORAGE is not set."""

    def __init__(self, index: Index, service: Service | None, base_url: str) -> None:
        self._index, self._service, self._base_url = index, service, base_url

    def known(self, name: str, identifier: str) -> HTTPResponse | None:
        """The answer where there is no such workspace."""
        return HTTPResponse(b"", 404) if self._index.directory().workspace(name) is None else None

    def upload(self, actor: Actor, name: str, identifier: str) -> HTTPResponse:
        if actor.kind is not ActorKind.BACKEND:
            raise forbidden("this needs a backend's token, not a person's")
        user = _user()
        if not is_user(user):
            raise forbidden("Backend-User not valid")
        body = http.read_body()
        if not body:
            raise invalid("No data uploaded")
        if self._service is None:
            raise unavailable("this server stores no releases: RELEASE_STORAGE is not set")
        kept, is_new = self._service.take(actor, Upload(name, identifier, user, body), "http")
        headers = {
            "Location": f"{self._base_url}/{name}/releases/{kept.release.identifier}",
            "Release-Id": kept.release.identifier,
            "X-Commit": kept.commit,
        }
        return HTTPResponse(b"", 201 if is_new else 303, headers)


def _user() -> str:
    """Backend-User; many send UTF-8, though HTTP's headers are Latin-1. What the server could not hand on is nobody."""
    value = (http.header("Backend-User") or "").strip()
    with contextlib.suppress(UnicodeError):
        value = value.encode("latin-1").decode("utf-8").strip()
    return "" if value == UNREADABLE else value
