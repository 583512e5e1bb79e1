"""A state repository's documents in memory: what `plan` and `admit` may look at, without git and without files."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

from jobserver.domain.admit import Admitted, admit
from jobserver.domain.backends import Backend
from jobserver.domain.base import layout
from jobserver.domain.base.layout import Area, Kind, Place, main_path
from jobserver.domain.base.permissions import Actor
from jobserver.domain.base.state import Changes, Stored
from jobserver.domain.base.values import Document
from jobserver.domain.documents import AnyDocument
from jobserver.domain.job_requests.jobs import Job
from jobserver.domain.job_requests.pipelines import StoredPipeline
from jobserver.domain.job_requests.requests import JobRequest
from jobserver.domain.orgs import Org
from jobserver.domain.outputs.documents import CheckedRelease
from jobserver.domain.plan import Command, branch_of, plan
from jobserver.domain.projects import Project
from jobserver.domain.record import Checkpoint, ImportStatement, Receipt
from jobserver.domain.site_messages import SiteMessage
from jobserver.domain.users import User
from jobserver.domain.workspaces import Workspace
from jobserver.errors import invalid
from jobserver.store.yaml.codec import write

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
LATER = datetime(2026, 11, 24, 10, tzinfo=UTC)  # than all that jobs here say
ID = "aaq5k3v7m2xw4c6d"
D = TypeVar("D", bound=Document)


class Memory:
    """`State`: ``files`` of each branch by path; ``broken`` are paths of files that can't be read."""

    def __init__(self, *documents: AnyDocument) -> None:
        self.branch = layout.MAIN
        self.tip: str | None = "0" * 40
        self.files: dict[str, dict[str, AnyDocument]] = {}
        self.broken: set[str] = set()
        for document in documents:
            self.put(document)

    def put(self, document: AnyDocument, area: Area = Area.ACTIVE) -> None:
        """A document of `main`, or a job request on its backend's branch."""
        branch, path = layout.MAIN, ""
        match document:
            case Backend():
                path = main_path(Kind.BACKEND, document.slug)
            case User():
                path = main_path(Kind.USER, document.username)
            case Org():
                path = main_path(Kind.ORG, document.slug)
            case Project():
                path = main_path(Kind.PROJECT, f"{document.org}/{document.slug}")
            case Workspace():
                path = main_path(Kind.WORKSPACE, document.name)
            case SiteMessage():
                path = main_path(Kind.MESSAGE, layout.SITE_MESSAGE)
            case JobRequest():
                branch = layout.backend_branch(document.backend)
                path = Place(area, document.created_at.date(), document.identifier).request
        assert path
        self.files.setdefault(branch, {})[path] = document

    def put_job(self, place: Place, job: Job, slug: str = "tpp") -> None:
        self.files[layout.backend_branch(slug)][place.job(job.identifier)] = job

    def on(self, branch: str) -> "Memory":
        """The same documents, seen from this branch."""
        other = Memory()
        other.branch, other.files, other.broken = branch, self.files, self.broken
        return other

    def do(self, actor: Actor, command: Command, now: datetime = NOW, new_id: str = ID) -> Changes:
        """What the gate does, and then what the store does."""
        state = self.on(branch_of(command))
        changes = plan(state, command, actor, now, new_id)
        self.apply(admit(state, changes, actor, now))
        return changes

    def apply(self, admitted: Admitted) -> None:
        changes = admitted.changes
        files = self.files.setdefault(changes.branch, {})
        for move in changes.moves:
            source, target = move.place.folder + "/", move.place.moved(move.to).folder + "/"
            for path in [path for path in files if path.startswith(source)]:
                files[target + path.removeprefix(source)] = files.pop(path)
        for change in changes.changes:
            assert change.path in self.broken or files.get(change.path) == change.before
            self.broken.discard(change.path)
            if change.after is None:
                del files[change.path]
            else:
                files[change.path] = change.after

    def _own(self) -> dict[str, AnyDocument]:
        return self.files.get(self.branch, {})

    def _read(self, branch: str, path: str) -> Any:
        document = self.files.get(branch, {}).get(path)
        if document is not None and path in self.broken:
            raise invalid("can't be read", path)
        return document

    def _main(self, kind: Kind, name: str) -> Any:
        return self._read(layout.MAIN, main_path(kind, name))

    def _all(self, model: type[D]) -> list[D]:
        """Those on `main` that can be read, in the order of their paths."""
        documents = sorted(self.files.get(layout.MAIN, {}).items())
        return [one for path, one in documents if isinstance(one, model) and path not in self.broken]

    def backend(self, slug: str) -> Backend | None:
        return self._main(Kind.BACKEND, slug)

    def user(self, username: str) -> User | None:
        return self._main(Kind.USER, username)

    def org(self, slug: str) -> Org | None:
        return self._main(Kind.ORG, slug)

    def project(self, name: str) -> Project | None:
        return self._main(Kind.PROJECT, name)

    def site_message(self) -> SiteMessage | None:
        return self._main(Kind.MESSAGE, layout.SITE_MESSAGE)

    def line_of(self, kind: Kind, name: str, key: str) -> int:
        lines = write(self._main(kind, name)).decode().split("\n")
        return next((number for number, line in enumerate(lines, 1) if line.startswith(f"{key}:")), 0)

    def projects(self) -> list[Project]:
        return self._all(Project)

    def users(self) -> list[User]:
        return self._all(User)

    def backends(self) -> list[Backend]:
        return self._all(Backend)

    def workspace(self, name: str) -> Workspace | None:
        return self._main(Kind.WORKSPACE, name)

    def _places(self) -> Iterator[tuple[str, Place]]:
        for path in sorted(self._own()):
            where = layout.parse_path(self.branch, path)
            if where is not None and where.place is not None and where.kind is Kind.REQUEST:
                yield path, where.place

    def find(self, identifier: str) -> Stored | None:
        for path, place in self._places():
            if place.identifier == identifier:
                return Stored(place, self._read(self.branch, path))
        return None

    def pipeline(self, place: Place) -> StoredPipeline | None:
        return self._read(self.branch, place.pipeline)

    def put_pipeline(self, place: Place, pipeline: StoredPipeline, slug: str = "tpp") -> None:
        self.files[layout.backend_branch(slug)][place.pipeline] = pipeline

    def jobs(self, place: Place) -> dict[str, Job]:
        found = {}
        for path, document in self._own().items():
            if path.startswith(f"{place.folder}/jobs/") and path not in self.broken:
                assert isinstance(document, Job)
                found[document.identifier] = document
        return found

    def release(self, workspace: str, identifier: str) -> CheckedRelease | None:
        return self._read(self.branch, layout.release_path(workspace, identifier))

    def active(self) -> list[Stored]:
        places = [place for path, place in self._places() if path not in self.broken]
        found = [self.find(place.identifier) for place in places if place.area is Area.ACTIVE]
        return [stored for stored in found if stored is not None]

    def referrers(self, kind: Kind, name: str) -> list[str]:
        if kind is Kind.ORG:  # a project's path names its org, whether or not the project can be read
            return sorted(path for path in self.files.get(layout.MAIN, {}) if path.startswith(f"projects/{name}/"))
        files = sorted(self.files.get(layout.MAIN, {}).items())
        readable = [(path, document) for path, document in files if path not in self.broken]
        return [path for path, document in readable if document.refers_to(kind, name)]

    def receipt(self) -> Receipt | None:
        return self._read(self.branch, layout.RECEIPT_PATH)

    def checkpoint(self) -> Checkpoint | None:
        return self._read(self.branch, layout.CHECKPOINT_PATH)

    def import_statement(self) -> ImportStatement | None:
        return self._read(self.branch, layout.IMPORT_PATH)

    def owner(self, job: str) -> str | None:
        for path in self._own():
            where = layout.parse_path(self.branch, path)
            if where is not None and where.place is not None and (where.kind, where.name) == (Kind.JOB, job):
                owner, area = where.place.identifier, where.place.area
                if area is Area.ACTIVE:
                    return owner
        return None


def job(
    identifier: str = "j", status: str = "pending", minute: int | None = 0, action: str = "generate", **more: Any
) -> Job:
    """A runner's job; ``minute`` after nine is its ``updated_at``, and its end if it has one."""
    moment = None if minute is None else NOW.replace(minute=minute)
    values = {
        "identifier": identifier,
        "action": action,
        "status": status,
        "status_code": status,
        "status_message": "",
        "created_at": NOW,
        "updated_at": moment,
        "started_at": None,
        "completed_at": moment if status in ("failed", "succeeded") else None,
    }
    return Job.model_validate(values | more)
