"""Writes a checkpoint of all tips every minute in which one moved, and when the server stops."""

from jobserver.audit.checkpoint import CheckpointLineage
from jobserver.domain.base.permissions import SERVER
from jobserver.domain.record import RecordCheckpoint
from jobserver.service.writes.branch_guard import guard_branches
from jobserver.service.writes.gate import Gate
from jobserver.store.repo import StateRepo
from jobserver.worker import Worker

CHECKPOINT_SECONDS = 60.0


class Checkpointer:
    def __init__(self, repo: StateRepo, gate: Gate) -> None:
        self._gate = gate
        self._lineage = CheckpointLineage(repo, guard_branches(repo).problems)
        self._worker = Worker("checkpoints", self._step)

    @property
    def strayed(self) -> list[str]:
        """Branches that are not as a server left them: they went back, are gone, or have commits that no server made
        or judged. No checkpoint vouches for them."""
        return self._lineage.strayed

    def start(self) -> None:
        self._worker.start(CHECKPOINT_SECONDS)

    def close(self) -> None:
        """Writes a last checkpoint."""
        self._worker.close(run_again=True)

    def checkpoint(self) -> bool:
        """Writes a checkpoint if tips moved. Returns whether they did. Raises `Error`."""
        tips = self._lineage.tips()
        return bool(tips) and self._gate.submit(SERVER, RecordCheckpoint(tips, self._lineage.last), "server").changed

    def _step(self) -> float:
        self.checkpoint()
        return CHECKPOINT_SECONDS
