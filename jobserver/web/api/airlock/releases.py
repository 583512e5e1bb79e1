"""Releases as Airlock asks for them: the list of files, the bytes of each, and reviews.

Refusals have job-server's texts where Airlock reads them, and always a ``detail``.
"""

import contextlib
import hashlib
from email.message import Message

from bottle import HTTPResponse, request

from jobserver.domain.base.permissions import Actor
from jobserver.domain.governance.refusals import check_backend
from jobserver.domain.outputs.airlock import inferred_approvers
from jobserver.domain.outputs.approvals import Decisions, may_approve
from jobserver.domain.outputs.documents import MAX_FILE_BYTES, CheckedFile, CheckedRelease
from jobserver.domain.releases import may_release
from jobserver.errors import Code, Error, forbidden, invalid, not_found
from jobserver.service.releases.checked import ReleaseName
from jobserver.web import http
from jobserver.web.api.airlock.details import detailed
from jobserver.web.api.airlock.listing import FileReview, SentRelease, in_mb, sent_release
from jobserver.web.api.airlock.names import ReleaseFinder, file_id, file_url
from jobserver.web.api.common import named_person, require_backend, require_person
from jobserver.web.server.stream import UNREADABLE
from jobserver.web.services import Services

_OTHER_BYTES = "Contents of uploaded file does not match the file which a review was requested for"


