"""Archives the job requests that a push finished: a runner's push reports jobs, and moves nothing."""

from collections.abc import Callable

from jobserver.domain.base import layout
from jobserver.domain.base.permissions import SERVER
from jobserver.domain.job_requests.requests import ArchiveFinished
from jobserver.service.writes.gate import Gate
from jobserver.store.repo import StateRepo
from jobserver.worker import Worker

_BACKSTOP_SECONDS = 2.0  # in case nothing reports that a ref moved
_SETTLE_SECONDS = 0.05  # for git to move the ref after the hook accepted a push


class Archiver:
    """`wake` is for `Watch` and `Receiver`: a ref moved, or is about to."""

    def __init__(
        self, repo: StateRepo, gate: Gate, has_unarchived: Callable[[str], bool] = lambda branch: True
    ) -> None:
        """``has_unarchived``: whether a branch may have finished job requests in ``active/``. The archiver asks this
        before it takes the writer's turn."""
        self._repo, self._gate, self._has_unarchived = repo, gate, has_unarchived
        self._tips: dict[str, str] = {}
        self._others: dict[str, int] = {}  # tips of others below the writer's, at the last look
        self._worker = Worker("archiver", self._archive, _SETTLE_SECONDS)
        self.start, self.wake, self.close = self._worker.start, self._worker.wake, self._worker.close

    def _archive(self) -> float:
        """Checks only branches that somebody else moved: this server's own reports archive what they finish.

        Most of these moves are reports to another server, which archive too, so the writer is asked only if needed.
        """
        writer = self._repo.writer
        for branch in writer.refs.branches():
            slug = layout.branch_backend(branch)
            tip = writer.refs.tip(branch)  # now: reports may have moved it since
            if slug is None or tip is None or self._tips.get(branch) == tip:
                continue
            own, others = writer.tips.last_written(branch)
            if (own, others) != (tip, self._others.get(branch)) and self._has_unarchived(branch):
                tip = self._gate.submit(SERVER, ArchiveFinished(slug), "server").commit
            self._tips[branch], self._others[branch] = tip, others
        return _BACKSTOP_SECONDS
