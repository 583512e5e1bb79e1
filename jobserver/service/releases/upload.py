"""Receives a release: checks it, stores it where nobody sees it, records it in git, and then gives it its name.

The steps have this order so that any process can finish them after a crash: a stored release without a record gets its
record, and a recorded release gets its name (docs/decisions/0014-releases-are-recorded.md).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from jobserver.domain import releases
from jobserver.domain.base.layout import backend_branch
from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.releases import RecordRelease, Release, digest
from jobserver.errors import Code, Error
from jobserver.service.budgets import RateLimit
from jobserver.service.releases import archive
from jobserver.service.writes.gate import Gate
from jobserver.service.writes.idempotency import Key
from jobserver.store.git.cat_file import PipedObjects
from jobserver.store.git.command import git
from jobserver.store.release_files import ReleaseStore, StagedRelease
from jobserver.store.release_record import StoredRelease
from jobserver.store.repo import StateRepo
from jobserver.store.upstream import Unconfirmed

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Upload:
    """A request of a backend. ``user`` released the files. ``identifier``: the hash that the backend states. ``body``:
    the zip.
    """

    workspace: str
    identifier: str
    user: str
    body: bytes


class ReleaseService:
    """Thread-safe."""

    def __init__(
        self,
        store: ReleaseStore,
        repo: StateRepo,
        gate: Gate,
        clock: Callable[[], datetime],
        budget: RateLimit | None = None,
    ) -> None:
        """``budget``: unpacked bytes that a backend can store; None for no limit."""
        self.store, self._repo, self._gate, self._clock = store, repo, gate, clock
        self._budget = budget or RateLimit(0, 1, "")

    def upload(self, actor: Actor, upload: Upload, via: str) -> tuple[StoredRelease, bool]:
        """(the release, whether it is new), when it is durable and recorded.

        Raises `Error`: invalid or too_many, and then stores nothing; or unavailable.
        """
        self.settle_interrupted()
        if (kept := self.find(actor.name, upload)) is not None:
            return kept, False
        spent = 0

        def spend(size: int) -> None:
            nonlocal spent
            self._budget.spend(str(actor), size)
            spent = size

        is_new = False
        try:
            kept, is_new = self._take(actor, upload, archive.read(upload.body, upload.identifier, spend), via)
        finally:
            if not is_new:
                self._budget.add(str(actor), -spent)
        return kept, is_new

    def _take(self, actor: Actor, upload: Upload, content: archive.Archive, via: str) -> tuple[StoredRelease, bool]:
        release = Release(
            workspace=upload.workspace,
            identifier=upload.identifier,
            user=upload.user,
            files=len(content.files),
            size=sum(file.size for file in content.files),
            sha256=digest(content.files),
        )
        kept = StoredRelease(actor.name, self._clock(), release, content.files)
        with self.store.staged(kept, content.contents) as staged:
            try:
                commit = self._record(actor, release, via)
            except Unconfirmed:
                raise  # the record may have it: `settle_interrupted` finds out
            except Error:
                staged.discard()
                raise
            is_new = staged.publish(commit)
            if not is_new:
                staged.discard()
        stored = self.find(actor.name, upload)
        assert stored is not None
        return stored, is_new

    def find(self, backend: str, upload: Upload) -> StoredRelease | None:
        """The release of this name, after making sure that it is durable."""
        if not releases.is_release_id(upload.identifier):
            return None
        kept = self.store.find(upload.workspace, backend, upload.identifier)
        if kept is not None:
            self.store.confirm(kept)
        return kept

    def settle_interrupted(self) -> None:
        """Finishes or discards what killed processes left. Tries again at the next call if that fails."""
        try:
            for staged in self.store.leftovers():
                self._settle(staged)
        except (Error, OSError) as error:
            _log.warning("can't finish or discard an interrupted release: %s", error)

    def _settle(self, staged: StagedRelease) -> None:
        kept = staged.kept
        try:
            if not staged.is_whole():
                staged.discard()
                return
            commit = self._recorded(kept) or self._record(Actor(ActorKind.BACKEND, kept.backend), kept.release, "http")
        except Error as error:
            if error.code is Code.UNAVAILABLE:
                raise
            _log.warning("discarded an interrupted release of %s: %s", kept.release.workspace, error)
            staged.discard()
            return
        if not staged.publish(commit):
            staged.discard()

    def _record(self, actor: Actor, release: Release, via: str) -> str:
        """The commit that records the release. For a release that is recorded already, that commit."""
        name = f"/{release.workspace}/releases/{release.identifier}"
        key = Key.of(actor, "PUT", name, release.sha256, b"")
        return self._gate.submit(actor, RecordRelease(actor.name, release), via, key).commit

    def _recorded(self, kept: StoredRelease) -> str:
        """The commit that records the release, whatever its age; empty if there is none."""
        release = kept.release
        wanted = {"Workspace": release.workspace, "Sha256": release.sha256}
        greps = [f"--grep=^{key}: {value}$" for key, value in wanted.items()]
        branch = backend_branch(kept.backend)
        if self._repo.writer.refs.tip(branch) is None:
            return ""
        objects = PipedObjects(self._repo.path)
        try:  # git finds any line of a message, but only the server's trailers count
            for sha in git(self._repo.path, "rev-list", "--all-match", *greps, f"refs/heads/{branch}", "--").split():
                commit = objects.commit(sha)
                is_release = commit.trailer("Event") in (releases.EVENT, releases.IMPORTED)
                if is_release and all(commit.trailer(key) == value for key, value in wanted.items()):
                    return sha
        finally:
            objects.close()
        return ""
