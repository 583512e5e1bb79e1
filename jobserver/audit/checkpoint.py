"""Decides which tips a checkpoint may record: those that descend from the tips in the last checkpoint."""

from collections.abc import Callable, Collection

from jobserver.domain.base import layout
from jobserver.errors import Error
from jobserver.store.git.command import git
from jobserver.store.repo import StateRepo


class CheckpointLineage:
    """``strayed``: branches that are faulty, gone or rewritten, as of the last `tips`. A checkpoint never records them.

    ``last``: the number of the checkpoint that `tips` compared with; 0 if there is none.
    """

    def __init__(self, repo: StateRepo, faulty: Callable[[], Collection[str]] = tuple) -> None:
        """``faulty``: returns the branches with commits that no server made or judged."""
        self._repo, self._faulty = repo, faulty
        self.strayed: list[str] = []
        self.last = 0

    def tips(self) -> dict[str, str]:
        """Branch -> tip for the next checkpoint; empty if nothing changed. A strayed branch keeps its last tip."""
        refs, writer = self._repo.writer.refs, self._repo.writer
        # Read before the branches: another server's checkpoint, written in between, would be ahead of them.
        last = writer.read(layout.AUDIT, lambda state: state.checkpoint()) if refs.tip(layout.AUDIT) else None
        known = dict(last.tips) if last else {}
        self.last = last.number if last else 0
        faulty = {branch for branch in self._faulty() if layout.is_branch(branch)}
        now = {branch: tip for branch, tip in refs.branches().items() if branch != layout.AUDIT}
        strayed = faulty | {
            branch
            for branch, tip in known.items()
            if branch not in now or (now[branch] != tip and not self._descends(tip, now[branch]))
        }
        self.strayed = sorted(strayed)
        tips = {branch: tip for branch, tip in now.items() if branch not in strayed}
        tips |= {branch: known[branch] for branch in strayed if branch in known}
        return {} if tips == known else tips

    def _descends(self, old: str, new: str) -> bool:
        """Also False if git can't tell, because the old tip is missing."""
        try:
            return git(self._repo.path, "merge-base", old, new).strip() == old
        except Error:
            return False
