"""The same door for pushes: every commit of a push is judged by `admit` before git moves the ref.

A push has no command; what is judged is what each commit changes, on the state that the one before it left. An accepted
one has its signed receipt on `audit` before git moves the ref, if it does: an intent that did not land is legal, and
an accepted push without one never exists.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic

from jobserver.domain import commands as c
from jobserver.domain import names
from jobserver.domain.admit import admit, permissions_of
from jobserver.domain.names import Area, Kind
from jobserver.domain.permissions import SERVER, Actor, ActorKind, Permission
from jobserver.domain.state import Changes
from jobserver.errors import Code, Error, Fault, conflict, forbidden, invalid
from jobserver.service.gate import Gate
from jobserver.service.hosted import Hosted
from jobserver.store.incoming import Commit, incoming, parse_commit, reserved_trailers
from jobserver.store.objects import Objects
from jobserver.store.quarantine import QuarantinedObjects
from jobserver.store.repo import StateRepo
from jobserver.store.snapshot import Head, Snapshot

MAX_COMMITS = 10_000
_SHOWN = 100  # faults
_JUDGE_SECONDS = 60.0  # git's hook waits for twice as long
_AHEAD = timedelta(minutes=10)
_HEADS = "refs/heads/"
_SHA = re.compile(names.SHA)
_ZERO = "0" * 40


@dataclass(frozen=True, slots=True)
class Update:
    """One line of git's `pre-receive`: ids in hex, ``ref`` in full."""

    old: str
    new: str
    ref: str


@dataclass(frozen=True, slots=True)
class Pushed:
    """What git hands over: the quarantine folder (None: nothing new was sent), and who was authenticated."""

    updates: Sequence[Update]
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
        hosted: Hosted | None = None,
    ) -> None:
        self._repo, self._gate, self._clock, self._accepted = repo, gate, clock, accepted
        self._hosted = hosted

    def receive(self, pushed: Pushed) -> list[str]:
        """The lines to print; raises `Error` with every fault of a push that is refused.

        Returns once the receipts are durable: git may move the refs.
        """
        branches = [self._branch(pushed.actor, update) for update in pushed.updates]
        path = self._repo.path
        objects = QuarantinedObjects(path, pushed.quarantine) if pushed.quarantine else Objects(path)
        try:
            faults: list[Fault] = []
            for branch, update in zip(branches, pushed.updates, strict=True):
                faults += self._judge(objects, pushed.actor, branch, update)
        finally:
            objects.close()
        if faults:
            raise invalid(str(faults[0]), faults=_some(faults))
        for branch, update in zip(branches, pushed.updates, strict=True):
            self._gate.submit(SERVER, c.RecordPush(branch, update.old, update.new, str(pushed.actor)), "push")
        if self._hosted is not None:
            moves: dict[str, tuple[str | None, str]] = {
                branch: (update.old, update.new) for branch, update in zip(branches, pushed.updates, strict=True)
            }
            self._hosted.receive(moves, pushed.quarantine)
        self._accepted(branches)
        return [f"{update.ref}: {update.new[:10]} is recorded" for update in pushed.updates]

    def adopt(self, branch: str, old: str, new: str, actor: Actor) -> None:
        """Takes commits that came past us as if ``actor`` had pushed them. Raises `Error` with every fault of them."""
        if not self._is_admin(actor):
            raise forbidden(f"{actor.name} may not push: only SuperUsers may")
        objects = Objects(self._repo.path)
        try:
            faults = self._judge(objects, actor, branch, Update(old, new, f"{_HEADS}{branch}"))
        finally:
            objects.close()
        if faults:
            raise invalid(str(faults[0]), faults=_some(faults))
        self._gate.submit(SERVER, c.RecordPush(branch, old, new, str(actor)), "adopt")

    def _branch(self, actor: Actor, update: Update) -> str:
        """The branch that is pushed to. Raises `Error` (forbidden, invalid, conflict) if that may not be at all."""
        branch = update.ref.removeprefix(_HEADS)
        slug = names.branch_backend(branch)
        if branch == update.ref or (branch != names.MAIN and slug is None):
            raise forbidden("only main and backends/<slug> can be pushed to", update.ref)
        if actor.kind is ActorKind.BACKEND:
            if slug != actor.name:
                raise forbidden(f"{actor.name}'s token may push to {names.backend_branch(actor.name)} only", update.ref)
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
        return branch

    def _is_admin(self, actor: Actor) -> bool:
        def read(state: Snapshot) -> bool:
            user = state.user(actor.name)
            return user is not None and Permission.ADMINISTER in permissions_of(state, user)

        return actor.kind is ActorKind.USER and self._repo.writer.look(names.MAIN, read)

    def _judge(self, objects: Objects, actor: Actor, branch: str, update: Update) -> list[Fault]:
        tips = self._repo.writer.refs
        try:
            commits = _commits(objects, update)
            head = Head.read(branch, update.old, objects)
        except Error as error:
            return list(error.faults) or [Fault(error.message, error.where)]
        now, ends = self._clock(), monotonic() + _JUDGE_SECONDS
        main = Head.read(names.MAIN, tips.tip(names.MAIN), objects)
        faults: list[Fault] = []
        for commit in commits:
            beside = head if branch == names.MAIN else main
            found = judge(objects, Snapshot(objects, head, beside), actor, commit, now)
            faults += [Fault(one.message, f"{commit.sha[:10]} {one.path}".strip(), one.line, one.key) for one in found]
            if len(faults) > _SHOWN:
                break
            if monotonic() > ends:
                where = f"{commit.sha[:10]} and after"
                return [*faults, Fault(f"can't be judged within {_JUDGE_SECONDS:g} s: push fewer commits", where)]
            head = Head.read(branch, commit.sha, objects)
        return faults


