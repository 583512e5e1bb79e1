"""Caches answers about studies: those about a commit for good, those about a branch for when the source is unavailable.

The caches have a limit in bytes.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from jobserver.cache import Cache
from jobserver.domain.job_requests.refs import HEADS
from jobserver.errors import Code, Error
from jobserver.service.studies.base import (
    Branch,
    BranchList,
    Source,
    Study,
    StudyChanges,
    StudyRef,
    Tip,
    read_study,
    subject_of,
)

MAX_BYTES = 64 * 1024 * 1024  # the largest project.yaml fits
_OVERHEAD = 1024  # bytes of each entry, beside its value
_BRANCH = 256  # bytes of a branch's name and tip, roughly
_FAULT = 512  # bytes of a fault with its message, roughly
_REFS = 10_000  # tags and commits that people chose
_SETTLED = timedelta(minutes=1)
_PARSED = 6  # how many times larger than its text a pipeline is in memory, roughly


class CachedSource:
    """Answers from a source. While the source is unavailable, its last answers, with their time in ``as_of``.

    ``clock`` returns the time now (aware, UTC). An earlier answer replaces no other error than "unavailable".
    """

    def __init__(self, source: Source, clock: Callable[[], datetime], max_bytes: int = MAX_BYTES) -> None:
        self.source = source
        self.clock = clock
        self._commits = Cache[tuple[str, str], Study | Error](max_bytes, _weigh)
        self._reading = threading.Lock()  # a large file takes a second to read: callers of the same one wait
        self._tips = Cache[tuple[str, str], Tip](max_bytes // 8, lambda _: _OVERHEAD)
        self._latest = Cache[tuple[str, str], Study](max_bytes, _weigh)
        self._changes = Cache[tuple[str, str, str], StudyChanges](max_bytes // 8, _weigh_changes)
        self._refs = Cache[tuple[str, str, str], tuple[datetime, StudyRef]](_REFS)
        self._branches = Cache[str, BranchList](max_bytes // 4, _weigh_branches)

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
            study = self._study_of(repo, tip.sha, until)
        except Error as error:
            latest = self._latest.get((repo, branch))
            if error.code is not Code.UNAVAILABLE or latest is None:
                raise
            return latest
        self._latest.put((repo, branch), replace(study, as_of=as_of))
        return replace(study, as_of=tip.as_of)

    def project_at(self, repo: str, ref: str, own: str) -> Study:
        """At what a person chose; ``own`` is the workspace's branch. A tag or a commit hardly moves: an open page does
        not ask for it each time, and the last answer counts while the source is unavailable."""
        until = self._until()
        chosen = self._chosen(repo, ref, own, until)
        return replace(self._study_of(repo, chosen.sha, until), chosen=chosen)

    def _chosen(self, repo: str, ref: str, own: str, until: float) -> StudyRef:
        asked = self.clock()
        known = self._refs.get((repo, ref, own))
        if known is not None and asked - known[0] < _SETTLED:
            return known[1]
        try:
            chosen = self.source.resolve(repo, ref, own, until)
        except Error as error:
            if error.code is not Code.UNAVAILABLE or known is None:
                raise
            return known[1]
        if not chosen.name.startswith(HEADS):
            self._refs.put((repo, ref, own), (asked, chosen))
        return chosen

    def folder_files(self, repo: str, sha: str, folder: str, names: Collection[str]) -> Mapping[str, bytes] | None:
        """As the source; not remembered."""
        return self.source.folder_files(repo, sha, folder, names, self._until())

    def changes(self, repo: str, old: str, new: str) -> StudyChanges | None:
        known = self._changes.get((repo, old, new))
        if known is None:
            known = self.source.changes(repo, old, new, self._until())
        if known is not None:
            self._changes.put((repo, old, new), known)
        return known

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

    def _study_of(self, repo: str, sha: str, until: float) -> Study:
        study = self._commits.get((repo, sha))
        if study is None:
            data = self.source.project_file(repo, sha, until)
            subject = ""
            with suppress(Error):  # a study without its commit's subject is better than none
                subject = subject_of(self.source.message(repo, sha, until))
            with self._reading:
                study = self._commits.get((repo, sha)) or self._read(repo, sha, data, subject)
        if isinstance(study, Error):
            raise Error(study.code, study.message, study.where, study.faults)
        return study

    def _read(self, repo: str, sha: str, data: bytes, subject: str) -> "Study | Error":
        """Caches the study, or its faults: a commit never changes."""
        study: Study | Error
        try:
            study = read_study(sha, data, subject)
        except Error as error:
            study = error
        self._commits.put((repo, sha), study)
        return study


def _weigh(study: "Study | Error") -> int:
    return _OVERHEAD + (_FAULT * len(study.faults) if isinstance(study, Error) else _PARSED * len(study.source))


def _weigh_branches(answer: BranchList) -> int:
    return _OVERHEAD + _BRANCH * len(answer.branches)


def _weigh_changes(changes: StudyChanges) -> int:
    return _OVERHEAD + _BRANCH * len(changes.commits) + sum(map(len, changes.diff))
