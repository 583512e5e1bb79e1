"""Idempotency keys: the same POST again finds the commit that it made, on any server, after any crash.

The commits themselves are the ledger (trailer ``Idempotency-Key: <digest> <digest of the body>``), so there is nothing
to keep in step with them; this is a cache of the last 24 hours of it, brought up to date within the writer's turn. What
changed nothing has no commit: it is remembered by this process only.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobserver.domain.base.permissions import Actor
from jobserver.errors import conflict
from jobserver.store.git.objects import Objects
from jobserver.store.read.commits import parse_commit
from jobserver.store.repo import StateRepo
from jobserver.store.write.submission import WriteResult

TRAILER = "Idempotency-Key"
KEPT = timedelta(hours=24)
_MOST = 10_000  # entries, before old ones are looked for


@dataclass(frozen=True, slots=True)
class Key:
    """``digest`` is of actor, method, path and the client's key; ``body`` of the body. 32 hex each."""

    digest: str
    body: str

    @classmethod
    def of(cls, actor: Actor, method: str, path: str, key: str, body: bytes) -> "Key":
        whole = "\n".join((str(actor), method, path, key)).encode()
        return cls(*(hashlib.sha256(data).hexdigest()[:32] for data in (whole, body)))

    @property
    def trailer(self) -> str:
        return f"{self.digest} {self.body}"


@dataclass(frozen=True, slots=True)
class CompletedWrite:
    """What a key did before. ``request`` is the first job request that the commit names, or empty."""

    branch: str
    commit: str
    body: str
    request: str
    written_at: datetime


class Ledger:
    """Thread-safe."""

    def __init__(self, repo: StateRepo, clock: Callable[[], datetime]) -> None:
        self._refs = repo.writer.refs
        self._objects = Objects(repo.path)
        self._clock = clock
        self._guard = threading.Lock()
        self._tips: dict[str, str] = {}
        self._done: dict[str, CompletedWrite] = {}
        self._idle: OrderedDict[str, CompletedWrite] = OrderedDict()
        self._held: dict[str, tuple[threading.Lock, int]] = {}

    def close(self) -> None:
        self._objects.close()

    @contextmanager
    def holding(self, key: Key) -> Iterator[None]:
        """One at a time per key in this process: two in one batch would see nothing of each other."""
        with self._guard:
            lock, count = self._held.get(key.digest, (threading.Lock(), 0))
            self._held[key.digest] = lock, count + 1
        try:
            with lock:
                yield
        finally:
            with self._guard:
                lock, count = self._held[key.digest]
                if count == 1:
                    del self._held[key.digest]
                else:
                    self._held[key.digest] = lock, count - 1

    def find(self, key: Key) -> CompletedWrite | None:
        """What the key did within 24 hours; exact within the writer's turn.

        Raises `Error` (conflict) if it was used with another body.
        """
        with self._guard:
            oldest = self._clock() - KEPT
            for branch, tip in self._refs.branches().items():
                if self._tips.get(branch) != tip:
                    self._read(branch, tip, oldest)
            done = self._done.get(key.digest) or self._idle.get(key.digest)
        if done is None or done.written_at < oldest:
            return None
        if done.body != key.body:
            raise conflict("this Idempotency-Key was used with another body", TRAILER)
        return done

    def remember(self, key: Key, written: WriteResult) -> None:
        """Of what changed nothing: what was answered."""
        request = str(written.changes.result.get("identifier", ""))
        with self._guard:
            self._idle[key.digest] = CompletedWrite(written.branch, written.commit, key.body, request, self._clock())
            if len(self._idle) > _MOST:
                self._idle.popitem(last=False)

    def _read(self, branch: str, tip: str, oldest: datetime) -> None:
        commit, stop = tip, self._tips.get(branch)
        while commit != stop:
            parsed = parse_commit(commit, self._objects.raw(bytes.fromhex(commit)))
            if (
                parsed.committed_at < oldest and parsed.is_servers
            ):  # the server's times never go back, others' end nothing
                break
            digest, _, body = parsed.trailer(TRAILER).partition(" ")
            if body:
                self._done[digest] = CompletedWrite(
                    branch, commit, body, parsed.trailer("Job-Request"), parsed.committed_at
                )
            if not parsed.parents:
                break
            commit = parsed.parents[0]
        self._tips[branch] = tip
        if len(self._done) > _MOST:
            self._done = {digest: done for digest, done in self._done.items() if done.written_at >= oldest}