def _commits(objects: Objects, update: Update) -> list[Commit]:
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
            what = "a merge: rebase instead" if commit.parents else f"no descendant of {update.old[:10]}"
            raise invalid(f"is {what}; the history of a branch is a line", commit.sha[:10])
        commits.append(commit)
        at = commit.parents[0]
    return commits[::-1]


def judge(objects: Objects, state: Snapshot, actor: Actor, commit: Commit, now: datetime) -> list[Fault]:
    """Every fault of one pushed commit; ``state`` is the one before it."""
    faults = [Fault(f"the trailer {key}: is the server's to write") for key in reserved_trailers(commit)]
    if commit.at > now + _AHEAD:
        faults.append(Fault(f"is of {commit.at:%Y-%m-%d %H:%M} UTC, which is in the future: set the clock"))
    try:
        unread = Kind.PIPELINE if actor.kind is ActorKind.BACKEND else None
        found = incoming(objects, state.branch, state.root, commit.tree, unread=unread)
    except (Error, KeyError, ValueError) as error:
        return [*faults, Fault(error.message if isinstance(error, Error) else "its files can't be read")]
    faults += found.faults
    faults += [Fault("is the server's to write", path) for path in found.others if path == "allowed_signers"]
    if actor.kind is ActorKind.BACKEND:
        faults += _beyond_a_runner(found.changes, found.others)
    if not faults or found.changes:
        try:
            admit(state, found.changes, actor, now)
        except Error as error:
            faults += error.faults or [Fault(error.message, error.where)]
    return faults


def _beyond_a_runner(changes: Changes, others: Sequence[str]) -> list[Fault]:
    """A runner's push reports jobs of active requests, and nothing else."""
    paths = [*others, *(move.place.folder + "/" for move in changes.moves)]
    for change in changes.changes:
        where = names.parse_path(changes.branch, change.path)
        if where is None or where.kind is not Kind.JOB or where.place is None or where.place.area is not Area.ACTIVE:
            paths.append(change.path)
    return [Fault("a runner may change jobs/*.yaml of active job requests, and nothing else", path) for path in paths]


def _some(faults: list[Fault]) -> list[Fault]:
    unique = list(dict.fromkeys(faults))
    if len(unique) <= _SHOWN:
        return unique
    return [*unique[:_SHOWN], Fault(f"and {len(unique) - _SHOWN} more")]


def lines(error: Error) -> list[str]:
    """A refusal, as the person who pushed reads it."""
    head = {Code.CONFLICT: "fetch first", Code.UNAVAILABLE: "not now"}.get(error.code, "refused")
    said = [str(fault) for fault in error.faults] or [str(error)]
    return [f"jobserver: {head}: {line}" for line in said]
