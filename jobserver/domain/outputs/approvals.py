"""Which approvals the files of a release have, whether that is enough, and the state that follows. Pure.

A file may leave if as many people as the project demands approved it, and none rejected it. Only people count who may
approve outputs of the project at that moment, and never the author.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from jobserver.domain.base.permissions import Permission
from jobserver.domain.base.rights import permissions_of
from jobserver.domain.base.state import Main
from jobserver.domain.governance.refusals import backend_refusals
from jobserver.domain.outputs.documents import CheckedFile, CheckedRelease, Review
from jobserver.errors import some

DEFAULT_APPROVALS = 2


class ReleaseState(StrEnum):
    """Of a release, and of each of its files."""

    REQUESTED = "requested"
    UNDER_REVIEW = "under review"
    APPROVED = "approved"
    REJECTED = "rejected"
    RELEASED = "released"
    WITHDRAWN = "withdrawn"
    PUBLISHED = "published"


class Decisions:
    """Who decided what on which file: of each person the newest decision that covers the file."""

    def __init__(self, reviews: Iterable[Review]) -> None:
        self._all: dict[str, str] = {}
        self._of_file: dict[str, dict[str, str]] = {}
        for review in reviews:
            if review.decision == "returned":
                self._all, self._of_file = {}, {}
            elif review.files:
                for path in review.files:
                    self._of_file.setdefault(path, {})[review.by] = review.decision
            else:
                self._all[review.by] = review.decision
                for decisions in self._of_file.values():
                    decisions.pop(review.by, None)

    def has_approval(self) -> bool:
        """Whether anybody approves any file."""
        return any("approved" in decisions.values() for decisions in (self._all, *self._of_file.values()))

    def on(self, path: str) -> Mapping[str, str]:
        """Username -> approved or rejected."""
        own = self._of_file.get(path)
        return self._all | own if own else self._all


@dataclass(frozen=True, slots=True)
class Standing:
    """What counts for a release now. ``required``: approvals of each file. ``checkers``: who may approve, of those who
    have decided."""

    required: int
    checkers: frozenset[str]

    @classmethod
    def of(cls, main: Main, release: CheckedRelease) -> "Standing":
        people = {review.by for review in release.reviews}
        return cls.among(main, release.workspace, release.project, release.author, release.backend, people)

    @classmethod
    def among(
        cls, main: Main, workspace: str, project: str | None, author: str, backend: str, people: Iterable[str]
    ) -> "Standing":
        checkers = {name for name in people if name != author and may_check(main, name, workspace, backend)}
        return cls(required_approvals(main, workspace, project), frozenset(checkers))

    def state(self, decisions: Mapping[str, str]) -> ReleaseState:
        """The state of a file that did not leave yet."""
        if self.rejecters(decisions):
            return ReleaseState.REJECTED
        if len(self.approvers(decisions)) >= self.required:
            return ReleaseState.APPROVED
        return ReleaseState.UNDER_REVIEW if decisions else ReleaseState.REQUESTED

    def approvers(self, decisions: Mapping[str, str]) -> list[str]:
        return sorted(name for name, decision in decisions.items() if decision == "approved" and name in self.checkers)

    def rejecters(self, decisions: Mapping[str, str]) -> list[str]:
        return sorted(name for name, decision in decisions.items() if decision == "rejected" and name in self.checkers)

    def missing(self, path: str, decisions: Mapping[str, str]) -> str:
        """Why the file at ``path`` may not leave; empty if it may."""
        if rejecters := self.rejecters(decisions):
            return f"{path!r} is rejected by {some(rejecters)}"
        approvers = self.approvers(decisions)
        if len(approvers) >= self.required:
            return ""
        by = f" ({some(approvers)})" if approvers else ""
        lacking = sorted(name for name, decision in decisions.items() if decision == "approved")
        lost = [name for name in lacking if name not in self.checkers]
        note = f"; {some(lost)} may not approve outputs here now" if lost else ""
        return f"{path!r} has {len(approvers)} of {self.required} approvals{by}{note}"


def may_approve(main: Main, username: str, workspace: str) -> bool:
    """Whether this person may approve outputs of ``workspace``."""
    user, document = main.user(username), main.workspace(workspace)
    if user is None or document is None:
        return False
    return Permission.APPROVE_OUTPUT in permissions_of(main, user, document.project)


def may_check(main: Main, username: str, workspace: str, backend: str) -> bool:
    """Whether this person's decision on outputs of ``workspace`` that are in ``backend`` counts."""
    return may_approve(main, username, workspace) and not any(backend_refusals(main, username, None, backend))


