"""A branch as it is, read through the writer's caches: the store's side of `domain.base.state.State`."""

import contextlib
from collections.abc import Iterator, Mapping
from datetime import date
from typing import TypeVar, cast

from jobserver.domain.backends import Backend
from jobserver.domain.base import identifiers, layout, yaml_positions
from jobserver.domain.base.layout import Area, Kind, Place
from jobserver.domain.base.state import Changes, Stored
from jobserver.domain.base.values import Document
from jobserver.domain.job_requests.jobs import Job
from jobserver.domain.job_requests.pipelines import StoredPipeline
from jobserver.domain.job_requests.requests import JobRequest
from jobserver.domain.orgs import Org
from jobserver.domain.outputs.documents import CheckedRelease
from jobserver.domain.projects import Project
from jobserver.domain.record import Checkpoint, ImportStatement, Receipt
from jobserver.domain.site_messages import SiteMessage
from jobserver.domain.users import User
from jobserver.domain.workspaces import Workspace
from jobserver.errors import Error
from jobserver.store.git import trees
from jobserver.store.git.objects import Objects
from jobserver.store.read.other_days import OtherDays
from jobserver.store.read.owners import JobOwners
from jobserver.store.yaml.nodes import read_nodes

D = TypeVar("D", bound=Document)


class Head:
    """Where a branch is: its tip, and that commit's tree and time. Moves on with every commit of a batch."""

    def __init__(self, branch: str, tip: str | None, root: bytes | None, time: int) -> None:
        self.branch, self.tip, self.root, self.time = branch, tip, root, time
        self.owners: JobOwners | None = None  # once they were needed
        self.other_days: OtherDays | None = None  # likewise
        self.documents: dict[tuple[Kind, str], Document] = {}  # that were looked for, in the tree ``root``

    @classmethod
    def read(cls, branch: str, tip: str | None, objects: Objects) -> "Head":
        if tip is None:
            return cls(branch, None, None, 0)
        raw = objects.raw(bytes.fromhex(tip))
        committer = raw[raw.index(b"\ncommitter ") :].split(b"\n", 2)[1]
        return cls(branch, tip, bytes.fromhex(raw[5:45].decode()), int(committer.rsplit(b" ", 2)[1]))

    def advance(self, tip: str, root: bytes, time: int) -> None:
        """Moves on to a new commit."""
        self.tip, self.root, self.time = tip, root, time
        self.documents.clear()

    def follow(self, changes: Changes) -> None:
        """Keeps what is known of the branch right when its next commit makes these changes."""
        if self.owners is not None and not self.owners.follow(changes):
            self.owners = None
        if self.other_days is not None and not self.other_days.follow(changes):
            self.other_days = None


