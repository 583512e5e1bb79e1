"""`jobserver import`: reads the database of a job-server, and adds what the state repository does not have yet.

An import that was interrupted goes on when it is run again. Run again later, it adds the rows that are new since.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TypeVar

from jobserver.audit.vouched_release_check import recorded_releases
from jobserver.domain.base import layout
from jobserver.domain.base.layout import Kind, Place, backend_branch
from jobserver.domain.base.permissions import SERVER
from jobserver.domain.record import RecordImport
from jobserver.errors import Code, Error, conflict
from jobserver.service.accounts.private_store import Contact, PrivateStore
from jobserver.service.background.checkpointer import Checkpointer
from jobserver.service.imports import database as tables
from jobserver.service.imports.commits import ImportCommits
from jobserver.service.imports.context import ImportContext, ImportedDocument
from jobserver.service.imports.database import OldDatabase, digest_of
from jobserver.service.imports.notes import ImportNotes
from jobserver.service.imports.people import ImportedPeople
from jobserver.service.imports.releases import ImportedRelease, ImportedReleases
from jobserver.service.imports.requests import ImportedRequest, Requests
from jobserver.service.imports.workspaces import ImportedWorkspaces
from jobserver.service.writes.gate import Gate
from jobserver.store.git.command import git
from jobserver.store.read.snapshot import Snapshot
from jobserver.store.release_files import ReleaseStore
from jobserver.store.repo import StateRepo
from jobserver.store.write.submission import Decide, Submission, WriteResult, result

_BATCH = 2_000  # commits; one pack and one fsync for each batch
T = TypeVar("T")
Progress = Callable[[str, int, int], None]
"""Called with (a noun, how many are done, how many there are)."""


@dataclass(slots=True)
class ImportResult:
    """``commits``: kind -> how many commits were written. ``refused``: rows whose documents the rules refuse."""

    notes: ImportNotes = field(default_factory=ImportNotes)
    commits: dict[str, int] = field(default_factory=dict)
    refused: int = 0


@dataclass(frozen=True, slots=True)
class _Write:
    """A commit to be made. ``row``: the row that it comes from."""

    branch: str
    kind: str
    row: str
    decide: Decide


class Importer:
    def __init__(
        self,
        repo: StateRepo,
        gate: Gate,
        database: OldDatabase,
        clock: Callable[[], datetime],
        progress: Progress = lambda noun, done, total: None,
        releases: tuple[Path, ReleaseStore] | None = None,
    ) -> None:
        """``releases``: the old folder of released files, and where they go; without it, no release is taken."""
        self._repo, self._gate, self._database, self._clock = repo, gate, database, clock
        self._progress = progress
        self._result = ImportResult()
        self._context = ImportContext(database, self._result.notes)
        self._people, self._workspaces = ImportedPeople(self._context), ImportedWorkspaces(self._context)
        self._folder = releases[0] if releases is not None else None
        self._store = releases[1] if releases is not None else None
        self._statement: RecordImport | None = None  # until it is written

    def dry_run(self) -> ImportNotes:
        """Reads everything and writes nothing. Raises `Error` if this repository can't take the import."""
        self._check_repository()
        for _ in self._documents():
            pass
        total = self._database.count(tables.REQUESTS)
        for number, _ in enumerate(Requests(self._context, self._workspaces.requested).all()):
            self._progress("job requests", number, total)
        for _ in ImportedReleases(self._context, self._folder).all():
            pass
        self._result.notes.missing = self._database.others()
        return self._result.notes

    def run(self, private: PrivateStore) -> ImportResult:
        """Raises `Error` if this repository can't take the import, or if the disk refuses."""
        updates = self._check_repository()
        digests = self._database.digests(lambda done, total: self._progress("rows read", done, total))
        digest = digest_of(digests)
        self._statement = RecordImport(self._database.description, self._database.identity(), digests, digest)
        commits = ImportCommits(digest, updates)
        self._import_documents(commits)
        self._import_requests(commits)
        self._import_releases(commits)
        self._result.notes.missing = self._database.others()
        self._keep_contacts(private)
        # Nobody gets emails about what finished long ago.
        tips = self._repo.writer.refs.branches()
        private.run_all([private.set_notified(branch, tip) for branch, tip in tips.items()])
        Checkpointer(self._repo, self._gate).checkpoint()
        return self._result

    def _check_repository(self) -> bool:
        """Whether nobody but the server has written here. Raises `Error` (conflict) if the import would mix histories.

        People's work is fine in a repository that this database was imported into before.
        """
        writer = self._repo.writer
        statement = writer.read(layout.AUDIT, lambda state: state.import_statement())
        branches = [branch for branch in writer.refs.branches() if branch != layout.AUDIT]
        options = ("-1", "--format=%h %s", "--invert-grep", "--grep=^Actor: server/")
        others = git(self._repo.path, "log", *options, *branches)
        where = str(self._repo.path)
        if statement is not None and statement.database != self._database.identity():
            raise conflict("another database was imported into this repository: import into a new one", where)
        if statement is None and others:
            raise conflict(f"people have worked in this repository ({others.strip()}): import into a new one", where)
        return not others

    def _documents(self) -> Iterator[ImportedDocument]:
        yield from self._people.documents()
        yield from self._workspaces.backends()
        yield from self._workspaces.workspaces()

    def _import_documents(self, commits: ImportCommits) -> None:
        def write(imported: ImportedDocument) -> _Write:
            return _Write(
                layout.MAIN,
                imported.kind.value,
                imported.row,
                lambda state: (commits.of_document(state, imported, self._clock()), {}),
            )

        names = (tables.USERS, tables.ORGS, tables.PROJECTS, tables.BACKENDS, tables.WORKSPACES)
        total = sum(map(self._database.count, names))
        backends = []
        for done, documents in _batches(self._documents()):
            self._write([write(imported) for imported in documents])
            self._progress("people and studies", done, total)
            backends += [imported.name for imported in documents if imported.kind is Kind.BACKEND]
        for slug in backends:
            self._repo.create_branch(backend_branch(slug), "backend", self._clock())

    def _import_requests(self, commits: ImportCommits) -> None:
        places: dict[str, dict[str, Place]] = {}

        def write(imported: ImportedRequest) -> _Write:
            branch = backend_branch(imported.request.backend)
            if branch not in places:
                places[branch] = self._repo.writer.read(branch, lambda state: state.places())
            place = places[branch].get(imported.place.identifier)
            return _Write(
                branch,
                Kind.REQUEST.value,
                imported.row,
                lambda state: (commits.of_request(state, imported, place, self._clock()), {}),
            )

        total = self._database.count(tables.REQUESTS)
        for done, requests in _batches(Requests(self._context, self._workspaces.requested).all()):
            self._write([write(imported) for imported in requests])
            self._progress("job requests", done, total)

    def _import_releases(self, commits: ImportCommits) -> None:
        """Each release is on the disk before its commit, and visible after it, as with an upload."""
        recorded: dict[tuple[str, str, str], str] = {}
        for branch, tip in self._repo.writer.refs.branches().items():
            for sha, release in recorded_releases(self._repo.path, tip):
                recorded[branch, release.workspace, release.identifier] = sha
        for imported in ImportedReleases(self._context, self._folder).all():
            assert self._store is not None
            stored, release = imported.stored, imported.stored.release
            if self._store.find(release.workspace, stored.backend, release.identifier) is not None:
                continue
            branch = backend_branch(stored.backend)
            known = recorded.get((branch, release.workspace, release.identifier), "")
            with self._store.staged(stored, imported.contents) as staged:
                commit = known or self._record(commits, imported, branch)
                if not commit or not staged.publish(commit):
                    staged.discard()

    def _record(self, commits: ImportCommits, imported: ImportedRelease, branch: str) -> str:
        """The commit of the release; empty if the rules refuse it."""
        write = _Write(
            branch,
            "release",
            imported.row,
            lambda state: (commits.of_release(state, imported, self._clock()), {}),
        )
        return self._write([write])[0]

    def _write(self, writes: list[_Write]) -> list[str]:
        """Makes the commits that change something, all in one batch. Returns each commit; empty if it was refused."""
        if self._statement is not None:
            branches = {write.branch for write in writes}
            if not any(self._has_news(branch, writes) for branch in branches):
                return []
            # Each imported commit names the statement, so that is first; without news there is none.
            self._gate.submit(SERVER, self._statement, "import")
            self._statement = None
        submissions = [Submission(write.branch, write.decide) for write in writes]
        outcomes = self._repo.writer.submit_all(submissions)
        commits: list[str] = []
        for write, outcome in zip(writes, outcomes, strict=True):
            try:
                written: WriteResult = result(write.branch, outcome)
            except Error as error:
                if error.code is Code.UNAVAILABLE:
                    raise
                self._refuse(write, error)
                commits.append("")
                continue
            commits.append(written.commit)
            if written.changed:
                self._result.commits[write.kind] = self._result.commits.get(write.kind, 0) + 1
        return commits

    def _has_news(self, branch: str, writes: list[_Write]) -> bool:
        """Whether one of the writes on this branch changes something."""
        own = [write for write in writes if write.branch == branch]
        return self._repo.writer.read(branch, lambda state: any(_changes(state, write) for write in own))

    def _refuse(self, write: _Write, error: Error) -> None:
        table, _, row = write.row.partition("/")
        self._result.refused += 1
        self._result.notes.add(table, row, "row", f"breaks a rule ({error})", "not taken")

    def _keep_contacts(self, private: PrivateStore) -> None:
        """Email addresses and telephone numbers, unless somebody has given others here."""
        for username, email in self._people.emails.items():
            if not private.email(username):
                private.set_email(username, email)
        for project, contact in self._people.contacts.items():
            if private.project_contact(project) == Contact():
                private.set_project_contact(project, contact)


def _changes(state: Snapshot, write: _Write) -> bool:
    try:
        return bool(write.decide(state)[0].changes)
    except Error:  # it needs a document that is not written yet
        return True


def _batches(items: Iterable[T]) -> Iterator[tuple[int, list[T]]]:
    """(how many items there were so far, the next ones)."""
    iterator, done = iter(items), 0
    while batch := list(islice(iterator, _BATCH)):
        done += len(batch)
        yield done, batch
