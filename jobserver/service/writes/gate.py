"""The one entrance for writes: snapshot, plan, admit, commit, answer. Every front end calls `Gate.submit`."""

import secrets
import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from datetime import datetime
from typing import Any, Protocol

from jobserver import logs
from jobserver.domain.admit import Admitted, admit
from jobserver.domain.backends import AddBackend
from jobserver.domain.base import identifiers, layout
from jobserver.domain.base.layout import backend_branch, branch_backend
from jobserver.domain.base.permissions import Actor
from jobserver.domain.base.state import Changes
from jobserver.domain.job_requests.jobs import UpdateJobs
from jobserver.domain.job_requests.requests import CancelJobs
from jobserver.domain.plan import Command, branch_of, plan
from jobserver.errors import Code, Error, not_found, unavailable
from jobserver.service.budgets import WriteBudget
from jobserver.service.writes.branch_guard import guard_branches
from jobserver.service.writes.idempotency import TRAILER, CompletedWrite, Key, Ledger
from jobserver.store.read.snapshot import Snapshot
from jobserver.store.repo import GONE, StateRepo
from jobserver.store.upstream import Unconfirmed
from jobserver.store.write.submission import Decide, WriteResult


class Random(Protocol):
    """The source of the random parts of ids: `secrets`, or a seeded one in tests."""

    def randbits(self, k: int, /) -> int: ...


class _AlreadyDone(Error):
    """Leaves the writer's turn because an earlier call made this write. ``result``: what a report's answer would be
    now.
    """

    def __init__(self, done: CompletedWrite, result: Mapping[str, Any]) -> None:
        super().__init__(Code.CONFLICT, "done before")
        self.done, self.result = done, result


class _NoBranch(Error):
    """Leaves the writer's turn because the branch is missing."""

    def __init__(self, branch: str) -> None:
        super().__init__(Code.UNAVAILABLE, "the branch is gone again; try again", branch)


def repeated_answer(done: CompletedWrite, result: Mapping[str, Any]) -> WriteResult:
    """The answer to a repeated call: the commit and the new id of the first call, with ``result``."""
    identifier = {"identifier": done.request} if done.request else {}
    return WriteResult(done.branch, done.commit, True, Changes(done.branch, "", "", result={**result, **identifier}))


def _result(state: Snapshot, command: Command, actor: Actor, now: datetime) -> Mapping[str, Any]:
    """The result of a repeated call beyond its commit: only reports have one, the unknown job requests.

    A repeated call does not list the skipped jobs again.
    """
    if isinstance(command, UpdateJobs):
        with suppress(Error):
            return {"ignored": plan(state, command, actor, now, "").result["ignored"]}
    return {}


class Gate:
    """Thread-safe. ``clock`` gives aware UTC times."""

    def __init__(self, repo: StateRepo, clock: Callable[[], datetime], random: Random = secrets) -> None:
        self._repo, self._clock, self._random = repo, clock, random
        guard_branches(repo)
        self.ledger = Ledger(repo, clock)
        self.budget = WriteBudget()
        self.hear: Callable[[str, Changes], None] = lambda backend, report: None
        """Called with each report of a backend, after it was decided on."""
        self._last = 0
        self._guard = threading.Lock()

    def close(self) -> None:
        self.ledger.close()

    def _new_id(self, now: datetime) -> str:
        """A later id is greater, also within one microsecond and when the clock goes back."""
        with self._guard:
            self._last = max(identifiers.micros(now), self._last + 1)
            return identifiers.request_id(self._last, self._random.randbits(27))

    def submit(self, actor: Actor, command: Command, via: str, key: Key | None = None) -> WriteResult:
        """Decides on the command and writes. Returns when the commit is durable. Raises `Error` if nothing was changed.

        ``via``: the front end, for the record (``http``, ``cli``). With a ``key`` that was used already, writes nothing
        and returns the first result. Raises `Error` (too_many) if the ``budget`` is used up.
        """
        self.budget.begin(actor)
        size = 0
        try:
            written = self._submit(actor, command, via, key)
            size = written.size
            return written
        finally:
            self.budget.end(actor, size)

    def _submit(self, actor: Actor, command: Command, via: str, key: Key | None) -> WriteResult:
        branch = branch_of(command)
        if not layout.is_branch(branch):  # it is also a path
            raise _unknown(branch)
        trailers = {"Via": via, "Request-Id": logs.take_request_id() or f"{self._random.randbits(96):024x}"}
        if key is not None:
            trailers[TRAILER] = key.trailer

        def decide(state: Snapshot) -> tuple[Admitted, Mapping[str, str]]:
            if state.tip is None:
                slug = branch_backend(branch)
                raise _unknown(branch) if slug and state.backend(slug) is None else _NoBranch(branch)
            now = self._clock()
            if key is not None and (done := self.ledger.find(key)) is not None:
                raise _AlreadyDone(done, _result(state, command, actor, now))
            new_id = "" if isinstance(command, UpdateJobs) else self._new_id(now)  # a report creates nothing
            return admit(state, plan(state, command, actor, now, new_id), actor, now), trailers

        with self.ledger.holding(key) if key is not None else nullcontext():
            try:
                written = self._write(branch, decide, isinstance(command, CancelJobs))
                if key is not None and not written.changed:
                    self.ledger.remember(key, written)
                if isinstance(command, UpdateJobs):
                    self.hear(command.backend, written.changes)
            except _AlreadyDone as repeated:
                written = repeated_answer(repeated.done, repeated.result)
            except Unconfirmed as error:
                advice = f"look for Request-Id {trailers['Request-Id']} before you ask again, or use an {TRAILER}"
                raise Unconfirmed(f"{error.message}: {advice}") from None
            if isinstance(command, AddBackend):
                self._open(backend_branch(command.slug))
            return written

    def _write(self, branch: str, decide: Decide, is_urgent: bool) -> WriteResult:
        try:
            return self._repo.writer.submit(branch, decide, is_urgent)
        except _NoBranch:
            self._open(branch)
            return self._repo.writer.submit(branch, decide, is_urgent)

    def _open(self, branch: str) -> None:
        """Creates the branch of a backend if it is missing. Adding a backend writes main only, and the process may stop
        before it creates the branch.
        """
        if self._repo.writer.refs.tip(branch) is not None:
            return
        if branch_backend(branch) is None:
            raise unavailable(GONE, branch)
        self._repo.create_branch(branch, "backend", self._clock())


def _unknown(branch: str) -> Error:
    slug = branch.removeprefix(layout.backend_branch(""))
    return not_found(f"backend {slug!r} does not exist", field="backend")
