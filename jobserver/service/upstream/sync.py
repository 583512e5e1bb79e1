"""A hosted repository as the authority (STATE_REMOTE): its compare-and-swap on refs is what all servers agree by.

The branches here are what was seen there, and was found to be made or judged by a server; everything is pushed there
before it counts. Whatever a push ends with, only the host's branches say what was done: so does a time-out, a dropped
answer or a refusal never decide anything (docs/decisions/0012).
"""

import hashlib
import logging
import socket
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep

from jobserver.domain.base import names
from jobserver.errors import Error, conflict, unavailable
from jobserver.service.upstream.branches import HostedBranches
from jobserver.service.upstream.fairness import Turns
from jobserver.service.upstream.rate_limit import Pace
from jobserver.store.git.command import is_ancestor
from jobserver.store.git.remote import Remote
from jobserver.store.keys import signers as keys
from jobserver.store.repo import StateRepo
from jobserver.store.upstream import Moves, RefConflict, Unconfirmed

_log = logging.getLogger(__name__)
_TRIES = 3
_HOOK_SECONDS = 2.0  # for git to move a ref here, once its hook said yes
_LOOK_AGAIN = 0.03  # seconds between two looks while others have their turns
_PATIENCE = 15.0  # seconds for them, in all


class Hosted:
    """The `Authority` of a repository's writer; with `start`, also follows what other servers do there."""

    def __init__(
        self, repo: StateRepo, remote: Remote, clock: Callable[[], datetime], pushes_per_minute: float = 0
    ) -> None:
        self._repo, self._remote, self._clock = repo, remote, clock
        self._refs = repo.writer.refs
        self.server = _name(repo.path)
        self._pace = Pace(pushes_per_minute)
        self._turns = Turns(self.server)
        self._branches = HostedBranches(repo, remote, self._turns)
        self._urgent = threading.Event()
        self._known: tuple[str | None, Mapping[str, keys.Signer]] = None, {}
        self._hint = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._seen_file = repo.path / "jobserver.seen"
        self.seen_at = self._seen_before()
        self.down_since: datetime | None = None
        self.problem = ""

    @property
    def frozen(self) -> Mapping[str, str]:
        """Branch -> what the hosted repository did to it that it may not: nothing is written there."""
        return self._branches.frozen

    # What the writer asks

    def pace(self, waiting: Callable[[], Collection[str]]) -> None:
        self._urgent.wait(self._pace.left(monotonic()))
        with suppress(Error):  # `permit` will say it
            ends = monotonic() + _PATIENCE
            while True:
                branches = waiting()
                if any(self._turns.is_shared(branch, monotonic()) for branch in branches):
                    with self._repo.writer.locked():
                        self.refresh()
                left = self._left(branches, ends)
                if not left or self._urgent.wait(left):
                    break
        self._urgent.clear()

    def hurry(self) -> None:
        self._urgent.set()

    def await_turn(self, branches: Collection[str]) -> None:
        """See `Authority`: who lost has to win the next time, so it goes when it is its turn."""
        ends = monotonic() + _PATIENCE
        self.refresh()
        while left := self._left(branches, ends):
            sleep(left)
            self.refresh()

    def _left(self, branches: Collection[str], ends: float) -> float:
        """Seconds until one should look again whether it is this server's turn on all of these branches; 0: it is."""
        now = monotonic()
        left = max((self._turns.left(branch, now) for branch in branches), default=0.0)
        return min(left, max(_LOOK_AGAIN, self._turns.window / 8)) if now < ends else 0.0

    def permit(self) -> None:
        """Raises `Error` (unavailable) while the host can't be reached, and for a key that has ended."""
        if self.down_since is not None:
            raise unavailable(
                f"the hosted repository can't be reached since {self.down_since:%Y-%m-%d %H:%M:%S} UTC; nothing was"
                " written"
            )
        self.check_key()

    def check_key(self) -> None:
        """Raises `Error` (unavailable) if this server's key is none that main names: nobody would believe it."""
        main = self._refs.tip(names.MAIN)
        if main is None:
            return
        if self._known[0] != main:
            self._known = main, keys.read(keys.at(self._repo.path, main))
        ours = self._repo.writer.keys.current().fingerprint
        signer = self._known[1].get(ours)
        if signer is None or signer.before is not None:
            state = "is not named by main's allowed_signers" if signer is None else "has ended"
            raise unavailable(f"this server's key {ours} {state}: copy SIGNING_KEY from a server that works")

    def publish(self, moves: Moves) -> dict[str, Exception]:
        """See `Authority`. Main goes first, and the rest only if it landed."""
        failed: dict[str, Exception] = {}
        first = {branch: move for branch, move in moves.items() if branch == names.MAIN}
        for part in (first, {branch: move for branch, move in moves.items() if branch not in first}):
            if names.MAIN in failed:
                failed |= {branch: RefConflict() for branch in part}
                continue
            failed |= {branch: self._is_frozen(branch) for branch in part if branch in self.frozen}
            open_ = {branch: move for branch, move in part.items() if branch not in self.frozen}
            if open_:
                failed |= self._push(open_)
        return failed

    def refresh(self) -> bool:
        """Brings the branches here to where they are there; whether any moved. Raises `Error` (unavailable)."""
        asked = self._clock()
        moved, behind = self._branches.take(self._look())
        if behind:
            self._reached()
        else:
            self._seen(asked)
        return moved

    def _push(self, moves: Moves, quarantine: Path | None = None) -> dict[str, Exception]:
        failed: dict[str, Exception] = {}
        left = dict(moves)
        reason: Error | None = None
        said = ""
        for _ in range(_TRIES):
            began = monotonic()
            said = self._remote.push(left, quarantine)
            now = monotonic()
            self._pace.pushed(now)
            self._turns.pushed(now - began)
            if not said:
                for branch in left:
                    self._turns.saw(branch, [self.server], now)
                return failed
            try:
                tips = self._look()
                reason = None
            except Error as error:
                reason = error
                continue
            for branch, (old, new) in list(left.items()):
                if tips.get(branch) == old:
                    continue  # it may be on its way: the same push again does it once, whichever comes first
                del left[branch]
                if self._is_there(new, tips.get(branch)):
                    self._turns.saw(branch, [self.server], monotonic())
                else:
                    failed[branch] = RefConflict()
            if not left:
                return failed
        _log.warning("push: %s", said)
        why = reason or unavailable(f"{self._remote.url} does not take it; its reason is in the log")
        for branch, (_, new) in left.items():
            failed[branch] = Unconfirmed(f"whether it was done is not known (in commit {new[:10]} or before it): {why}")
        return failed

    def _is_there(self, commit: str, tip: str | None) -> bool:
        """Commits carry their `Request-Id`, so that this is also to look for that."""
        return tip is not None and (tip == commit or is_ancestor(self._repo.path, commit, tip))

    def _is_frozen(self, branch: str) -> Error:
        return unavailable(f"frozen, as the hosted repository {self.frozen[branch]}: an admin has to look", branch)

    # What git's hook asks

    def receive(self, moves: Moves, quarantine: Path | None) -> None:
        """Has a push, whose receipts are there, made at the host. Raises `Error` if it was not, or nobody knows.

        The writer's turn is kept until git has moved its refs here too: nobody else may do so before it.
        """
        turn = ExitStack()
        try:
            turn.enter_context(self._repo.writer.locked())
            self.permit()
            for branch in moves:
                if branch in self.frozen:
                    raise self._is_frozen(branch)
            for branch, error in self._push(moves, quarantine).items():
                if isinstance(error, RefConflict):
                    self.hint()
                    raise conflict("the branch has moved: fetch first", branch)
                raise error
        except BaseException:
            turn.close()
            raise
        threading.Thread(target=self._until_moved, args=(turn, moves), name="pushed", daemon=True).start()

    def pending(self, branch: str) -> tuple[str, str]:
        """(tip here, tip there) of a branch that is frozen. Raises `Error` (conflict) if not, or it has to go back."""
        with self._repo.writer.locked():
            self.refresh()
            found = {one: (old, new) for one, old, new in self._branches.different(self._branches.tips())}
        old, new = found.get(branch, (None, None))
        if branch not in self.frozen or old is None or new is None:
            raise conflict(f"is not frozen by commits that could be adopted ({', '.join(found) or 'none is'})", branch)
        if not is_ancestor(self._repo.path, old, new):
            raise conflict(f"the hosted repository {self.frozen[branch]}: reset it there to {old}", branch)
        return old, new

    def _until_moved(self, turn: ExitStack, moves: Moves) -> None:
        with turn:
            ends = monotonic() + _HOOK_SECONDS
            while monotonic() < ends and any(self._refs.tip(branch) != new for branch, (_, new) in moves.items()):
                sleep(0.005)

    # What is there

    def _look(self) -> dict[str, str]:
        """The host's branches, whose objects are here now. Raises `Error` (unavailable)."""
        try:
            return self._branches.fetched()
        except Error as error:
            self._down(error)
            raise

    def _seen(self, at: datetime) -> None:
        self._reached()
        self.seen_at = at
        new = self._seen_file.with_name(f"{self._seen_file.name}.{threading.get_ident()}")
        with suppress(OSError):  # then a restart says that what it reads is older than it is
            new.write_text(at.isoformat())
            new.replace(self._seen_file)

    def _seen_before(self) -> datetime:
        """When the host was last seen by whoever wrote here before: a server may start while it can't be reached."""
        try:
            return datetime.fromisoformat(self._seen_file.read_text())
        except (OSError, ValueError):
            return datetime.fromtimestamp(0, UTC)

    def _reached(self) -> None:
        if self.down_since is not None:
            _log.warning("the hosted repository is back")
        self.down_since, self.problem = None, ""

    def _down(self, error: Error) -> None:
        self.problem = str(error)
        if self.down_since is None:
            self.down_since = self._clock()
            _log.error("%s", error)

    # Following

    def start(self, seconds: float) -> None:
        """Looks every ``seconds``, and at each `hint`."""
        self._thread = threading.Thread(target=self._run, args=(seconds,), name="hosted", daemon=True)
        self._thread.start()

    def hint(self) -> None:
        """Somebody says that something moved there."""
        self._hint.set()

    def close(self) -> None:
        self._closing = True
        self._hint.set()
        self._urgent.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, seconds: float) -> None:
        while not self._closing:
            self._hint.wait(seconds)
            self._hint.clear()
            try:
                self._follow()
            except (Error, OSError) as error:
                _log.info("the hosted repository could not be followed: %s", error)
            except Exception:  # noqa: BLE001 - this thread must outlive a bug, which is logged
                _log.exception("the hosted repository could not be followed")

    def _follow(self) -> None:
        """Takes the writer's turn only where something moved."""
        asked = self._clock()
        try:
            tips = self._branches.tips()
        except Error as error:
            self._down(error)
            raise
        if not self._branches.has_news(tips):
            self._seen(asked)
            return
        with self._repo.writer.locked():
            self.refresh()


def _name(repository: Path) -> str:
    """What tells this clone, and the processes that write in it, from others; it needs no file of its own."""
    found = repository.stat()
    return hashlib.sha256(f"{socket.gethostname()} {found.st_dev} {found.st_ino}".encode()).hexdigest()[:8]