class Snapshot:
    """`State` over the heads of one batch. Valid until the next commit is staged on its branch."""

    def __init__(
        self, objects: Objects, head: Head, main: Head, known: Mapping[str, Place | None] | None = None
    ) -> None:
        self._objects, self._head, self._main = objects, head, main
        self._known = known or {}
        self._stored: dict[str, Stored | None] = {}  # requests that were looked for, by identifier
        self._jobs: dict[Place, Mapping[str, Job]] = {}  # likewise, by folder

    def with_places(self, known: Mapping[str, Place | None]) -> "Snapshot":
        """The same state for a caller who knows where these job requests are, or that they don't exist (None).

        To find out that a request does not exist takes a look into every day of the history.
        """
        return Snapshot(self._objects, self._head, self._main, known)

    @property
    def branch(self) -> str:
        return self._head.branch

    @property
    def tip(self) -> str | None:
        return self._head.tip

    @property
    def time(self) -> int:
        """The tip's time, in seconds since 1970; 0 without a tip."""
        return self._head.time

    @property
    def root(self) -> bytes | None:
        """The tree's id."""
        return self._head.root

    def _entry(self, head: Head, path: str) -> trees.TreeEntry | None:
        sha, entry = head.root, None
        if sha is None:
            return None
        *folders, name = path.encode().split(b"/")
        for folder in folders:
            entry = self._objects.find(sha, folder, trees.FOLDER).entry
            if entry is None or entry.mode != trees.FOLDER:
                return None
            sha = entry.sha
        return self._objects.find(sha, name, trees.FILE if b"." in name else trees.FOLDER).entry

    def _list(self, head: Head, path: str) -> Iterator[trees.TreeEntry]:
        entry = self._entry(head, path)
        if entry is not None and entry.mode == trees.FOLDER:
            yield from trees.entries(self._objects.tree(entry.sha))

    def _document(self, head: Head, path: str, model: type[D]) -> D | None:
        entry = self._entry(head, path)
        return None if entry is None else self._objects.document(entry.sha, model, path)

    def _on_main(self, kind: Kind, name: str, model: type[D]) -> D | None:
        known = self._main.documents.get((kind, name))
        if known is None:
            known = self._document(self._main, layout.main_path(kind, name), model)
            if known is not None:
                self._main.documents[kind, name] = known
        return cast("D | None", known)  # the kind says the model

    def read_file(self, path: str) -> bytes | None:
        """The bytes of a file of this branch; None if there is no such file."""
        entry = self._entry(self._head, path)
        return None if entry is None else self._objects.raw(entry.sha)

    def blob(self, path: str) -> bytes | None:
        """The id of a file of this branch; None if there is no such file."""
        entry = self._entry(self._head, path)
        return None if entry is None else entry.sha

    def backend(self, slug: str) -> Backend | None:
        return self._on_main(Kind.BACKEND, slug, Backend)

    def backends(self) -> Iterator[Backend]:
        """By slug."""
        return (backend for _, backend in self._all("backends", Backend))

    def user(self, username: str) -> User | None:
        return self._on_main(Kind.USER, username, User)

    def org(self, slug: str) -> Org | None:
        return self._on_main(Kind.ORG, slug, Org)

    def site_message(self) -> SiteMessage | None:
        return self._document(self._main, layout.main_path(Kind.MESSAGE, layout.SITE_MESSAGE), SiteMessage)

    def project(self, name: str) -> Project | None:
        return self._on_main(Kind.PROJECT, name, Project)

    def line_of(self, kind: Kind, name: str, key: str) -> int:
        entry = self._entry(self._main, layout.main_path(kind, name))
        node = read_nodes(self._objects.raw(entry.sha)) if entry is not None else None
        keys = (word for word, _ in node.entries) if isinstance(node, yaml_positions.Mapping) else ()
        return next((word.line for word in keys if word.text == key), 0)

    def projects(self) -> Iterator[Project]:
        return (project for _, project in self._all("projects", Project))

    def orgs(self) -> Iterator[Org]:
        return (org for _, org in self._all("orgs", Org))

    def workspaces(self) -> Iterator[Workspace]:
        return (workspace for _, workspace in self._all("workspaces", Workspace))

    def users(self) -> Iterator[User]:
        return (user for _, user in self._all("users", User))

    def workspace(self, name: str) -> Workspace | None:
        return self._on_main(Kind.WORKSPACE, name, Workspace)

    def own_workspace(self, name: str) -> Workspace | None:
        """The workspace on this branch, which is main at some commit."""
        return self._document(self._head, layout.main_path(Kind.WORKSPACE, name), Workspace)

    def find(self, identifier: str) -> Stored | None:
        if identifier not in self._stored:  # a report looks for each of its requests, and so do the rules
            self._stored[identifier] = self._find(identifier)
        return self._stored[identifier]

    def _find(self, identifier: str) -> Stored | None:
        for place in self._places(identifier):
            if (request := self._document(self._head, place.request, JobRequest)) is not None:
                return Stored(place, request)
        return None

    def active(self) -> Iterator[Stored]:
        """Every request in ``active/``, oldest day first."""
        for day in self._list(self._head, "active"):
            for entry in trees.entries(self._objects.tree(day.sha)):
                place = Place(Area.ACTIVE, date.fromisoformat(day.name.decode()), entry.name.decode())
                with contextlib.suppress(Error):
                    if (request := self._document(self._head, place.request, JobRequest)) is not None:
                        yield Stored(place, request)

    def _places(self, identifier: str) -> Iterator[Place]:
        """Where the request may be: first where its id says; then anywhere, for ids that jobserver did not make."""
        if identifier in self._known:
            if (place := self._known[identifier]) is not None:
                yield place
            return
        guess = identifiers.request_day(identifier)
        yield Place(Area.ACTIVE, guess, identifier)
        yield Place(Area.ARCHIVE, guess, identifier)
        if self._head.other_days is None:
            self._head.other_days = OtherDays((area, day, self._objects.tree(sha)) for area, day, sha in self._days())
        yield from self._head.other_days.get(identifier)

    def _days(self) -> Iterator[tuple[Area, date, bytes]]:
        """(area, day, id of its tree) of each day's folder."""
        for day in self._list(self._head, "active"):
            yield Area.ACTIVE, date.fromisoformat(day.name.decode()), day.sha
        for year in self._list(self._head, "archive"):
            for month in trees.entries(self._objects.tree(year.sha)):
                for day in trees.entries(self._objects.tree(month.sha)):
                    parts = (int(part.name) for part in (year, month, day))
                    yield Area.ARCHIVE, date(*parts), day.sha

    def places(self) -> dict[str, Place]:
        """Every job request of this branch, by its identifier, and where its folder is."""
        return {
            entry.name.decode(): Place(area, day, entry.name.decode())
            for area, day, sha in self._days()
            for entry in trees.entries(self._objects.tree(sha))
        }

    def pipeline(self, place: Place) -> StoredPipeline | None:
        return self._document(self._head, place.pipeline, StoredPipeline)

    def jobs(self, place: Place) -> Mapping[str, Job]:
        if place not in self._jobs:  # the plan asks for them, and so do the rules
            self._jobs[place] = self._read_jobs(place)
        return self._jobs[place]

    def _read_jobs(self, place: Place) -> dict[str, Job]:
        jobs = {}
        for entry in self._list(self._head, f"{place.folder}/jobs"):
            name = entry.name.decode(errors="replace")
            with contextlib.suppress(Error):
                document = self._objects.document(entry.sha, Job, f"{place.folder}/jobs/{name}")
                jobs[name.removesuffix(".yaml")] = document
        return jobs

    def release(self, workspace: str, identifier: str) -> CheckedRelease | None:
        return self._document(self._head, layout.release_path(workspace, identifier), CheckedRelease)

    def referrers(self, kind: Kind, name: str) -> list[str]:
        """Paths of the documents on main that name this user, org or project.

        Leaves out documents that can't be read, except projects, whose path names their org.
        """
        if kind is Kind.ORG:
            return [f"projects/{name}/{entry.name.decode()}" for entry in self._list(self._main, f"projects/{name}")]
        return [path for path, document in self._naming(kind) if document.refers_to(kind, name)]

    def _naming(self, kind: Kind) -> Iterator[tuple[str, Org | Project | Workspace]]:
        """(path, document) of all documents that may name a user or a project."""
        if kind is Kind.USER:
            yield from self._all("projects", Project)
            yield from self._all("orgs", Org)
        if kind in (Kind.USER, Kind.PROJECT):
            yield from self._all("workspaces", Workspace)

    def _all(self, folder: str, model: type[D]) -> Iterator[tuple[str, D]]:
        """(path, document) of all readable documents of a folder on main."""
        for entry in self._list(self._main, folder):
            path = f"{folder}/{entry.name.decode(errors='replace')}"
            if entry.mode == trees.FOLDER:
                yield from self._all(path, model)
                continue
            with contextlib.suppress(Error):
                yield path, self._objects.document(entry.sha, model, path)

    def receipt(self) -> Receipt | None:
        return self._document(self._head, layout.RECEIPT_PATH, Receipt)

    def checkpoint(self) -> Checkpoint | None:
        return self._document(self._head, layout.CHECKPOINT_PATH, Checkpoint)

    def import_statement(self) -> ImportStatement | None:
        return self._document(self._head, layout.IMPORT_PATH, ImportStatement)

    def owner(self, job: str) -> str | None:
        if self._head.owners is None:
            self._head.owners = JobOwners(
                (entry.name.decode().removesuffix(".yaml"), request.name.decode())
                for day in self._list(self._head, "active")
                for request in trees.entries(self._objects.tree(day.sha))
                for entry in self._list(self._head, f"active/{day.name.decode()}/{request.name.decode()}/jobs")
            )
        return self._head.owners.get(job)