def required_approvals(main: Main, workspace: str, project: str | None = None) -> int:
    """Of the workspace's project, and of ``project`` if that demands more: a workspace may move between projects."""
    document = main.workspace(workspace)
    projects = {project, document.project if document is not None else None}
    return max(project_approvals(main, name) for name in projects)


def project_approvals(main: Main, name: str | None) -> int:
    """How many approvals outputs of workspaces of this project need; None: of those that are in none."""
    document = main.project(name) if name is not None else None
    number = document.output_approvals if document is not None else None
    return number or DEFAULT_APPROVALS


def missing_approval(release: CheckedRelease, path: str, standing: Standing) -> str:
    """Why the file at ``path`` may not leave its backend now; empty if it may."""
    return standing.missing(path, Decisions(release.reviews).on(path))


@dataclass(frozen=True, slots=True)
class FileGroup:
    """Files of a release in the same condition. ``phase``: a state that no decision changes, or empty."""

    decisions: tuple[tuple[str, str], ...]
    phase: str
    count: int

    def state(self, standing: Standing) -> ReleaseState:
        return ReleaseState(self.phase) if self.phase else standing.state(dict(self.decisions))


def file_groups(release: CheckedRelease) -> list[FileGroup]:
    """What the state of the release follows from, without a look at each file. A release that has no files yet has one
    empty group."""
    decisions, public, undecided = Decisions(release.reviews), release.public_paths(), _undecided(release)
    counts: Counter[tuple[tuple[tuple[str, str], ...], str]] = Counter()
    for file in release.files:
        on_file = decisions.on(file.path)
        counts[tuple(sorted(on_file.items())), _phase(release, file, public) or ("" if on_file else undecided)] += 1
    if not counts:
        on_file = decisions.on("")
        phase = ReleaseState.WITHDRAWN.value if release.withdrawn is not None else "" if on_file else undecided
        counts[tuple(sorted(on_file.items())), phase] = 0
    return [FileGroup(*key, count) for key, count in sorted(counts.items())]


def _phase(release: CheckedRelease, file: CheckedFile, public: frozenset[str]) -> str:
    if release.is_gone(file):
        return ReleaseState.WITHDRAWN.value
    if file.uploaded is None:
        return ""
    return (ReleaseState.PUBLISHED if file.path in public else ReleaseState.RELEASED).value


def _undecided(release: CheckedRelease) -> str:
    """The state of files that nobody has decided on: people may have reviewed them in Airlock, which tells no more."""
    return ReleaseState.UNDER_REVIEW.value if release.airlock_reviewers() else ""


def file_states(release: CheckedRelease, standing: Standing) -> dict[str, ReleaseState]:
    """The state of each file, by its path."""
    decisions, public, undecided = Decisions(release.reviews), release.public_paths(), _undecided(release)
    states = {}
    for file in release.files:
        on_file = decisions.on(file.path)
        phase = _phase(release, file, public) or ("" if on_file else undecided)
        states[file.path] = ReleaseState(phase) if phase else standing.state(on_file)
    return states


def release_state(groups: Iterable[FileGroup], standing: Standing) -> ReleaseState:
    """The state of a release with these files."""
    states = {group.state(standing) for group in groups}
    for state in (ReleaseState.PUBLISHED, ReleaseState.RELEASED):
        if state in states:
            return state
    if len(states) == 1:
        return states.pop()
    states -= {ReleaseState.WITHDRAWN}
    if states <= {ReleaseState.APPROVED, ReleaseState.REJECTED}:
        return ReleaseState.APPROVED if ReleaseState.APPROVED in states else ReleaseState.REJECTED
    return ReleaseState.REQUESTED if states == {ReleaseState.REQUESTED} else ReleaseState.UNDER_REVIEW
