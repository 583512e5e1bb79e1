"""What the server does after others moved a branch: it archives the job requests that a push finished, and writes
checkpoints of all tips. In a thread of its own; both are derived from the branches, so doing them late harms nothing.
"""

import logging
import threading
from collections.abc import Callable
from time import monotonic

from jobserver.audit.checkpoint import CheckpointLineage
from jobserver.domain.base import layout
from jobserver.domain.base.permissions import SERVER
from jobserver.domain.job_requests.requests import ArchiveFinished
from jobserver.domain.record import RecordCheckpoint
from jobserver.errors import Error
from jobserver.service.writes.branch_guard import guard_branches
from jobserver.service.writes.gate import Gate
from jobserver.store.repo import StateRepo

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 2.0  # where no hint came
_SETTLE_SECONDS = 0.05  # for git to move the ref after the hook said yes
CHECKPOINT_SECONDS = 60.0


class Archiver:
    """``moved`` is a hint, for `Watch` and `Receiver`."""

    def __init__(self, repo: StateRepo, gate: Gate, unmoved: Callable[[str], bool] = lambda branch: True) -> None:
        """``unmoved``: whether a branch may have finished job requests to be moved; asked before the writer's turn."""
        self._repo, self._gate, self._unmoved = repo, gate, unmoved
        self._descent = CheckpointLineage(repo, guard_branches(repo).problems)
        self._seen: dict[str, str] = {}
        self._hint = threading.Event()
        self._closing = False
        self._checkpoint_at = monotonic() + CHECKPOINT_SECONDS
        self._thread = threading.Thread(target=self._run, name="follow-up", daemon=True)

    @property
    def strayed(self) -> list[str]:
        """Branches that no server left as they are: they went back, are gone, or have what nobody judged."""
        return self._descent.strayed

    def start(self) -> None:
        self._thread.start()

    def moved(self) -> None:
        self._hint.set()

    def close(self) -> None:
        """Writes a last checkpoint."""
        self._closing = True
        self._hint.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._attempt(self.checkpoint)

    def checkpoint(self) -> bool:
        """Writes one if tips moved; whether it did. Raises `Error`."""
        tips = self._descent.tips()
        if not tips:
            return False
        return self._gate.submit(SERVER, RecordCheckpoint(tips, self._descent.last), "server").changed

    def _run(self) -> None:
        self._attempt(self._archive)
        while not self._closing:
            if self._hint.wait(_LOOK_SECONDS):
                self._hint.clear()
                threading.Event().wait(_SETTLE_SECONDS)
            self._attempt(self._archive)
            if monotonic() >= self._checkpoint_at:
                self._attempt(self.checkpoint)
                self._checkpoint_at = monotonic() + CHECKPOINT_SECONDS

    def _archive(self) -> None:
        """Looks only where somebody else moved a branch: the server's own reports archive what they finish.

        So do another server's, which are most of what moves: the writer is asked only where there is something to do.
        """
        for branch, tip in self._repo.writer.refs.branches().items():
            slug = layout.branch_backend(branch)
            if slug is None or self._seen.get(branch) == tip:
                continue
            if self._repo.writer.last_written(branch) != tip and self._unmoved(branch):
                tip = self._gate.submit(SERVER, ArchiveFinished(slug), "server").commit
            self._seen[branch] = tip

    def _attempt(self, what: Callable[[], object]) -> None:
        try:
            what()
        except (Error, OSError) as error:
            _log.warning("after a push: %s", error)
        except Exception:  # noqa: BLE001 - this thread must outlive a bug, which is logged
            _log.exception("after a push")
