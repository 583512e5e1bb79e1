"""The same door for pushes: every commit of a push is judged by `admit` before git moves the ref.

A push has no command; what is judged is what each commit changes, on the state that the one before it left. An accepted
one has its signed receipt on `audit` before git moves the ref, if it does: an intent that did not land is legal, and
an accepted push without one never exists.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic

from jobserver.audit.trailer_check import is_author
from jobserver.domain.admit import admit
from jobserver.domain.base import layout, names
from jobserver.domain.base.layout import Area, Kind, Place
from jobserver.domain.base.permissions import SERVER, Actor, ActorKind, Permission
from jobserver.domain.base.rights import permissions_of
from jobserver.domain.base.state import Changes
from jobserver.domain.job_requests.jobs import Job
from jobserver.domain.job_requests.lifecycle import CLOCKS_AGREE, are_run_twice
from jobserver.domain.record import RecordPush
from jobserver.errors import MAX_FAULTS, Code, Error, Fault, conflict, forbidden, invalid
from jobserver.service.writes.gate import Gate
from jobserver.store.git.objects import Objects
from jobserver.store.read.quarantine import QuarantinedObjects
from jobserver.store.read.snapshot import Head, Snapshot
from jobserver.store.read.tree_changes import LOST, MERGE, Commit, TreeChanges, forgeries, parse_commit, read_changes
from jobserver.store.repo import StateRepo
from jobserver.store.upstream import Moves

MAX_COMMITS = 10_000
_JUDGE_SECONDS = 60.0  # git's hook waits for twice as long
_AHEAD = timedelta(minutes=1)
_HEADS = "refs/heads/"
_SHA = re.compile(names.SHA)
_ZERO = "0" * 40


@dataclass(frozen=True, slots=True)
class PushedRef:
    """One line of git's `pre-receive`: ids in hex, ``ref`` in full."""

    old: str
    new: str
    ref: str


@dataclass(frozen=True, slots=True)
class GitPush:
    """What git hands over: the quarantine folder (None: nothing new was sent), and who was authenticated."""

    updates: Sequence[PushedRef]
    quarantine: Path | None
    actor: Actor


