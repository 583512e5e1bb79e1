"""The one writer of a repository: submissions become one batch, one pack and one move of each branch; then all get
their answers.

Processes take turns by a lock file. If many submissions wait, the next batch is decided while one lands.
"""

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from jobserver import steps
from jobserver.domain.base import layout
from jobserver.domain.base.permissions import SERVER, Actor
from jobserver.errors import Error
from jobserver.store.fs import disk_errors
from jobserver.store.git.objects import Objects
from jobserver.store.git.refs import Refs
from jobserver.store.keys.signing import KeyFile, SigningKey
from jobserver.store.read.snapshot import Head, Snapshot
from jobserver.store.upstream import Authority, NewTips
from jobserver.store.write.batch import Batch
from jobserver.store.write.commit_builder import CommitBuilder, CommitIdentity
from jobserver.store.write.compactor import Compactor
from jobserver.store.write.landing import Lander
from jobserver.store.write.queue import SubmissionQueue
from jobserver.store.write.submission import (
    Conflict,
    Decide,
    DiskFailure,
    Outcome,
    RefUpdate,
    Refused,
    Submission,
    WriteResult,
    failure,
    result,
)
from jobserver.store.write.tips import Tips
from jobserver.store.write.turn import Turn

T = TypeVar("T")
_MAX_RETRIES = 5  # after conflicts
_log = logging.getLogger(__name__)


