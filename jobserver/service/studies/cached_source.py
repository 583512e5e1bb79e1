"""Answers about studies that are kept: by commit for ever, and by branch in case the source is unavailable.

Bounded in bytes.
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
    """Drops the entries that were not used for longest once their weights (bytes) exceed ``limit``. Thread-safe."""

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
    """A source's answers, or its last ones while it is unavailable, which say so in ``as_of``.

    ``clock`` gives the time now, aware and UTC. Only "unavailable" is replaced by an earlier answer.
    """

    def __init__(self, source: Source, clock: Callable[[], datetime], max_bytes: int = MAX_BYTES) -> None:
        self.source = source
        self.clock = clock
        self._commits = Lru[tuple[str, str], Study | Error](max_bytes, _weigh)
        self._reading = threading.Lock()  # a large file takes a second to read: callers of the same one wait
        self._tips = Lru[tuple[str, str], Tip](max_bytes // 8, lambda _: 0)
        self._latest = Lru[tuple[str, str], Study](max_bytes, _weigh)
        self._branches = Lru[str, BranchList](max_bytes // 4, lambda answer: 256 * len(answer.branches))

    def branches(self, repo: str) -> BranchList:
        asked = self.clock()
        try:
            branches: tuple[Branch, ...] = self.source.branches(repo, self._until())
        except Error as error:
            known = self._branches.get(repo)
            if error.code is not Code.UNAVAILABLE or known is None:
                raise
            return known
        self._branches.put(repo, BranchList(branches, asked))
        return BranchList(branches)

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
        study = self._commits.get((repo, sha))
        if study is None:
            data = self.source.project_file(repo, sha, until)
            with self._reading:
                study = self._commits.get((repo, sha)) or self._read(repo, sha, data)
        if isinstance(study, Error):
            raise Error(study.code, study.message, study.where, study.faults)
        return study

    def _read(self, repo: str, sha: str, data: bytes) -> "Study | Error":
        """A commit never changes, so its study, or its faults, are kept."""
        study: Study | Error
        try:
            study = read_study(sha, data)
        except Error as error:
            study = error
        self._commits.put((repo, sha), study)
        return study


def _weigh(study: "Study | Error") -> int:
    return _FAULT * len(study.faults) if isinstance(study, Error) else _PARSED * len(study.source)
