"""The hosted repository as the authority (STATE_REMOTE): what the writer of a repository asks before it writes.

The branches here hold what was found on the host and can be trusted. Every commit is pushed to the host before it
counts (docs/decisions/0012).
"""

import hashlib
import socket
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep

from jobserver.domain.base import layout
from jobserver.errors import Error, unavailable
from jobserver.service.upstream.branches import HostedBranches
from jobserver.service.upstream.fairness import Turns
from jobserver.service.upstream.follower import Follower
from jobserver.service.upstream.publisher import Publisher
from jobserver.service.upstream.rate_limit import PushRate
from jobserver.service.upstream.status import HostStatus
from jobserver.store.git.remote import Remote
from jobserver.store.keys import signers as keys
from jobserver.store.repo import StateRepo
from jobserver.store.upstream import NewTips, RefConflict

_MIN_WAIT = 0.03  # seconds between two refreshes while other servers have their turns
_MAX_WAIT = 15.0  # seconds for all turns of other servers together


class Hosted:
    """The `Authority` of a repository's writer. ``follower``, once started, also brings in what other servers write."""

    def __init__(
        self, repo: StateRepo, remote: Remote, clock: Callable[[], datetime], pushes_per_minute: float = 0
    ) -> None:
        self.repo, self.remote, self._clock = repo, remote, clock
        self.server = _server_id(repo.path)
        self._limit, self._turns = PushRate(pushes_per_minute), Turns(self.server)
        self.status = HostStatus(repo.path, clock)
        self.branches = HostedBranches(repo, remote, self._turns, self.status)
        self.publisher = Publisher(repo.path, remote, self.branches, self._turns, self._limit, self.server)
        self.follower = Follower(repo.writer, self.branches, self.status, clock, self.refresh)
        self._urgent = threading.Event()
        self._main_signers: tuple[str | None, Mapping[str, keys.Signer]] = None, {}

    def close(self) -> None:
        self._urgent.set()
        self.follower.close()

    @property
    def frozen(self) -> Mapping[str, str]:
        """Branch -> what the hosted repository did to it that is not allowed. Nothing is written there."""
        return self.branches.frozen

    # When to write

    def pace(self, waiting: Callable[[], Collection[str]]) -> None:
        self._urgent.wait(self._limit.wait(monotonic()))
        with suppress(Error):  # `permit` reports it
            ends = monotonic() + _MAX_WAIT
            while True:
                branches = waiting()
                if any(self._turns.is_shared(branch, monotonic()) for branch in branches):
                    with self.repo.writer.locked():
                        self.refresh()
                seconds = self._wait(branches, ends)
                if not seconds or self._urgent.wait(seconds):
                    break
        self._urgent.clear()

    def hurry(self) -> None:
        self._urgent.set()

    def await_turn(self, branches: Collection[str]) -> None:
        ends = monotonic() + _MAX_WAIT
        self.refresh()
        while seconds := self._wait(branches, ends):
            sleep(seconds)
            self.refresh()

    def _wait(self, branches: Collection[str], ends: float) -> float:
        """Seconds until the next look at whether this server may write all these branches; 0 if it may now."""
        now = monotonic()
        seconds = max((self._turns.wait(branch, now) for branch in branches), default=0.0)
        return min(seconds, max(_MIN_WAIT, self._turns.window / 8)) if now < ends else 0.0

    # Whether to write

    def permit(self) -> None:
        """Raises `Error` (unavailable) while the host can't be reached, or if this server's key has ended."""
        if since := self.status.down_since:
            raise unavailable(
                f"the hosted repository can't be reached since {since:%Y-%m-%d %H:%M:%S} UTC; nothing was written"
            )
        self.check_key()

    def check_key(self) -> None:
        """Raises `Error` (unavailable) if main does not name this server's key: nobody would trust its signature."""
        main = self.repo.writer.refs.tip(layout.MAIN)
        if main is None:
            return
        if self._main_signers[0] != main:
            self._main_signers = main, keys.read(keys.text_at_commit(self.repo.path, main))
        ours = self.repo.writer.keys.current().fingerprint
        signer = self._main_signers[1].get(ours)
        if signer is None or signer.before is not None:
            state = "is not named by main's allowed_signers" if signer is None else "has ended"
            raise unavailable(f"this server's key {ours} {state}: copy SIGNING_KEY from a server that works")

    def frozen_error(self, branch: str) -> Error:
        return unavailable(
            f"frozen, because the hosted repository {self.frozen[branch]}: an administrator needs to check it", branch
        )

    # Writing and reading

    def publish(self, new_tips: NewTips) -> dict[str, Exception]:
        """See `Authority`. Pushes main first, and the others only if it landed: their commits refer to it."""
        failed: dict[str, Exception] = {}
        main = {branch: tips for branch, tips in new_tips.items() if branch == layout.MAIN}
        others = {branch: tips for branch, tips in new_tips.items() if branch not in main}
        for part in (main, others):
            if layout.MAIN in failed:
                return failed | {branch: RefConflict() for branch in others}
            failed |= {branch: self.frozen_error(branch) for branch in part if branch in self.frozen}
            if writable := {branch: tips for branch, tips in part.items() if branch not in self.frozen}:
                failed |= self.publisher.push(writable)
        return failed

    def refresh(self) -> bool:
        """See `Authority`."""
        asked = self._clock()
        moved, is_behind = self.branches.take(self.branches.fetched())
        if is_behind:
            self.status.reached()
        else:
            self.status.seen(asked)
        return moved


def _server_id(repository: Path) -> str:
    """The same for all processes that write in this clone, and different for other clones."""
    status = repository.stat()
    return hashlib.sha256(f"{socket.gethostname()} {status.st_dev} {status.st_ino}".encode()).hexdigest()[:8]
