"""Judges a push with `admit`: each commit on the state that the commit before it left."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from jobserver.audit.trailer_check import is_author
from jobserver.domain.admit import admit
from jobserver.domain.base import layout
from jobserver.domain.base.layout import Area, Kind, Place
from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.base.state import Changes
from jobserver.domain.job_requests.jobs import Job
from jobserver.domain.job_requests.lifecycle import CLOCKS_AGREE, are_run_twice
from jobserver.errors import MAX_FAULTS, Error, Fault, invalid
from jobserver.store.git.objects import Objects
from jobserver.store.read.commits import Commit, forged_claims, parse_commit
from jobserver.store.read.snapshot import Head, Snapshot
from jobserver.store.read.tree_changes import MERGE, TreeChanges, read_changes

MAX_COMMITS = 10_000
_JUDGE_SECONDS = 60.0  # git's hook waits for twice as long
_AHEAD = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class PushedRef:
    """One line of input of git's `pre-receive` hook: ids in hex, and the full name of the ref."""

    old: str
    new: str
    ref: str


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges the commits of one push. ``main``: the tip of `main`, whose users and backends count."""

    objects: Objects
    actor: Actor
    main: str | None
    now: datetime

    def judge(self, branch: str, update: PushedRef, verdict: "Verdict") -> None:
        """Adds to ``verdict`` what is wrong with the commits of this update."""
        try:
            commits = _commits(self.objects, update)
            head = Head.read(branch, update.old, self.objects)
        except Error as error:
            verdict.faults += list(error.faults) or [Fault(error.message, error.where)]
            return
        ends = monotonic() + _JUDGE_SECONDS
        main = Head.read(layout.MAIN, self.main, self.objects)
        before = head.time
        for commit in commits:
            verdict.add_claims(commit, _false_claims(commit, before, self.actor, self.now))
            # The last state without faults: a commit that corrects another is not blamed for what the other broke.
            state = Snapshot(self.objects, head, head if branch == layout.MAIN else main)
            is_sound = self._judge_changes(state, commit, verdict)
            if len(verdict.faults) > MAX_FAULTS:
                return
            if monotonic() > ends:
                message = f"can't be judged within {_JUDGE_SECONDS:g} s: push fewer commits"
                verdict.faults.append(Fault(message, f"{commit.sha[:10]} and after"))
                return
            before = commit.time
            if is_sound:
                head = Head.read(branch, commit.sha, self.objects)
        ahead = max(commit.committed_at for commit in commits) - self.now
        verdict.ahead = ahead if ahead > CLOCKS_AGREE else timedelta()

    def _judge_changes(self, state: Snapshot, commit: Commit, verdict: "Verdict") -> bool:
        """Judges what differs between ``state`` and the commit. Returns whether nothing is wrong with it."""
        is_backend = self.actor.kind is ActorKind.BACKEND
        try:
            unread = Kind.PIPELINE if is_backend else None
            changes = read_changes(self.objects, state.branch, state.root, commit.tree, unread=unread)
        except (Error, KeyError, ValueError) as error:
            return verdict.add(
                commit, [Fault(error.message if isinstance(error, Error) else "its files can't be read")]
            )
        if is_backend and (beyond := _beyond_reports(changes)):
            elsewhere = {fault.path for fault in beyond}
            return verdict.add(commit, [*beyond, *(fault for fault in changes.faults if fault.path not in elsewhere)])
        faults = changes.faults + changes.keys
        # A document that refers to one that can't be read is judged once that one can be.
        if not changes.unread and (not faults or changes.proposed):
            try:
                admit(state, changes.proposed, self.actor, self.now)
            except Error as error:
                faults += error.faults or [Fault(error.message, error.where)]
            else:
                verdict.run_twice += _run_twice(state, changes.proposed)
        return verdict.add(commit, faults)


class Verdict:
    """Every fault of a push, at the commit that introduced it.

    ``ahead``: how far the times of its commits are in the future; None if it was not judged to the end. ``run_twice``:
    job requests that two runners work on.
    """

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.ahead: timedelta | None = None
        self.run_twice: list[str] = []
        self._reported: set[Fault] = set()

    def add_claims(self, commit: Commit, faults: Sequence[Fault]) -> None:
        self.faults += [_at_commit(commit, fault) for fault in faults]

    def add(self, commit: Commit, faults: Sequence[Fault]) -> bool:
        """Returns whether there are no faults. A fault that later commits still have is reported once."""
        self.faults += [_at_commit(commit, fault) for fault in faults if fault not in self._reported]
        self._reported.update(faults)
        return not faults

    def check(self) -> None:
        """Raises `Error` (invalid) if there are faults."""
        if self.faults:
            raise invalid(str(self.faults[0]), faults=self.faults)


def _at_commit(commit: Commit, fault: Fault) -> Fault:
    return Fault(fault.message, f"{commit.sha[:10]} {fault.path}".strip(), fault.line, fault.key)


def _commits(objects: Objects, update: PushedRef) -> list[Commit]:
    """From the commit after ``old`` to ``new``. Raises `Error` (invalid) unless they are a line on top of ``old``."""
    commits: list[Commit] = []
    sha = update.new
    while sha != update.old:
        if len(commits) == MAX_COMMITS:
            message = f"has more than {MAX_COMMITS} new commits, or does not descend from {update.old[:10]}"
            raise invalid(message, update.ref)
        try:
            commit = parse_commit(sha, objects.raw(bytes.fromhex(sha)))
        except (KeyError, ValueError):
            raise invalid("is not a commit of this push", sha) from None
        if len(commit.parents) != 1:
            stray = f"does not descend from {update.old[:10]}; the history of a branch is a line"
            raise invalid(MERGE if commit.parents else stray, commit.sha[:10])
        commits.append(commit)
        sha = commit.parents[0]
    return commits[::-1]


def _false_claims(commit: Commit, before: int, actor: Actor, now: datetime) -> list[Fault]:
    """Claims of a pushed commit that cannot be true. ``before``: the time of its parent."""
    faults = [Fault(message) for message in forged_claims(commit, before)]
    # If the clock of a server was ahead, the parent may be in the future: the next commit may then have the same time.
    if commit.committed_at > now + _AHEAD and commit.time > before:
        faults.append(
            Fault(f"has the time {commit.committed_at:%Y-%m-%d %H:%M:%S} UTC, which is in the future: set the clock")
        )
    if actor.kind is ActorKind.BACKEND and not is_author(commit.author, actor):
        expected = f"{actor.name}@backends.<the server's host>"
        faults.append(Fault(f"its author is {commit.author}: expected {expected} (git config user.email)"))
    return faults


def _run_twice(state: Snapshot, changes: Changes) -> list[str]:
    """Job requests with an action that another runner has run too."""
    reported: dict[Place, list[Job]] = {}
    for change in changes.changes:
        where = layout.parse_path(changes.branch, change.path)
        if where is not None and where.place is not None and isinstance(change.after, Job):
            reported.setdefault(where.place, []).append(change.after)
    return [place.identifier for place, jobs in reported.items() if are_run_twice(state.jobs(place).values(), jobs)]


def _beyond_reports(changes: TreeChanges) -> list[Fault]:
    """Changes that a runner's push may not contain: it may report jobs of active requests only."""
    paths = [*changes.others, *(move.place.folder + "/" for move in changes.proposed.moves)]
    for path in [*(change.path for change in changes.proposed.changes), *changes.unread]:
        where = layout.parse_path(changes.proposed.branch, path)
        if where is None or where.kind is not Kind.JOB or where.place is None or where.place.area is not Area.ACTIVE:
            paths.append(path)
    return [Fault("a runner can change only jobs/*.yaml of active job requests", path) for path in paths]