class Writer:
    """Thread-safe. ``authority`` is set before the first write, if there is one.

    ``_staging`` guards the caches, ``_landing`` the branches; who has the latter may take the former, and not the other
    way round.
    """

    enough_to_go_ahead = 16  # submissions that wait

    def __init__(self, repository: Path, host: str, keys: KeyFile) -> None:
        self.refs = Refs(repository)
        self.tips = Tips()
        self.keys = keys
        self.queue = SubmissionQueue(self._pace, self._serve)
        self.authority: Authority | None = None  # who has the last word on branches, if not this repository
        self.tries: Counter[int] = Counter()  # number of retries after conflicts -> batches that wrote something
        self.batch_sizes: Counter[int] = Counter()  # number of submissions -> batches
        self._host = host
        self._turn = Turn(repository / "jobserver.lock")
        self._staging, self._landing = threading.RLock(), threading.Lock()
        self._objects = Objects(repository)
        self._heads: dict[str, Head] = {}
        self._ahead: NewTips = {}  # that are landing while the next batch is decided on them
        self._forgot = 0  # how often the caches were emptied
        self._compactor = Compactor(repository / "objects" / "pack", repository / "jobserver.maintenance")
        self._lander = Lander(self.refs, repository / "objects" / "pack", self._compactor, self.tips.mark_good)
        self.listen(self.tips.note_move, lambda: None)
        self._reader = Objects(repository)
        self._reading = threading.Lock()

    def close(self) -> None:
        self._compactor.close()
        self.tips.close()
        self._forget()
        self._reader.close()

    def listen(self, announce: Callable[[RefUpdate], None], landed: Callable[[], None]) -> None:
        """Calls ``announce`` before a batch moves a branch, so that whoever sees the new tip can know what it brought.
        If the move fails, nobody ever sees that tip. Calls ``landed`` after each batch.

        Both run in the writer's turn, and must return at once.
        """
        self._lander.listen(announce, landed)

    # Reading and writing

    def read(self, branch: str, read: Callable[[Snapshot], T], commit: str | None = None) -> T:
        """What ``read`` returns for the branch as it is now, or was at ``commit``. For rare questions."""
        with self._reading:
            head = Head.read(branch, commit or self.refs.tip(branch), self._reader)
            main = Head.read(layout.MAIN, self.refs.tip(layout.MAIN), self._reader)
            return read(Snapshot(self._reader, head, main))

    def submit(self, branch: str, decide: Decide, is_urgent: bool = False) -> WriteResult:
        """Commits what ``decide`` admits on ``branch``; returns once that is durable.

        ``is_urgent``: does not wait for the next turn of a slow authority. Raises what ``decide`` raises, and `Error`
        (unavailable) if the disk refuses or other processes keep moving the branch.
        """
        submission = Submission(branch, decide)
        with steps.timed("write", branch):
            self.queue.add(submission)
            if is_urgent and self.authority is not None:
                self.authority.hurry()
            self.queue.wait(submission)
        return result(branch, submission.outcome)

    def submit_all(self, submissions: Sequence[Submission]) -> list[Outcome]:
        """As `submit`, for many at once, in one batch. Returns how each ended, in order: nothing is raised."""
        for submission in submissions:
            self.queue.add(submission)
        for submission in submissions:
            self.queue.wait(submission)
        return [submission.outcome for submission in submissions if submission.outcome is not None]

    def create_branch(self, branch: str, files: Mapping[str, bytes], subject: str, event: str, now: datetime) -> bool:
        """Creates the branch with these files, durably; False if the branch exists."""
        with disk_errors(), self.locked():
            if self.authority is not None:
                self.authority.refresh()
            if self.refs.tip(branch) is not None:
                return False
            self.tips.check(branch, None, objects=self._objects)
            self.commit_files(branch, files, subject, event, now)
            return True

    def commit_files(
        self,
        branch: str,
        files: Mapping[str, bytes],
        subject: str,
        event: str,
        now: datetime,
        *,
        trailers: Sequence[tuple[str, str]] = (),
        key: SigningKey | None = None,
        actor: Actor = SERVER,
    ) -> None:
        """Commits files that are not documents, in a turn that the caller holds (`locked`). Raises `Error`."""
        self._forget()
        old = self.refs.tip(branch)
        if old is not None:
            self.tips.check(branch, old, branch == layout.MAIN, self._objects)
        head = Head.read(branch, old, self._objects)
        builder = CommitBuilder(self._objects, self._identity(key))
        try:
            with disk_errors():
                builder.commit_files(head, files, subject, event, now, trailers=trailers, actor=actor)
                assert head.tip is not None
                landing = self._lander.land(builder.pack, {branch: (old, head.tip)}, self.authority)
        finally:
            self._forget()
        for error in (landing.failures | landing.behind).values():
            result(branch, failure(error))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Holds this process's turn; maintenance takes a turn too."""
        with self._turn.alone():
            yield

    # Batches

    def _pace(self) -> None:
        if self.authority is not None:
            try:
                self.authority.pace(self.queue.branches)
            except Exception:  # noqa: BLE001 - pacing is only about fairness, and other threads wait for this one
                _log.exception("pacing failed; the next batch goes at once")

    def _serve(self, submissions: list[Submission], hand_over: Callable[[], None]) -> None:
        """Gives each submission its outcome."""
        self.batch_sizes[len(submissions)] += 1
        try:
            with steps.timed("batch"), self._turn.shared():
                if self.authority is not None:
                    self.authority.permit()
                batch = self._stage(submissions)
                with self._landing, self._forgetting_if_broken():
                    self._land_staged(batch, submissions, hand_over)
        except BaseException as error:
            for submission in submissions:
                if submission.outcome is None or isinstance(submission.outcome, Conflict):
                    submission.outcome = failure(error) if isinstance(error, Exception) else Refused(error)
            if not isinstance(error, Exception):
                raise

    def _land_staged(self, batch: Batch, submissions: list[Submission], hand_over: Callable[[], None]) -> None:
        """Lands a batch after the one before it, and repeats it where that makes sense."""
        if batch.has_bug:  # the caches may be wrong, or too small for the documents of two batches
            self._forget()
        if batch.made_on != self._forgot:  # also if the one before it failed: it was decided on what never came
            batch = self._stage(submissions)
        try:
            if self._may_go_ahead(batch):
                self._ahead = batch.new_tips
                hand_over()
            self._finish(batch)
        finally:
            self._ahead = {}
        is_repeated = self.authority is not None or any(submission.has_failed for submission in submissions)
        retries = self._repeat(submissions) if is_repeated else 0
        self.tries[retries] += any(submission.has_written for submission in submissions)

    def _may_go_ahead(self, batch: Batch) -> bool:
        """Whether the next batch may be decided while this one lands. With few submissions it would only become
        smaller. Documents on main are rewritten from what is on the disk."""
        is_free = self.authority is None and layout.MAIN not in batch.new_tips and self._turn.takes_more
        return is_free and bool(batch.new_tips) and len(self.queue) >= self.enough_to_go_ahead

    def _repeat(self, submissions: list[Submission]) -> int:
        """Decides again what failed, where that makes sense. Returns how often other processes moved a branch."""
        with self._staging:
            self._forget()  # the next batch may have been decided meanwhile: what it made is not on the disk
            for submission in _with_outcome(submissions, DiskFailure):  # one by one: one bad command fails alone
                self._attempt([submission])
            if self.authority is not None:
                self._retry_doubtful(submissions, self.authority)
            return self._retry_conflicts(submissions)

    def _retry_doubtful(self, batch: list[Submission], authority: Authority) -> None:
        """Decides again what was not pushed, if the branches upstream have moved: nothing has shown yet whether those
        decisions were made on the current state."""
        doubtful = [submission for submission in batch if submission.is_doubtful]
        with contextlib.suppress(Error):  # if upstream can't be reached, the outcomes stay
            if doubtful and authority.refresh():
                self._attempt(doubtful)

    def _retry_conflicts(self, batch: list[Submission]) -> int:
        """How often the writer decided again because other processes moved a branch."""
        retries = 0
        while (lost := _with_outcome(batch, Conflict)) and retries < _MAX_RETRIES:
            retries += 1
            if self.authority is not None:
                self.authority.await_turn({submission.branch for submission in lost})
            self._attempt(lost)
        return retries

    def _attempt(self, submissions: list[Submission]) -> None:
        """Decides the submissions, lands what they change, and gives each its outcome."""
        self._finish(self._stage(submissions))

    def _stage(self, submissions: list[Submission]) -> Batch:
        """Decides the submissions, and builds what they change in memory."""
        with self._staging, self._forgetting_if_broken():
            for submission in submissions:
                submission.outcome = None
            batch = Batch(self._objects, self._identity(), self._head, self._forgot)
            for submission in submissions:
                batch.add(submission)
            return batch

    def _finish(self, batch: Batch) -> None:
        batch.finish(self._land(batch))
        if batch.has_bug:
            self._forget()

    def _land(self, batch: Batch) -> dict[str, Exception]:
        """Why branches of the batch did not move."""
        new_tips = batch.new_tips
        if not new_tips:
            return {}
        try:
            landing = self._lander.land_batch(batch.builder.pack, new_tips, self.authority, batch.changes)
        except OSError as error:
            self._forget()
            return dict.fromkeys(new_tips, error)
        for branch, problem in landing.behind.items():
            _log.warning("%s is at %s upstream, and not here yet: %s", branch, new_tips[branch][1], problem)
        if landing.failures or landing.behind:
            self._forget()
        return landing.failures

    def _head(self, branch: str) -> Head:
        is_ahead, head = branch in self._ahead, self._heads.get(branch)
        if is_ahead and head is not None:
            return head
        tip = self.refs.tip(branch)
        if head is None or head.tip != tip:
            if tip is not None or branch == layout.MAIN:
                self.tips.check(branch, tip, objects=self._objects)
            head = Head.read(branch, tip, self._objects)
            if tip is not None:  # callers may name many branches that don't exist
                self._heads[branch] = head
        return head

    def _identity(self, key: SigningKey | None = None) -> CommitIdentity:
        server = self.authority.server if self.authority is not None else ""
        return CommitIdentity(self._host, key or self.keys.current(), server)

    @contextlib.contextmanager
    def _forgetting_if_broken(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._forget()
            raise

    def _forget(self) -> None:
        """Empties the caches after any surprise: a wrong cache once committed trees without their documents."""
        with self._staging:
            self._objects.forget()
            self._heads.clear()
            self._forgot += 1


def _with_outcome(batch: list[Submission], kind: type[Conflict | DiskFailure]) -> list[Submission]:
    return [submission for submission in batch if isinstance(submission.outcome, kind)]
