"""The branches of the hosted repository, and the local branches that follow them as far as they can be trusted."""

import logging
from collections.abc import Iterator, Mapping
from time import monotonic

from jobserver.domain.base import layout
from jobserver.errors import Error, unavailable
from jobserver.service.upstream.fairness import Turns
from jobserver.service.upstream.status import HostStatus
from jobserver.service.upstream.trust import TrustContext, TrustDecision, TrustPolicy
from jobserver.store.git.command import has_object
from jobserver.store.git.remote import Remote
from jobserver.store.repo import StateRepo

_log = logging.getLogger(__name__)


class HostedBranches:
    """``frozen``: local branches that no longer follow the host -> what the host did to them that is not allowed."""

    def __init__(self, repo: StateRepo, remote: Remote, turns: Turns, status: HostStatus) -> None:
        """``turns`` is told who wrote the commits that are taken, ``status`` when the host does not answer."""
        self._repo, self._remote, self._turns, self._status = repo, remote, turns, status
        self._refs = repo.writer.refs
        self._policy = TrustPolicy(repo.path, repo.writer.keys.current)
        self._key_seen: tuple[int, int] | None = None
        self.frozen: Mapping[str, str] = {}

    def tips(self) -> dict[str, str]:
        """Branch -> tip on the host. Raises `Error` (unavailable)."""
        try:
            tips = {branch: tip for branch, tip in self._remote.tips().items() if layout.is_branch(branch)}
            if not tips and self._refs.tip(layout.MAIN) is not None:
                raise unavailable(f"{self._remote.url} is empty, but this repository is not: see docs/scale.md")
        except Error as error:
            self._status.failed(error)
            raise
        return tips

    def fetched(self) -> dict[str, str]:
        """As `tips`, after fetching their objects."""
        tips = self.tips()
        if missing := [branch for branch, tip in tips.items() if not self._has(branch, tip)]:
            try:
                self._remote.fetch(missing)
            except Error as error:
                self._status.failed(error)
                raise
        return tips

    def _has(self, branch: str, tip: str) -> bool:
        return self._refs.tip(branch) == tip or has_object(self._repo.path, tip)

    def different(self, tips: Mapping[str, str]) -> Iterator[tuple[str, str | None, str | None]]:
        """Branches whose tips differ: (branch, tip here, tip on the host). Main comes first: it names all keys."""
        local = self._refs.branches()
        for branch in sorted({*local, *tips}, key=lambda branch: (branch != layout.MAIN, branch)):
            if local.get(branch) != tips.get(branch):
                yield branch, local.get(branch), tips.get(branch)

    def has_news(self, tips: Mapping[str, str]) -> bool:
        """Whether `take` could change anything. May be called from any thread."""
        different = list(self.different(tips))
        if self.frozen and (not different or self._key_stamp() != self._key_seen):
            return True
        return any(
            branch not in self.frozen or not self._policy.is_refused(branch, old, new) for branch, old, new in different
        )

    def take(self, tips: Mapping[str, str]) -> tuple[bool, bool]:
        """Moves the local branches to ``tips`` where the commits can be trusted, and freezes the others.

        Returns (whether any moved, whether any is behind because it could not be moved or judged). Call it in the
        writer's turn.
        """
        self._key_seen = self._key_stamp()
        moved, is_behind = self._take_once(tips)
        if moved and self.frozen:  # the receipts for a frozen branch may have arrived with the others
            _, is_behind = self._take_once(tips)
        return moved, is_behind

    def _take_once(self, tips: Mapping[str, str]) -> tuple[bool, bool]:
        moved = is_behind = False
        frozen: dict[str, str] = {}
        for branch, old, new in self.different(tips):
            decision = self._judge(branch, old, new, tips.get(layout.AUDIT))
            if problem := decision.problem:
                frozen[branch] = problem
                is_behind = is_behind or not decision.is_certain
                if self.frozen.get(branch) != problem:
                    _log.error("%s is frozen: the hosted repository %s", branch, problem)
                continue
            assert new is not None
            self._turns.moved(branch, decision.servers, monotonic())
            if self._move(branch, old, new):
                moved = True
            else:
                is_behind = True
        self.frozen = frozen
        return moved, is_behind

    def _judge(self, branch: str, old: str | None, new: str | None, audit: str | None) -> TrustDecision:
        if new is None:
            return TrustDecision("does not have it any more")
        context = TrustContext(self._refs.tip(layout.MAIN), self._refs.tip(layout.AUDIT), audit)
        return self._policy.judge(branch, old, new, context)

    def _move(self, branch: str, old: str | None, new: str) -> bool:
        try:
            if not self._refs.move(branch, old, new):
                return False
            self._repo.writer.tips.mark_good(branch, new)
        except (Error, OSError) as error:
            _log.warning("%s can't be moved here: %s", branch, error)
            return False
        return True

    def _key_stamp(self) -> tuple[int, int] | None:
        try:
            return self._repo.writer.keys.stamp()
        except Error:
            return None
