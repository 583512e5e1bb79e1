"""The one writer of a repository: what waits becomes one batch, one pack, one move of each ref; then all are answered.

Threads queue; the first to come leads, the others sleep until they are served or lead the next batch. No timer: a lone
command goes at once, and while it syncs the next ones gather. Processes take turns by a lock file held for the batch.
"""

import contextlib
import fcntl
import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from jobserver.domain.base import layout
from jobserver.domain.base.permissions import SERVER, Actor
from jobserver.errors import Code, Error, unavailable
from jobserver.store.fs import disk_error, disk_errors
from jobserver.store.git.objects import Objects
from jobserver.store.git.refs import Refs
from jobserver.store.keys.signing import KeyFile, SigningKey
from jobserver.store.read.snapshot import Head, Snapshot
from jobserver.store.upstream import Authority, Moves, RefConflict
from jobserver.store.write.commit_builder import CommitBuilder, CommitIdentity
from jobserver.store.write.compactor import Compactor
from jobserver.store.write.submission import Decide, RefUpdate, Submission, TipCheck, WriteResult

T = TypeVar("T")
_TRIES = 5
_log = logging.getLogger(__name__)


class Writer:
    def __init__(self, repository: Path, host: str, keys: KeyFile) -> None:
        self.refs = Refs(repository)
        self._packs = repository / "objects" / "pack"
        self._lock_path = repository / "jobserver.lock"
        self._host, self.keys = host, keys
        self._objects = Objects(repository)
        self._reader = Objects(repository)
        self._reading = threading.Lock()
        self._heads: dict[str, Head] = {}
        self._compactor = Compactor(self._packs, repository / "jobserver.maintenance")
        self._listeners: list[tuple[Callable[[RefUpdate], None], Callable[[], None]]] = []
        self._guard = threading.Lock()
        self._queue: list[Submission] = []
        self._led = False
        self._last: dict[str, str] = {}
        self.tries: Counter[int] = Counter()  # of batches that wrote something, by how often they lost a branch
        self.authority: Authority | None = None  # set before the first write, if it is not this repository
        self.tip_check: TipCheck | None = None  # likewise: what may be built on

    def check(self, branch: str, tip: str | None) -> None:
        """Raises `Error` (unavailable) if nothing may be built on ``tip``; see `TipCheck`. For any thread."""
        if self.tip_check is not None:
            self.tip_check.check(branch, tip)

    def _check(self, branch: str, tip: str | None, is_told: bool = True) -> None:
        """As `check`, in the writer's turn."""
        if self.tip_check is not None:
            self.tip_check.check(branch, tip, is_told, self._objects)

    def mark_good(self, branch: str, tip: str) -> None:
        """The branch was moved there by this process, or as it found right."""
        if self.tip_check is not None:
            self.tip_check.mark_good(branch, tip)

    def last_written(self, branch: str) -> str | None:
        """The tip that this process last moved the branch to."""
        return self._last.get(branch)

    def close(self) -> None:
        self._compactor.close()
        if self.tip_check is not None:
            self.tip_check.close()
        self._forget()
        self._reader.close()

    def listen(self, landing: Callable[[RefUpdate], None], landed: Callable[[], None]) -> None:
        """Has this process's moves of refs told: ``landing`` before one, so that whoever sees the new tip can know
        what it brought (should the move fail, nobody ever sees that tip), ``landed`` after.

        Called in the writer's turn: they must return at once.
        """
        self._listeners.append((landing, landed))

    def submit(self, branch: str, decide: Decide, is_urgent: bool = False) -> WriteResult:
        """Commits what ``decide`` admits on ``branch``; returns once that is durable.

        ``is_urgent``: does not wait for a slow authority's next turn. Raises what ``decide`` raises, and `Error`
        (unavailable) if the disk refuses or others hold the branch.
        """
        submission = Submission(branch, decide)
        submission.wake.acquire()
        with self._guard:
            self._queue.append(submission)
            lead, self._led = not self._led, True
        if is_urgent and self.authority is not None:
            self.authority.hurry()
        if not lead:
            submission.wake.acquire()
            if not submission.leads:
                return submission.outcome()
        self._lead()
        return submission.outcome()

    def _lead(self) -> None:
        if self.authority is not None:
            try:
                self.authority.pace(self._waiting)
            except Exception:  # noqa: BLE001 - it is about fairness only, and others wait for this thread
                _log.exception("the next batch does not wait for its turn")
        with self._guard:
            batch, self._queue = self._queue, []
        try:
            self._serve(batch)
        finally:
            with self._guard:
                if self._queue:
                    self._queue[0].leads = True
                    self._queue[0].wake.release()
                else:
                    self._led = False
            for submission in batch[1:]:  # the first is the leader itself
                submission.wake.release()

    def _waiting(self) -> set[str]:
        with self._guard:
            return {submission.branch for submission in self._queue}

    def read(self, branch: str, read: Callable[[Snapshot], T], commit: str | None = None) -> T:
        """What ``read`` finds on the branch as it is now, or was at ``commit``: for what is asked rarely."""
        with self._reading:
            head = Head.read(branch, commit or self.refs.tip(branch), self._reader)
            main = Head.read(layout.MAIN, self.refs.tip(layout.MAIN), self._reader)
            return read(Snapshot(self._reader, head, main))

    def create_branch(self, branch: str, files: Mapping[str, bytes], subject: str, event: str, now: datetime) -> bool:
        """Makes the branch with these files, durably; False if it is there already."""
        with disk_errors(), self.locked():
            if self.authority is not None:
                self.authority.refresh()
            if self.refs.tip(branch) is not None:
                return False
            self._check(branch, None)
            self.commit_files(branch, files, subject, event, now)
            return True

    def commit_files(
        self,
        branch: str,
        files: Mapping[str, bytes],
        subject: str,
        event: str,
        now: datetime,
        trailers: Sequence[tuple[str, str]] = (),
        key: SigningKey | None = None,
        actor: Actor = SERVER,
    ) -> None:
        """Commits files that are no documents, in a turn that the caller holds (`locked`). Raises `Error`."""
        self._forget()
        old = self.refs.tip(branch)
        if old is not None:
            self._check(branch, old, is_told=branch == layout.MAIN)
        head = Head.read(branch, old, self._objects)
        staging = CommitBuilder(self._objects, self._identity(key))
        try:
            staging.put(head, files, subject, event, now, trailers, actor)
            stem = staging.pack.save(self._packs)
            assert head.tip is not None
            try:
                failed = self._publish({branch: (old, head.tip)}).get(branch)
                if failed is None and not self.refs.move(branch, old, head.tip):
                    failed = RefConflict()
                elif failed is None:
                    self.mark_good(branch, head.tip)
            finally:
                with contextlib.suppress(OSError):
                    stem.with_suffix(".keep").unlink()
        except OSError as error:
            raise disk_error(error) from None
        finally:
            self._forget()
        if failed is not None:
            raise _as_error(failed, branch)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """The turn of this process; maintenance takes it too."""
        descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _identity(self, key: SigningKey | None = None) -> CommitIdentity:
        server = self.authority.server if self.authority is not None else ""
        return CommitIdentity(self._host, key or self.keys.current(), server)

    def _forget(self) -> None:
        """After any surprise: a cache that may be wrong once committed trees without their documents."""
        self._objects.forget()
        self._heads.clear()

    def _serve(self, batch: list[Submission]) -> None:
        try:
            with self.locked():
                if self.authority is not None:
                    self.authority.permit()
                self._attempt(batch)
                for submission in batch:  # one by one, so that one bad command fails alone
                    if isinstance(submission.error, OSError):
                        self._attempt_again([submission])
                if self.authority is not None:
                    self._doubt(batch, self.authority)
                tries = 0
                while (lost := [one for one in batch if isinstance(one.error, RefConflict)]) and tries < _TRIES:
                    tries += 1
                    if self.authority is not None:
                        self.authority.await_turn({submission.branch for submission in lost})
                    self._attempt_again(lost)
                self.tries[tries] += any(submission.written and submission.written.changed for submission in batch)
        except BaseException as error:
            self._forget()
            for submission in batch:
                if isinstance(submission.error, RefConflict) or (
                    submission.written is None and submission.error is None
                ):
                    submission.error = error
            if not isinstance(error, Exception):
                raise
        for submission in batch:
            if isinstance(submission.error, OSError | RefConflict):
                submission.error = _as_error(submission.error, submission.branch)

    def _doubt(self, batch: list[Submission], authority: Authority) -> None:
        """A refusal may be of a state that is over, there: nothing was pushed that would have shown it."""
        doubtful = [
            submission
            for submission in batch
            if (isinstance(submission.error, Error) and submission.error.code is not Code.UNAVAILABLE)
            or (submission.written is not None and not submission.written.changed and submission.written.changes.result)
        ]
        with contextlib.suppress(Error):  # then that is what can be said
            if doubtful and authority.refresh():
                self._attempt_again(doubtful)

    def _attempt_again(self, submissions: list[Submission]) -> None:
        for submission in submissions:
            submission.error = submission.written = None
        self._attempt(submissions)

    def _head(self, branch: str) -> Head:
        tip = self.refs.tip(branch)
        head = self._heads.get(branch)
        if head is None or head.tip != tip:
            if tip is not None or branch == layout.MAIN:
                self._check(branch, tip)
            head = self._heads[branch] = Head.read(branch, tip, self._objects)
        return head

    def _attempt(self, batch: list[Submission]) -> None:
        staging = CommitBuilder(self._objects, self._identity())
        heads = {layout.MAIN: self._head(layout.MAIN)}
        before: dict[str, str | None] = {}
        staged: list[tuple[Submission, WriteResult]] = []
        surprised = False
        for submission in batch:
            try:
                branch = submission.branch
                if branch not in heads:
                    heads[branch] = self._head(branch)
                head = heads[branch]
                tip, size = head.tip, staging.pack.size
                admitted, trailers = submission.decide(Snapshot(self._objects, head, heads[layout.MAIN]))
                changed = bool(admitted.changes)
                if changed:
                    before.setdefault(branch, tip)
                    # What was read on main is part of the decision: whoever replays it needs to know which main.
                    read = {"Main": main} if branch != layout.MAIN and (main := heads[layout.MAIN].tip) else {}
                    staging.commit(head, admitted, {**trailers, **read})
                assert head.tip is not None
                grown = staging.pack.size - size
                staged.append((submission, WriteResult(branch, head.tip, changed, admitted.changes, grown)))
            except Error as error:
                submission.error = error
            except Exception as error:  # noqa: BLE001 - a bug in one command must not fail the others
                submission.error = error
                surprised = True
        self._land(staging, heads, before, staged)
        if surprised:
            self._forget()

    def _land(
        self,
        staging: CommitBuilder,
        heads: dict[str, Head],
        before: dict[str, str | None],
        staged: list[tuple[Submission, WriteResult]],
    ) -> None:
        failed: dict[str, Exception] = {}
        if before:
            stem = None
            moves = {branch: (old, str(heads[branch].tip)) for branch, old in before.items()}
            try:
                stem = staging.pack.save(self._packs)
                failed.update(self._publish(moves))
                # What was judged on a main that is in this batch may not land without it.
                for branch in sorted(moves, key=lambda branch: branch != layout.MAIN):
                    if layout.MAIN in failed:
                        failed.setdefault(branch, RefConflict())
                    if branch not in failed and (problem := self._move(branch, *moves[branch], staged)):
                        failed[branch] = problem
            except OSError as error:
                failed = dict.fromkeys(before, error)
            finally:
                if stem is not None:
                    with contextlib.suppress(OSError):
                        stem.with_suffix(".keep").unlink()
                    self._compactor.add(stem)
        if failed:
            self._forget()
        if before:
            for _, landed in self._listeners:
                landed()
        for submission, written in staged:
            if written.branch in failed:
                submission.error = failed[written.branch]
            else:
                submission.written = written

    def _publish(self, moves: Moves) -> Mapping[str, Exception]:
        return {} if self.authority is None else self.authority.publish(moves)

    def _move(
        self, branch: str, old: str | None, new: str, staged: list[tuple[Submission, WriteResult]]
    ) -> Exception | None:
        """Why the branch was not moved here, if that matters."""
        problem: Exception | None = None
        try:
            self._tell(branch, old, new, staged)
            if self.refs.move(branch, old, new):
                self._last[branch] = new
                self.mark_good(branch, new)
            else:
                problem = RefConflict()
        except (OSError, Error) as error:
            problem = error
        if problem is not None and self.authority is not None:
            _log.warning("%s is at %s there, and not here yet: %s", branch, new, problem)
            self._forget()
            return None
        return problem

    def _tell(self, branch: str, old: str | None, new: str, staged: list[tuple[Submission, WriteResult]]) -> None:
        if old is not None:
            changes = tuple(one.changes for _, one in staged if one.branch == branch and one.changed)
            for landing, _ in self._listeners:
                landing(RefUpdate(branch, old, new, changes))


def _as_error(error: Exception, branch: str) -> Exception:
    """As whoever submitted it is told."""
    if isinstance(error, OSError):
        return disk_error(error)
    return (
        unavailable("the branch is being moved by others; try again", branch)
        if isinstance(error, RefConflict)
        else error
    )