class AirlockReleasesApi:
    def __init__(self, services: Services) -> None:
        self._index, self._base_url = services.index, services.options.base_url
        self._finder = ReleaseFinder(services)

    @detailed
    def create(self, actor: Actor, workspace: str) -> HTTPResponse:
        """Asks for a release. The same call again leads to the same release."""
        require_backend(actor)
        if self._index.directory().workspace(workspace) is None:
            raise not_found(f"Workspace {workspace[:100]} does not exist")
        person = self._releaser(workspace, actor.name)
        sent = sent_release()
        name = ReleaseName(actor.name, workspace, sent.identifier)
        known = self._finder.service.find(name) if sent.identifier else None
        if known is None:
            self._finder.check_own(sent.identifier, actor.name)
        if known is None or not known.files:
            author = known.author if known is not None else person
            written = self._finder.service.request(actor, name, author, sent.files, "http")
            name = ReleaseName(actor.name, workspace, str(written.changes.result["identifier"]))
        elif _versions(known.files) != _versions(sent.files):
            raise invalid(f"Requested files do not match files in existing release {name.identifier}")
        self._review(actor, name, person, sent)
        url = f"{self._base_url}/{workspace}/releases/{name.identifier}"
        body = {"release_id": name.identifier, "release_url": url}
        return http.answer(body, 201, {"Release-Id": name.identifier})

    def _review(self, actor: Actor, name: ReleaseName, person: str, sent: SentRelease) -> None:
        """Records that those approve all files who reviewed in Airlock since the last submission, and who lets them out
        now; or what the call says about single files."""
        service, release = self._finder.service, self._finder.service.find(name)
        assert release is not None
        for review in sent.reviews:
            service.review(actor, name, person, review.decision, "http", review.comment, (review.path,))
        for checker in inferred_approvers(self._index.directory(), release, None if sent.reviews else person):
            service.review(actor, name, checker, "approved", "http")

    @detailed
    def upload(self, actor: Actor, identifier: str) -> HTTPResponse:
        """Takes the bytes of one file."""
        require_backend(actor)
        release = self._finder.release(identifier, actor.name)
        person = self._releaser(release.workspace, actor.name)
        if request.content_length > MAX_FILE_BYTES:
            raise invalid(f"File is too large, it must be below {in_mb(MAX_FILE_BYTES)}")
        body = http.read_body(MAX_FILE_BYTES)
        path = self._path(release, body)
        file = release.file(path)
        if file is None:
            raise invalid(f"File {path} not requested in release {identifier}")
        if release.backend != actor.name:
            raise invalid(f"Release is from backend {release.backend} not {actor.name}")
        if not body and file.size:
            raise invalid("No data uploaded")
        try:
            file = self._finder.service.upload_file(actor, ReleaseName.of(release), path, body, person, "http")
        except Error as error:
            raise _as_job_server(error, file, release.backend) from None
        headers = {"File-Id": file_id(release, file), "Location": file_url(self._base_url, release, file)}
        return HTTPResponse(b"", 201, headers)

    @detailed
    def review(self, actor: Actor, identifier: str) -> HTTPResponse:
        """A person's own reviews of single files. A repeated call changes nothing."""
        require_person(actor)
        release = self._finder.release(identifier)
        if not may_approve(self._index.directory(), actor.name, release.workspace):
            raise forbidden(f"{actor.name} may not approve outputs of {release.workspace}")
        sent = sent_release()
        versions = dict(_versions(release.files))
        if unknown := [review.path for review in sent.reviews if review.path not in versions]:
            raise invalid(f"Unknown file {unknown[0]}")
        for review in sent.reviews:
            if versions[review.path] != review.sha256:
                raise invalid(f"Expected sha {versions[review.path]} for file {review.path}")
        for review in sent.reviews:
            if not _is_decided(release, actor.name, review):
                self._finder.service.review(
                    actor,
                    ReleaseName.of(release),
                    actor.name,
                    review.decision,
                    "http",
                    review.comment or sent.comment,
                    (review.path,),
                )
        return http.answer({})

    def _releaser(self, workspace: str, backend: str) -> str:
        """Who lets the files out, of the header OS-User. Raises `Error` (forbidden)."""
        person = named_person("OS-User")
        if not may_release(self._index.directory(), person, workspace):
            name = person[:100] or "nobody"
            raise forbidden(f"OS-User not valid: {name} is not an active user who can release files of {workspace}")
        check_backend(self._index.directory(), person, backend)
        return person

    @staticmethod
    def _path(release: CheckedRelease, body: bytes) -> str:
        """Of the header Content-Disposition. Raises `Error` (invalid)."""
        message = Message()
        message["Content-Disposition"] = header = http.header("Content-Disposition") or ""
        if header == UNREADABLE:
            return _path_by_contents(release, body)
        try:
            path = message.get_filename()
        except ValueError:  # of an encoding that does not exist, or that is not for text
            path = None
        if not path:
            raise invalid('Content-Disposition is missing: expected attachment; filename="path/of/the/file"')
        if release.file(path) is None:
            with contextlib.suppress(UnicodeError):  # many clients send UTF-8, though HTTP's headers are Latin-1
                return path.encode("latin-1").decode("utf-8")
        return path


def _path_by_contents(release: CheckedRelease, body: bytes) -> str:
    """For a name that is not ASCII, which the HTTP server does not pass on: the contents say which file it is. Raises
    `Error` (invalid)."""
    digest = hashlib.sha256(body).hexdigest()
    same = [file for file in release.files if file.sha256 == digest and not file.path.isascii()]
    if not same:
        raise invalid("Content-Disposition is not ASCII: send the name as filename*=UTF-8''...")
    return next((file for file in same if file.uploaded is None), same[0]).path


def _versions(files: tuple[CheckedFile, ...]) -> set[tuple[str, str]]:
    return {(file.path, file.sha256) for file in files}


def _is_decided(release: CheckedRelease, username: str, review: FileReview) -> bool:
    return Decisions(release.reviews).on(review.path).get(username) == review.decision


def _as_job_server(error: Error, file: CheckedFile, backend: str) -> Error:
    """In the words that Airlock knows."""
    if error.code is Code.CONFLICT and file.uploaded is not None and file.withdrawn is None:
        return invalid(f"This version of '{file.path}' has already been uploaded from backend '{backend}'")
    return invalid(_OTHER_BYTES) if error.code is Code.INVALID else error
