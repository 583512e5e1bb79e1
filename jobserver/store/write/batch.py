"""One attempt at a batch: decides each submission on what the ones before it left, and builds its commit in memory."""

from collections.abc import Callable, Mapping

from jobserver import steps
from jobserver.domain.base import layout
from jobserver.domain.base.state import Changes
from jobserver.errors import Error
from jobserver.store.git.objects import Objects
from jobserver.store.read.snapshot import Head, Snapshot
from jobserver.store.write.commit_builder import CommitBuilder, CommitIdentity
from jobserver.store.write.submission import Refused, Submission, WriteResult, failure


class Batch:
    """``has_bug``: a submission raised something else than an `Error`, so the caches may be wrong."""

    def __init__(
        self, objects: Objects, identity: CommitIdentity, head: Callable[[str], Head], made_on: int = 0
    ) -> None:
        """``head`` reads where a branch is; it raises `Error` if nothing may be built on that. ``made_on``: tells
        batches apart that were built on other caches."""
        self.made_on = made_on
        self.builder = CommitBuilder(objects, identity)
        self.has_bug = False
        self._objects, self._head = objects, head
        self._heads = {layout.MAIN: head(layout.MAIN)}
        self.new_tips: dict[str, tuple[str | None, str]] = {}  # of the branches that the batch changes
        self._built: list[tuple[Submission, WriteResult]] = []

    def add(self, submission: Submission) -> None:
        """Decides one submission. If it is refused, it gets its outcome, and the batch is as it was before."""
        try:
            self._built.append((submission, self._decide(submission)))
        except Error as error:
            submission.outcome = Refused(error)
        except Exception as error:  # noqa: BLE001 - a bug in one command must not fail the others
            submission.outcome = failure(error)
            self.has_bug = True

    def _decide(self, submission: Submission) -> WriteResult:
        branch = submission.branch
        if branch not in self._heads:
            self._heads[branch] = self._head(branch)
        head, main = self._heads[branch], self._heads[layout.MAIN]
        tip, size = head.tip, self.builder.pack.size
        with steps.timed("decide"):
            admitted, trailers = submission.decide(Snapshot(self._objects, head, main))
        changed = bool(admitted.changes)
        if changed:
            # Whoever replays the decision needs to know which main it was made on.
            read = {"Main": main.tip} if branch != layout.MAIN and main.tip else {}
            new = self.builder.commit(head, admitted, {**trailers, **read})
            old, _ = self.new_tips.get(branch, (tip, new))
            self.new_tips[branch] = old, new
        assert head.tip is not None
        return WriteResult(branch, head.tip, changed, admitted.changes, self.builder.pack.size - size)

    def changes(self, branch: str) -> tuple[Changes, ...]:
        """What the batch changes on one branch, in order."""
        return tuple(result.changes for _, result in self._built if result.branch == branch and result.changed)

    def finish(self, failures: Mapping[str, Exception]) -> None:
        """Gives the rest of the submissions their outcomes. ``failures``: why some branches did not move."""
        for submission, written in self._built:
            error = failures.get(written.branch)
            submission.outcome = written if error is None else failure(error)
