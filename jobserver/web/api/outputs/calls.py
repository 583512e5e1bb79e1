"""What people read and change of checked releases. A backend's calls are Airlock's (`api.airlock`)."""

from dataclasses import dataclass
from typing import Any, get_args

from bottle import HTTPResponse

from jobserver.domain.base.permissions import Actor
from jobserver.domain.base.validation import checked
from jobserver.domain.outputs.approvals import ReleaseState
from jobserver.domain.outputs.documents import MAX_FILES, CheckedFile, CheckedRelease, Decision
from jobserver.errors import Error, Fault, invalid, not_found
from jobserver.index.queries.releases import newest_files, releases_of
from jobserver.service.releases.checked import CheckedReleaseService, ReleaseName
from jobserver.service.writes.idempotency import Key
from jobserver.store.write.submission import WriteResult
from jobserver.web import http
from jobserver.web.api import lists
from jobserver.web.api.common import Keys, viewed_releases
from jobserver.web.api.fields import Fields
from jobserver.web.api.outputs.items import file_item, release_item, summary_item
from jobserver.web.downloads import attachment
from jobserver.web.services import Services

LIST_FILTERS = ("state", *lists.PAGING)
FILE_FILTERS = ("published", *lists.PAGING)
_DECISIONS: tuple[Decision, ...] = get_args(Decision)


@dataclass(frozen=True, slots=True)
class _Call:
    """A person's call about one release, which they may see."""

    service: CheckedReleaseService
    release: ReleaseName
    fields: Fields
    key: Key | None

    def paths(self) -> list[str]:
        return self.fields.texts("files", MAX_FILES, default=None)


