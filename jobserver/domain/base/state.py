"""What a decision may read (`State`), and what it may propose (`Changes`). The store implements `State`, and tests do.

The nouns' documents are named for type checkers only: while the program runs, the nouns import this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from jobserver.domain.base.layout import Area, Kind, Place
from jobserver.domain.base.permissions import Actor
from jobserver.domain.base.values import Document

if TYPE_CHECKING:
    from datetime import datetime

    from jobserver.domain.backends import Backend
    from jobserver.domain.documents import AnyDocument
    from jobserver.domain.job_requests.jobs import Job
    from jobserver.domain.job_requests.pipelines import StoredPipeline
    from jobserver.domain.job_requests.requests import JobRequest
    from jobserver.domain.orgs import Org
    from jobserver.domain.outputs.documents import CheckedRelease
    from jobserver.domain.outputs.views import ReleaseView
    from jobserver.domain.projects import Project
    from jobserver.domain.record import Checkpoint, ImportStatement, Receipt
    from jobserver.domain.releases import Release
    from jobserver.domain.site_messages import SiteMessage
    from jobserver.domain.users import User
    from jobserver.domain.workspaces import Workspace

D = TypeVar("D", bound=Document)


@dataclass(frozen=True, slots=True)
class Stored:
    """A job request, and the place of its folder."""

    place: Place
    request: JobRequest


class Main(Protocol):
    """The documents of ``main``. Each method raises `Error` (invalid) if the document exists but cannot be read."""

    def backend(self, slug: str) -> Backend | None: ...
    def user(self, username: str) -> User | None: ...
    def org(self, slug: str) -> Org | None: ...
    def project(self, name: str) -> Project | None: ...
    def workspace(self, name: str) -> Workspace | None: ...


class State(Main, Protocol):
    """One branch and ``main``, as they are at the commit that the new commit will follow."""

    @property
    def branch(self) -> str: ...
    @property
    def tip(self) -> str | None: ...
    def find(self, identifier: str) -> Stored | None: ...
    def pipeline(self, place: Place) -> StoredPipeline | None:
        """The pipeline.yaml of a request; None if there is none. Raises `Error` (invalid) if it cannot be read."""

    def jobs(self, place: Place) -> Mapping[str, Job]:
        """Jobs by identifier, without those that cannot be read: the runner's next report writes them again."""

    def release(self, workspace: str, identifier: str) -> CheckedRelease | None:
        """The document of a release; None if there is none. Raises `Error` (invalid) if it cannot be read."""

    def active(self) -> Iterable[Stored]:
        """Every request in ``active/`` that can be read."""

    def referrers(self, kind: Kind, name: str) -> Sequence[str]:
        """Paths on ``main`` of the documents that refer to this user, org or project."""

    def line_of(self, kind: Kind, name: str, key: str) -> int:
        """The line of a key of a document on ``main``; 0 if the document does not have it."""

    def projects(self) -> Iterable[Project]:
        """Every project that can be read."""

    def users(self) -> Iterable[User]:
        """Every user that can be read."""

    def backends(self) -> Iterable[Backend]:
        """Every backend that can be read."""

    def site_message(self) -> SiteMessage | None:
        """Raises `Error` (invalid) if it can't be read."""

    def receipt(self) -> Receipt | None: ...
    def checkpoint(self) -> Checkpoint | None: ...
    def import_statement(self) -> ImportStatement | None: ...
    def owner(self, job: str) -> str | None:
        """The active request that has a job with this identifier, or None."""


@dataclass(frozen=True, slots=True)
class Change:
    """One document at ``path``: created (no ``before``), updated, or deleted (no ``after``)."""

    path: str
    before: AnyDocument | None
    after: AnyDocument | None

    def of(self, model: type[D]) -> tuple[D | None, D | None]:
        """``before`` and ``after``, of a change whose path says that they are of this model."""
        before, after = self.before, self.after
        assert before is None or isinstance(before, model)
        assert after is None or isinstance(after, model)
        return before, after

    def created(self, model: type[D]) -> D:
        """``after``, of a change that creates a document of this model."""
        assert isinstance(self.after, model)
        return self.after

    def updated(self, model: type[D]) -> tuple[D, D]:
        """``before`` and ``after``, of a change that updates a document of this model."""
        assert isinstance(self.before, model)
        assert isinstance(self.after, model)
        return self.before, self.after


def changed_keys(before: D, after: D) -> set[str]:
    """The keys whose values differ."""
    return {key for key in type(before).model_fields if getattr(before, key) != getattr(after, key)}


@dataclass(frozen=True, slots=True)
class Move:
    """A request's whole folder goes to the other area. Paths of changes are those after the moves."""

    place: Place
    to: Area


@dataclass(frozen=True, slots=True)
class Origin:
    """Who made an imported change in the old record, and when: the author of its commit."""

    actor: Actor
    time: datetime


PUSHED = "pushed"  # the event of a commit that was pushed


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes of one commit on one branch.

    ``subject``: the first line of its message. ``trailers``: beyond those that every commit has. ``result``: for the
    caller, such as new identifiers. ``release``, ``view``: are in the trailers only, and change no document.
    ``unchanged``: documents that already have the requested values. They are not written, but the actor needs the
    right to change them. ``origin``: of imported changes. Without changes, moves, a release and a view there is no
    commit.
    """

    branch: str
    event: str
    subject: str
    changes: tuple[Change, ...] = ()
    moves: tuple[Move, ...] = ()
    trailers: tuple[tuple[str, str], ...] = ()
    result: Mapping[str, Any] = field(default_factory=dict)
    release: Release | None = None
    view: ReleaseView | None = None
    unchanged: tuple[Change, ...] = ()
    origin: Origin | None = None

    def __bool__(self) -> bool:
        return bool(self.changes or self.moves or self.release or self.view)

    @property
    def is_pushed(self) -> bool:
        """Whether somebody else than this server wrote them, so that their times are what that person says."""
        return self.event == PUSHED
