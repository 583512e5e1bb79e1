"""Releases under governance: who asked, who approved, the bytes that then leave, and their end.

The order of the steps lets any process finish them after a crash: bytes are durable before the commit that lets them
out, and get their place after it; a tombstone is a commit before the bytes are erased. What nobody may read is never at
its place, and what is at its place can be read only as the document says.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from jobserver.domain.admit import admit
from jobserver.domain.base import layout
from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.outputs.commands import (
    RequestRelease,
    ReviewRelease,
    UploadReleaseFile,
    WithdrawRelease,
    plan,
)
from jobserver.domain.outputs.documents import MAX_FILE_BYTES, CheckedFile, CheckedRelease, Decision
from jobserver.domain.outputs.publications import (
    ApprovePublication,
    EndPublication,
    RequestPublication,
    RequestUnpublication,
)
from jobserver.errors import Code, Error, invalid, not_found
from jobserver.service.budgets import RateLimit
from jobserver.service.writes.gate import Gate
from jobserver.service.writes.idempotency import Key
from jobserver.store.checked_files import CheckedFileStore, StagedFile, StagedUpload
from jobserver.store.read.snapshot import Snapshot
from jobserver.store.repo import StateRepo
from jobserver.store.upstream import Unconfirmed
from jobserver.store.write.submission import WriteResult

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReleaseName:
    """Which release: a backend's branch has one document for each workspace and identifier."""

    backend: str
    workspace: str
    identifier: str

    @classmethod
    def of(cls, release: CheckedRelease) -> "ReleaseName":
        return cls(release.backend, release.workspace, release.identifier)

    @property
    def parts(self) -> tuple[str, str, str]:
        return self.backend, self.workspace, self.identifier