class OutputsApi:
    def __init__(self, services: Services, keys: Keys) -> None:
        self._index, self._service, self._keys = services.index, services.checked_releases, keys
        self._base_url, self._visible = services.options.base_url, services.visible
        self._views = services.views

    # Reading

    def index(self, actor: Actor, name: str) -> HTTPResponse:
        workspace, _ = viewed_releases(self._index.directory(), actor, name, self._service)
        wanted = lists.named("state", list(ReleaseState))
        directory = self._index.directory()
        with self._index.view() as sql:
            releases = releases_of(sql, workspace.name, self._visible.slugs())
        chosen = [
            (f"{release.backend}.{release.identifier}", release)
            for release in releases
            if not wanted or release.state(directory) == wanted
        ]
        return lists.page_in_order(self._base_url, chosen, lambda release: summary_item(release, directory))

    def files(self, actor: Actor, name: str) -> HTTPResponse:
        """The newest version of each file."""
        workspace, _ = viewed_releases(self._index.directory(), actor, name, self._service)
        published = lists.flag("published")
        with self._index.view() as sql:
            files = newest_files(sql, workspace.name, self._visible.slugs(), is_public=published is True)
        chosen = [(file.path, file) for file in files if published in (None, file.is_public)]
        return lists.page_in_order(self._base_url, chosen, file_item)

    def show(self, actor: Actor, name: str, backend: str, identifier: str) -> HTTPResponse:
        _, release = self._release(actor, name, backend, identifier)
        return http.answer(release_item(release, self._index.directory()))

    def download(self, actor: Actor, name: str, backend: str, identifier: str, path: str) -> HTTPResponse:
        service, release = self._release(actor, name, backend, identifier)
        file = release.file(path)
        if file is not None and file in release.live_files():  # or else nothing is opened, and nobody looked
            self._views.record(actor, name, backend, identifier, "http")
        opened = service.open(release, path)
        assert file is not None
        return HTTPResponse(opened, 200, {"Cache-Control": "no-store", **attachment(path, file.size)})

    # Changes

    def request(self, actor: Actor, name: str) -> HTTPResponse:
        fields, key = self._keys.fields(actor)
        _, service = viewed_releases(self._index.directory(), actor, name, self._service)
        backend, files, comment = fields.text("backend"), fields.take("files"), fields.text("comment", None)
        if files is None:
            fields.refuse("files", "required")
        fields.done()
        self._visible.require(backend)
        wanted = ReleaseName(backend, name, "")
        written = service.request(actor, wanted, actor.name, _files(files), "http", comment or "", key)
        identifier: str = written.changes.result["identifier"]
        url = f"{self._base_url}/api/v2/workspaces/{name}/outputs/{backend}/{identifier}/"
        return self._written(ReleaseName(backend, name, identifier), service, written, 201, {"Location": url})

    def review(self, actor: Actor, name: str, backend: str, identifier: str) -> HTTPResponse:
        call = self._call(actor, name, backend, identifier)
        decision, comment, files = call.fields.text("decision"), call.fields.text("comment", None), call.paths()
        known = next((word for word in _DECISIONS if word == decision), None)
        if decision and known is None:
            call.fields.refuse("decision", f"expected {', '.join(_DECISIONS)}, found {decision[:20]!r}")
        call.fields.done()
        assert known is not None
        written = call.service.review(
            actor, call.release, actor.name, known, "http", comment or "", files, key=call.key
        )
        return self._written(call.release, call.service, written)

    def withdraw(self, actor: Actor, name: str, backend: str, identifier: str) -> HTTPResponse:
        call = self._call(actor, name, backend, identifier)
        reason, files = call.fields.text("reason"), call.paths()
        call.fields.done()
        written = call.service.withdraw(actor, call.release, actor.name, reason, "http", files, key=call.key)
        return self._written(call.release, call.service, written)

    def request_publication(self, actor: Actor, name: str, backend: str, identifier: str) -> HTTPResponse:
        call = self._call(actor, name, backend, identifier)
        comment, files = call.fields.text("comment", None), call.paths()
        call.fields.done()
        written = call.service.request_publication(actor, call.release, "http", files, comment or "", call.key)
        return self._written(call.release, call.service, written)

    def publish(self, actor: Actor, name: str, backend: str, identifier: str) -> HTTPResponse:
        call = self._call(actor, name, backend, identifier)
        call.fields.done()
        written = call.service.publish(actor, call.release, "http", call.key)
        return self._written(call.release, call.service, written)

    def request_unpublication(self, actor: Actor, name: str, backend: str, identifier: str) -> HTTPResponse:
        call = self._call(actor, name, backend, identifier)
        comment = call.fields.text("comment", None)
        call.fields.done()
        written = call.service.request_unpublication(actor, call.release, "http", comment or "", call.key)
        return self._written(call.release, call.service, written)

    def unpublish(self, actor: Actor, name: str, backend: str, identifier: str) -> HTTPResponse:
        call = self._call(actor, name, backend, identifier)
        reason = call.fields.text("reason")
        call.fields.done()
        written = call.service.unpublish(actor, call.release, "http", reason, call.key)
        return self._written(call.release, call.service, written)

    def _call(self, actor: Actor, name: str, backend: str, identifier: str) -> "_Call":
        fields, key = self._keys.fields(actor)
        service, _ = self._release(actor, name, backend, identifier)
        return _Call(service, ReleaseName(backend, name, identifier), fields, key)

    def _written(
        self,
        name: ReleaseName,
        service: CheckedReleaseService,
        written: WriteResult,
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> HTTPResponse:
        release = service.find(name)
        assert release is not None
        return http.written(release_item(release, self._index.directory()), written.commit, status, headers)

    def _release(
        self, actor: Actor, name: str, backend: str, identifier: str
    ) -> tuple[CheckedReleaseService, CheckedRelease]:
        """Raises `Error` (forbidden, not_found)."""
        workspace, service = viewed_releases(self._index.directory(), actor, name, self._service)
        is_visible = backend in self._visible.slugs()
        release = service.find(ReleaseName(backend, workspace.name, identifier)) if is_visible else None
        if release is None:
            raise not_found(f"Release {identifier[:100]} does not exist")
        return service, release


def _files(values: Any) -> list[CheckedFile]:
    """The files of a body. Raises `Error` (invalid) that names each."""
    if not isinstance(values, list) or not values:
        raise invalid("expected a list of files, each with path, size and sha256", "files", field="files")
    if len(values) > MAX_FILES:
        raise invalid(f"{len(values)} entries, and the limit is {MAX_FILES}", "files", field="files")
    files, faults = [], []
    for number, value in enumerate(values):
        allowed = {"path", "size", "sha256", "job"}
        if not isinstance(value, dict) or not value.keys() <= allowed:
            faults.append(Fault("expected an object with path, size and sha256", key=f"files.{number}"))
            continue
        try:
            files.append(checked(CheckedFile, value))
        except Error as error:
            faults += [Fault(fault.message, key=f"files.{number}.{fault.key}") for fault in error.faults]
    if faults:
        raise invalid(str(faults[0]), faults=faults)
    return files
