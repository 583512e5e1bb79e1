"""Builds the index again from the branches, in a new file that then replaces the old one in one step.

Reads each branch whole and in order, so that the files of a request follow each other.
"""

import fcntl
import gc
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jobserver.domain.base import layout
from jobserver.domain.base.layout import Place
from jobserver.domain.job_requests.jobs import Job
from jobserver.domain.job_requests.requests import JobRequest
from jobserver.domain.outputs.documents import CheckedRelease
from jobserver.errors import Fault, unavailable
from jobserver.index.sqlite import rows, schema
from jobserver.index.sqlite.apply import add_cancellers
from jobserver.index.sqlite.releases import insert_releases
from jobserver.store.fs import move_durably, reason
from jobserver.store.git.refs import Refs
from jobserver.store.git.revision_files import tree_files
from jobserver.store.read.cancellations import cancellers
from jobserver.store.read.validate import read_document

Progress = Callable[[str, int], None]
"""Called now and then with the branch, and how many of its files have been read."""
_CHUNK = 5000


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Lets one process at a time build the index at ``path``, so that no other opens a partial file."""
    try:
        descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unavailable(f"the index can't be written: {reason(error)}", str(path)) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def rebuild(repository: Path, refs: Refs, path: Path, progress: Progress = lambda branch, count: None) -> int:
    """Builds the index file again. Returns the number of branches. Raises `Error` (unavailable)."""
    with exclusive(path):
        return build_all(repository, refs, path, progress)


def build_all(repository: Path, refs: Refs, path: Path, progress: Progress) -> int:
    """As `rebuild`, for a caller that holds `exclusive`."""
    tips = {branch: tip for branch, tip in refs.branches().items() if layout.branch_backend(branch)}
    try:
        build(repository, path, tips, progress)
    except (sqlite3.Error, OSError) as error:
        raise unavailable(f"the index can't be written: {reason(error)}", str(path)) from None
    return len(tips)


def build(
    repository: Path, path: Path, tips: Mapping[str, str], progress: Progress = lambda branch, count: None
) -> None:
    """Writes the index of the backends' branches at ``tips`` to ``path``, whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    _remove(partial)
    connection = schema.create(partial)
    try:
        # The commits are read by another process, meanwhile: only they tell who cancelled.
        with ThreadPoolExecutor(1) as pool, _no_collection():
            cancelled = [pool.submit(cancellers, repository, tip) for _, tip in sorted(tips.items())]
            connection.execute("BEGIN")
            for number, (branch, tip) in enumerate(sorted(tips.items()), 1):
                files = tree_files(repository, tip, once=layout.PIPELINE_FILE)
                fill(connection, number, branch, tip, files, progress)
            connection.execute("COMMIT")
            connection.executescript(schema.INDEXES)
            connection.execute("BEGIN")
            for number, of_branch in enumerate(cancelled, 1):
                add_cancellers(connection, number, of_branch.result())
            connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
    _remove(path)
    move_durably(partial, path)


def fill(
    connection: sqlite3.Connection,
    number: int,
    branch: str,
    tip: str,
    files: Iterable[tuple[str, bytes]],
    progress: Progress,
) -> None:
    """Inserts the rows of one branch. ``files``: (path, data), in the tree's order."""
    connection.execute("INSERT INTO branches VALUES (?,?,?)", (number, branch, tip))
    _Loading(connection, number, branch).load(files, progress)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Turns the garbage collector off: loading makes no cycles, and searching for them would take longer."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Loading:
    """Collects the rows of one branch request by request, and inserts them in chunks."""

    def __init__(self, connection: sqlite3.Connection, number: int, branch: str) -> None:
        self._sql, self._number, self._branch = connection, number, branch
        self._requests: list[tuple[Any, ...]] = []
        self._jobs: list[tuple[Any, ...]] = []
        self._faults: list[tuple[Any, ...]] = []

    def load(self, files: Iterable[tuple[str, bytes]], progress: Progress) -> None:
        place: Place | None = None
        request: JobRequest | None = None
        jobs: list[Job] = []
        for count, (path, data) in enumerate(files):
            if count % _CHUNK == 0:
                progress(self._branch, count)
                self._insert()
            where = layout.parse_path(self._branch, path)
            if where is not None and where.place != place:
                self._gathered(place, request, jobs)
                place, request, jobs = where.place, None, []
            document, faults = read_document(self._branch, path, data)
            self._faults += [self._fault(path, fault) for fault in faults]
            if isinstance(document, JobRequest):
                request = document
            elif isinstance(document, Job):
                jobs.append(document)
            elif isinstance(document, CheckedRelease):
                insert_releases(self._sql, self._number, iter([document]))
        self._gathered(place, request, jobs)
        self._insert()

    def _fault(self, path: str, fault: Fault) -> tuple[Any, ...]:
        return (self._number, path, fault.line, fault.key, fault.message)

    def _gathered(self, place: Place | None, request: JobRequest | None, jobs: list[Job]) -> None:
        if place is None:
            return
        workspace = request.workspace.name if request else None
        job_rows = [rows.job_row(self._number, place.identifier, workspace, job) for job in jobs]
        self._jobs += job_rows
        if request is not None:
            facts = [(row[5], row[6], row[10], row[11], row[9]) for row in job_rows]
            area = place.area.value
            self._requests.append(rows.request_row(self._number, place, request) + rows.summary(area, facts))

    def _insert(self) -> None:
        marks = ",".join("?" * 18)
        self._sql.executemany(
            f"INSERT INTO requests ({rows.REQUEST_COLUMNS}, {rows.SUMMARY_COLUMNS}) VALUES ({marks})",
            self._requests,
        )
        marks = ",".join("?" * 13)
        self._sql.executemany(
            f"INSERT OR REPLACE INTO jobs ({rows.JOB_COLUMNS}) VALUES ({marks})",
            self._jobs,
        )
        self._sql.executemany("INSERT INTO faults VALUES (?,?,?,?,?)", self._faults)
        self._requests, self._jobs, self._faults = [], [], []