class Receiver:
    """Thread-safe. ``accepted`` is told the branches of a push that git is about to take."""

    def __init__(
        self,
        repo: StateRepo,
        gate: Gate,
        clock: Callable[[], datetime],
        accepted: Callable[[Sequence[str]], None] = lambda branches: None,
        relay: Callable[[Moves, Path | None], None] | None = None,
        noticed: Callable[[str, timedelta, Sequence[str]], None] = lambda backend, ahead, twice: None,
    ) -> None:
        """``relay`` makes an accepted push elsewhere first (moves, quarantine), see `upstream.relay`.

        ``noticed`` is told of each backend's push what `Presence.record_report` wants to know.
        """
        self._repo, self._gate, self._clock, self._accepted = repo, gate, clock, accepted
        self._relay, self._noticed = relay, noticed

    def receive(self, pushed: GitPush) -> list[str]:
        """The lines to print; raises `Error` with every fault of a push that is refused.

        Returns once the receipts are durable: git may move the refs.
        """
        self._gate.budget.begin(pushed.actor)
        size = 0
        try:
            lines = self._receive(pushed)
            size = _size(pushed.quarantine) or 1
            return lines
        finally:
            self._gate.budget.end(pushed.actor, size)

    def _receive(self, pushed: GitPush) -> list[str]:
        branches = [self._branch(pushed.actor, update) for update in pushed.updates]
        path = self._repo.path
        objects = QuarantinedObjects(path, pushed.quarantine) if pushed.quarantine else Objects(path)
        verdict = _Verdict()
        try:
            for branch, update in zip(branches, pushed.updates, strict=True):
                self._judge(objects, pushed.actor, branch, update, verdict)
        finally:
            objects.close()
        verdict.check()
        for branch, update in zip(branches, pushed.updates, strict=True):
            self._gate.submit(SERVER, RecordPush(branch, update.old, update.new, str(pushed.actor)), "push")
        if self._relay is not None:
            moves: dict[str, tuple[str | None, str]] = {
                branch: (update.old, update.new) for branch, update in zip(branches, pushed.updates, strict=True)
            }
            self._relay(moves, pushed.quarantine)
        self._accepted(branches)
        return [f"{update.ref}: {update.new[:10]} is recorded" for update in pushed.updates] + verdict.notes

    def adopt(self, branch: str, old: str, new: str, actor: Actor) -> None:
        """Takes commits that came past us as if ``actor`` had pushed them. Raises `Error` with every fault of them."""
        if not self._is_admin(actor):
            raise forbidden(f"{actor.name} may not push: only SuperUsers may")
        objects, verdict = Objects(self._repo.path), _Verdict()
        try:
            self._judge(objects, actor, branch, PushedRef(old, new, f"{_HEADS}{branch}"), verdict)
        finally:
            objects.close()
        verdict.check()
        self._gate.submit(SERVER, RecordPush(branch, old, new, str(actor)), "adopt")

    def _branch(self, actor: Actor, update: PushedRef) -> str:
        """The branch that is pushed to. Raises `Error` if that may not be at all."""
        branch = update.ref.removeprefix(_HEADS)
        slug = layout.branch_backend(branch)
        if branch == update.ref or (branch != layout.MAIN and slug is None):
            raise forbidden("only main and backends/<slug> can be pushed to", update.ref)
        if actor.kind is ActorKind.BACKEND:
            if slug != actor.name:
                raise forbidden(
                    f"{actor.name}'s token may push to {layout.backend_branch(actor.name)} only", update.ref
                )
        elif not self._is_admin(actor):
            raise forbidden(f"{actor.name} may not push: only SuperUsers and backends may", update.ref)
        if not _SHA.fullmatch(update.old) or not _SHA.fullmatch(update.new):
            raise invalid("not a commit id", update.ref)
        if update.new == _ZERO:
            raise forbidden("branches are never deleted", update.ref)
        if update.old == _ZERO:
            raise forbidden("the server makes branches: `jobserver backend add` for a backend's", update.ref)
        if update.new == update.old:
            raise invalid("moves nothing", update.ref)
        if self._repo.writer.refs.tip(branch) != update.old:
            raise conflict("the branch has moved: fetch first", update.ref)
        self._repo.writer.check(branch, update.old)
        return branch

    def _is_admin(self, actor: Actor) -> bool:
        def read(state: Snapshot) -> bool:
            user = state.user(actor.name)
            return user is not None and Permission.ADMINISTER in permissions_of(state, user)

        return actor.kind is ActorKind.USER and self._repo.writer.read(layout.MAIN, read)

    def _judge(self, objects: Objects, actor: Actor, branch: str, update: PushedRef, verdict: "_Verdict") -> None:
        tips = self._repo.writer.refs
        try:
            commits = _commits(objects, update)
            head = Head.read(branch, update.old, objects)
        except Error as error:
            verdict.faults += list(error.faults) or [Fault(error.message, error.where)]
            return
        now, ends = self._clock(), monotonic() + _JUDGE_SECONDS
        main = Head.read(layout.MAIN, tips.tip(layout.MAIN), objects)
        before = head.time
        twice: list[str] = []
        for commit in commits:
            beside = head if branch == layout.MAIN else main
            verdict.claims(commit, claims(commit, before, actor, now))
            # On the last state that nothing is wrong with: what mends a commit is not blamed for what that broke.
            state = Snapshot(objects, head, beside)
            is_sound = verdict.changes(commit, *judge(objects, state, actor, commit, now, twice))
            if len(verdict.faults) > MAX_FAULTS:
                return
            if monotonic() > ends:
                message = f"can't be judged within {_JUDGE_SECONDS:g} s: push fewer commits"
                verdict.faults.append(Fault(message, f"{commit.sha[:10]} and after"))
                return
            before = commit.time
            if is_sound:
                head = Head.read(branch, commit.sha, objects)
        if actor.kind is ActorKind.BACKEND:
            ahead = max(commit.at for commit in commits) - now
            self._noticed(actor.name, ahead if ahead > CLOCKS_AGREE else timedelta(), twice)


