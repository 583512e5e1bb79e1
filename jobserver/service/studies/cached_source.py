"""What is known about studies: by commit for good, by branch for when a place does not answer.

Bounded in bytes. May import errors and `base`; the clock is passed in.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Generic, TypeVar

from jobserver.errors import Code, Error
from jobserver.service.studies.base import Branch, BranchList, Source, Study, Tip, read_study

MAX_BYTES = 64 * 1024 * 1024  # the largest project.yaml fits
_OVERHEAD = 1024  # of an entry, whatever it holds
_FAULT = 512  # with its message, about
_PARSED = 6  # a pipeline in memory beside the text that it was read from, about

K = TypeVar("K")
V = TypeVar("V")


class Lru(Generic[K, V]):
    """Forgets what was not used for longest once the weights (bytes) exceed ``limit``. Thread-safe."""

    def __init__(self, limit: int, weigh: Callable[[V], int]) -> None:
        self.limit = limit
        self.weigh = weigh
        self.total = 0
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key][0]

    def put(self, key: K, value: V) -> None:
        weight = self.weigh(value) + _OVERHEAD
        with self._lock:
            if key in self._entries:
                self.total -= self._entries.pop(key)[1]
            self._entries[key] = (value, weight)
            self.total += weight
            while self.total > self.limit and self._entries:
                self.total -= self._entries.popitem(last=False)[1][1]


class CachedSource:
    """A place's answers; where it is unavailable, its last ones, which say so in ``as_of``.

    ``clock`` gives the time now, aware and UTC. An answer other than "unavailable" is never replaced.
    """

    def __init__(self, source: Source, clock: Callable[[], datetime], max_bytes: int = MAX_BYTES) -> None:
        self.source = source
        self.clock = clock
        self._commits = Lru[tuple[str, str], Study | Error](max_bytes, _weigh)
        self._reading = threading.Lock()  # a large file takes a second: many who ask for it wait for one
        self._tips = Lru[tuple[str, str], Tip](max_bytes // 8, lambda _: 0)
        self._latest = Lru[tuple[str, str], Study](max_bytes, _weigh)
        self._branches = Lru[str, BranchList](max_bytes // 4, lambda answer: 256 * len(answer.branches))

    def branches(self, repo: str) -> BranchList:
        asked = self.clock()
        try:
            found: tuple[Branch, ...] = self.source.branches(repo, self._until())
        except Error as error:
            known = self._branches.get(repo)
            if error.code is not Code.UNAVAILABLE or known is None:
                raise
            return known
        self._branches.put(repo, BranchList(found, asked))
        return BranchList(found)

    def tip(self, repo: str, branch: str) -> Tip:
        return self._tip(repo, branch, self._until())

    def project(self, repo: str, branch: str) -> Study:
        until = self._until()
        tip = self._tip(repo, branch, until)
        as_of = tip.as_of or self.clock()
        try:
            study = self._at(repo, tip.sha, until)
        except Error as error:
            latest = self._latest.get((repo, branch))
            if error.code is not Code.UNAVAILABLE or latest is None:
                raise
            return latest
        self._latest.put((repo, branch), replace(study, as_of=as_of))
        return replace(study, as_of=tip.as_of)

    def _until(self) -> float:
        return time.monotonic() + self.source.patience

    def _tip(self, repo: str, branch: str, until: float) -> Tip:
        asked = self.clock()
        try:
            sha = self.source.tip(repo, branch, until)
        except Error as error:
            known = self._tips.get((repo, branch))
            if error.code is not Code.UNAVAILABLE or known is None:
                raise
            return known
        self._tips.put((repo, branch), Tip(sha, asked))
        return Tip(sha)

    def _at(self, repo: str, sha: str, until: float) -> Study:
        found = self._commits.get((repo, sha))
        if found is None:
            data = self.source.project_file(repo, sha, until)
            with self._reading:
                found = self._commits.get((repo, sha)) or self._read(repo, sha, data)
        if isinstance(found, Error):
            raise Error(found.code, found.message, found.where, found.faults)
        return found

    def _read(self, repo: str, sha: str, data: bytes) -> "Study | Error":
        """What a commit says it says for ever, faults as well."""
        found: Study | Error
        try:
            found = read_study(sha, data)
        except Error as error:
            found = error
        self._commits.put((repo, sha), found)
        return found


def _weigh(found: "Study | Error") -> int:
    return _FAULT * len(found.faults) if isinstance(found, Error) else _PARSED * len(found.source)
