"""What a decision may look at, and what it may propose. The store implements `State`; tests may too."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from jobserver.domain.base.names import Area, Kind, Place
from jobserver.domain.documents import (
    AnyDocument,
    Backend,
    Checkpoint,
    Job,
    JobRequest,
    Org,
    Project,
    Receipt,
    StoredPipeline,
    User,
    Workspace,
)
from jobserver.domain.releases import Release


@dataclass(frozen=True, slots=True)
class Stored:
    place: Place
    request: JobRequest


class Main(Protocol):
    """The documents of ``main``. Each raises `Error` (invalid) if the document is there and can't be read."""

    def backend(self, slug: str) -> Backend | None: ...
    def user(self, username: str) -> User | None: ...
    def org(self, slug: str) -> Org | None: ...
    def project(self, name: str) -> Project | None: ...
    def workspace(self, name: str) -> Workspace | None: ...


class State(Main, Protocol):
    """One branch as it is, with ``main`` beside it; exactly what a commit made from it will stand on."""

    @property
    def branch(self) -> str: ...
    @property
    def tip(self) -> str | None: ...
    def find(self, identifier: str) -> Stored | None: ...
    def pipeline(self, place: Place) -> StoredPipeline | None:
        """The file beside the request; None if there is none. Raises `Error` (invalid) if it can't be read."""

    def jobs(self, place: Place) -> Mapping[str, Job]:
        """Without those that can't be read: the runner's next report writes them anew."""

    def active(self) -> Iterable[Stored]:
        """Every request in ``active/`` that can be read."""

    def referrers(self, kind: Kind, name: str) -> Sequence[str]:
        """Paths on ``main`` of the documents that name this user, org or project."""

    def projects(self) -> Iterable[Project]:
        """All that can be read."""

    def users(self) -> Iterable[User]:
        """All that can be read."""

    def backends(self) -> Iterable[Backend]:
        """All that can be read."""

    def receipt(self) -> Receipt | None: ...
    def checkpoint(self) -> Checkpoint | None: ...
    def owner(self, job: str) -> str | None:
        """The active request that has a job of this id, or None."""


@dataclass(frozen=True, slots=True)
class Change:
    """One document at ``path``: created (no ``before``), updated, or deleted (no ``after``)."""

    path: str
    before: AnyDocument | None
    after: AnyDocument | None


@dataclass(frozen=True, slots=True)
class Move:
    """A request's whole folder goes to the other area. Paths of changes are those after the moves."""

    place: Place
    to: Area


@dataclass(frozen=True, slots=True)
class Changes:
    """What somebody wants to be so: the documents of one event on one branch.

    ``subject`` says it in words; ``trailers`` are what this event needs beyond those of every commit; ``result`` is for
    the caller (ids, ignored requests). A ``release`` is an event that changes no document: its trailers say all of it.
    ``unchanged`` is what was asked for and is so already: nothing to write, but not everybody may ask for it.
    No changes, no moves and no release: there is nothing to write.
    """

    branch: str
    event: str
    subject: str
    changes: tuple[Change, ...] = ()
    moves: tuple[Move, ...] = ()
    trailers: tuple[tuple[str, str], ...] = ()
    result: Mapping[str, Any] = field(default_factory=dict)
    release: Release | None = None
    unchanged: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changes or self.moves or self.release)
