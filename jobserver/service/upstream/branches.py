"""The branches of the hosted repository, and those here, which follow them as far as they can be believed."""

import logging
from collections.abc import Iterator, Mapping
from time import monotonic

from jobserver.domain.base import names
from jobserver.errors import Error, unavailable
from jobserver.service.upstream.fairness import Turns
from jobserver.service.upstream.trust import Beside, Foreign, Judged
from jobserver.store.git.command import has_object
from jobserver.store.git.remote import Remote
from jobserver.store.repo import StateRepo

_log = logging.getLogger(__name__)


class HostedBranches:
    """``frozen``: branches that stay where they are, with what the hosted repository did to them that it may not."""

    def __init__(self, repo: StateRepo, remote: Remote, turns: Turns) -> None:
        """``turns`` are told who wrote what is taken."""
        self._repo, self._remote, self._turns = repo, remote, turns
        self._refs = repo.writer.refs
        self._foreign = Foreign(repo.path, repo.writer.keys.current)
        self._key_seen: tuple[int, int] | None = None
        self.frozen: Mapping[str, str] = {}

    def tips(self) -> dict[str, str]:
        """Branch -> tip there. Raises `Error` (unavailable)."""
        tips = {branch: tip for branch, tip in self._remote.tips().items() if names.is_branch(branch)}
        if not tips and self._refs.tip(names.MAIN) is not None:
            raise unavailable(f"{self._remote.url} is empty, and this repository is not: see docs/scale.md")
        return tips

    def fetched(self) -> dict[str, str]:
        """As `tips`, and their objects are here now."""
        tips = self.tips()
        if missing := [branch for branch, tip in tips.items() if not self._has(branch, tip)]:
            self._remote.fetch(missing)
        return tips

    def _has(self, branch: str, tip: str) -> bool:
        return self._refs.tip(branch) == tip or has_object(self._repo.path, tip)

    def different(self, tips: Mapping[str, str]) -> Iterator[tuple[str, str | None, str | None]]:
        """(branch, tip here, tip there), main first: it names the keys that all others are signed with."""
        here = self._refs.branches()
        for branch in sorted({*here, *tips}, key=lambda branch: (branch != names.MAIN, branch)):
            if here.get(branch) != tips.get(branch):
                yield branch, here.get(branch), tips.get(branch)

    def has_news(self, tips: Mapping[str, str]) -> bool:
        """Whether `take` could do anything; for any thread."""
        different = list(self.different(tips))
        if self.frozen and (not different or self._key_stamp() != self._key_seen):
            return True
        return any(
            branch not in self.frozen or not self._foreign.is_known(branch, old, new) for branch, old, new in different
        )

    def take(self, tips: Mapping[str, str]) -> tuple[bool, bool]:
        """Moves the branches here that a server made or judged; the others are frozen. (Whether any moved, whether one
        could not be moved, or judged: then what is read here is no newer than it was.) In the writer's turn.
        """
        self._key_seen = self._key_stamp()
        moved, behind = self._take_once(tips)
        if moved and self.frozen:  # the receipts may be among what was taken just now
            _, behind = self._take_once(tips)
        return moved, behind

    def _take_once(self, tips: Mapping[str, str]) -> tuple[bool, bool]:
        moved = behind = False
        frozen: dict[str, str] = {}
        for branch, old, new in self.different(tips):
            judged = Judged("does not have it any more")
            if new is not None:
                here = self._refs.tip(names.MAIN), self._refs.tip(names.AUDIT)
                judged = self._foreign.judge(branch, old, new, Beside(*here, tips.get(names.AUDIT)))
            if problem := judged.problem:
                frozen[branch] = problem
                behind = behind or not judged.is_certain
                if self.frozen.get(branch) != problem:
                    _log.error("%s is frozen: the hosted repository %s", branch, problem)
                continue
            assert new is not None
            self._turns.saw(branch, judged.servers, monotonic())
            try:
                is_moved = self._refs.move(branch, old, new)
                if is_moved:
                    self._repo.writer.mark_good(branch, new)
                moved, behind = moved or is_moved, behind or not is_moved
            except (Error, OSError) as error:
                behind = True
                _log.warning("%s can't be moved here: %s", branch, error)
        self.frozen = frozen
        return moved, behind

    def _key_stamp(self) -> tuple[int, int] | None:
        try:
            return self._repo.writer.keys.stamp()
        except Error:
            return None
