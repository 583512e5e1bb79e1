"""The document of a release: which files were asked for, who checked them, which left, and which were withdrawn.

It has facts only, and is only added to: `approvals` derives the state of a release from them. The bytes are outside of
git (`store.checked_files`), named by the document.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from jobserver.domain.base import names
from jobserver.domain.base.layout import DocPath
from jobserver.domain.base.values import (
    ActionName,
    Document,
    Line,
    ProjectName,
    Slug,
    Text,
    Time,
    Username,
    Version,
    WorkspaceName,
    named,
)

MAX_FILES = 10_000
MAX_FILE_BYTES = 16 * 1024 * 1024
MAX_STEPS = 1000  # reviews, publications, and events of Airlock
MAX_UPDATES = 50

Decision: TypeAlias = Literal["approved", "rejected", "returned"]
FilePath: TypeAlias = Annotated[Line, Field(min_length=1)]


class Deed(Document):
    """Who did something, and when. ``comment``: what they say about it."""

    by: Username
    at: Time
    comment: Text | None = None

    optional_keys: ClassVar[frozenset[str]] = frozenset({"comment"})


class Tombstone(Document):
    """Why something is there no longer. ``vouched_by``: the backend that speaks for the person."""

    by: Username
    at: Time
    reason: Annotated[Text, Field(min_length=1)]
    vouched_by: Slug | None = None

    optional_keys: ClassVar[frozenset[str]] = frozenset({"vouched_by"})


class FileJob(Document):
    """The job that wrote a file, and the commit that its request ran."""

    request: Annotated[str, named(names.REQUEST_ID)]
    identifier: Annotated[str, named(names.JOB_ID)]
    action: ActionName
    commit: Annotated[str, named(names.SHA)]


class CheckedFile(Document):
    """A file of a release. ``uploaded``: its bytes left the backend. ``withdrawn``: they are erased since."""

    path: FilePath
    size: Annotated[int, Field(ge=0, le=MAX_FILE_BYTES)]
    sha256: Annotated[str, named(names.DIGEST)]
    date: Time | None = None
    job: FileJob | None = None
    uploaded: Deed | None = None
    withdrawn: Tombstone | None = None

    optional_keys: ClassVar[frozenset[str]] = frozenset({"date", "job", "uploaded", "withdrawn"})


class Review(Document):
    """One person's decision on these files, or on all. ``returned``: all decisions before it count no longer."""

    by: Username
    at: Time
    decision: Decision
    comment: Text | None = None
    files: tuple[FilePath, ...] = Field(default=(), strict=False)
    vouched_by: Slug | None = None

    optional_keys: ClassVar[frozenset[str]] = frozenset({"comment", "files", "vouched_by"})


class Publication(Document):
    """Files that anybody may read from ``approved`` to ``ended``."""

    files: tuple[FilePath, ...] = Field(min_length=1, strict=False)
    requested: Deed
    approved: Deed | None = None
    end_requested: Deed | None = None
    ended: Deed | None = None

    optional_keys: ClassVar[frozenset[str]] = frozenset({"approved", "end_requested", "ended"})

    @property
    def is_public(self) -> bool:
        return self.approved is not None and self.ended is None


AirlockStep: TypeAlias = Literal[
    "submitted",
    "resubmitted",
    "partially-reviewed",
    "reviewed",
    "returned",
    "approved",
    "rejected",
    "released",
    "withdrawn",
]


_NEW_TURN = frozenset({"submitted", "resubmitted", "returned"})
_REVIEWS = frozenset({"partially-reviewed", "reviewed", "approved"})


class AirlockEvent(Document):
    """What Airlock told about the request. ``updates``: details, for people. ``repository``: of its issue on GitHub."""

    step: AirlockStep
    by: Username
    at: Time
    updates: tuple[Line, ...] = Field(default=(), strict=False, max_length=MAX_UPDATES)
    repository: Annotated[str, named(names.GITHUB_REPOSITORY)] | None = None

    optional_keys: ClassVar[frozenset[str]] = frozenset({"updates", "repository"})


class CheckedRelease(Document):
    """``author``: who asked for the release. ``project``: the workspace's when it was asked for.

    ``vouched_by``: the backend that speaks for the author, who asked for it inside.
    """

    version: Version = 1
    identifier: Annotated[str, named(names.CHECKED_RELEASE_ID)]
    workspace: WorkspaceName
    project: ProjectName | None = None
    backend: Slug
    author: Username
    created_at: Time
    vouched_by: Slug | None = None
    comment: Text | None = None
    files: tuple[CheckedFile, ...] = Field(default=(), strict=False, max_length=MAX_FILES)
    reviews: tuple[Review, ...] = Field(default=(), strict=False, max_length=MAX_STEPS)
    publications: tuple[Publication, ...] = Field(default=(), strict=False, max_length=MAX_STEPS)
    airlock: tuple[AirlockEvent, ...] = Field(default=(), strict=False, max_length=MAX_STEPS)
    withdrawn: Tombstone | None = None

    max_bytes: ClassVar[int] = 8 * 1024 * 1024
    optional_keys: ClassVar[frozenset[str]] = frozenset(
        {"project", "vouched_by", "comment", "files", "reviews", "publications", "airlock", "withdrawn"}
    )

    def path_keys(self, path: DocPath) -> dict[str, object]:
        workspace, identifier = path.name.split("/")
        return {"workspace": workspace, "identifier": identifier}

    def file(self, path: str) -> CheckedFile | None:
        return next((file for file in self.files if file.path == path), None)

    def is_gone(self, file: CheckedFile) -> bool:
        return file.withdrawn is not None or self.withdrawn is not None

    def live_files(self) -> list[CheckedFile]:
        """The files whose bytes the server must have."""
        return [file for file in self.files if file.uploaded is not None and not self.is_gone(file)]

    @property
    def open_publication(self) -> Publication | None:
        """The publication that is asked for or public; a release has at most one."""
        last = self.publications[-1] if self.publications else None
        return last if last is not None and last.ended is None else None

    def public_paths(self) -> frozenset[str]:
        """The files that anybody may read now."""
        publication = self.open_publication
        if publication is None or not publication.is_public:
            return frozenset()
        return frozenset(file.path for file in self.live_files()).intersection(publication.files)

    def airlock_turn(self) -> Sequence[AirlockEvent] | None:
        """The events of Airlock since the request was last submitted or returned there; None if somebody has returned
        the release since then on the server, of which Airlock does not know."""
        start = max((number for number, event in enumerate(self.airlock) if event.step in _NEW_TURN), default=-1)
        returned = max((review.at for review in self.reviews if review.decision == "returned"), default=None)
        if returned is not None and (start < 0 or self.airlock[start].at < returned):
            return None
        return self.airlock[start + 1 :]

    def airlock_reviewers(self) -> list[str]:
        """Those who reviewed the request in Airlock in this turn, by the time of their first reviews."""
        return list(dict.fromkeys(event.by for event in self.airlock_turn() or () if event.step in _REVIEWS))

    def own_deciders(self) -> frozenset[str]:
        """Who has decided on the server themselves since the release was last returned."""
        people: set[str] = set()
        for review in self.reviews:
            if review.decision == "returned":
                people.clear()
            elif review.vouched_by is None:
                people.add(review.by)
        return frozenset(people)


def unknown_paths(release: CheckedRelease, paths: Iterable[str]) -> Sequence[str]:
    """Those of the paths that the release does not have."""
    known = {file.path for file in release.files}
    return [path for path in paths if path not in known]