class CheckedReleaseService:
    """Thread-safe. Each method that changes something returns when its commit is durable, and raises `Error` if nothing
    was changed."""

    def __init__(
        self,
        store: CheckedFileStore,
        repo: StateRepo,
        gate: Gate,
        clock: Callable[[], datetime],
        budget: RateLimit | None = None,
    ) -> None:
        """``budget``: bytes that a backend can store; None for no limit."""
        self.store, self._repo, self._gate, self._clock = store, repo, gate, clock
        self._budget = budget or RateLimit(0, 1, "")

    def find(self, name: ReleaseName) -> CheckedRelease | None:
        """The release as its document is now."""
        if not layout.is_release(name.workspace, name.identifier):
            return None
        branch = layout.backend_branch(name.backend)
        if not layout.is_branch(branch) or self._repo.writer.refs.tip(branch) is None:
            return None
        return self._repo.writer.read(branch, lambda state: state.release(name.workspace, name.identifier))

    def request(
        self,
        actor: Actor,
        name: ReleaseName,
        author: str,
        files: Sequence[CheckedFile],
        via: str,
        comment: str = "",
        key: Key | None = None,
    ) -> WriteResult:
        """Asks for a release; a backend may ask again, and add files. The result has the ``identifier``."""
        return self._gate.submit(actor, RequestRelease(*name.parts, author, tuple(files), comment), via, key)

    def review(
        self,
        actor: Actor,
        name: ReleaseName,
        reviewer: str,
        decision: Decision,
        via: str,
        comment: str = "",
        files: Sequence[str] = (),
        key: Key | None = None,
    ) -> WriteResult:
        """Records a decision on these files, or on all."""
        command = ReviewRelease(*name.parts, reviewer, decision, comment, tuple(files))
        return self._gate.submit(actor, command, via, key)

    def request_publication(
        self,
        actor: Actor,
        name: ReleaseName,
        via: str,
        files: Sequence[str] = (),
        comment: str = "",
        key: Key | None = None,
    ) -> WriteResult:
        """Asks that anybody may read these files, or all that were released."""
        return self._gate.submit(actor, RequestPublication(*name.parts, tuple(files), comment), via, key)

    def publish(self, actor: Actor, name: ReleaseName, via: str, key: Key | None = None) -> WriteResult:
        return self._gate.submit(actor, ApprovePublication(*name.parts), via, key)

    def request_unpublication(
        self, actor: Actor, name: ReleaseName, via: str, comment: str = "", key: Key | None = None
    ) -> WriteResult:
        return self._gate.submit(actor, RequestUnpublication(*name.parts, comment), via, key)

    def unpublish(self, actor: Actor, name: ReleaseName, via: str, reason: str, key: Key | None = None) -> WriteResult:
        """Ends a publication, or declines one that was asked for."""
        return self._gate.submit(actor, EndPublication(*name.parts, reason), via, key)

    def withdraw(
        self,
        actor: Actor,
        name: ReleaseName,
        person: str,
        reason: str,
        via: str,
        files: Sequence[str] = (),
        key: Key | None = None,
    ) -> WriteResult:
        """Records the end of these files, or of the whole release, and then erases the bytes."""
        written = self._gate.submit(actor, WithdrawRelease(*name.parts, person, reason, tuple(files)), via, key)
        self._settle_erasures(name)
        return written

    def upload_file(self, actor: Actor, name: ReleaseName, path: str, body: bytes, user: str, via: str) -> CheckedFile:
        """Takes the bytes of a file that may leave its backend. Returns the file once it is durable and recorded.

        Raises `Error` and stores nothing: not_found (the release, or the file in it), invalid (other bytes), forbidden
        (approvals are missing, or ``user`` may not), conflict (uploaded already, or withdrawn), too_many, unavailable.
        """
        self.settle_interrupted()
        command = UploadReleaseFile(*name.parts, path, hashlib.sha256(body).hexdigest(), user)
        file = self._check(actor, name, command, body)
        upload = _upload(name, file, user)
        self._budget.spend(str(actor), len(body))
        try:
            with self.store.staged(upload, body) as staged:
                written = self._let_out(actor, command, staged, via)
            if self._repo.writer.refs.tip(written.branch) != written.commit:
                self._settle_erasures(name)  # it may have been withdrawn meanwhile
        except Error as error:
            if not isinstance(error, Unconfirmed):
                self._budget.add(str(actor), -len(body))
            raise
        (change,) = written.changes.changes
        recorded = change.created(CheckedRelease).file(path)
        assert recorded is not None
        return recorded

    def open(self, release: CheckedRelease, path: str) -> BinaryIO:
        """Opens a file that left its backend. Raises `Error` (not_found, unavailable)."""
        return self.store.open(release, path)

    def settle_interrupted(self) -> None:
        """Finishes or discards what killed processes left. Tries again at the next call if that fails."""
        try:
            for staged in self.store.leftovers():
                self._settle(staged)
        except (Error, OSError) as error:
            _log.warning("can't finish or discard an interrupted upload: %s", error)

    def settle_withdrawn(self) -> None:
        """Erases the bytes of all files that were withdrawn: a process may have been killed before it did, and pushes
        withdraw files too. Raises `Error` (unavailable)."""
        for workspace, backend, identifier in list(self.store.releases()):
            self._settle_erasures(ReleaseName(backend, workspace, identifier))

    def _check(self, actor: Actor, name: ReleaseName, command: UploadReleaseFile, body: bytes) -> CheckedFile:
        """The file as it was asked for. Raises the `Error` with which the upload would end."""
        release = self.find(name)
        file = release.file(command.path) if release is not None else None
        if release is None or file is None:
            missing = "release" if release is None else f"file {command.path!r} in release"
            raise not_found(f"there is no {missing} {name.identifier}")
        if len(body) > MAX_FILE_BYTES:
            raise invalid(f"{len(body)} bytes: a released file has at most {MAX_FILE_BYTES}", command.path)
        if len(body) != file.size:
            raise invalid(f"has {len(body)} bytes: {file.size} were asked for", command.path)

        def decide(state: Snapshot) -> None:
            now = self._clock()
            admit(state, plan(state, command, actor, now, ""), actor, now)

        try:
            self._repo.writer.read(layout.backend_branch(name.backend), decide)
        except Error as error:
            if error.code is Code.CONFLICT and command.sha256 == file.sha256:
                self._restore(release, file, body, command.user)
            raise
        return file

    def _restore(self, release: CheckedRelease, file: CheckedFile, body: bytes, user: str) -> None:
        """Stores the bytes of an uploaded file again, if the disk has lost them."""
        if file.uploaded is None or release.is_gone(file) or self.store.has(release, file.path):
            return
        with self.store.staged(_upload(ReleaseName.of(release), file, user), body) as staged:
            staged.publish()

    def _let_out(self, actor: Actor, command: UploadReleaseFile, staged: StagedFile, via: str) -> WriteResult:
        try:
            written = self._gate.submit(actor, command, via)
        except Unconfirmed:
            raise  # the record may have it: `settle_interrupted` finds out
        except Error:
            staged.discard()
            raise
        staged.publish()
        return written

    def _settle(self, staged: StagedFile) -> None:
        upload = staged.upload
        name = ReleaseName(upload.backend, upload.workspace, upload.identifier)
        if not self._is_live(name, upload):
            command = UploadReleaseFile(*name.parts, upload.path, upload.sha256, upload.user)
            try:
                self._gate.submit(Actor(ActorKind.BACKEND, upload.backend), command, "http")
            except Error as error:
                if error.code is Code.UNAVAILABLE:
                    raise
                _log.warning("discarded an interrupted upload to release %s: %s", upload.identifier, error)
                staged.discard()
                return
        staged.publish()
        self._settle_erasures(name)

    def _is_live(self, name: ReleaseName, upload: StagedUpload) -> bool:
        """Whether the record says that these bytes left their backend, and are not withdrawn."""
        release = self.find(name)
        file = release.file(upload.path) if release is not None else None
        if release is None or file is None or file.sha256 != upload.sha256:
            return False
        return file.uploaded is not None and not release.is_gone(file)

    def _settle_erasures(self, name: ReleaseName) -> None:
        """Erases what the release has no longer."""
        release = self.find(name)
        if release is None:
            return
        for file in release.files:
            if file.uploaded is not None and release.is_gone(file):
                try:
                    self.store.erase(release, file.path)
                except Error as error:
                    _log.warning("can't erase %s of release %s yet: %s", file.path, name.identifier, error)


def _upload(name: ReleaseName, file: CheckedFile, user: str) -> StagedUpload:
    return StagedUpload(
        workspace=name.workspace,
        backend=name.backend,
        identifier=name.identifier,
        path=file.path,
        size=file.size,
        sha256=file.sha256,
        user=user,
    )
