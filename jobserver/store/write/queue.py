"""Collects submissions into batches; one of the waiting threads serves each batch.

The first thread to come leads. The others sleep until they are served, or lead the next batch. There is no timer: a
lone submission is served at once, and the next ones gather while it is synced to the disk. If many have gathered
already, the next leader begins then.
"""

import threading
from collections.abc import Callable
from contextlib import ExitStack

from jobserver.store.write.submission import Submission


class SubmissionQueue:
    """Thread-safe. ``before_batch`` runs in the leading thread, before it takes the batch; it must not raise.

    ``serve`` gives each submission of a batch its outcome. It may call its second argument once, to let the next leader
    begin before that.
    """

    def __init__(
        self, before_batch: Callable[[], None], serve: Callable[[list[Submission], Callable[[], None]], None]
    ) -> None:
        self.before_batch, self._serve = before_batch, serve
        self._guard = threading.Lock()
        self._waiting: list[Submission] = []
        self._is_led = False

    def __len__(self) -> int:
        """How many submissions wait for the next batch."""
        return len(self._waiting)

    def branches(self) -> set[str]:
        """The branches that the next batch writes, as far as it has gathered."""
        with self._guard:
            return {submission.branch for submission in self._waiting}

    def add(self, submission: Submission) -> None:
        """Puts it into the next batch. The same thread has to call `wait` next: it may be the one that leads."""
        submission.wake.acquire()
        with self._guard:
            self._waiting.append(submission)
            submission.is_leader, self._is_led = not self._is_led, True

    def wait(self, submission: Submission) -> None:
        """Returns once the submission has its outcome."""
        if not submission.is_leader:
            submission.wake.acquire()
        if submission.is_leader:
            self._lead()

    def _lead(self) -> None:
        self.before_batch()
        with self._guard:
            batch, self._waiting = self._waiting, []
        with ExitStack() as leading:
            leading.callback(self._hand_over)
            try:
                self._serve(batch, leading.close)
            finally:
                leading.close()
                for submission in batch[1:]:  # the first one is the leader's own
                    submission.wake.release()

    def _hand_over(self) -> None:
        with self._guard:
            if self._waiting:
                self._waiting[0].is_leader = True
                self._waiting[0].wake.release()
            else:
                self._is_led = False