class _Verdict:
    """What is to say of a push: every fault, at the commit that brought it, and what its makers should know."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._told: set[Fault] = set()
        self._comments: dict[str, str] = {}

    def claims(self, commit: Commit, faults: Sequence[Fault]) -> None:
        self.faults += [_of(commit, fault) for fault in faults]

    def changes(self, commit: Commit, faults: Sequence[Fault], comments: Mapping[str, bool]) -> bool:
        """Whether there is none."""
        self.faults += [_of(commit, fault) for fault in faults if fault not in self._told]
        self._told.update(faults)
        for path, has_any in comments.items():
            self._comments.pop(path, None)
            if has_any:
                self._comments[path] = commit.sha[:10]
        return not faults

    def check(self) -> None:
        """Raises `Error` (invalid) if there are faults."""
        if self.faults:
            raise invalid(str(self.faults[0]), faults=self.faults)

    @property
    def notes(self) -> list[str]:
        return [f"note: {Fault(LOST, f'{sha} {path}')}" for path, sha in self._comments.items()][:MAX_FAULTS]


def _of(commit: Commit, fault: Fault) -> Fault:
    return Fault(fault.message, f"{commit.sha[:10]} {fault.path}".strip(), fault.line, fault.key)


def _commits(objects: Objects, update: PushedRef) -> list[Commit]:
    """From the one after ``old`` to ``new``. Raises `Error` (invalid) unless they are a line on top of it."""
    commits: list[Commit] = []
    at = update.new
    while at != update.old:
        if len(commits) == MAX_COMMITS:
            raise invalid(f"more than {MAX_COMMITS} commits, or none of them stands on {update.old[:10]}", update.ref)
        try:
            commit = parse_commit(at, objects.raw(bytes.fromhex(at)))
        except (KeyError, ValueError):
            raise invalid("is no commit that was pushed", at) from None
        if len(commit.parents) != 1:
            stray = f"is no descendant of {update.old[:10]}; the history of a branch is a line"
            raise invalid(MERGE if commit.parents else stray, commit.sha[:10])
        commits.append(commit)
        at = commit.parents[0]
    return commits[::-1]


def claims(commit: Commit, before: int, actor: Actor, now: datetime) -> list[Fault]:
    """What a pushed commit may not say of itself; ``before``: the time of the one that it stands on."""
    faults = [Fault(message) for message in forgeries(commit, before)]
    # A server whose clock was ahead may have set the time of the one before: that is when a next one can be.
    if commit.at > now + _AHEAD and commit.time > before:
        faults.append(Fault(f"is of {commit.at:%Y-%m-%d %H:%M:%S} UTC, which is in the future: set the clock"))
    if actor.kind is ActorKind.BACKEND and not is_author(commit.author, actor):
        expected = f"{actor.name}@backends.<the server's host>"
        faults.append(Fault(f"its author is {commit.author}: expected {expected} (git config user.email)"))
    return faults


def judge(
    objects: Objects, state: Snapshot, actor: Actor, commit: Commit, now: datetime, twice: list[str] | None = None
) -> tuple[list[Fault], Mapping[str, bool]]:
    """(every fault of what lies between ``state`` and a pushed commit, which of its documents have comments).

    ``twice`` gets the job requests that another runner works on, too.
    """
    try:
        unread = Kind.PIPELINE if actor.kind is ActorKind.BACKEND else None
        found = read_changes(objects, state.branch, state.root, commit.tree, unread=unread)
    except (Error, KeyError, ValueError) as error:
        return [Fault(error.message if isinstance(error, Error) else "its files can't be read")], {}
    beyond = _beyond_a_runner(found) if actor.kind is ActorKind.BACKEND else []
    if beyond:
        elsewhere = {fault.path for fault in beyond}
        return [*beyond, *(fault for fault in found.faults if fault.path not in elsewhere)], {}
    faults = found.faults + found.keys
    if not found.unread and (not faults or found.changes):  # what refers to one that can't be read is judged after it
        try:
            admit(state, found.changes, actor, now)
        except Error as error:
            faults += error.faults or [Fault(error.message, error.where)]
        else:
            if twice is not None:
                twice += _run_twice(state, found.changes)
    return faults, found.comments


def _run_twice(state: Snapshot, changes: Changes) -> list[str]:
    """The job requests with a job that is there beside one that was made of the same action meanwhile."""
    reported: dict[Place, list[Job]] = {}
    for change in changes.changes:
        where = layout.parse_path(changes.branch, change.path)
        if where is not None and where.place is not None and isinstance(change.after, Job):
            reported.setdefault(where.place, []).append(change.after)
    return [place.identifier for place, jobs in reported.items() if are_run_twice(state.jobs(place).values(), jobs)]


def _beyond_a_runner(found: TreeChanges) -> list[Fault]:
    """A runner's push reports jobs of active requests, and nothing else."""
    paths = [*found.others, *(move.place.folder + "/" for move in found.changes.moves)]
    for path in [*(change.path for change in found.changes.changes), *found.unread]:
        where = layout.parse_path(found.changes.branch, path)
        if where is None or where.kind is not Kind.JOB or where.place is None or where.place.area is not Area.ACTIVE:
            paths.append(path)
    return [Fault("a runner may change jobs/*.yaml of active job requests, and nothing else", path) for path in paths]


def _size(folder: Path | None) -> int:
    """Bytes of what a push brought."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder else 0


def refusal_lines(error: Error) -> list[str]:
    """A refusal, as the person who pushed reads it."""
    head = {Code.CONFLICT: "fetch first", Code.UNAVAILABLE: "not now", Code.TOO_MANY: "not now"}.get(
        error.code, "refused"
    )
    said = [str(fault) for fault in error.faults] or [str(error)]
    return [f"jobserver: {head}: {line}" for line in said]
