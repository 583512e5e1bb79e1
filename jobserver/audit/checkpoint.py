"""Which tips may be checkpointed: those that descend from where the last checkpoint saw their branch."""

from collections.abc import Callable, Collection

from jobserver.domain.base import layout
from jobserver.errors import Error
from jobserver.store.git.command import git
from jobserver.store.repo import StateRepo


class CheckpointLineage:
    """``strayed`` are branches that were rewritten faulty or gone, as of the last look: never checkpointed, reported.

    ``last`` is the number of the checkpoint that this look compared with; 0 is none.
    """

    def __init__(self, repo: StateRepo, faulty: Callable[[], Collection[str]] = tuple) -> None:
        """``faulty``: branches that have what no server made or judged, which a checkpoint would vouch for."""
        self._repo, self._faulty = repo, faulty
        self.strayed: list[str] = []
        self.last = 0

    def tips(self) -> dict[str, str]:
        """What the next checkpoint says. A strayed branch stays at what the last one said; empty: nothing to say."""
        refs, writer = self._repo.writer.refs, self._repo.writer
        # Before the branches: else another server's checkpoint, written in between, would be ahead of them.
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
        """Also False where git can't say: an object of the old tip may be gone."""
        try:
            return git(self._repo.path, "merge-base", old, new).strip() == old
        except Error:
            return False
