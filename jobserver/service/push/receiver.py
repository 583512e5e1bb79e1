"""Receives pushes: every commit is judged before git moves the branch, and an accepted push has a receipt first.

The signed receipt on `audit` is durable before git moves the branch. So an accepted push without a receipt never
exists; a receipt for a push that did not land is legal.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from jobserver.domain.base import layout, names
from jobserver.domain.base.permissions import SERVER, Actor, ActorKind, Permission
from jobserver.domain.base.rights import permissions_of
from jobserver.domain.record import RecordPush
from jobserver.errors import Code, Error, conflict, forbidden, invalid
from jobserver.service.push.judge import Judge, PushedRef, Verdict
from jobserver.service.writes.gate import Gate
from jobserver.store.git.objects import Objects
from jobserver.store.read.quarantine import QuarantinedObjects
from jobserver.store.read.snapshot import Snapshot
from jobserver.store.repo import StateRepo
from jobserver.store.upstream import NewTips

_HEADS = "refs/heads/"
_SHA = re.compile(names.SHA)
_ZERO = "0" * 40
_WHAT_TO_DO = {Code.CONFLICT: "fetch first", Code.UNAVAILABLE: "try again later", Code.TOO_MANY: "try again later"}


@dataclass(frozen=True, slots=True)
class GitPush:
    """What git hands over. ``quarantine``: the folder with new objects; None without any."""

    updates: Sequence[PushedRef]
    quarantine: Path | None
    actor: Actor


class Receiver:
    """Thread-safe."""

    def __init__(
        self,
        repo: StateRepo,
        gate: Gate,
        clock: Callable[[], datetime],
        accepted: Callable[[Sequence[str]], None] = lambda branches: None,
        relay: Callable[[NewTips, Path | None], None] | None = None,
        record_report: Callable[[str, timedelta, Sequence[str]], None] = lambda backend, ahead, twice: None,
    ) -> None:
        """``accepted`` gets the branches of a push that git is about to take.

        ``relay`` sends an accepted push (new_tips, quarantine) to the hosted repository first: see `upstream.relay`.
        ``record_report`` is `Presence.record_report`, for pushes of backends.
        """
        self._repo, self._gate, self._clock, self._accepted = repo, gate, clock, accepted
        self._relay, self._record_report = relay, record_report

    def receive(self, push: GitPush) -> list[str]:
        """Returns the lines to print once the receipts are durable, so that git may move the refs.

        Raises `Error` with every fault of a push that is refused.
        """
        self._gate.budget.begin(push.actor)
        size = 0
        try:
            lines = self._receive(push)
            size = _size(push.quarantine) or 1
            return lines
        finally:
            self._gate.budget.end(push.actor, size)

    def _receive(self, push: GitPush) -> list[str]:
        branches = [self._branch(push.actor, update) for update in push.updates]
        path = self._repo.path
        objects = QuarantinedObjects(path, push.quarantine) if push.quarantine else Objects(path)
        updates = list(zip(branches, push.updates, strict=True))
        self._judged(objects, push.actor, updates)
        for branch, update in updates:
            self._gate.submit(SERVER, RecordPush(branch, update.old, update.new, str(push.actor)), "push")
        if self._relay is not None:
            new_tips: dict[str, tuple[str | None, str]] = {
                branch: (update.old, update.new) for branch, update in updates
            }
            self._relay(new_tips, push.quarantine)
        self._accepted(branches)
        return [f"{update.ref}: {update.new[:10]} has a receipt" for update in push.updates]

    def adopt(self, branch: str, old: str, new: str, actor: Actor) -> None:
        """Accepts commits that no server judged, as if ``actor`` had pushed them. Raises `Error` with all faults."""
        if not self._is_admin(actor):
            raise forbidden(f"{actor.name} can't push: only SuperUsers can")
        self._judged(Objects(self._repo.path), actor, [(branch, PushedRef(old, new, f"{_HEADS}{branch}"))])
        self._gate.submit(SERVER, RecordPush(branch, old, new, str(actor)), "adopt")

    def _branch(self, actor: Actor, update: PushedRef) -> str:
        """The branch that the push updates. Raises `Error` if the actor can't push there, or nobody can."""
        branch = update.ref.removeprefix(_HEADS)
        slug = layout.branch_backend(branch)
        if branch == update.ref or (branch != layout.MAIN and slug is None):
            raise forbidden("you can push only to main and backends/<slug>", update.ref)
        if actor.kind is ActorKind.BACKEND:
            if slug != actor.name:
                raise forbidden(
                    f"the token of {actor.name} can push only to {layout.backend_branch(actor.name)}", update.ref
                )
        elif not self._is_admin(actor):
            raise forbidden(f"{actor.name} can't push: only SuperUsers and backends can", update.ref)
        if not _SHA.fullmatch(update.old) or not _SHA.fullmatch(update.new):
            raise invalid("expected the id of a commit", update.ref)
        if update.new == _ZERO:
            raise forbidden("branches can't be deleted", update.ref)
        if update.old == _ZERO:
            raise forbidden("only the server creates branches: add a backend with `jobserver backend add`", update.ref)
        if update.new == update.old:
            raise invalid("the branch is already at this commit", update.ref)
        if self._repo.writer.refs.tip(branch) != update.old:
            raise conflict("the branch has moved", update.ref)
        self._repo.writer.tips.check(branch, update.old)
        return branch

    def _judged(self, objects: Objects, actor: Actor, updates: Sequence[tuple[str, PushedRef]]) -> Verdict:
        """Raises `Error` (invalid) with every fault. Closes ``objects``."""
        verdict = Verdict()
        try:
            judge = Judge(objects, actor, self._repo.writer.refs.tip(layout.MAIN), self._clock())
            for branch, update in updates:
                judge.judge(branch, update, verdict)
        finally:
            objects.close()
        if actor.kind is ActorKind.BACKEND and verdict.ahead is not None:
            self._record_report(actor.name, verdict.ahead, verdict.run_twice)
        verdict.check()
        return verdict

    def _is_admin(self, actor: Actor) -> bool:
        def read(state: Snapshot) -> bool:
            user = state.user(actor.name)
            return user is not None and Permission.ADMINISTER in permissions_of(state, user)

        return actor.kind is ActorKind.USER and self._repo.writer.read(layout.MAIN, read)


def _size(folder: Path | None) -> int:
    """Bytes of a push."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder else 0


def refusal_lines(error: Error) -> list[str]:
    """A refusal, as git shows it to the person who pushed."""
    start = _WHAT_TO_DO.get(error.code, "refused")
    return [f"jobserver: {start}: {line}" for line in [str(fault) for fault in error.faults] or [str(error)]]
