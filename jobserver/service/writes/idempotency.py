"""Idempotency keys: a repeated POST finds the commit of the first one, on any server, also after a crash.

The commits are the ledger (trailer ``Idempotency-Key: <digest> <digest of the body>``). This module caches the last 24
hours of them, and updates the cache in the writer's turn. A write that changed nothing has no commit, so only this
process remembers it.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobserver.cache import Cache
from jobserver.domain.base.permissions import Actor
from jobserver.errors import conflict
from jobserver.store.git.objects import Objects
from jobserver.store.read.commits import parse_commit
from jobserver.store.repo import StateRepo
from jobserver.store.write.submission import WriteResult

TRAILER = "Idempotency-Key"
KEPT = timedelta(hours=24)
_MOST = 10_000  # entries; beyond that, old ones are removed


@dataclass(frozen=True, slots=True)
class Key:
    """``digest``: of actor, method, path and the client's key. ``body``: of the request's body. 32 hex digits each."""

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
    """An earlier write with a key. ``request``: the first job request that the commit names, or empty."""

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
        self._idle = Cache[str, CompletedWrite](_MOST)
        self._held: dict[str, tuple[threading.Lock, int]] = {}

    def close(self) -> None:
        self._objects.close()

    @contextmanager
    def holding(self, key: Key) -> Iterator[None]:
        """Lets one caller at a time use the key: two in one batch would not see each other."""
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
        """The write with this key in the last 24 hours. Exact in the writer's turn.

        Raises `Error` (conflict) if the key was used with another body.
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
        """Records a write that changed nothing."""
        request = str(written.changes.result.get("identifier", ""))
        done = CompletedWrite(written.branch, written.commit, key.body, request, self._clock())
        self._idle.put(key.digest, done)

    def _read(self, branch: str, tip: str, oldest: datetime) -> None:
        commit, stop = tip, self._tips.get(branch)
        while commit != stop:
            parsed = parse_commit(commit, self._objects.raw(bytes.fromhex(commit)))
            # The times of the server's commits never go back; those of others say nothing about older commits.
            if parsed.committed_at < oldest and parsed.is_servers:
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
