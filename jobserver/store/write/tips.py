"""The tips of branches that this process knows: which ones it may build on, and which ones it moved a branch to."""

from jobserver.store.git.objects import Objects
from jobserver.store.write.submission import RefUpdate, TipCheck


class Tips:
    """``guard`` is set before the first write, if there is one; without it, the writer builds on any tip."""

    def __init__(self) -> None:
        self.guard: TipCheck | None = None
        self._last: dict[str, tuple[str, int]] = {}

    def close(self) -> None:
        if self.guard is not None:
            self.guard.close()

    def check(self, branch: str, tip: str | None, is_told: bool = True, objects: Objects | None = None) -> None:
        """Raises `Error` (unavailable) if nothing may be built on ``tip``; see `TipCheck`. For any thread.

        ``objects``: the writer's, in its turn.
        """
        if self.guard is not None:
            self.guard.check(branch, tip, is_told, objects)

    def mark_good(self, branch: str, tip: str) -> None:
        """Records that this process moved the branch to ``tip``, or checked ``tip`` itself."""
        if self.guard is not None:
            self.guard.mark_good(branch, tip)

    def last_written(self, branch: str) -> tuple[str, int]:
        """The tip that a batch of this process last moved the branch to, or is about to; and on how many tips of others
        its batches have built."""
        return self._last.get(branch, ("", 0))

    def note_move(self, update: RefUpdate) -> None:
        """A batch is about to move a branch."""
        tip, others = self.last_written(update.branch)
        self._last[update.branch] = update.new, others + (update.old != tip)
