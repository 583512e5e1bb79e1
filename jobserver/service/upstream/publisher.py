"""Pushes commits to the hosted repository, and finds out whether they landed.

git's exit status counts only if it reports success. After a time-out, a refusal or a lost answer only the host's
branches say what happened (docs/decisions/0012).
"""

import logging
from pathlib import Path
from time import monotonic

from jobserver.errors import Error, unavailable
from jobserver.service.upstream.branches import HostedBranches
from jobserver.service.upstream.fairness import Turns
from jobserver.service.upstream.rate_limit import PushRate
from jobserver.store.git.command import is_ancestor
from jobserver.store.git.remote import Remote
from jobserver.store.upstream import NewTips, RefConflict, Unconfirmed

_log = logging.getLogger(__name__)
_TRIES = 3


class Publisher:
    """For one thread at a time: the one that has the writer's turn."""

    def __init__(
        self, repository: Path, remote: Remote, branches: HostedBranches, turns: Turns, limit: PushRate, server: str
    ) -> None:
        """``turns`` and ``limit`` are told of each push. ``server``: this server's id."""
        self._path, self._remote, self._branches = repository, remote, branches
        self._turns, self._limit, self._server = turns, limit, server

    def push(self, new_tips: NewTips, quarantine: Path | None = None) -> dict[str, Exception]:
        """Moves the branches to these tips on the host. Returns those that it did not move, each with the reason.

        The reason is `RefConflict` if the branch is elsewhere, `Unconfirmed` if nobody can tell.
        """
        failed: dict[str, Exception] = {}
        pending = dict(new_tips)
        reason: Error | None = None
        message = ""
        for _ in range(_TRIES):
            message = self._push(pending, quarantine)
            if not message:
                self._landed(*pending)
                return failed
            try:
                tips = self._branches.fetched()
            except Error as error:
                reason = error
                continue
            reason = None
            failed |= self._settle(pending, tips)
            if not pending:
                return failed
        _log.warning("push: %s", message)
        why = reason or unavailable(f"{self._remote.url} does not accept the push; the log has git's message")
        for branch, (_, new) in pending.items():
            failed[branch] = Unconfirmed(
                f"The server can't tell whether this was written (look for commit {new[:10]} or its parents): {why}"
            )
        return failed

    def _push(self, new_tips: NewTips, quarantine: Path | None) -> str:
        """Empty if the host accepted everything, else git's message."""
        began = monotonic()
        message = self._remote.push(new_tips, quarantine)
        now = monotonic()
        self._limit.pushed(now)
        self._turns.pushed(now - began)
        return message

    def _settle(self, pending: dict[str, tuple[str | None, str]], tips: dict[str, str]) -> dict[str, Exception]:
        """Removes from ``pending`` what is decided. Returns the branches that lost.

        A branch that did not move stays pending: the push may still be on its way. Pushing the same commit again does
        no harm, because whichever of the two pushes comes second finds the branch moved.
        """
        lost: dict[str, Exception] = {}
        for branch, (old, new) in list(pending.items()):
            if tips.get(branch) == old:
                continue
            del pending[branch]
            if self._is_there(new, tips.get(branch)):
                self._landed(branch)
            else:
                lost[branch] = RefConflict()
        return lost

    def _landed(self, *branches: str) -> None:
        now = monotonic()
        for branch in branches:
            self._turns.moved(branch, [self._server], now)

    def _is_there(self, commit: str, tip: str | None) -> bool:
        return tip is not None and (tip == commit or is_ancestor(self._path, commit, tip))
