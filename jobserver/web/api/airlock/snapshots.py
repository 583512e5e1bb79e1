"""Asks for released files to be published, as job-server's pages do: a snapshot is a set of files."""

from bottle import HTTPResponse

from jobserver.domain.base.permissions import Actor, Permission
from jobserver.domain.base.rights import permissions_of
from jobserver.domain.outputs.documents import CheckedRelease
from jobserver.errors import Code, Error, forbidden, invalid, not_found
from jobserver.service.releases.checked import ReleaseName
from jobserver.web import http
from jobserver.web.api.airlock.details import detailed
from jobserver.web.api.airlock.fields import sent_fields
from jobserver.web.api.airlock.names import ReleaseFinder
from jobserver.web.api.common import person_of
from jobserver.web.services import Services

_MOST = 10_000


class SnapshotsApi:
    def __init__(self, services: Services) -> None:
        self._index, self._base_url = services.index, services.options.base_url
        self._finder = ReleaseFinder(services)

    @detailed
    def create(self, actor: Actor, name: str) -> HTTPResponse:
        """A publisher decides then. The same call again leads to the same publication."""
        directory = self._index.directory()
        user, workspace = person_of(directory, actor), directory.workspace(name)
        if workspace is None:
            raise not_found(f"Workspace {name[:100]} does not exist")
        if Permission.RUN_JOB not in permissions_of(directory, user, workspace.project):  # as `admit` says
            raise forbidden(f"{user.username} can't ask to publish files of {name}")
        fields = sent_fields("file_ids")
        ids = dict.fromkeys(fields.texts("file_ids", _MOST))
        fields.done()
        releases, paths = self._chosen(name, list(ids))
        if len(releases) > 1:
            raise invalid("the files are of several releases: create a snapshot for each release", "file_ids")
        (release,) = releases.values()
        publication = release.open_publication
        if publication is None or set(publication.files) != set(paths):
            self._finder.service.request_publication(actor, ReleaseName.of(release), "http", paths)
        return http.answer({"url": f"{self._base_url}/{name}/releases/{release.identifier}"}, 201)

    def _chosen(self, workspace: str, ids: list[str]) -> tuple[dict[str, CheckedRelease], list[str]]:
        """The releases by id, and the paths of the files. Raises `Error` (invalid) with the ids that are unknown."""
        releases: dict[str, CheckedRelease] = {}
        paths, unknown = [], []
        for file_id in ids:
            try:
                release, number = self._finder.file(file_id)
            except Error as error:
                if error.code is not Code.NOT_FOUND:
                    raise
                unknown.append(file_id)
                continue
            if release.workspace != workspace:
                unknown.append(file_id)
                continue
            releases[release.identifier] = release
            paths.append(release.files[number].path)
        if unknown:
            raise invalid(f"Unknown file IDs: {', '.join(unknown[:20])}")
        return releases, paths
